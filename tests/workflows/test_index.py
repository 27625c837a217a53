"""An index from files to hits and back to nothing: added, changed, killed, removed, purged."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import creuset
from creuset.errors import CheckpointError, NotFoundError, UsageError
from creuset.feedback import FEEDBACK_FILE, FeedbackStore, Judgement
from creuset.knowledge.records import Filter
from creuset.progress import Silent
from creuset.workflows.index import Index
from creuset.workflows.index_export import export_chunks
from creuset.workflows.index_purge import purge
from creuset.workflows.index_settings import IndexSettings, index_names, read_settings, writer_lock

HUT = """# The hut

## Water

The boiler of the hut is filled with 40 litres of rain water each morning.

## Heat

The stove burns beech wood. The damper is opened by a quarter turn before lighting.
"""
REFUGE = """# Le refuge

L'eau de la citerne n'est pas potable. La citerne contient 2 000 litres.

Le gardien arrive en juin et repart en septembre.
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("CREUSET_HOME", str(tmp_path / "home"))
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "hut.md").write_text(HUT)
    (documents / "refuge.md").write_text(REFUGE)
    (documents / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    return documents


@pytest.fixture
def index(folder: Path) -> Index:
    """Searched by words alone: no embedder is needed."""
    opened = Index("manual")
    opened.create(embedder="")
    opened.add(folder, access="public")
    return opened


def first(index: Index, question: str, access: str = "public") -> str | None:
    hits = index.search(question, k=3, access=access)
    return hits[0].chunk.path if hits else None


def test_files_are_found_by_what_they_say(index: Index) -> None:
    assert index_names() == ["manual"]
    assert first(index, "How is the boiler filled?") == "hut.md"
    assert first(index, "Quelle est la contenance de la citerne ?") == "refuge.md"
    assert first(index, "How is the boiler filled?", "staff") is None
    hit = index.search("damper", access={"public"})[0]
    text = index.store.text(hit.chunk.document_id, hit.chunk.start, hit.chunk.end, frozenset({"public"}))
    assert text == hit.chunk.text
    assert hit.chunk.heading == "The hut > Heat"
    reports = {each.path: each for each in index.store.file_reports(index.store.jobs()[-1].id)}
    assert (reports["broken.pdf"].status, reports["broken.pdf"].reason) == ("failed", "a damaged PDF")
    assert [each.path for each in index.documents("public")] == ["hut.md", "refuge.md"]
    assert index.verify() == []
    index.close()


def test_only_what_changed_is_read_again(index: Index, folder: Path) -> None:
    again = index.add(folder, access="public")
    assert (again.count("unchanged"), again.count("failed")) == (2, 1)
    (folder / "hut.md").write_text(HUT.replace("40 litres", "60 litres"))
    changed = index.add(folder, access="public")
    assert (changed.count("changed"), changed.count("unchanged")) == (1, 1)
    assert "60 litres" in index.search("boiler", access="public")[0].chunk.text
    assert index.store.document("hut.md", frozenset({"public"})).version == 2
    other = index.add(folder, access={"staff"}, metadata={"year": "2026"})
    assert other.count("changed") == 2
    assert first(index, "boiler") is None
    assert index.search("boiler", access="staff", where=Filter(metadata={"year": "2026"}))
    index.close()


def test_files_that_are_gone_are_kept_or_removed(index: Index, folder: Path) -> None:
    (folder / "hut.md").unlink()
    assert index.add(folder, access="public").missing == ("hut.md",)
    assert first(index, "boiler") == "hut.md"
    pruned = index.add(folder, access="public", prune=True)
    assert (pruned.count("removed"), pruned.missing) == (1, ())
    assert first(index, "boiler") is None
    index.close()


def test_another_folders_file_does_not_take_a_name(index: Index, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "hut.md").write_text("Another hut.")
    report = index.add(other, access="public")
    assert report.count("failed") == 1
    assert "has this name; remove it first" in report.files[0].reason
    assert first(index, "boiler") == "hut.md"
    index.close()


def test_what_cannot_be_done_is_named(index: Index, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file or folder"):
        index.add(tmp_path / "none", access="public")
    with pytest.raises(UsageError, match="who reads is not said"):
        index.add(tmp_path, access="")
    with pytest.raises(NotFoundError, match="no such document"):
        index.remove("none.md")
    with pytest.raises(UsageError, match="there already"):
        index.create(embedder="")
    with pytest.raises(NotFoundError, match='did you mean "manual"'):
        Index("manua").search("boiler", access="public")
    with pytest.raises(UsageError, match="no name for an index"):
        Index("../manual")
    with pytest.raises(UsageError, match="a password is not kept"):
        Index("other").create(embedder="", postgres="postgresql://me:secret@host/db")
    with writer_lock(index.folder), pytest.raises(UsageError, match="another process is changing"):
        index.remove("hut.md")
    index.close()


def test_settings_that_cannot_be_read(index: Index) -> None:
    file = index.folder / "index.json"
    index.close()
    file.write_text('{"format": 99}')
    with pytest.raises(CheckpointError, match="newer creuset"):
        read_settings("manual")
    file.write_text('{"depth": -1}')
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_settings("manual")


def files_with(folder: Path, text: str) -> list[str]:
    return [
        str(file)
        for place, _, names in os.walk(folder)
        for name in names
        if text.encode() in (file := Path(place, name)).read_bytes()
    ]


def test_a_purge_leaves_no_byte_anywhere(index: Index, folder: Path, tmp_path: Path) -> None:
    secret = "filled with 40 litres of rain water"
    workspace = tmp_path / "workspace"
    with FeedbackStore(workspace / FEEDBACK_FILE) as feedback:
        asked = [{"role": "user", "content": "How is the boiler filled?"}]
        quote = "The boiler of the hut is filled with 40 litres of rain water each morning."
        feedback.add(Judgement(prompt=asked, a=quote, b="By hand.", verdict="a", judge="me"))
        kept = feedback.add(Judgement(prompt=asked, a="With a hose.", b="By hand.", verdict="a", judge="me"))
    (workspace / "notes.txt").write_text(f"A note of mine: the boiler of the hut is {secret} each morning.")
    index.remove("hut.md")
    assert first(index, "boiler") is None
    removed = json.loads((index.folder / "removed.json").read_text())
    assert removed["hashes"]
    done = purge(index, Silent())
    assert [document.path for document in done.receipt.documents] == ["hut.md"]
    assert len(done.judgements) == 1
    assert done.copies == (str(workspace / "notes.txt"),)
    assert files_with(workspace, secret) == [str(workspace / "notes.txt")]
    assert files_with(workspace, "beech") == []
    assert not (index.folder / "removed.json").exists()
    with FeedbackStore(workspace / FEEDBACK_FILE) as feedback:
        assert [judgement.id for judgement in feedback.all()] == [kept]
    assert first(index, "citerne") == "refuge.md"
    assert index.verify() == []
    index.close()


def test_a_copy_in_an_index_fails_the_purge(index: Index) -> None:
    other = index.folder.parent / "copy.txt"
    other.write_text(HUT)
    index.remove("hut.md")
    with pytest.raises(CheckpointError, match="still hold some") as caught:
        purge(index, Silent())
    assert str(other) in str(caught.value.got)
    other.unlink()
    assert purge(index, Silent()).copies == ()
    index.close()


def test_chunks_are_exported(index: Index, tmp_path: Path) -> None:
    count = export_chunks(index, tmp_path / "chunks.jsonl", None)
    records = [json.loads(line) for line in (tmp_path / "chunks.jsonl").read_text().splitlines()]
    assert len(records) == count == index.summary()["chunks"]
    assert {record["path"] for record in records} == {"hut.md", "refuge.md"}
    assert export_chunks(index, tmp_path / "none.jsonl", {"staff"}) == 0
    with pytest.raises(UsageError, match="something at this place"):
        export_chunks(index, tmp_path / "chunks.jsonl", None)
    index.close()


INGEST = """
import sys
from pathlib import Path
from creuset.workflows.index import Index
with Index("manual") as index:
    index.add(Path(sys.argv[1]), access="public")
"""


@pytest.mark.slow
def test_a_killed_ingestion_goes_on(folder: Path) -> None:
    for number in range(300):
        (folder / f"{number:03}.txt").write_text(f"Text number {number} is about the hut. " * 30)
    Index("manual").create(embedder="")
    with subprocess.Popen([sys.executable, "-c", INGEST, str(folder)]) as process:
        with Index("manual") as watched:
            while not watched.store.all_documents() and process.poll() is None:
                pass
        process.send_signal(signal.SIGKILL)
    with Index("manual") as index:
        before = {document.path for document in index.documents("public")}
        report = index.add(folder, access="public")
        assert report.count("unchanged") == len(before)
        assert report.count("added") == 302 - len(before)
        assert index.verify() == []
        assert len(index.search("hut citerne", k=1000, access="public")) == index.summary()["chunks"]


@pytest.mark.starter
def test_words_and_vectors_together(folder: Path, starter: Path) -> None:
    with creuset.Index("manual") as index:
        index.create(precision="float32")
        report = index.add(folder, access="public")
        assert report.num_embedded == report.num_chunks
        hits = index.search("What must be done so that the fire burns?", k=3, access={"public"})
        assert hits[0].chunk.path == "hut.md"
        assert hits[0].dense_rank == 1
        assert len(index.search("nothing of this", k=50, access={"public"})) == report.num_chunks
        assert index.settings == IndexSettings(precision="float32")
        assert index.verify() == []
