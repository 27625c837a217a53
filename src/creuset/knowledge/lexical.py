"""Search by words: BM25 over what the reader may see.

    score(q, d) = sum over terms t of q:  idf(t) tf (k1 + 1) / (tf + k1 (1 - b + b |d| / mean |d|))
    idf(t) = ln(1 + (N - n(t) + 1/2) / (n(t) + 1/2))

Source: Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework: BM25 and Beyond", with the idf
of Lucene, which is never negative.

Departure: N, n(t) and the mean length are those of the documents that the reader may see, counted for each
question. Statistics over all documents would tell a reader, by the order of what is found, which words stand
in documents that are closed to them.
"""

from collections import Counter
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.array_file import Arrays
from creuset.knowledge.derived import DerivedIndex, Found, Ids, Segment, best, merged
from creuset.knowledge.store_interface import KnowledgeStore

K1, B = 0.9, 0.4
"""Those of Anserini's baselines, tuned by nobody on the sets that are measured here."""
_READ = 2048


class LexicalIndex(DerivedIndex):
    """Terms of chunks: for each term the chunks that hold it, and how often. Made by `open`."""

    kind = "lexical"

    def __init__(self, folder: Path, store: KnowledgeStore, analyzer: Analyzer) -> None:
        super().__init__(folder, store)
        self._analyzer = analyzer
        self._vocabularies: dict[int, dict[str, int]] = {}
        self._statistics: dict[bytes, tuple[int, float]] = {}

    @classmethod
    def open(cls, folder: Path, store: KnowledgeStore, analyzer: Analyzer) -> Self:
        """The index of a store, up to date; made where there is none."""
        index = cls(folder, store, analyzer)
        index.load()
        return index

    @property
    def version(self) -> str:
        return f"1, analyzer {self._analyzer.version}"

    def search(self, question: str, k: int, allowed_documents: Ids) -> Found:
        """The chunks that match a question by words.

        Args:
            question: Any text.
            k: How many at most.
            allowed_documents: Ids of what may be found, ascending, int64.

        Returns:
            At most k chunks, with BM25 above 0.
        """
        terms = self._analyzer.question_terms(question)
        rows = self.allowed_rows(allowed_documents)
        num_allowed, mean_length = self._statistics_of(allowed_documents, rows)
        if not num_allowed or not terms:
            return Found(np.empty(0, np.int64), np.empty(0, np.float32))
        masks = [_mask(segment, allowed) for segment, allowed in zip(self.segments, rows, strict=True)]
        scores = [np.zeros(len(segment), np.float32) for segment in self.segments]
        norms = [
            K1 * (1 - B + B * segment.arrays["lengths"] / np.float32(mean_length))
            for segment in self.segments
        ]
        for term in terms:
            postings = [
                self._postings(segment, term, mask)
                for segment, mask in zip(self.segments, masks, strict=True)
            ]
            frequency = sum(len(held) for held, _ in postings)
            if not frequency:
                continue
            idf = np.float32(np.log1p((num_allowed - frequency + 0.5) / (frequency + 0.5)))
            for number, (held, counts) in enumerate(postings):
                scores[number][held] += idf * counts * np.float32(K1 + 1) / (counts + norms[number][held])
        parts = []
        for segment, found in zip(self.segments, scores, strict=True):
            matched = np.flatnonzero(found)
            parts.append(best(segment.chunk_ids[matched], found[matched], k))
        return merged(parts, k)

    def question_frequencies(self, question: str, allowed_documents: Ids) -> dict[str, float]:
        """The share of the allowed chunks that hold each term of a question, in [0, 1]."""
        rows = self.allowed_rows(allowed_documents)
        num_allowed, _ = self._statistics_of(allowed_documents, rows)
        masks = [_mask(segment, allowed) for segment, allowed in zip(self.segments, rows, strict=True)]
        return {
            term: sum(
                len(self._postings(segment, term, mask)[0])
                for segment, mask in zip(self.segments, masks, strict=True)
            )
            / max(1, num_allowed)
            for term in self._analyzer.question_terms(question)
        }

    def arrays_of(self, chunk_ids: Ids) -> Arrays:
        vocabulary: dict[str, int] = {}
        terms, owners, lengths = [], [], []
        for begin in range(0, len(chunk_ids), _READ):
            for number, chunk in enumerate(
                self._store.chunks_by_id(chunk_ids[begin : begin + _READ].tolist()), begin
            ):
                counted = Counter(self._analyzer.terms(chunk.searched_text, chunk.language))
                lengths.append(counted.total())
                for term, times in counted.items():
                    terms.append(vocabulary.setdefault(term, len(vocabulary)))
                    owners.append((number, times))
        return _inverted(vocabulary, terms, owners, lengths)

    def forget_readers(self) -> None:
        super().forget_readers()
        self._vocabularies = {}
        self._statistics = {}

    def _statistics_of(self, allowed_documents: Ids, rows: list[Ids]) -> tuple[int, float]:
        """The chunks that may be found, and their mean length."""
        key = allowed_documents.tobytes()
        if key not in self._statistics:
            count = sum(map(len, rows))
            lengths = [
                segment.arrays["lengths"][allowed].sum(dtype=np.int64)
                for segment, allowed in zip(self.segments, rows, strict=True)
            ]
            self._statistics[key] = (count, max(1.0, float(sum(lengths)) / max(1, count)))
        return self._statistics[key]

    def _postings(
        self, segment: Segment, term: str, mask: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Rows that hold a term and may be seen, and how often they hold it."""
        number = self._vocabulary(segment).get(term)
        if number is None:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        start, end = segment.arrays["starts"][number : number + 2]
        held = segment.arrays["rows"][start:end]
        counts = segment.arrays["counts"][start:end]
        if mask is not None:
            visible = mask[held]
            held, counts = held[visible], counts[visible]
        return held, counts.astype(np.float32)

    def _vocabulary(self, segment: Segment) -> dict[str, int]:
        key = id(segment)
        if key not in self._vocabularies:
            words = segment.arrays["words"].tobytes().decode().split("\n") if len(segment) else []
            self._vocabularies[key] = {word: number for number, word in enumerate(words)}
        return self._vocabularies[key]


def _mask(segment: Segment, rows: Ids) -> NDArray[np.bool_] | None:
    """Which rows may be seen; None for all."""
    if len(rows) == len(segment):
        return None
    mask = np.zeros(len(segment), np.bool_)
    mask[rows] = True
    return mask


def _inverted(
    vocabulary: dict[str, int], terms: list[int], owners: list[tuple[int, int]], lengths: list[int]
) -> Arrays:
    """Postings by term, each by rising row."""
    words = sorted(vocabulary)
    place = np.empty(len(words), np.int64)
    for number, word in enumerate(words):
        place[vocabulary[word]] = number
    numbers = place[np.array(terms, np.int64)] if terms else np.empty(0, np.int64)
    held = np.array(owners, np.int64).reshape(-1, 2)
    order = np.lexsort((held[:, 0], numbers))
    starts = np.searchsorted(numbers[order], np.arange(len(words) + 1))
    return {
        "words": np.frombuffer("\n".join(words).encode(), np.uint8),
        "starts": starts.astype(np.int64),
        "rows": held[order, 0].astype(np.int32),
        "counts": np.minimum(held[order, 1], np.iinfo(np.uint16).max).astype(np.uint16),
        "lengths": np.array(lengths, np.int32),
    }
