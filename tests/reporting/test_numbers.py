import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creuset.reporting import numbers


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234567.891, 2, "1,234,567.89"),
        (-0.5, 1, "−0.5"),
        (-0.04, 1, "0.0"),
        (0.0, 0, "0"),
        (float("nan"), 2, "NaN"),
        (float("inf"), 2, "∞"),
        (float("-inf"), 2, "−∞"),
    ],
)
def test_fixed(value: float, decimals: int, text: str) -> None:
    assert numbers.fixed(value, decimals) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (0.97412, "0.9741"),
        (61706, "61,706"),
        (12345.678, "12,346"),
        (0.00001234567, "1.235×10⁻⁵"),
        (-2e9, "−2×10⁹"),
        (100.0, "100"),
        (0.0, "0"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert numbers.number(value) == text


@given(st.floats(-1e6, 1e6).filter(lambda v: v == 0 or abs(v) >= 1e-4))
def test_number_reads_back_with_four_digits(value: float) -> None:
    read = float(numbers.number(value).replace(",", "").replace("−", "-"))
    assert math.isclose(read, value, rel_tol=5.01e-4)


@pytest.mark.parametrize(
    ("value", "interval", "decimals"),
    [
        (0.974, (0.971, 0.977), 4),  # half-width 0.0030
        (97.41, (97.1, 97.7), 2),
        (87.5, (75.0, 100.0), 0),
        (0.974, None, 4),
        (5.0, (5.0, 5.0), 3),
        (5.0, (math.nan, 6.0), 3),
    ],
)
def test_interval_decides_decimals(value: float, interval: tuple[float, float] | None, decimals: int) -> None:
    assert numbers.interval_decimals(value, interval) == decimals


def test_compact_turns_to_powers_of_ten() -> None:
    assert numbers.compact(1.5e7, 1) == "1.500×10⁷"
    assert numbers.compact(2.5e-9, 10) == "2.500×10⁻⁹"
    assert numbers.compact(2.5, 1) == "2.5"


def test_column_shares_decimals() -> None:
    assert numbers.column([1.619, 0.3884, 18.81]) == ["1.62", "0.39", "18.81"]
    assert numbers.column([8, 24, None]) == ["8", "24", "–"]
    assert numbers.column([0.5, None, math.nan]) == ["0.5000", "–", "NaN"]
    assert numbers.column([1e-7, 1.0]) == ["1.000×10⁻⁷", "1.000×10⁰"]
    assert numbers.column([]) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.08, "80 ms"),
        (0.9996, "1.0 s"),
        (4.21, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (0.0, "0 ms"),
        (math.nan, "NaN"),
    ],
)
def test_seconds(seconds: float, text: str) -> None:
    assert numbers.seconds(seconds) == text
