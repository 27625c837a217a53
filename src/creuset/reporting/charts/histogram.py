"""How numbers are spread: the shares that fall into bins, several samples over each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from creuset.errors import UsageError
from creuset.reporting.charts.curves import swatch
from creuset.reporting.charts.frame import (
    LINE_HEIGHT,
    NUM_COLOURS,
    WIDE,
    Axis,
    Plot,
    fitting_ticks,
    horizontal_scale,
    legend,
    not_drawn,
    note_lines,
    nothing,
    tick_width,
)
from creuset.reporting.charts.scales import Scale, rounded_range, value_range
from creuset.reporting.numbers import number
from creuset.reporting.svg import coordinate, drawing, join, tag

_FEWEST, _MOST = 5, 60
"""Bins of a histogram whose number is not given."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Numbers of one kind, to be counted; those that are not finite are left out, counted and said."""

    name: str
    values: NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Histogram:
    """Outlines of the shares of each sample that fall into common bins.

    Args:
        title: What the chart shows, for those who cannot see it.
        samples: What is counted, in the order of their colours.
        x: The axis of the values; not logarithmic.
        num_bins: Bins over the whole range; None for the rule of Freedman and Diaconis (1981), 5 to 60.
        height: Height of the plot, in pixels.

    Raises:
        UsageError: A logarithmic axis, or fewer than one bin.
    """

    title: str
    samples: Sequence[Sample]
    x: Axis
    num_bins: int | None = None
    height: int = 180

    def __post_init__(self) -> None:
        if self.x.log:
            raise UsageError("a histogram has a linear axis", where=self.title, next_step="pass logarithms")
        if self.num_bins is not None and self.num_bins < 1:
            raise UsageError(
                "a histogram needs a bin", where=self.title, got=self.num_bins, expected="1 or more"
            )

    def svg(self, *, width: int = WIDE, key: str = "chart") -> Markup:
        """The drawing, `width` pixels wide; `key` makes its ids its own within a document."""
        total = sum(sample.values.size for sample in self.samples)
        numbers = [_finite(sample.values) for sample in self.samples]
        notes = not_drawn(total - sum(n.size for n in numbers), total, log=False)
        edges, shares = self.bins()
        beyond = sum(int(((n < edges[0]) | (n > edges[-1])).sum()) for n in numbers)
        if beyond:
            notes.append(f"{beyond:,} of {total:,} values lie beyond the axis.")
        head, head_height = Markup(), 0.0
        if len(self.samples) > 1:
            entries = [(sample.name, swatch(i)) for i, sample in enumerate(self.samples)]
            head, head_height = legend(entries, left=0, top=2, width=width)
        top = head_height + 28
        bottom = top + self.height
        height = bottom + 38 + LINE_HEIGHT * len(notes)
        highest = max((float(share.max()) for share in shares), default=0.0) or 1.0
        y = Scale(low=0.0, high=rounded_range(0.0, highest, 5)[1], start=bottom, stop=top)
        y_ticks, y_axis = y.ticks(5), Axis(label="share of the sample in a bin")
        left = tick_width(y_ticks)
        x = horizontal_scale(self.x, (float(edges[0]), float(edges[-1])), left, width)
        plot = Plot(x=x, y=y)
        outlines = [_outline(edges, share, plot, i) for i, share in enumerate(shares) if numbers[i].size]
        body = join(
            [
                plot.axes(self.x, y_axis, fitting_ticks(x, 70), y_ticks),
                head,
                *(outlines or [nothing(plot)]),
                note_lines(notes, width=width, bottom=height),
            ]
        )
        return drawing(
            body, width=width, height=height, key=key, title=self.title, description=self.describe()
        )

    def bins(self) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """The edges of the bins, and for each sample the share of its finite numbers in each bin."""
        numbers = [_finite(sample.values) for sample in self.samples]
        pooled = np.concatenate([*numbers, np.zeros(0)])
        low, high = self.x.limits(*value_range(pooled.tolist()))
        count = self.num_bins or _num_bins(pooled, low, high)
        edges = np.linspace(low, high, count + 1)
        return edges, [np.histogram(n, edges)[0] / max(n.size, 1) for n in numbers]

    def describe(self) -> str:
        """Median and quartiles of each sample in words."""
        parts = []
        for sample in self.samples:
            numbers = _finite(sample.values)
            if not numbers.size:
                parts.append(f"{sample.name}: no values.")
                continue
            quarter, middle, three = (number(float(q)) for q in np.quantile(numbers, [0.25, 0.5, 0.75]))
            parts.append(
                f"{sample.name}: {numbers.size:,} values, median {middle}, quartiles {quarter} and {three}."
            )
        return f"Distribution of {self.x.label}. " + " ".join(parts)


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64).ravel()
    return numbers[np.isfinite(numbers)]


def _num_bins(values: NDArray[np.float64], low: float, high: float) -> int:
    """Bins as wide as twice the quartiles' distance over the cube root of n (Freedman and Diaconis 1981)."""
    if values.size < 2:
        return _FEWEST
    spread = float(np.subtract(*np.quantile(values, [0.75, 0.25])))
    if spread <= 0:
        return _FEWEST
    wanted = (high - low) / (2 * spread / values.size ** (1 / 3))
    return int(min(max(math.ceil(wanted), _FEWEST), _MOST))


def _outline(edges: NDArray[np.float64], shares: NDArray[np.float64], plot: Plot, index: int) -> Markup:
    foot = coordinate(plot.y(0.0))
    steps = "".join(
        f"V{coordinate(plot.y(share))}H{coordinate(plot.x(edge))}"
        for share, edge in zip(shares.tolist(), edges[1:].tolist(), strict=True)
    )
    d = f"M{coordinate(plot.x(float(edges[0])))} {foot}{steps}V{foot}"
    shape, line = tag("path", class_="band", d=d + "Z"), tag("path", class_="line", d=d)
    return tag("g", shape, line, class_=f"s{index % NUM_COLOURS}")
