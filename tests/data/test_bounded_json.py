"""JSON of strangers is parsed where it stays small, and refused by a count where it does not."""

import tracemalloc

import pytest

from creuset.data.bounded_json import MAX_VALUES, parse_bounded
from creuset.errors import DataError


def test_usual_files_are_parsed() -> None:
    assert parse_bounded('{"a": [1, "b, c", {}]}', "f") == {"a": [1, "b, c", {}]}
    assert parse_bounded('{"a": 1}', "f", pairs_hook=list) == [("a", 1)]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": 1} x'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="f: damaged: this is no JSON"):
        parse_bounded(text, "f")


def test_what_would_fill_the_memory_is_refused_before_it_is_built() -> None:
    text = "[" + "[]," * 5_000_000 + "[]]"
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"f: too many values[^$]*10,000,003[^$]*at most 500,000"):
            parse_bounded(text, "f")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_the_largest_that_is_parsed_stays_small() -> None:
    text = "[" + "{}," * (MAX_VALUES // 2 - 2) + "{}]"
    tracemalloc.start()
    try:
        assert len(parse_bounded(text, "f")) == MAX_VALUES // 2 - 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000
