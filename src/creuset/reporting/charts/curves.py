"""One curve of a chart: its points, its intervals, and the strokes and marks that draw them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from creuset.errors import UsageError
from creuset.reporting.charts.frame import NUM_COLOURS, Plot
from creuset.reporting.charts.scales import has_place
from creuset.reporting.svg import coordinate, tag

Point = tuple[float, float]

_MARKS_A_LINE = 6
"""Marks on each curve in print, where colour may be missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One curve.

    Args:
        name: How it is called in the chart.
        x: Positions on the horizontal axis, ascending.
        y: The values; NaN is a gap.
        low: Lower ends of the values' intervals, or None without intervals.
        high: Upper ends.
        interval: How intervals are drawn: a band along the curve, or a whisker at each point.

    Raises:
        UsageError: x, y and the ends of the intervals differ in length, or only one end is given.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    interval: Literal["band", "whiskers"] = "band"

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise UsageError("an interval needs both ends", where=f'series "{self.name}"')
        lengths = [len(values) for values in (self.x, self.y, self.low, self.high) if values is not None]
        if len(set(lengths)) > 1:
            raise UsageError(
                "x, y and intervals must have one length", where=f'series "{self.name}"', got=lengths
            )

    def points(self) -> list[Point]:
        return [(float(x), float(y)) for x, y in zip(self.x, self.y, strict=True)]

    def whiskers(self) -> list[tuple[float, float, float]]:
        """(x, low, high) of each interval."""
        if self.low is None or self.high is None:
            return []
        ends = zip(self.x, self.low, self.high, strict=True)
        return [(float(x), float(low), float(high)) for x, low, high in ends]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A number to compare with, such as a floor or a published figure, drawn as a line across the plot."""

    name: str
    value: float


def runs(points: Iterable[Point], plot: Plot) -> list[list[Point]]:
    """The pixels of the points, cut into pieces at each point that has no place."""
    pieces: list[list[Point]] = [[]]
    for x, y in points:
        if plot.x.shows(x) and plot.y.shows(y):
            pieces[-1].append((plot.x(x), plot.y(y)))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most four points of each pixel column: the first, the lowest, the highest and the last."""
    columns: dict[int, list[int]] = {}
    for index, (x, _) in enumerate(points):
        columns.setdefault(math.floor(x), []).append(index)
    kept: set[int] = set()
    for members in columns.values():
        by_height = sorted(members, key=lambda i: points[i][1])
        kept.update((members[0], members[-1], by_height[0], by_height[-1]))
    return [points[i] for i in sorted(kept)]


def curve(series: Series, index: int, plot: Plot, *, marks: bool) -> Markup:
    """Everything drawn for one series; `marks` adds the marks that tell curves apart in print."""
    pieces = [thinned(piece) for piece in runs(series.points(), plot)]
    lines = "".join(path(piece) for piece in pieces if len(piece) > 1)
    lonely = [piece[0] for piece in pieces if len(piece) == 1]
    every = [point for piece in pieces for point in piece]
    parts = [_intervals(series, plot)]
    if lines:
        parts.append(tag("path", class_="line", d=lines))
    dots = every if series.interval == "whiskers" else lonely
    if dots:
        parts.append(tag("path", class_="dots", d="".join(f"M{xy(p)}h0" for p in dots)))
    if marks and lines:
        stride = max(len(every) // _MARKS_A_LINE, 1)
        start = stride * (index % _MARKS_A_LINE) // _MARKS_A_LINE
        parts.append(tag("path", class_="marks", d="".join(mark(p, index) for p in every[start::stride])))
    return tag("g", *parts, class_=f"s{index % NUM_COLOURS}")


def _intervals(series: Series, plot: Plot) -> Markup:
    pieces: list[list[tuple[float, float, float]]] = [[]]
    for x, low, high in series.whiskers():
        if plot.x.shows(x) and plot.y.shows(high) and has_place(low, log=False):
            # On a logarithmic axis an interval that reaches down to zero goes to the foot of the plot.
            foot = plot.y(low) if plot.y.shows(low) else plot.y.start
            pieces[-1].append((plot.x(x), foot, plot.y(high)))
        elif pieces[-1]:
            pieces.append([])
    if series.interval == "whiskers":
        strokes = "".join(f"M{xy((x, foot))}V{coordinate(head)}" for p in pieces for x, foot, head in p)
        return tag("path", class_="whisker", d=strokes) if strokes else Markup()
    shapes = []
    for piece in pieces:
        if len(piece) > 1:
            above = thinned([(x, head) for x, _, head in piece])
            below = thinned([(x, foot) for x, foot, _ in piece])
            shapes.append(path(above) + "L" + path(below[::-1])[1:] + "Z")
    return tag("path", class_="band", d="".join(shapes)) if shapes else Markup()


def path(points: Sequence[Point]) -> str:
    return "M" + "L".join(xy(point) for point in points)


def xy(point: Point) -> str:
    return f"{coordinate(point[0])} {coordinate(point[1])}"


def mark(point: Point, index: int) -> str:
    """A small closed shape around a point; the shape tells the curves apart without colour."""
    start = f"M{xy((point[0], point[1]))}"
    shapes = ("m-3-3h6v6h-6z", "m0-4l4 7h-8z", "m0-4l4 4l-4 4l-4-4z", "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z")
    return start + shapes[index % len(shapes)]


def swatch(index: int) -> Markup:
    """How a legend shows the curve: a piece of line with its mark."""
    line, dot = tag("path", class_="line", d="M0 6H18"), tag("path", class_="marks", d=mark((9, 6), index))
    return tag("g", line, dot, class_=f"s{index % NUM_COLOURS}")


def reference_line(reference: Reference, plot: Plot) -> Markup:
    if not plot.y.shows(reference.value):
        return Markup()
    y = coordinate(plot.y(reference.value))
    return tag("path", class_="reference", d=f"M{coordinate(plot.x.start)} {y}H{coordinate(plot.x.stop)}")
