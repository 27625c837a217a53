"""Contenders take turns, ratios are taken within a round, and unequal work is refused."""

import json
import sys
from pathlib import Path

import pytest

from benchmark_programs import program

alternation = program("alternation")


def test_rounds_alternate() -> None:
    seen: list[tuple[str, int]] = []
    rows = alternation.in_turn(
        "ab", 3, lambda name, number: seen.append((name, number)) or {"place": len(seen)}, str
    )
    assert seen == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert rows == {
        "a": [{"place": 1}, {"place": 4}, {"place": 5}],
        "b": [{"place": 2}, {"place": 3}, {"place": 6}],
    }


def test_a_row_is_the_last_line_of_a_process_with_its_threads() -> None:
    words = "import json, os; print('warming up'); print(json.dumps({'n': os.environ['OMP_NUM_THREADS']}))"
    assert alternation.measure([sys.executable, "-c", words], 3) == {"n": "3"}


def test_a_contender_that_fails_is_told() -> None:
    with pytest.raises(SystemExit, match="ValueError: the reason"):
        alternation.measure([sys.executable, "-c", "raise ValueError('the reason')"], 1)


def test_ratios_are_paired_within_a_round() -> None:
    rows = {
        "peer": [{"loop_seconds": seconds} for seconds in (2.0, 8.0, 3.0)],
        "own": [{"loop_seconds": seconds} for seconds in (1.0, 2.0, 3.0)],
    }
    expected = {"median": 2.0, "least": 1.0, "most": 4.0}
    assert alternation.ratio(rows["peer"], rows["own"], "loop_seconds") == expected
    found = alternation.times_as_fast(rows, ("loop",))
    assert found == {"own": {"loop": expected}}
    assert alternation.lines_of_times(found, "peer") == [
        "own against peer, loop: 2.00 times as fast (1.00 to 4.00)"
    ]


def test_unequal_work_is_refused() -> None:
    rows = {"peer": [{"n": 1}, {"n": 1}], "own": [{"n": 1}, {"n": 2}]}
    with pytest.raises(SystemExit, match=r"not the same work: n differs: peer \{1\}, own \{1, 2\}"):
        alternation.require_equal(rows, ["n"])
    alternation.require_equal({"peer": rows["peer"], "own": rows["peer"]}, ["n"])


def test_no_place_of_the_machine_is_in_the_result() -> None:
    assert set(alternation.machine(1)) == {"processor", "system", "python", "threads"}


def test_everything_is_written_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alternation.report({"a": 1}, "told", None)
    alternation.report({"a": 1}, "told", tmp_path / "new" / "result.json")
    assert json.loads((tmp_path / "new" / "result.json").read_text()) == {"a": 1}
    assert capsys.readouterr().out == "told\ntold\n"
