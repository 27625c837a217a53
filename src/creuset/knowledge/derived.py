"""What is derived from a store and searched: in segments, caught up by generations, made anew in doubt.

    FOLDER/manifest.json     format, kind, version, generation, segments, removed chunks
    FOLDER/NUMBER.arrays     a segment: chunks and what they are searched by; never changed

The store is the truth. An index knows which generation it has seen; `catch_up` asks the store what came after
it, puts new chunks into a new segment and remembers which are gone. A new segment takes in older ones that
are not much larger, so that there are few (O'Neil et al. 1996, "The log-structured merge-tree"); chunks are
read from the store again for it. A damaged, foreign or older file makes the whole index anew.

Only the process that holds the index's lock persists; others catch up in memory.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.errors import CheckpointError
from creuset.files import remove_leftovers, write_atomic
from creuset.knowledge.array_file import Arrays, read_arrays, write_arrays
from creuset.knowledge.store_interface import KnowledgeStore

FORMAT = 1
MAX_SEGMENT_CHUNKS = 250_000
"""Of one segment: what is held in memory while it is made."""
_MANIFEST = "manifest.json"
_GONE_SHARE = 0.3
"""Of all chunks of an index: with more of them gone it is made anew."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Segment:
    """Chunks and what they are searched by.

    Args:
        chunk_ids: Ascending, int64 (N,).
        document_ids: Of each, int64 (N,).
        arrays: All else, by name.
        file: Its name in the folder; "" while it is in memory alone.
    """

    chunk_ids: Ids
    document_ids: Ids
    arrays: Arrays
    file: str = ""

    def __len__(self) -> int:
        return len(self.chunk_ids)


@dataclass(frozen=True)
class Found:
    """Chunks by falling score, equal ones by rising id: int64 (K,) and float32 (K,)."""

    chunk_ids: Ids
    scores: NDArray[np.float32]


class DerivedIndex(ABC):
    """An index over the current chunks of a store.

    Args:
        folder: Its place; may not exist.
        store: The truth.
    """

    kind: str
    """Of index, in its files."""

    def __init__(self, folder: Path, store: KnowledgeStore) -> None:
        self._folder, self._store = folder, store
        self.generation = 0
        self.segments: list[Segment] = []
        self._gone: set[int] = set()
        self._allowed_rows: dict[bytes, list[Ids]] = {}

    @property
    @abstractmethod
    def version(self) -> str:
        """Of how it is made: one of another version is made anew."""

    @abstractmethod
    def arrays_of(self, chunk_ids: Ids) -> Arrays:
        """What chunks of the store are searched by, in this order."""

    def load(self) -> None:
        """Reads what is on the disk and catches up in memory; where in doubt all is made anew in memory."""
        try:
            self._read()
        except CheckpointError:
            self._clear()
        self.catch_up()

    def catch_up(self, *, persist: bool = False) -> None:
        """Takes in what the store did since; `persist` writes it, and is for the holder of the lock alone."""
        latest = self._store.generation
        if latest < self.generation or self.generation < self._store.oldest_generation:
            self._clear()
        if latest != self.generation:
            self._apply(latest)
        if persist:
            self._write()

    def rebuild(self) -> None:
        """Makes all of it anew and writes it, without a trace of what is gone. For the holder of the lock."""
        self._clear()
        self._apply(self._store.generation)
        self._write()

    def chunk_ids(self) -> Ids:
        """The chunks that it holds, ascending."""
        held = [segment.chunk_ids for segment in self.segments]
        ids = np.sort(np.concatenate(held)) if held else np.empty(0, np.int64)
        return ids[~np.isin(ids, np.fromiter(self._gone, np.int64))] if self._gone else ids

    def allowed_rows(self, allowed_documents: Ids) -> list[Ids]:
        """For each segment the rows of chunks of these documents, ascending; kept for the next question."""
        key = allowed_documents.tobytes()
        if key not in self._allowed_rows:
            if len(self._allowed_rows) >= _KEPT_READERS:
                self._allowed_rows.pop(next(iter(self._allowed_rows)))
            gone = np.fromiter(self._gone, np.int64)
            rows = []
            for segment in self.segments:
                mask = np.isin(segment.document_ids, allowed_documents)
                if len(gone):
                    mask &= ~np.isin(segment.chunk_ids, gone)
                rows.append(np.flatnonzero(mask))
            self._allowed_rows[key] = rows
        return self._allowed_rows[key]

    def forget_readers(self) -> None:
        """Drops what is kept for questions; called where segments change."""
        self._allowed_rows.clear()

    def _clear(self) -> None:
        self.generation, self.segments, self._gone = 0, [], set()
        self.forget_readers()

    def _apply(self, latest: int) -> None:
        if self.generation == 0:
            new = self._store.current_chunk_ids()
        else:
            changes = self._store.changes_since(self.generation)
            new = np.array([each.chunk_id for each in changes if each.operation == "add"], np.int64)
            self._gone.update(each.chunk_id for each in changes if each.operation == "remove")
            held = sum(map(len, self.segments))
            if self._gone and len(self._gone) > _GONE_SHARE * held:
                self._clear()
                self._apply(latest)
                return
        self._add(np.sort(new))
        self.generation = latest
        self.forget_readers()

    def _add(self, new: Ids) -> None:
        """New chunks into segments, with those of older segments that are not much larger."""
        if not len(new):
            return
        kept: list[Segment] = []
        for segment in sorted(self.segments, key=len, reverse=True):
            if len(segment) > 2 * len(new) or len(segment) + len(new) > MAX_SEGMENT_CHUNKS:
                kept.append(segment)
            else:
                new = np.union1d(new, segment.chunk_ids)
        gone = np.fromiter(self._gone, np.int64)
        new = new[~np.isin(new, gone)]
        held = np.concatenate([np.empty(0, np.int64), *(segment.chunk_ids for segment in kept)])
        self._gone &= set(held[np.isin(held, gone)].tolist())
        for begin in range(0, len(new), MAX_SEGMENT_CHUNKS):
            kept.append(self._segment(new[begin : begin + MAX_SEGMENT_CHUNKS]))
        self.segments = [segment for segment in kept if len(segment)]

    def _segment(self, ids: Ids) -> Segment:
        document_ids = self._store.documents_of_chunks(ids)
        there = document_ids >= 0  # one removed meanwhile is told by the next generation
        ids, document_ids = ids[there], document_ids[there]
        return Segment(ids, document_ids, self.arrays_of(ids))

    def _read(self) -> None:
        path = self._folder / _MANIFEST
        try:
            document = json.loads(path.read_bytes())
            expected = {"format": FORMAT, "kind": self.kind, "version": self.version}
            if {key: document[key] for key in expected} != expected:
                raise ValueError("of another version")
            segments = [self._read_segment(name) for name in document["segments"]]
            generation, gone = int(document["generation"]), set(map(int, document["gone"]))
        except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise CheckpointError(
                "what was derived from the store cannot be read", where=path, got=str(error)[:80]
            ) from error
        self.generation, self.segments, self._gone = generation, segments, gone
        self.forget_readers()

    def _read_segment(self, name: Any) -> Segment:
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"no segment: {name!r}")
        arrays, facts = read_arrays(self._folder / name)
        if (facts["kind"], facts["version"]) != (self.kind, self.version):
            raise ValueError(f"{name} is of another index")
        return Segment(arrays.pop("chunk_ids"), arrays.pop("document_ids"), arrays, name)

    def _write(self) -> None:
        """Segments first, then the manifest, then files that nothing names any more go."""
        facts = {"kind": self.kind, "version": self.version}
        written = []
        for number, segment in enumerate(self.segments):
            if segment.file:
                written.append(segment)
                continue
            name = f"{self.generation:012d}-{number}.arrays"
            columns = {"chunk_ids": segment.chunk_ids, "document_ids": segment.document_ids}
            write_arrays(self._folder / name, {**columns, **segment.arrays}, facts)
            written.append(self._read_segment(name))
        self.segments = written
        document = {
            "format": FORMAT,
            **facts,
            "generation": self.generation,
            "segments": [segment.file for segment in written],
            "gone": sorted(self._gone),
        }
        write_atomic(self._folder / _MANIFEST, json.dumps(document))
        named = {segment.file for segment in written}
        for file in self._folder.glob("*.arrays"):
            if file.name not in named:
                file.unlink(missing_ok=True)
        remove_leftovers(self._folder)
        self.forget_readers()


_KEPT_READERS = 8
"""Sets of documents whose rows are kept: those who ask now."""


def best(chunk_ids: Ids, scores: NDArray[np.float32], k: int) -> Found:
    """The k highest scores, equal ones by rising chunk id."""
    if len(scores) > k:
        # all that tie with the k-th stay in, so that ids decide among them
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= least)
        chunk_ids, scores = chunk_ids[kept], scores[kept]
    order = np.lexsort((chunk_ids, -scores))[:k]
    return Found(chunk_ids[order], scores[order])


def merged(parts: Sequence[Found], k: int) -> Found:
    """The best of several segments."""
    if len(parts) == 1:
        return parts[0]
    ids = np.concatenate([np.empty(0, np.int64), *(part.chunk_ids for part in parts)])
    scores = np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)])
    return best(ids, scores, k)
