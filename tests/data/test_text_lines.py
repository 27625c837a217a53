"""Files of one text a line."""

import errno
import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from creuset.data.text_lines import read_lines
from creuset.errors import DataError, NotFoundError


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\nb", ["a", "b"]),
        ("a\r\n\r\nb\r\n", ["a", "", "b"]),
        ("\n", [""]),
        ("\n\n", ["", ""]),
        ("\ufeffé\n", ["é"]),
        ("a\u2028b\x0cc\x85d\n", ["a\u2028b\x0cc\x85d"]),  # other programs' line ends are part of a text
    ],
)
def test_a_line_is_a_text(content: str, lines: list[str], tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes(content.encode())
    assert read_lines(file) == lines


def test_standard_input_is_a_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("é\nb".encode())))
    assert read_lines("-") == ["é", "b"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a\n\xe9")))
    with pytest.raises(DataError, match="standard input:2: this line is not UTF-8"):
        read_lines("-")


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes("good\nl'été\n".encode() + "l'été\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"texts.txt:3: this line is not UTF-8\n  got: byte 0xe9 at byte 3"):
        read_lines(file)
    file.write_bytes("été\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"texts.txt: this file is in UTF-16\n(.|\n)*iconv -f UTF-16"):
        read_lines(file)


def test_files_that_are_not_there_or_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere\.txt: no such file"):
        read_lines(tmp_path / "nowhere.txt")
    with pytest.raises(DataError, match=r"this is a folder\n  expected: a text file"):
        read_lines(tmp_path)
    for name in ("", " "):
        with pytest.raises(DataError, match=r"^an empty name of a file\n  got: .*\n  expected: a text file"):
            read_lines(name)
    (tmp_path / "h.txt").write_text("a\n")
    with pytest.raises(NotFoundError, match=r"h\.txt/x: no such file: what stands before the last / is no f"):
        read_lines(tmp_path / "h.txt" / "x")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match=r"empty.txt: nothing in it\n  got: 0 lines"):
        read_lines(tmp_path / "empty.txt")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"h\.txt: cannot be read\n  got: Permission denied"):
        read_lines(tmp_path / "h.txt")
