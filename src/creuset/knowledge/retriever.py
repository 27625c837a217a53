"""A question to chunks: by words, by vectors, or by both; who asks is always said.

    allowed documents -> legs -> fusion -> reranking -> variety -> joined with the store

What a reader may see is asked of the store before anything is ranked, and each hit is read from the store
again
before it is served: what the store does not hold, or the reader may not read, is never shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from creuset.errors import UsageError
from creuset.knowledge.derived import Found, Ids
from creuset.knowledge.fusion import (
    convex_fusion,
    maximal_marginal_relevance,
    ordered,
    reciprocal_rank_fusion,
)
from creuset.knowledge.lexical import LexicalIndex
from creuset.knowledge.records import Access, Filter, Hit
from creuset.knowledge.store_interface import KnowledgeStore
from creuset.knowledge.vectors import VectorIndex

Legs = Literal["lexical", "dense", "hybrid"]
Fusion = Literal["rrf", "convex"]
MAX_HITS = 10_000
EVERYTHING = Filter()


class TextEmbedder(Protocol):
    """Makes vectors of texts."""

    @property
    def max_tokens(self) -> int: ...

    def embed(self, texts: Sequence[str], *, truncate: int | None = None) -> NDArray[np.float32]:
        """float32 (N, D), in the order of the texts."""


class Reranker(Protocol):
    """Reads a question and a text together."""

    def scores(self, question: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """How well each text answers, higher is better, float32 (N,)."""


@dataclass(frozen=True, kw_only=True)
class RetrieverSettings:
    """How is searched.

    Args:
        legs: By words, by vectors, or by both.
        fusion: Of both: by reciprocal ranks, or a convex sum of scores.
        weight: Of the vectors in a convex sum, in [0, 1].
        depth: Chunks that each leg gives; more where more hits are asked for.
        mmr_lambda: Relevance against variety among `depth` chunks, in [0, 1]; None: relevance alone.
        rerank_depth: So many of the first are read again by the reranker, where there is one.
    """

    legs: Legs = "hybrid"
    fusion: Fusion = "rrf"
    weight: float = 0.5
    depth: int = 100
    mmr_lambda: float | None = None
    rerank_depth: int = 20


@dataclass(frozen=True)
class LegResults:
    """What both legs found; None of a leg that was not asked."""

    lexical: Found | None
    dense: Found | None


class Retriever:
    """Searches one store.

    Args:
        store: The truth.
        lexical: Its index of words.
        vectors: Its index of vectors; None where there is none: then words are searched alone.
        embedder: Of that index's space; None likewise.
        settings: How is searched.
        reranker: Reads the first hits again; None for none.

    Raises:
        UsageError: Vectors are asked for and there are none.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        lexical: LexicalIndex,
        vectors: VectorIndex | None,
        embedder: TextEmbedder | None,
        settings: RetrieverSettings,
        reranker: Reranker | None = None,
    ) -> None:
        self.store, self.lexical, self.vectors = store, lexical, vectors
        self.embedder, self.settings, self._reranker = embedder, settings, reranker
        if settings.legs == "dense" and (vectors is None or embedder is None):
            raise UsageError(
                "this index has no vectors",
                where="legs",
                got="dense",
                next_step="search it by words: lexical",
            )

    def search(self, question: str, k: int, *, access: Access, where: Filter = EVERYTHING) -> list[Hit]:
        """The chunks that say most about a question, the best first.

        Args:
            question: In French or English.
            k: How many at most, in [1, MAX_HITS]. By vectors, or by both, there are k wherever so many may be
                read.
            access: The groups of who asks.
            where: Which documents.

        Raises:
            UsageError: An empty question, or no number of hits.
        """
        if not question.strip():
            raise UsageError("an empty question", where="question", expected="some words")
        if not 1 <= k <= MAX_HITS:
            raise UsageError("no number of hits", where="k", got=k, expected=f"1 to {MAX_HITS:,}")
        for _ in range(2):
            self._catch_up()
            generation = self.store.generation
            hits = self._search(question, k, access, where)
            if self.store.generation == generation:
                break
        return hits

    def legs(self, question: str, depth: int, allowed: Ids) -> LegResults:
        """What each leg finds among the allowed documents."""
        asked = self.settings.legs
        lexical = None if asked == "dense" else self.lexical.search(question, depth, allowed)
        dense = None
        if asked != "lexical" and self.vectors is not None and self.embedder is not None:
            (vector,) = self.embedder.embed([question], truncate=self.embedder.max_tokens)
            dense = self.vectors.search(vector, depth, allowed)
        return LegResults(lexical, dense)

    def _catch_up(self) -> None:
        """Takes in what another process did since."""
        if self.lexical.generation != self.store.generation:
            self.lexical.catch_up()
        if self.vectors is not None and self.vectors.generation != self.store.generation:
            self.vectors.catch_up()

    def _search(self, question: str, k: int, access: Access, where: Filter) -> list[Hit]:
        allowed = self.store.allowed_documents(access, where)
        found = self.legs(question, max(self.settings.depth, k), allowed)
        scores = fused(found, self.settings)
        order = ordered(scores)
        ranks: dict[int, int] = {}
        if self._reranker is not None:
            order, ranks = self._reranked(question, order, access)
        if self.settings.mmr_lambda is not None and self.vectors is not None:
            order = self._various(order, scores, k, self.settings.mmr_lambda)
        return self._joined(order[:k], scores, found, ranks, access)

    def _reranked(self, question: str, order: list[int], access: Access) -> tuple[list[int], dict[int, int]]:
        assert self._reranker is not None
        first = self.store.chunks(order[: self.settings.rerank_depth], access)
        scores = self._reranker.scores(question, [chunk.searched_text for chunk in first])
        again = [first[place].id for place in np.argsort(-scores, kind="stable").tolist()]
        return [*again, *order[len(first) :]], {id_: rank for rank, id_ in enumerate(again, 1)}

    def _various(self, order: list[int], scores: Mapping[int, float], k: int, balance: float) -> list[int]:
        assert self.vectors is not None
        pool = order[: max(k, self.settings.depth)]
        held = np.array([scores[id_] for id_ in pool])
        width = float(np.ptp(held)) if len(pool) else 0.0
        relevance = (held - held.min()) / width if width else np.ones_like(held)
        vectors = self.store.vectors(self.vectors.space_id, pool)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        taken = maximal_marginal_relevance(relevance, unit, balance, k)
        return [pool[place] for place in taken]

    def _joined(
        self,
        order: Sequence[int],
        scores: Mapping[int, float],
        found: LegResults,
        reranked: Mapping[int, int],
        access: Access,
    ) -> list[Hit]:
        """Hits as the store holds them, with their ranks in each leg."""
        hits = [Hit(chunk=chunk, score=scores[chunk.id]) for chunk in self.store.chunks(order, access)]
        lexical, dense = _places(found.lexical), _places(found.dense)
        told = []
        for hit in hits:
            by_words, by_vectors = lexical.get(hit.chunk.id), dense.get(hit.chunk.id)
            told.append(
                replace(
                    hit,
                    lexical_rank=None if by_words is None else by_words[0],
                    lexical_score=None if by_words is None else by_words[1],
                    dense_rank=None if by_vectors is None else by_vectors[0],
                    dense_score=None if by_vectors is None else by_vectors[1],
                    rerank_rank=reranked.get(hit.chunk.id),
                )
            )
        return told


def fused(found: LegResults, settings: RetrieverSettings) -> dict[int, float]:
    """Scores of all chunks that the legs found."""
    if found.lexical is None or found.dense is None:
        leg = found.lexical if found.dense is None else found.dense
        return {} if leg is None else as_scores(leg)
    if settings.fusion == "convex":
        return convex_fusion(as_scores(found.lexical), as_scores(found.dense), settings.weight)
    return reciprocal_rank_fusion([found.lexical.chunk_ids.tolist(), found.dense.chunk_ids.tolist()])


def as_scores(found: Found) -> dict[int, float]:
    """Score by chunk."""
    return dict(zip(found.chunk_ids.tolist(), found.scores.tolist(), strict=True))


def _places(found: Found | None) -> dict[int, tuple[int, float]]:
    """Rank and score by chunk."""
    if found is None:
        return {}
    pairs = zip(found.chunk_ids.tolist(), found.scores.tolist(), strict=True)
    return {id_: (rank, score) for rank, (id_, score) in enumerate(pairs, 1)}
