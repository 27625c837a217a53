import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from creuset.reporting.charts.scales import (
    Scale,
    linear_ticks,
    log_ticks,
    rounded_range,
    value_range,
)

finite = st.floats(-1e200, 1e200)


@given(finite, finite, st.integers(2, 12))
def test_linear_ticks_are_round_even_and_inside(a: float, b: float, max_count: int) -> None:
    low, high = value_range([a, b])
    ticks = linear_ticks(low, high, max_count)
    values = [tick.value for tick in ticks]
    assert len(ticks) <= max_count
    if max_count >= 5:
        assert len(ticks) >= 2
    slack = 1e-8 * (high - low)
    assert all(low - slack <= value <= high + slack for value in values)
    assert len({tick.text for tick in ticks}) == len(ticks)
    steps = [after - before for before, after in pairwise(values)]
    for step in steps:
        # The step's first digit is 1, 2 or 5, up to what subtraction of nearby floats leaves.
        assert math.isclose(step, steps[0], rel_tol=1e-5, abs_tol=1e-12 * max(abs(low), abs(high)))
        mantissa = step / 10.0 ** math.floor(math.log10(step) + 1e-6)
        assert min(abs(mantissa - m) for m in (1, 2, 5)) < 1e-4


@given(finite, finite)
def test_rounded_range_contains_and_ends_on_ticks(a: float, b: float) -> None:
    low, high = value_range([a, b])
    below, above = rounded_range(low, high, 6)
    slack = 1e-8 * (high - low)
    assert below <= low + slack
    assert above >= high - slack
    assert above - below <= 3 * (high - low)


@given(st.floats(-200, 200), st.floats(-200, 200), st.integers(2, 10))
def test_log_ticks_are_inside_and_distinct(a: float, b: float, max_count: int) -> None:
    low, high = value_range([10.0**a, 10.0**b], log=True)
    ticks = log_ticks(low, high, max_count)
    assert len(ticks) <= max_count
    assert all(low * (1 - 1e-8) <= tick.value <= high * (1 + 1e-8) for tick in ticks)
    assert len({tick.text for tick in ticks}) == len(ticks)


def test_ticks_by_hand() -> None:
    assert [t.text for t in linear_ticks(0, 2000, 5)] == ["0", "500", "1,000", "1,500", "2,000"]
    assert [t.text for t in linear_ticks(-0.13, 0.34, 6)] == ["−0.1", "0.0", "0.1", "0.2", "0.3"]
    assert [t.text for t in linear_ticks(0, 3e7, 4)] == ["0", "1×10⁷", "2×10⁷", "3×10⁷"]
    assert [t.text for t in log_ticks(0.001, 10, 6)] == ["0.001", "0.01", "0.1", "1", "10"]
    assert [t.text for t in log_ticks(1e-12, 1e6, 5)] == ["10⁻¹²", "10⁻⁸", "10⁻⁴", "10⁰", "10⁴"]
    assert [t.text for t in log_ticks(2, 60, 6)] == ["2", "5", "10", "20", "50"]
    assert [t.text for t in log_ticks(1.1, 1.9, 4)] == ["1.2", "1.4", "1.6", "1.8"]


def test_a_step_is_never_a_sum_of_rounding_errors() -> None:
    assert [t.value for t in linear_ticks(0, 1, 11)] == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(0, 1))
def test_scale_is_linear_between_its_ends(a: float, b: float, share: float) -> None:
    low, high = value_range([a, b])
    scale = Scale(low=low, high=high, start=300, stop=20)
    assert scale(low) == 300
    assert math.isclose(scale(high), 20)
    assert math.isclose(scale(low + share * (high - low)), 300 - share * 280, abs_tol=1e-4)


def test_log_scale_puts_the_geometric_mean_in_the_middle() -> None:
    scale = Scale(low=0.01, high=100, start=0, stop=400, log=True)
    assert math.isclose(scale(1.0), 200)
    assert scale.shows(1e-30)
    assert not scale.shows(0.0)
    assert not scale.shows(-1.0)
    assert not scale.shows(math.nan)


@pytest.mark.parametrize(
    ("values", "log", "expected"),
    [
        ([], False, (0.0, 1.0)),
        ([], True, (1.0, 10.0)),
        ([math.nan, math.inf], False, (0.0, 1.0)),
        ([0.0], False, (-1.0, 1.0)),
        ([5.0, 5.0], False, (4.5, 5.5)),
        ([4.0, -1.0, 0.0], True, (2.0, 8.0)),
        ([1.0, 3.0, math.nan], False, (1.0, 3.0)),
    ],
)
def test_value_range(values: list[float], log: bool, expected: tuple[float, float]) -> None:
    assert value_range(values, log=log) == expected


@given(st.lists(st.floats(), max_size=5), st.booleans())
def test_a_range_always_has_a_length(values: list[float], log: bool) -> None:
    low, high = value_range(values, log=log)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assume(low != 0)
    assert low < high
