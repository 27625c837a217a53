"""Search by words and by vectors against their definitions; what is derived catches up, and is made anew."""

import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from creuset.errors import CheckpointError, UsageError
from creuset.knowledge import vectors as vectors_module
from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.array_file import read_arrays, write_arrays
from creuset.knowledge.derived import DerivedIndex, Found
from creuset.knowledge.lexical import K1, B, LexicalIndex
from creuset.knowledge.records import Filter, Space
from creuset.knowledge.store import SqliteStore
from creuset.knowledge.vectors import VectorIndex
from knowledge_documents import new_document

_WORDS = "boiler water valve stove winter summer hut spring key door roof snow wood fire lamp path"
WORDS = _WORDS.split()
GROUPS = ("a", "b", "c")
ALL = frozenset(GROUPS)
SPACE = Space(
    name="t", model_sha256="0" * 64, dimension=70, dtype="float32", is_normalised=True, max_tokens=64
)


def random_text(generator: random.Random) -> str:
    count = generator.randint(3, 12)
    return " ".join(generator.choices(WORDS, k=count)).capitalize() + "."


def vector_of(text: str) -> NDArray[np.float32]:
    return np.random.default_rng(list(text.encode())).normal(size=70).astype(np.float32)


def embed_missing(store: SqliteStore) -> None:
    space = store.space_id(SPACE)
    missing = store.missing_texts(space, 10_000)
    if missing:
        store.put_vectors(space, list(missing), np.stack([vector_of(text) for text in missing.values()]))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    generator = random.Random(0)
    with SqliteStore.create(tmp_path / "store.sqlite") as opened:
        for number in range(60):
            access = frozenset(generator.sample(GROUPS, generator.randint(1, 2)))
            opened.add(new_document(f"{number:03}.txt", random_text(generator), access=access))
        embed_missing(opened)
        opened.activate(opened.space_id(SPACE))
        yield opened


def by_definition(store: SqliteStore, question: str, access: frozenset[str]) -> dict[int, float]:
    """BM25 from the formula, over what may be seen alone."""
    analyzer = Analyzer()
    allowed = set(store.allowed_documents(access, Filter()).tolist())
    held = {
        chunk.id: Counter(analyzer.terms(chunk.searched_text, chunk.language))
        for chunk in store.current_chunks()
        if chunk.document_id in allowed
    }
    mean = sum(terms.total() for terms in held.values()) / len(held)
    scores: dict[int, float] = {}
    for term in analyzer.question_terms(question):
        frequency = sum(term in terms for terms in held.values())
        idf = math.log(1 + (len(held) - frequency + 0.5) / (frequency + 0.5))
        for chunk, terms in held.items():
            if term in terms:
                weight = K1 * (1 - B + B * terms.total() / mean)
                scores[chunk] = scores.get(chunk, 0) + idf * terms[term] * (K1 + 1) / (terms[term] + weight)
    return scores


def assert_best(found: Found, scores: dict[int, float], k: int) -> None:
    order = sorted(scores, key=lambda chunk: (-round(scores[chunk], 4), chunk))[:k]
    assert len(found.chunk_ids) == len(order)
    assert found.scores == pytest.approx([scores[chunk] for chunk in order], rel=1e-4)
    assert {chunk: scores[chunk] for chunk in found.chunk_ids.tolist()} == pytest.approx(
        dict(zip(found.chunk_ids.tolist(), found.scores.tolist(), strict=True)), rel=1e-4
    )


@pytest.mark.parametrize("access", [ALL, frozenset("a"), frozenset("bc"), frozenset("c")])
@pytest.mark.parametrize(
    "question", ["boiler", "water of the stoves in winter", "nothing known", "snow snow key"]
)
def test_words_by_the_formula_over_what_may_be_seen(
    store: SqliteStore, tmp_path: Path, access: frozenset[str], question: str
) -> None:
    index = LexicalIndex.open(tmp_path / "lexical", store, Analyzer())
    found = index.search(question, 10, store.allowed_documents(access, Filter()))
    assert_best(found, by_definition(store, question, access), 10)


@pytest.mark.parametrize("access", [ALL, frozenset("a"), frozenset("c"), frozenset("nobody")])
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_vectors_are_compared_exactly(
    store: SqliteStore, tmp_path: Path, access: frozenset[str], k: int
) -> None:
    index = VectorIndex.open(tmp_path / "vectors", store, store.space_id(SPACE))
    asked = vector_of("asked")
    allowed = set(store.allowed_documents(access, Filter()).tolist())
    cosines = {
        chunk.id: float(
            asked @ vector_of(chunk.text) / np.linalg.norm(asked) / np.linalg.norm(vector_of(chunk.text))
        )
        for chunk in store.current_chunks()
        if chunk.document_id in allowed
    }
    found = index.search(asked, k, store.allowed_documents(access, Filter()))
    assert len(found.chunk_ids) == min(k, len(cosines))
    assert found.chunk_ids.tolist() == sorted(cosines, key=lambda chunk: (-cosines[chunk], chunk))[:k]
    with pytest.raises(UsageError, match="another space"):
        index.search(asked[:5], k, store.allowed_documents(access, Filter()))


def test_the_sieve_keeps_the_nearest(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = VectorIndex.open(tmp_path / "vectors", store, store.space_id(SPACE))
    target = next(store.current_chunks())
    allowed = store.allowed_documents(ALL, Filter())
    exact = index.search(vector_of(target.text), 1, allowed)
    monkeypatch.setattr(vectors_module, "EXACT_ROWS", 10)
    monkeypatch.setattr(vectors_module, "SIEVED_ROWS", 5)
    sieved = index.search(vector_of(target.text), 1, allowed)
    assert sieved.chunk_ids.tolist() == exact.chunk_ids.tolist() == [target.id]
    assert sieved.scores[0] == pytest.approx(1)


def open_both(store: SqliteStore, folder: Path) -> tuple[LexicalIndex, VectorIndex]:
    return (
        LexicalIndex.open(folder / "lexical", store, Analyzer()),
        VectorIndex.open(folder / "vectors", store, store.space_id(SPACE)),
    )


def assert_as_fresh(store: SqliteStore, folder: Path, fresh: Path) -> None:
    allowed = store.allowed_documents(ALL, Filter())
    for held, anew in zip(open_both(store, folder), open_both(store, fresh), strict=True):
        assert held.chunk_ids().tolist() == store.current_chunk_ids().tolist()
        asked = "boiler water snow" if isinstance(held, LexicalIndex) else vector_of("asked")
        one, other = held.search(asked, 30, allowed), anew.search(asked, 30, allowed)  # type: ignore[arg-type,attr-defined]
        assert one.chunk_ids.tolist() == other.chunk_ids.tolist()
        assert one.scores == pytest.approx(other.scores, rel=1e-5)


def test_after_any_changes_search_is_that_of_a_fresh_build(store: SqliteStore, tmp_path: Path) -> None:
    generator = random.Random(1)
    folder = tmp_path / "held"
    for index in open_both(store, folder):
        index.catch_up(persist=True)
    for round_ in range(12):
        for _ in range(generator.randint(1, 8)):
            path = f"{generator.randint(0, 80):03}.txt"
            known = {document.path for document in store.all_documents()}
            if path in known and generator.random() < 0.5:
                store.remove(path)
            else:
                store.add(new_document(path, random_text(generator), access=frozenset("a")))
        embed_missing(store)
        for index in open_both(store, folder):
            index.catch_up(persist=generator.random() < 0.7)
        assert_as_fresh(store, folder, tmp_path / f"fresh{round_}")


def damage(file: Path, how: str) -> None:
    data = bytearray(file.read_bytes())
    if how == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif how == "flipped":
        data[-9] ^= 1
        file.write_bytes(data)
    elif how == "gone":
        file.unlink()
    else:
        file.write_bytes(b"\0" * len(data))


@pytest.mark.parametrize("how", ["cut", "flipped", "gone", "zeros"])
@pytest.mark.parametrize("which", ["manifest.json", "*.arrays"])
def test_a_damaged_index_is_made_anew(store: SqliteStore, tmp_path: Path, how: str, which: str) -> None:
    folder = tmp_path / "held"
    for index in open_both(store, folder):
        index.catch_up(persist=True)
    files = list(folder.rglob(which))
    assert files
    for file in files:
        damage(file, how)
    assert_as_fresh(store, folder, tmp_path / "fresh")
    for index in open_both(store, folder):
        index.catch_up(persist=True)
    assert_as_fresh(store, folder, tmp_path / "fresh")


def test_an_index_of_another_analyzer_or_of_the_future_is_made_anew(
    store: SqliteStore, tmp_path: Path
) -> None:
    index = LexicalIndex.open(tmp_path / "lexical", store, Analyzer())
    index.rebuild()
    manifest = tmp_path / "lexical" / "manifest.json"
    for change in ({"version": "0"}, {"generation": 10**9}, {"kind": "vectors"}):
        document = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**document, **change}))
        assert_as_fresh(store, tmp_path, tmp_path / "fresh")
        manifest.write_text(json.dumps(document))


def test_what_is_removed_is_not_found_before_anything_catches_up(store: SqliteStore, tmp_path: Path) -> None:
    both = open_both(store, tmp_path)
    store.remove("000.txt")
    store.add(new_document("001.txt", "Something else.", access=ALL))
    allowed = store.allowed_documents(ALL, Filter())
    current = set(store.current_chunk_ids().tolist())
    found = [both[0].search(" ".join(WORDS), 100, allowed), both[1].search(vector_of("asked"), 100, allowed)]
    for each in found:
        assert set(each.chunk_ids.tolist()) <= current


def test_words_of_removed_documents_leave_with_a_rebuild(store: SqliteStore, tmp_path: Path) -> None:
    store.add(new_document("secret.txt", "Xylophones sound.", access=ALL))
    index = LexicalIndex.open(tmp_path / "lexical", store, Analyzer())
    index.catch_up(persist=True)
    held = b"".join(file.read_bytes() for file in (tmp_path / "lexical").iterdir())
    assert b"xylophon" in held
    store.remove("secret.txt")
    index.rebuild()
    held = b"".join(file.read_bytes() for file in (tmp_path / "lexical").iterdir())
    assert b"xylophon" not in held


def test_arrays_come_back_and_damage_is_seen(tmp_path: Path) -> None:
    arrays = {"a": np.arange(7), "b": np.ones((2, 3), np.float32), "none": np.empty((0, 4), np.uint64)}
    write_arrays(tmp_path / "x", arrays, {"kind": "test"})
    found, facts = read_arrays(tmp_path / "x")
    assert facts == {"kind": "test"}
    for name, array in arrays.items():
        assert np.array_equal(found[name], array)
        assert found[name].shape == array.shape
    for how in ("cut", "flipped", "zeros", "gone"):
        write_arrays(tmp_path / "x", arrays, {})
        damage(tmp_path / "x", how)
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_arrays(tmp_path / "x")


def test_equal_scores_come_by_id(tmp_path: Path) -> None:
    with SqliteStore.create(tmp_path / "s.sqlite") as store:
        for number in range(30):
            store.add(new_document(f"{number}.txt", "The boiler."))
        index: DerivedIndex = LexicalIndex.open(tmp_path / "l", store, Analyzer())
        assert isinstance(index, LexicalIndex)
        found = index.search("boiler", 5, store.allowed_documents(frozenset({"public"}), Filter()))
        assert found.chunk_ids.tolist() == store.current_chunk_ids().tolist()[:5]
