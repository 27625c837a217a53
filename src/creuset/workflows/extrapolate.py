"""From timings of small parts of some work to the time of all of it, with a range."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

_PARTS = 32
"""The first part that is timed is the whole divided by this."""
_FEWEST = 50
"""Samples of the first part, where there are so many."""
_GUESSED_POWERS = (2.0, 1.0, 3.0)
"""Where one fit alone could be timed: kernels grow with n squared to n cubed, linear models with n."""

Timings = tuple[tuple[int, float], ...]
"""(samples, seconds) of each part, growing."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How work grows with its samples.

    Args:
        overhead: Seconds that only the first call takes, for what it imports and sets up.
        timings: The parts that were timed, without it.
        whole: All samples.
    """

    overhead: float
    timings: Timings
    whole: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds that something takes: what to expect, and from where to where."""

    middle: float
    low: float
    high: float

    @classmethod
    def exactly(cls, seconds: float) -> "Cost":
        """What was measured whole."""
        return cls(middle=seconds, low=seconds, high=seconds)

    @classmethod
    def of_steps(cls, seconds: Sequence[float]) -> "Cost":
        """The mean, by which a sum of many is told, and the 10th and 90th percentile around it."""
        mean = float(np.mean(seconds))
        low, high = (float(value) for value in np.percentile(seconds, (10, 90)))
        return cls(middle=mean, low=min(low, mean), high=max(high, mean))

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(middle=self.middle + other.middle, low=self.low + other.low, high=self.high + other.high)

    def __mul__(self, times: float) -> "Cost":
        return Cost(middle=self.middle * times, low=self.low * times, high=self.high * times)

    def to_json(self) -> dict[str, float]:
        return {"middle": self.middle, "low": self.low, "high": self.high}


def growing(work: Callable[[int], Any], whole: int, max_seconds: float, *, worst_growth: float) -> Growth:
    """Times `work` on growing parts of `whole` samples, each about twice the one before.

    It ends with the whole, or where the next part would, by the growth so far, not fit into `max_seconds`.
    The first part is done twice: what only its first time takes is told apart.

    Args:
        work: Does the work for so many samples.
        whole: All samples, at least 1.
        max_seconds: For all parts together; the uncounted one is not among them.
        worst_growth: How many times as long twice the samples last at most: 2 where each is work of its own.
    """
    timings: list[tuple[int, float]] = []
    size = min(whole, max(_FEWEST, whole // _PARTS))
    first = time.perf_counter()
    work(size)
    begin = time.perf_counter()
    first = begin - first
    while True:
        start = time.perf_counter()
        work(size)
        now = time.perf_counter()
        growth = worst_growth
        if timings:
            growth = min(max((now - start) / timings[-1][1], 1.0), worst_growth)
        timings.append((size, now - start))
        if size == whole or now - begin + growth * (now - start) > max_seconds:
            overhead = max(0.0, first - timings[0][1])
            return Growth(overhead=overhead, timings=tuple(timings), whole=whole)
        size = min(whole, 2 * size)


def line(growth: Growth) -> Cost:
    """For work with a fixed part and one for each sample: a line through the last two parts.

    At least it takes as long as the last part, at most as long as if nothing of it were fixed.
    """
    timings, whole = growth.timings, growth.whole
    overhead = Cost.exactly(growth.overhead)
    size, seconds = timings[-1]
    if size == whole:
        return Cost.exactly(seconds) + overhead
    most = seconds * whole / size
    if len(timings) < 2:
        return Cost(middle=most, low=seconds, high=most) + overhead
    before, seconds_before = timings[-2]
    slope = (seconds - seconds_before) / (size - before)
    middle = min(max(seconds + slope * (whole - size), seconds), most)
    return Cost(middle=middle, low=(seconds + middle) / 2, high=most) + overhead


def power_law(growth: Growth) -> tuple[Cost, str]:
    """For work that grows as a power of the samples, seconds = a n^p: the cost of all, and how it was found.

    p is fitted to all parts by least squares of the logarithms; the range comes from the smallest and the
    largest growth between neighbouring parts, the first one left aside where there are others.
    """
    timings, whole = growth.timings, growth.whole
    overhead = Cost.exactly(growth.overhead)
    size, seconds = timings[-1]
    if size == whole:
        return Cost.exactly(seconds) + overhead, f"the fit was measured whole, on {whole:,} samples"
    power, low, high = _powers(timings)
    factor = whole / size
    cost = Cost(middle=seconds * factor**power, low=seconds * factor**low, high=seconds * factor**high)
    if len(timings) < 2:
        text = f"one fit, to {size:,} of {whole:,} samples, was measured: its growth is a guess"
    else:
        text = f"the fit is extrapolated from {len(timings)} fits to up to {size:,} of {whole:,} samples"
    return cost + overhead, f"{text}, n to the power of {power:.2f} ({low:.2f} to {high:.2f})"


def _powers(timings: Timings) -> tuple[float, float, float]:
    """The power that fits best, the smallest and the largest."""
    if len(timings) < 2:
        return _GUESSED_POWERS
    logs = np.log(np.array(timings))
    best = max(0.0, float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]))
    slopes = [float((b[1] - a[1]) / (b[0] - a[0])) for a, b in pairwise(logs)]
    slopes = [*(slopes[1:] or slopes), best]
    return best, max(0.0, min(slopes)), max(slopes)
