"""Behind which token the texts of a corpus begin."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models

from creuset.data.load import load_data
from creuset.data.text_start import usual_start
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import train_tokenizer
from creuset.recipe.sections import DataConfig

LINE = "a cat and a dog, " * 30
LINES = "a cat\nand a dog\n" * 30


def start(source: Path, tokenizer: str, size: int) -> str:
    """The start of a corpus as its tokenizer writes it."""
    config = DataConfig(source=str(source), tokenizer=tokenizer, vocabulary_size=size, context=4)
    dataset = load_data(config, seed=0, resolve=Path)
    assert dataset.tokenizer is not None
    assert dataset.spec.start_token is not None
    return dataset.tokenizer.readable(dataset.spec.start_token)


@pytest.mark.parametrize(
    ("tokenizer", "size", "of_line", "of_lines"),
    [
        ("characters", 10_000, "a", "\n"),
        ("characters", 5, "a", "a"),
        ("words", 10_000, "a", "a"),
        ("wordpiece", 18, "a", "a"),
        ("byte_bpe", 260, "a", "\n"),
    ],
)
def test_one_text_begins_behind_a_line_end_or_with_its_first_token(
    tmp_path: Path, tokenizer: str, size: int, of_line: str, of_lines: str
) -> None:
    file = tmp_path / "text.txt"
    file.write_text(LINE)
    assert start(file, tokenizer, size) == of_line
    file.write_text(LINES)
    assert start(file, tokenizer, size) == of_lines


@pytest.mark.parametrize(
    ("tokenizer", "size", "expected"),
    [("characters", 10_000, "<|endoftext|>"), ("byte_bpe", 260, "<|endoftext|>"), ("wordpiece", 12, "[SEP]")],
)
def test_a_document_begins_behind_the_separator(
    tmp_path: Path, tokenizer: str, size: int, expected: str
) -> None:
    for number in range(12):
        (tmp_path / f"{number}.txt").write_text("a cat\n" * (5 + number))
    assert start(tmp_path, tokenizer, size) == expected


def test_a_tokenizer_alone_begins_behind_a_line_end_or_its_first_token() -> None:
    for text in ("ab\n", "ab"):
        own = train_tokenizer([text], "characters")
        assert own.readable(usual_start(own)) == ("\n" if "\n" in text else "a")
    strict = Tokenizer(Backend(models.WordLevel({"x": 0}, unk_token="none")))
    assert strict.readable(usual_start(strict)) == "x"
