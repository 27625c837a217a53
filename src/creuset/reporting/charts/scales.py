"""Where a number lies on an axis, and at which round numbers the axis has its ticks.

Linear ticks are the multiples of 1, 2 or 5 times a power of ten (Heckbert, "Nice numbers for graph labels",
Graphics Gems 1990, with ticks inside the range only). Logarithmic ticks are powers of ten, thinned when there
are many, joined by 2 and 5 times a power when there are few.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from creuset.reporting.numbers import fixed, power_of_ten

_SAME = 1e-9
"""A range narrower than this share of its numbers is one number: float64 could not tell its ticks apart."""

_LARGEST = 1e150
"""Beyond it, and below its inverse, the ratio of two numbers may not be finite any more."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Maps numbers in [low, high] to pixels in [start, stop].

    Args:
        low: The smallest number; above zero on a logarithmic scale.
        high: The largest number, above `low`.
        start: The pixel of `low`.
        stop: The pixel of `high`; may be below `start`, as on a vertical axis.
        log: Logarithmic instead of linear.
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of `value`."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def shows(self, value: float) -> bool:
        """Whether `value` has a place at all: finite, and above zero on a logarithmic scale."""
        return has_place(value, log=self.log)

    def ticks(self, max_count: int) -> "list[Tick]":
        """Round numbers within the range, `max_count` of them at most."""
        if self.log:
            return log_ticks(self.low, self.high, max_count)
        return linear_ticks(self.low, self.high, max_count)


@dataclass(frozen=True)
class Tick:
    """A round number and how it is written."""

    value: float
    text: str


def has_place(value: float, *, log: bool) -> bool:
    """Whether an axis can show `value`: finite, not beyond 10^150, and above zero if `log`."""
    return abs(value) <= _LARGEST and (not log or value >= 1 / _LARGEST)


def value_range(values: Iterable[float], *, log: bool = False, margin: float = 0.0) -> tuple[float, float]:
    """The range that shows all finite `values` (all above zero if `log`), widened by a share at both ends.

    One number alone gets a range around it; no number at all gives (0, 1), or (1, 10) if `log`.
    """
    shown = [value for value in values if has_place(value, log=log)]
    if not shown:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = float(min(shown)), float(max(shown))
    if high - low <= max(_SAME * max(abs(low), abs(high)), 1 / _LARGEST):
        if log:
            return low / 2, high * 2
        half = max(abs(low) / 10, 1e-9) if low else 1.0
        return low - half, high + half
    if log:
        factor = (high / low) ** margin
        return low / factor, high * factor
    return low - margin * (high - low), high + margin * (high - low)


def rounded_range(low: float, high: float, max_count: int) -> tuple[float, float]:
    """[low, high] widened on both sides to multiples of a round step, `max_count` of them at most."""
    for multiple, exponent in _steps(high - low, max_count):
        step = _exact(multiple, exponent)
        below, above = math.floor(low / step + _SAME), math.ceil(high / step - _SAME)
        if above - below < max_count:
            break
    return _exact(below * multiple, exponent), _exact(above * multiple, exponent)


def linear_ticks(low: float, high: float, max_count: int) -> list[Tick]:
    """The multiples of a round step in [low, high], all with the same decimals.

    There are `max_count` at most, and two at least when five or more are allowed.
    """
    for multiple, exponent in _steps(high - low, max_count):
        step = _exact(multiple, exponent)
        first, last = math.ceil(low / step - _SAME), math.floor(high / step + _SAME)
        if last - first < max_count:
            break
    values = [_exact(k * multiple, exponent) for k in range(first, last + 1)]
    return [Tick(value, text) for value, text in zip(values, _linear_texts(values, exponent), strict=True)]


def log_ticks(low: float, high: float, max_count: int) -> list[Tick]:
    """Powers of ten in [low, high]; where there are few, also 2 and 5 times a power.

    There are `max_count` at most, which must be two or more. A range that holds less than two such numbers
    gets linear ticks.
    """
    first = math.ceil(math.log10(low) - _SAME)
    last = math.floor(math.log10(high) + _SAME)
    decades = range(first, last + 1)
    if len(decades) >= 3:
        stride = math.ceil(len(decades) / max_count)
        chosen = [exponent for exponent in decades if exponent % stride == 0]
        if len(chosen) < 2:
            chosen = list(decades[::stride])
        plain = first >= -3 and last <= 5
        return [Tick(_exact(1, k), _decade_text(k, plain=plain)) for k in chosen]
    steps = [
        (multiple, exponent)
        for exponent in range(first - 1, last + 1)
        for multiple in (1, 2, 5)
        if low * (1 - _SAME) <= _exact(multiple, exponent) <= high * (1 + _SAME)
    ]
    if len(steps) > max_count:
        steps = [step for step in steps if step[0] == 1]
    if len(steps) < 2:
        return linear_ticks(low, high, max_count)
    plain = steps[0][1] >= -3 and steps[-1][1] <= 5
    return [Tick(_exact(m, k), _decade_text(k, multiple=m, plain=plain)) for m, k in steps]


def _steps(span: float, max_count: int) -> Iterator[tuple[int, int]]:
    """Round steps (multiple, exponent), ascending from one too fine for `max_count` ticks over `span`."""
    exponent = math.floor(math.log10(span / (max_count + 1)))
    while True:
        yield from ((multiple, exponent) for multiple in (1, 2, 5))
        exponent += 1


def _exact(multiple: int, exponent: int) -> float:
    """The float nearest to multiple x 10^exponent: reading decimal digits rounds once, a product twice."""
    return float(f"{multiple}e{exponent}")


def _linear_texts(values: Sequence[float], exponent: int) -> list[str]:
    largest = max((abs(value) for value in values), default=0.0)
    if largest and (largest >= 1e6 or exponent < -5):
        power = math.floor(math.log10(largest) + _SAME)
        decimals = max(power - exponent, 0)
        return [
            "0" if value == 0 else f"{fixed(value / 10.0**power, decimals)}×{power_of_ten(power)}"
            for value in values
        ]
    return [fixed(value, max(-exponent, 0)) for value in values]


def _decade_text(exponent: int, *, multiple: int = 1, plain: bool) -> str:
    if plain:
        return fixed(_exact(multiple, exponent), max(-exponent, 0))
    power = power_of_ten(exponent)
    return power if multiple == 1 else f"{multiple}×{power}"
