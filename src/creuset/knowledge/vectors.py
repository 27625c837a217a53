"""Search by vectors: an exact scan, and above a size a sieve of sign bits before it.

Up to EXACT_ROWS allowed chunks each is compared: recall is 1 under any filter. Above, the signs of the
components are compared first (popcount of XOR; Charikar 2002, "Similarity estimation techniques from rounding
algorithms"), and the nearest by signs are compared exactly. Graph indexes (HNSW) are quicker there and give
too few under a filter.

Vectors of another length than 1 are compared by their cosine, too.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.errors import UsageError
from creuset.knowledge.array_file import Arrays
from creuset.knowledge.derived import DerivedIndex, Found, Ids, Segment, best, merged
from creuset.knowledge.store_interface import KnowledgeStore

EXACT_ROWS = 200_000
SIEVED_ROWS = 4_000
"""Rows that pass the sieve, over all segments: benchmarks/search_at_scale.py measures what is lost."""
_GATHERED_SHARE = 0.25
"""Of a segment: fewer allowed rows are gathered first, more are left out after all were compared."""
_READ = 8192


class VectorIndex(DerivedIndex):
    """The vectors of one space. Made by `open`."""

    kind = "vectors"

    def __init__(self, folder: Path, store: KnowledgeStore, space_id: int) -> None:
        super().__init__(folder / str(space_id), store)
        self.space_id = space_id
        self.space = store.spaces()[space_id]

    @classmethod
    def open(cls, folder: Path, store: KnowledgeStore, space_id: int) -> Self:
        """The index of a space of a store, up to date; made where there is none."""
        index = cls(folder, store, space_id)
        index.load()
        return index

    @property
    def version(self) -> str:
        return f"1, space {self.space.model_sha256} {self.space.dtype} {self.space.dimension}"

    def search(self, vector: NDArray[np.float32], k: int, allowed_documents: Ids) -> Found:
        """The chunks whose vectors are nearest to one, by the cosine.

        Args:
            vector: Of the question, float32 (dimension,).
            k: How many at most.
            allowed_documents: Ids of what may be found, ascending, int64.

        Returns:
            k chunks, or all that may be found where they are fewer.

        Raises:
            UsageError: A vector of another space.
        """
        if vector.shape != (self.space.dimension,):
            raise UsageError(
                "a vector of another space", got=vector.shape, expected=f"({self.space.dimension},)"
            )
        length = float(np.linalg.norm(vector))
        unit = (vector / length if length else vector).astype(np.float32)
        rows = self.allowed_rows(allowed_documents)
        total = sum(map(len, rows))
        parts = []
        for segment, allowed in zip(self.segments, rows, strict=True):
            if total > EXACT_ROWS:
                share = max(k, round(max(SIEVED_ROWS, 20 * k) * len(allowed) / total))
                allowed = _sieved(segment, unit, allowed, share)
            parts.append(best(segment.chunk_ids[allowed], _cosines(segment, unit, allowed), k))
        return merged(parts, k)

    def arrays_of(self, chunk_ids: Ids) -> Arrays:
        vectors = np.empty((len(chunk_ids), self.space.dimension), np.float32)
        for begin in range(0, len(chunk_ids), _READ):
            ids = chunk_ids[begin : begin + _READ].tolist()
            vectors[begin : begin + len(ids)] = self._store.vectors(self.space_id, ids)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(lengths > 0, lengths, 1)
        return {"vectors": vectors, "signs": np.ascontiguousarray(_signs(vectors).T)}


def _cosines(segment: Segment, unit: NDArray[np.float32], rows: Ids) -> NDArray[np.float32]:
    vectors = segment.arrays["vectors"]
    if len(rows) < _GATHERED_SHARE * len(segment):
        return _products(vectors[rows], unit)
    scores = _products(vectors, unit)
    return scores if len(rows) == len(segment) else scores[rows]


def _products(vectors: NDArray[np.float32], unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """By torch, whose threads the embedder has just used: NumPy's would wait beside them."""
    found: NDArray[np.float32] = torch.mv(torch.from_numpy(vectors), torch.from_numpy(unit)).numpy()
    return found


def _sieved(segment: Segment, unit: NDArray[np.float32], rows: Ids, count: int) -> Ids:
    """The allowed rows that are nearest by signs, ascending."""
    if len(rows) <= count:
        return rows
    signs = segment.arrays["signs"]
    asked = _signs(unit[None])[0]
    whole = len(rows) == len(segment)
    distance = np.zeros(len(rows), np.uint16)
    for word in range(signs.shape[0]):
        held = signs[word] if whole else signs[word][rows]
        distance += np.bitwise_count(held ^ asked[word])
    limit = np.partition(distance, count - 1)[count - 1]
    return rows[np.flatnonzero(distance <= limit)]


def _signs(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """The signs of components, 64 a word: uint64 (N, words) of float32 (N, D)."""
    bits = np.packbits(vectors > 0, axis=1)
    words = -(-bits.shape[1] // 8)
    padded = np.zeros((len(bits), words * 8), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return padded.view(np.uint64)
