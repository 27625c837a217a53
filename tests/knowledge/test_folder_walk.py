"""Which files are taken in, and why others are not."""

import os
import socket
from pathlib import Path

import pytest

from creuset.knowledge.folder_walk import FoundFile, Skipped, walk


def told(*roots: Path) -> dict[str, str]:
    return {item.path: item.reason if isinstance(item, Skipped) else "found" for item in walk(list(roots))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    for name in ("b.txt", "a.md", "inner/c.html", ".git/config.txt", "inner/.hidden.txt", "__pycache__/x.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("text")
    return root


def test_files_by_name(folder: Path) -> None:
    assert list(told(folder)) == ["a.md", "b.txt", "inner/c.html"]
    found = next(iter(walk([folder])))
    assert found == FoundFile(source=folder, path="a.md", absolute=folder / "a.md")
    assert told(folder / "inner" / "c.html") == {"c.html": "found"}


def test_what_is_not_taken_in(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "out.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "in.txt").symlink_to(folder / "b.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "broken.txt").symlink_to(folder / "nowhere.txt")
    (folder / "program.exe").write_bytes(b"MZ")
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "s.txt"))
        reasons = told(folder)
    assert reasons["out.txt"] == "a link out of the folder"
    assert reasons["in.txt"] == "found"
    assert reasons["loop"] == "a link to a folder; add that folder itself"
    assert reasons["broken.txt"] == "a link out of the folder" or "cannot be read" in reasons["broken.txt"]
    assert reasons["program.exe"] == "no reader for .exe files"
    assert reasons["pipe.txt"] == reasons["s.txt"] == "no file with bytes (a device, a pipe or a socket)"


def test_a_name_that_is_no_utf8(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt"))).write_text("text")
    reasons = told(folder)
    assert [reason for path, reason in reasons.items() if "caf" in path] == [
        "its name is no UTF-8; rename it"
    ]
    for path in reasons:
        path.encode()


def test_two_files_of_one_name_are_told(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.txt").write_text("another")
    assert told(folder, other)[str(other / "b.txt")] == "another file is named b.txt"
    assert told(folder, folder).keys() >= {"a.md", "b.txt"}
