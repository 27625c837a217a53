"""What of a text tokenizers lose."""

import json

import pytest

from creuset.data.text_loss import text_loss
from creuset.data.text_pieces import LINES, pieces
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import train_tokenizer

TEXT = "".join(f"The {number}th line says, \n\n  été {number} \n" for number in range(400))


@pytest.mark.parametrize(
    ("kind", "size", "changes"),
    [
        ("characters", None, False),
        ("byte_bpe", 300, False),
        ("unigram", 60, False),
        ("wordpiece", 80, True),
        ("words", None, True),
    ],
)
def test_what_comes_back_is_not_lost(kind: str, size: int | None, changes: bool) -> None:
    tokenizer = train_tokenizer([TEXT], kind, vocabulary_size=size)  # type: ignore[arg-type]
    found = text_loss(tokenizer, [TEXT, " The line says\n"])
    assert (found.unknown, found.changes, bool(found)) == (0.0, changes, changes)
    assert found.reason == ("the tokenizer does not give texts back as they were" if changes else "")


def test_a_change_is_found_wherever_it_stands() -> None:
    """A look at the first characters alone would not see the capital far behind them."""
    plain = train_tokenizer(["plain line\n"], "characters")
    lower = Tokenizer.from_json(
        json.dumps({**json.loads(plain.to_json()), "normalizer": {"type": "Lowercase"}})
    )
    text = "plain line\n" * 1000
    assert not text_loss(lower, [text])
    assert text_loss(lower, [text, f"{text}Plain\n{text}"]).changes


def test_unknown_tokens_are_counted() -> None:
    tokenizer = train_tokenizer(["abc"], "characters")
    found = text_loss(tokenizer, ["abcx", "axxx"])
    assert (found.unknown, found.changes) == (0.5, False)
    assert found.reason == "0.5 of the tokens are unknown"


def test_pieces_are_the_text() -> None:
    found = list(pieces(TEXT, LINES, length=50))
    assert "".join(found) == TEXT
    assert len(found) == 1  # every line end stands beside other white space
    text = "one line\n" * 20
    assert [len(piece) for piece in pieces(text, LINES, length=10)] == [18] * 10
    assert list(pieces("", LINES, length=10)) == []
