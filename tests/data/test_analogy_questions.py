"""Files of analogies."""

from pathlib import Path

import pytest

from creuset.data.analogy_questions import read_analogies
from creuset.errors import DataError, NotFoundError


def written(folder: Path, text: str) -> Path:
    path = folder / "questions.txt"
    path.write_text(text)
    return path


def test_sections_and_questions_are_read_in_their_order(tmp_path: Path) -> None:
    path = written(
        tmp_path, ": capitals\nAthens Greece Oslo Norway\n\n: family of kings\nking queen man woman\n"
    )
    found = read_analogies(path)
    assert found.source == "questions.txt"
    assert found.sections == ("capitals", "family of kings")
    assert [question.words for question in found.questions] == [
        ("Athens", "Greece", "Oslo", "Norway"),
        ("king", "queen", "man", "woman"),
    ]
    spaced = written(
        tmp_path, ":capitals\nAthens  Greece Oslo\tNorway\n: family of kings\nking queen man woman\n"
    )
    assert read_analogies(spaced).content_hash == found.content_hash
    other = written(tmp_path, ": capitals\nAthens Greece Oslo Norway\n: kings\nking queen man woman\n")
    assert read_analogies(other).content_hash != found.content_hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b c d\n", r'questions.txt:1: .*\n  got: "a b c d"\n  expected: a section before'),
        (": x\na b c\n", r'questions.txt:2: this line is no analogy\n  got: "a b c"\n  expected: 4 words'),
        (": x\na b c d e\n", r"questions.txt:2: "),
        (": x\na b c d\n:\n", r"questions.txt:3: .*\n.*\n  expected: .*name of a section"),
        (": x\n", "no question in this file"),
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_analogies(written(tmp_path, text))


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read_analogies(tmp_path / "nowhere.txt")
