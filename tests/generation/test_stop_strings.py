"""Stop strings against a reader that looks at every character, and what may be held back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creuset.errors import UsageError
from creuset.generation.stop_strings import StopStrings

WORDS = st.text(alphabet="ab\n", max_size=12)
STOPS = st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=4)


def read_to_stop(text: str, stops: list[str]) -> tuple[str, str | None]:
    """What is before the stop string that ends first, and which it is: the slow, obvious twin."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            longest = max(ending, key=len)
            return text[: end - len(longest)], longest
    return text, None


def may_become_stop(text: str, stops: list[str]) -> int:
    """How many characters at the end of a text may still become a stop string."""
    lengths = [n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])]
    return max(lengths, default=0)


@given(pieces=st.lists(WORDS, max_size=6), stops=STOPS)
def test_equals_the_slow_twin_however_the_text_is_cut(pieces: list[str], stops: list[str]) -> None:
    watch = StopStrings(stops)
    given_out = "".join(watch.feed(piece) for piece in pieces) + watch.finish()
    assert (given_out, watch.found) == read_to_stop("".join(pieces), stops)


@given(pieces=st.lists(WORDS, max_size=6), stops=STOPS)
def test_no_more_is_held_back_than_may_become_a_stop_string(pieces: list[str], stops: list[str]) -> None:
    watch, given_out, text = StopStrings(stops), "", ""
    for piece in pieces:
        given_out += watch.feed(piece)
        text += piece
        if watch.found is not None:
            return
        assert len(text) - len(given_out) == may_become_stop(text, stops)


def test_what_looked_like_a_stop_string_is_given_out_when_it_is_none() -> None:
    watch = StopStrings(["</s>", "\n\n"])
    assert [watch.feed(piece) for piece in ("one\n", "two <", "/b>", "</", "s> three", "four")] == [
        "one",
        "\ntwo ",
        "</b>",
        "",
        "",
        "",
    ]
    assert watch.found == "</s>"
    assert watch.finish() == ""


def test_an_unfinished_stop_string_is_given_out_at_the_end() -> None:
    watch = StopStrings(["\n\n"])
    assert watch.feed("end\n") == "end"
    assert watch.finish() == "\n"
    assert watch.finish() == ""


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(UsageError, match="an empty stop string would end every text"):
        StopStrings(["a", ""])
