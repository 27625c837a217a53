"""Pieces of text: together the whole, none with half a character."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.data.byte_level import bytes_of
from creuset.data.incremental_decoding import IncrementalDecoder
from creuset.data.tokenizer import Tokenizer
from creuset.errors import UsageError
from small_tokenizers import KINDS, TEXTS, small


@cache
def tokenizer(kind: str) -> Tokenizer:
    return Tokenizer(small(kind))


def pieces(found: Tokenizer, ids: list[int], *, skip_special: bool = True) -> list[str]:
    decoder = IncrementalDecoder(found, skip_special=skip_special)
    return [*(decoder.feed(number) for number in ids), decoder.finish()]


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=80)
@given(data=st.data(), skip_special=st.booleans())
def test_any_ids_give_the_text_of_the_whole(kind: str, data: st.DataObject, skip_special: bool) -> None:
    found = tokenizer(kind)
    ids = data.draw(st.lists(st.integers(0, found.vocab_size - 1), max_size=40))
    given_out = pieces(found, ids, skip_special=skip_special)
    assert "".join(given_out) == found.decode(ids, skip_special)


@pytest.mark.parametrize("kind", ["byte_level", "sentencepiece"])
@settings(deadline=None, max_examples=80)
@given(text=st.text(max_size=30))
def test_texts_come_back_without_half_characters(kind: str, text: str) -> None:
    found = tokenizer(kind)
    text = text.replace("\ufffd", "")
    given_out = pieces(found, found.encode(text, add_special=False))
    assert "".join(given_out) == text
    assert not any("\ufffd" in piece for piece in given_out)


def test_a_character_comes_with_its_last_byte() -> None:
    found = tokenizer("byte_level")
    ids = found.encode("a☃b")
    assert pieces(found, ids) == ["a", "", "", "☃", "b", ""]
    assert pieces(found, ids[:3]) == ["a", "", "", "\ufffd"]


def test_a_run_of_bytes_is_judged_as_a_whole() -> None:
    """As the library does it: one byte too many makes the whole run unreadable."""
    found = tokenizer("sentencepiece")
    run = found.encode("日", add_special=False)[1:]
    letter = found.id_of("a")
    assert letter is not None
    assert pieces(found, [letter, *run, letter]) == ["a", "", "", "", "日a", ""]
    spoilt = [letter, *run, run[0], letter]
    assert "".join(pieces(found, spoilt)) == found.decode(spoilt) == "a\ufffd\ufffd\ufffd\ufffda"


def test_the_leading_space_goes_once() -> None:
    found = tokenizer("sentencepiece")
    ids = found.encode("the  the", add_special=False)
    assert "".join(pieces(found, ids)) == "the  the"
    space = found.id_of("▁")
    assert space is not None
    assert "".join(pieces(found, [space, space, *ids])) == found.decode([space, space, *ids])


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_few_tokens(kind: str) -> None:
    """The cost of a token must not grow with the length of the text."""
    found = tokenizer(kind)
    decoder = IncrementalDecoder(found)
    longest = 0
    for number in found.encode(" ".join(TEXTS), add_special=False):
        decoder.feed(number)
        longest = max(longest, len(decoder._window))
    assert longest <= 32


def id_of(found: Tokenizer, token: str) -> int:
    number = found.id_of(token)
    assert number is not None
    return number


def endless_runs() -> dict[str, tuple[str, list[int]]]:
    """Tokens that end nowhere, by what they are: a kind of tokenizer, and 600 ids."""
    letters = bytes_to_letters()
    found, spaces = tokenizer("byte_level"), tokenizer("sentencepiece")
    broken, first, rest = (id_of(found, letters[byte]) for byte in (0x80, 0xE2, 0x98))
    return {
        "spaces": ("byte_level", [id_of(found, letters[0x20])] * 600),
        "lines": ("byte_level", [id_of(found, letters[0x61]), *[id_of(found, letters[0x0A])] * 599]),
        "spaces of SentencePiece": ("sentencepiece", [id_of(spaces, "▁")] * 600),
        "a word and spaces": ("sentencepiece", [id_of(spaces, "a"), *[id_of(spaces, "▁")] * 599]),
        "bytes that are no text": ("byte_level", [broken] * 600),
        "halves of characters": ("byte_level", [first, rest] * 300),
        "bytes of a fallback": ("sentencepiece", [id_of(spaces, "<0x80>")] * 600),
    }


def bytes_to_letters() -> dict[int, str]:
    return {byte: byte_letter(byte) for byte in (0x20, 0x0A, 0x61, 0x80, 0x98, 0xE2)}


def byte_letter(byte: int) -> str:
    """How byte-level vocabularies write a byte."""
    return next(letter for letter in map(chr, range(0x180)) if bytes_of(letter) == bytes([byte]))


@pytest.mark.parametrize("name", endless_runs())
@pytest.mark.parametrize("ending", [True, False])
def test_a_token_costs_the_same_whatever_stands_before_it(
    name: str, ending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, ids = endless_runs()[name]
    found = tokenizer(kind)
    ids = [*ids, *found.encode("the é", add_special=False)] if ending else ids
    expected = found.decode(ids)
    num_decoded = 0
    decode = Tokenizer.decode

    def counted(self: Tokenizer, numbers: list[int], skip_special: bool = True) -> str:
        nonlocal num_decoded
        num_decoded += len(numbers)
        return decode(self, numbers, skip_special)

    monkeypatch.setattr(Tokenizer, "decode", counted)
    assert "".join(pieces(found, ids)) == expected
    assert num_decoded < 80 * len(ids)  # 300 for each, if all were decoded anew


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_runs_of_anything_give_the_text_of_the_whole(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    found = tokenizer(kind)
    some = st.lists(st.integers(0, found.vocab_size - 1), min_size=1, max_size=4)
    runs = data.draw(st.lists(st.tuples(some, st.integers(1, 90)), max_size=4))
    ids = [number for run, times in runs for number in run * times]
    assert "".join(pieces(found, ids)) == found.decode(ids)


def test_after_the_end_it_begins_anew() -> None:
    found = tokenizer("byte_level")
    decoder = IncrementalDecoder(found)
    half = found.encode("é日")[-1]
    assert decoder.feed(half) == ""
    assert decoder.finish() == "\ufffd"
    assert decoder.feed(found.encode("a")[0]) == "a"
    assert decoder.finish() == ""


def test_an_unknown_id_is_an_error() -> None:
    with pytest.raises(UsageError, match="no token has this id"):
        IncrementalDecoder(tokenizer("wordpiece")).feed(10_000)
