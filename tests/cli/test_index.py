"""`creuset index`: what people type, and what it says."""

import json
from pathlib import Path

import pytest

from command_line import run_command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path / "workspace"))
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "hut.md").write_text("# The hut\n\nThe boiler is filled each morning with forty litres.\n")
    (documents / "empty.txt").write_text("")
    (documents / "photo.jpg").write_bytes(b"\xff\xd8")
    return documents


def build(folder: Path, *more: str) -> str:
    answer = run_command(["index", "build", str(folder), "--embedder", "none", *more])
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout


def test_an_index_from_build_to_purge(folder: Path) -> None:
    answer = run_command(["index", "build", str(folder), "--embedder", "none"])
    assert answer.exit_code == 0
    assert "access: public" in answer.stderr
    assert "manual: 1 added, 1 skipped, 1 failed; 1 chunks of 1 pages" in answer.stdout
    assert "failed   empty.txt: empty" in answer.stdout
    assert "skipped  photo.jpg: no reader for .jpg files" in answer.stdout
    assert 'next: creuset ask "your question" --index manual' in answer.stderr
    assert "manual: 1 unchanged" in build(folder)
    listed = json.loads(run_command(["index", "list", "manual", "--json"]).stdout)["documents"]
    assert [(each["path"], each["version"], each["access"]) for each in listed] == [("hut.md", 1, ["public"])]
    assert "hut.md" in run_command(["index", "list", "manual"]).stdout
    assert run_command(["index", "list"]).stdout == "manual\n"
    assert "hut.md" not in run_command(["index", "list", "manual", "--as", "staff"]).stdout
    shown = run_command(["index", "show", "manual", "--files"]).stdout
    assert "documents     1" in shown
    assert "failed    empty.txt: empty" in shown
    assert "nothing is wrong" in run_command(["index", "verify", "manual"]).stdout
    assert run_command(["index", "rm", "manual", "hut.md"]).stdout == "hut.md: removed, 1 chunks\n"
    purged = run_command(["index", "purge", "manual"])
    assert purged.exit_code == 0
    assert "receipt 1 of manual" in purged.stdout
    assert "hut.md, version 1, sha256" in purged.stdout
    assert "creuset's own hold nothing of it" in purged.stdout


def test_export(folder: Path, tmp_path: Path) -> None:
    build(folder)
    answer = run_command(["index", "export", "manual", "--out", str(tmp_path / "chunks.jsonl")])
    assert answer.stdout == f"{tmp_path / 'chunks.jsonl'}: 1 chunks\n"
    assert json.loads((tmp_path / "chunks.jsonl").read_text())["heading"] == "The hut"


def test_what_is_wrong_is_said(folder: Path, tmp_path: Path) -> None:
    missing = run_command(["index", "build", str(tmp_path / "none"), "--embedder", "none"])
    assert (missing.exit_code, "no such file or folder" in missing.stderr) == (3, True)
    build(folder)
    other = run_command(["index", "build", str(folder), "--max-tokens", "128"])
    assert other.exit_code == 2
    assert "this index was made with other settings" in other.stderr
    assert run_command(["index", "show", "manuel"]).exit_code == 3
    assert run_command(["index", "rm", "manual", "none.md"]).exit_code == 3
    assert run_command(["index", "build", str(folder), "--metadata", "year"]).exit_code == 2


def test_damage_is_found(folder: Path, tmp_path: Path) -> None:
    build(folder)
    import sqlite3

    with sqlite3.connect(tmp_path / "workspace" / "indexes" / "manual" / "store.sqlite") as connection:
        connection.execute("UPDATE text_piece SET piece = replace(piece, 'forty', 'fifty')")
    connection.close()
    answer = run_command(["index", "verify", "manual", "--json"])
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["wrong"] == ["chunk 1 is not the text at its place"]
    assert "something is wrong with this index" in answer.stderr


def test_metadata_and_groups(folder: Path) -> None:
    build(folder, "--access", "staff", "--access", "board", "--metadata", "year=2026")
    (listed,) = json.loads(run_command(["index", "list", "manual", "--as", "board", "--json"]).stdout)[
        "documents"
    ]
    assert (listed["access"], listed["metadata"]) == (["board", "staff"], {"year": "2026"})
