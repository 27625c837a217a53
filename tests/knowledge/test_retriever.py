"""Fusion by its formulas; access before ranking, for any reader, filter and question."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from creuset.errors import UsageError
from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.fusion import (
    convex_fusion,
    maximal_marginal_relevance,
    ordered,
    reciprocal_rank_fusion,
)
from creuset.knowledge.lexical import LexicalIndex
from creuset.knowledge.records import Filter, Space
from creuset.knowledge.retriever import Retriever, RetrieverSettings
from creuset.knowledge.store import SqliteStore
from creuset.knowledge.vectors import VectorIndex
from knowledge_documents import new_document

WORDS = ("boiler", "water", "valve", "stove", "winter", "hut", "spring", "key", "door", "roof")
GROUPS = ("a", "b", "c", "d")
SPACE = Space(
    name="t", model_sha256="0" * 64, dimension=8, dtype="float32", is_normalised=True, max_tokens=64
)


class Letters:
    """An embedder that counts words."""

    max_tokens = 64

    def embed(self, texts: list[str], *, truncate: int | None = None) -> NDArray[np.float32]:
        counted = [[text.lower().count(word) + 0.01 * len(text) for word in WORDS[:8]] for text in texts]
        return np.array(counted, np.float32)


def test_reciprocal_ranks() -> None:
    scores = reciprocal_rank_fusion([[1, 2, 3], [3, 1]])
    assert scores == pytest.approx({1: 1 / 61 + 1 / 62, 2: 1 / 62, 3: 1 / 63 + 1 / 61})
    assert ordered(scores) == [1, 3, 2]


def test_convex_sums_begin_at_the_least_possible_score() -> None:
    scores = convex_fusion({1: 8.0, 2: 4.0}, {2: 1.0, 3: 0.0}, 0.25)
    assert scores == pytest.approx({1: 0.75, 2: 0.75 * 0.5 + 0.25, 3: 0.25 * 0.5})
    assert convex_fusion({}, {}, 0.5) == {}
    assert ordered({5: 1.0, 2: 1.0, 9: 2.0}) == [9, 2, 5]
    with pytest.raises(UsageError, match="no weight"):
        convex_fusion({}, {}, 1.5)


def test_marginal_relevance_passes_over_what_was_said() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    relevance = np.array([1.0, 0.9, 0.5])
    assert maximal_marginal_relevance(relevance, vectors, 1.0, 3) == [0, 1, 2]
    assert maximal_marginal_relevance(relevance, vectors, 0.5, 3) == [0, 2, 1]
    assert maximal_marginal_relevance(relevance, vectors, 0.5, 9) == [0, 2, 1]


@pytest.fixture(scope="module")
def searched(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[SqliteStore, LexicalIndex, VectorIndex]]:
    folder = tmp_path_factory.mktemp("searched")
    generator = random.Random(0)
    with SqliteStore.create(folder / "store.sqlite") as store:
        for number in range(80):
            text = " ".join(generator.choices(WORDS, k=generator.randint(3, 40))).capitalize() + "."
            store.add(
                new_document(
                    f"{generator.choice(('x', 'y'))}/{number:03}.txt",
                    text,
                    access=frozenset(generator.sample(GROUPS, generator.randint(1, 3))),
                    language=generator.choice(("en", "fr", "")),
                    metadata={"year": generator.choice(("2025", "2026"))},
                    max_tokens=24,
                )
            )
        space = store.space_id(SPACE)
        missing = store.missing_texts(space, 10_000)
        store.put_vectors(space, list(missing), Letters().embed(list(missing.values())))
        store.activate(space)
        yield (
            store,
            LexicalIndex.open(folder / "l", store, Analyzer()),
            VectorIndex.open(folder / "v", store, space),
        )


def random_filter(generator: random.Random) -> Filter:
    return Filter(
        path_prefix=generator.choice(("", "", "x/", "y/", "none/")),
        language=generator.choice(("", "", "en", "fr")),
        metadata=generator.choice(({}, {}, {"year": "2026"}, {"year": "1999"})),
    )


@pytest.mark.parametrize("legs", ["lexical", "dense", "hybrid"])
def test_nothing_foreign_and_all_that_is_allowed(
    searched: tuple[SqliteStore, LexicalIndex, VectorIndex], legs: str
) -> None:
    store, lexical, vectors = searched
    generator = random.Random(legs)
    documents = {document.path: document for document in store.all_documents()}
    settings = RetrieverSettings(legs=legs, depth=5, mmr_lambda=generator.choice((None, 0.7)))  # type: ignore[arg-type]
    retriever = Retriever(store, lexical, vectors, Letters(), settings)
    for _ in range(300):
        access = frozenset(generator.sample((*GROUPS, "stranger"), generator.randint(1, 2)))
        where, k = random_filter(generator), generator.choice((1, 5, 40, 500))
        question = " ".join(generator.choices(WORDS, k=generator.randint(1, 4)))
        hits = retriever.search(question, k, access=access, where=where)
        for hit in hits:
            document = documents[hit.chunk.path]
            assert document.access & access
            assert document.path.startswith(where.path_prefix)
            assert where.language in ("", document.language)
            assert where.metadata.items() <= document.metadata.items()
        assert len({hit.chunk.id for hit in hits}) == len(hits)
        allowed = set(store.allowed_documents(access, where).tolist())
        there = sum(chunk.document_id in allowed for chunk in store.current_chunks())
        assert len(hits) == min(k, there) if legs != "lexical" else len(hits) <= min(k, there)


def test_ranks_of_each_leg_are_told(searched: tuple[SqliteStore, LexicalIndex, VectorIndex]) -> None:
    store, lexical, vectors = searched
    retriever = Retriever(store, lexical, vectors, Letters(), RetrieverSettings())
    hits = retriever.search("boiler valve", 10, access=frozenset(GROUPS))
    allowed = store.allowed_documents(frozenset(GROUPS), Filter())
    by_words = lexical.search("boiler valve", 100, allowed).chunk_ids.tolist()
    for hit in hits:
        assert hit.lexical_rank == (by_words.index(hit.chunk.id) + 1 if hit.chunk.id in by_words else None)
        expected = sum(1 / (60 + rank) for rank in (hit.lexical_rank, hit.dense_rank) if rank is not None)
        assert hit.score == pytest.approx(expected)


def test_a_reranker_reads_the_first_again(searched: tuple[SqliteStore, LexicalIndex, VectorIndex]) -> None:
    class Shortest:
        def scores(self, question: str, texts: list[str]) -> NDArray[np.float32]:
            return np.array([-len(text) for text in texts], np.float32)

    store, lexical, vectors = searched
    settings = RetrieverSettings(rerank_depth=6)
    plain = Retriever(store, lexical, vectors, Letters(), settings)
    again = Retriever(store, lexical, vectors, Letters(), settings, Shortest())
    before = plain.search("boiler", 10, access=frozenset(GROUPS))
    after = again.search("boiler", 10, access=frozenset(GROUPS))
    assert {hit.chunk.id for hit in after[:6]} == {hit.chunk.id for hit in before[:6]}
    assert [hit.rerank_rank for hit in after] == [1, 2, 3, 4, 5, 6, None, None, None, None]
    lengths = [len(hit.chunk.text) for hit in after[:6]]
    assert lengths == sorted(lengths)


def test_what_cannot_be_searched_is_named(searched: tuple[SqliteStore, LexicalIndex, VectorIndex]) -> None:
    store, lexical, vectors = searched
    retriever = Retriever(store, lexical, vectors, Letters(), RetrieverSettings())
    with pytest.raises(UsageError, match="an empty question"):
        retriever.search(" ", 5, access=frozenset("a"))
    with pytest.raises(UsageError, match="no number of hits"):
        retriever.search("boiler", 0, access=frozenset("a"))
    with pytest.raises(UsageError, match="has no vectors"):
        Retriever(store, lexical, None, None, RetrieverSettings(legs="dense"))
    with pytest.raises(TypeError, match="access"):
        retriever.search("boiler", 5)  # type: ignore[call-arg]
