import pytest
import torch

from creuset.data.spec import DataSpec
from creuset.data.vocabulary import encode, make_vocabulary, text_lengths, unknown_share, words


def spec(vocabulary: tuple[str, ...], tokens: str = "words", max_tokens: int = 8) -> DataSpec:
    return DataSpec(
        kind="texts",
        shape=(),
        num_levels=0,
        tokens=tokens,  # type: ignore[arg-type]
        max_tokens=max_tokens,
        vocabulary=vocabulary,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's GOOD -- 10/10!", ["it", "'", "s", "good", "-", "-", "10", "/", "10", "!"]),
        ("snake_case\nÉté\tσΣ", ["snake_case", "été", "σς"]),
        ("e\u0301te\u0301", ["\u00e9t\u00e9"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा", "।"]),
        ("שָׁלוֹם", ["שָׁלוֹם"]),
        ("fine \U0001f600\U0001f600", ["fine", "\U0001f600", "\U0001f600"]),
        ("<padding>", ["<", "padding", ">"]),
        (" \n", []),
    ],
)
def test_words_and_punctuation(text: str, expected: list[str]) -> None:
    import unicodedata

    assert words(text) == [unicodedata.normalize("NFC", word) for word in expected]


def test_the_vocabulary_holds_the_most_frequent_words_of_what_is_read() -> None:
    texts = ["b a b", "c a, zebra zebra zebra zebra", "b d"]
    found = make_vocabulary(texts, "words", vocabulary_size=3, max_tokens=3)
    assert found == ("<padding>", "<unknown>", "b", "a", ",")
    assert make_vocabulary(texts[::-1], "words", vocabulary_size=3, max_tokens=3) == found
    whole = make_vocabulary(texts, "words", vocabulary_size=99, max_tokens=9)
    assert whole == ("<padding>", "<unknown>", "zebra", "b", "a", ",", "c", "d")


def test_words_become_ids_padded_behind_their_end() -> None:
    form = spec(("<padding>", "<unknown>", "b", "a"), max_tokens=3)
    ids, num_tokens = encode(["B", "a new a b", "a"], form)
    assert ids.tolist() == [[2, 0, 0], [3, 1, 3], [3, 0, 0]]
    assert ids.dtype == torch.int32
    assert num_tokens.tolist() == [1, 4, 1]
    assert text_lengths(ids).tolist() == [1, 3, 1]
    assert unknown_share(ids, form) == pytest.approx(1 / 5)


def test_bytes_are_their_values_and_one() -> None:
    form = spec(make_vocabulary(["x"], "bytes", vocabulary_size=5, max_tokens=4), "bytes", max_tokens=4)
    assert form.vocab_size == 257
    assert form.vocabulary[:2] == ("<padding>", "0x00")
    ids, num_tokens = encode(["Aé", "\x01", "abcdef"], form)
    assert ids.tolist() == [[66, 196, 170, 0], [2, 0, 0, 0], [98, 99, 100, 101]]
    assert num_tokens.tolist() == [3, 1, 6]
    assert unknown_share(ids, form) == 0
    content = [bytes(token - 1 for token in row if token).decode() for row in ids.tolist()]
    assert content == ["Aé", "\x01", "abcd"]
