"""Plain text as a source: files, folders, what is refused."""

from pathlib import Path

import pytest

from creuset.data.corpus import is_corpus, read_documents
from creuset.data.load import load_data
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.recipe.sections import DataConfig


def load(source: Path, **settings: object) -> object:
    return load_data(DataConfig(source=str(source), **settings), seed=0, resolve=Path)  # type: ignore[arg-type]


def test_a_file_is_one_document_with_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "one.txt"
    file.write_bytes(b"\xef\xbb\xbffirst\r\n\r\n  second, \xc3\xa9t\xc3\xa9")
    source = read_documents(file)
    assert source.kind == "corpus"
    assert source.parts["train"].inputs.tolist() == ["first\n\n  second, été\n"]
    assert source.parts["train"].names == ("one.txt",)


def test_a_folder_is_its_documents_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.txt", "b/z.txt", "a.TXT"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "d.txt").write_text("c.txt\n")
    (tmp_path / ".hidden.txt").write_text("no\n")
    (tmp_path / "notes.md").write_text("no\n")
    source = read_documents(tmp_path)
    assert source.parts["train"].names == ("a.TXT", "b/z.txt", "c.txt")
    assert source.notes == (
        "1 document left out, equal to an earlier one",
        "1 file not read, no .txt: notes.md",
    )


def test_a_folder_with_pictures_is_no_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    assert is_corpus(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    assert not is_corpus(tmp_path)
    assert not is_corpus(tmp_path / "absent.txt")


def test_bytes_that_are_no_text_are_named_by_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes(b"plain\n\xe9t\xe9\n")
    with pytest.raises(DataError, match=r"latin.txt:2: this line is not UTF-8\n  got: byte 0xe9"):
        load(file)


@pytest.mark.parametrize(
    ("content", "message"), [("", "nothing in it"), (" \n\n", "this file holds white space alone")]
)
def test_a_file_without_text_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "empty.txt"
    file.write_text(content)
    with pytest.raises(DataError, match=message):
        load(file)


def test_a_missing_text_says_how_to_name_one() -> None:
    with pytest.raises(
        NotFoundError, match=r"data.source: no such file\n  got: text.txt\n(.*\n)*.*--set data"
    ):
        load(Path("text.txt"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 5}, "data.max_tokens: a setting without effect: it is for texts"),
        ({"limit": 5}, "data.limit: a setting without effect: it is for pictures and tables and texts"),
        ({"text_column": "text"}, "data.text_column: a setting without effect"),
        (
            {"tokenizer": "bytes", "vocabulary_size": 9},
            "data.vocabulary_size: a setting without effect: the 256",
        ),
    ],
)
def test_settings_of_other_data_are_refused(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    file = tmp_path / "text.txt"
    file.write_text("one two three\n" * 100)
    with pytest.raises(UsageError, match=message):
        load(file, **{"context": 8, **settings})


def test_settings_of_plain_text_are_refused_for_pictures() -> None:
    with pytest.raises(UsageError, match=r"data.context: a setting without effect: it is for plain text"):
        load(Path("digits"), context=8)
