"""Points of a plane, coloured by class: a latent space, a projection.

Each class is one path of zero-length strokes with round caps, at half-pixel places, sorted so that the steps
between neighbours are short: about seven bytes a point. A class is also named in the middle of its points
(their median), where that name covers no other, so that colour is not the only way to tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from creuset.errors import UsageError
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
    overhang,
    tick_width,
)
from creuset.reporting.charts.point_names import drawn, place_names
from creuset.reporting.charts.scales import Scale, has_place, value_range
from creuset.reporting.svg import FONT_SIZE, drawing, join, label, tag, text_width

_SLACK = 1e-6
"""Pixels: what is lost when a width is taken off another and added again."""

_STEPS = 2
"""Places in a pixel to which points are rounded."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ScatterChart:
    """Points coloured by class.

    Args:
        title: What the chart shows, for those who cannot see it.
        points: (N, 2) numbers; points that are not finite are left out, counted and said.
        x: The horizontal axis.
        y: The vertical axis.
        labels: (N,) whole numbers, places in `class_names`; None for points of one kind.
        class_names: The classes, in the order of their colours.
        equal: One unit is equally long on both axes, as distances in a latent space ask for.
        height: Height of the plot, in pixels; None for three quarters of its width.
        names: (N,) the name of each point, the most important first; written where there is room, with a note
            of how many found none. Empty for points without names.

    Raises:
        UsageError: Points that are not (N, 2), labels or names of another length, labels without a class.
    """

    title: str
    points: NDArray[Any]
    x: Axis
    y: Axis
    labels: NDArray[Any] | None = None
    class_names: Sequence[str] = ()
    equal: bool = True
    height: int | None = None
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            raise UsageError("a scatter chart takes points (N, 2)", where=self.title, got=self.points.shape)
        if self.names and len(self.names) != len(self.points):
            got = f"{len(self.points)} points, {len(self.names)} names"
            raise UsageError("each point needs one name", where=self.title, got=got)
        if self.labels is None:
            return
        if self.labels.shape != self.points.shape[:1]:
            got = f"{len(self.points)} points, labels {self.labels.shape}"
            raise UsageError("each point needs one label", where=self.title, got=got)
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            got = f"labels {self.labels.min()} to {self.labels.max()}, {len(self.class_names)} classes"
            raise UsageError("a label has no class", where=self.title, got=got)

    def svg(self, *, width: int = WIDE, key: str = "chart") -> Markup:
        """The drawing, `width` pixels wide; `key` makes its ids its own within a document."""
        keep = np.array([self._has_place(point) for point in self.points], dtype=bool)
        points = np.asarray(self.points, dtype=np.float64)[keep]
        labels = np.zeros(len(points), dtype=int) if self.labels is None else self.labels[keep]
        notes = not_drawn(len(keep) - len(points), len(keep), log=self.x.log or self.y.log)
        names = self.class_names if len(self.class_names) > 1 else ()
        head, head_height = legend(
            [(name, _swatch(i)) for i, name in enumerate(names)], left=0, top=2, width=width
        )
        top = head_height + 28
        plot_height = self.height or round(0.75 * min(width, 560))
        plot = self._plot(points, width, top, top + plot_height)
        pixels = np.array([(plot.x(x), plot.y(y)) for x, y in points]).reshape(-1, 2)
        shown = [name for name, has_place in zip(self.names, keep, strict=False) if has_place]
        placed = place_names(pixels, shown, plot)
        if len(placed) < len(shown):
            notes.append(f"{len(shown) - len(placed):,} of {len(shown):,} names find no room.")
        height = top + plot_height + 38 + LINE_HEIGHT * len(notes)
        clouds = [
            tag("g", _cloud(pixels[labels == i]), class_=f"s{i % NUM_COLOURS}")
            for i in range(max(len(self.class_names), 1))
            if (labels == i).any()
        ]
        body = join(
            [
                plot.clip(key),
                plot.axes(self.x, self.y, fitting_ticks(plot.x, 70), plot.y.ticks(7)),
                head,
                tag("g", *clouds, clip_path=f"url(#{key}-clip)") if clouds else nothing(plot),
                _class_names(pixels, labels, names, plot),
                *drawn(placed),
                note_lines(notes, width=width, bottom=height),
            ]
        )
        return drawing(
            body, width=width, height=height, key=key, title=self.title, description=self.describe(labels)
        )

    def describe(self, labels: NDArray[Any]) -> str:
        """How many points there are, of each class, in words; `labels` are those of the points drawn."""
        text = f"{len(labels):,} points: {self.y.label} against {self.x.label}."
        if self.names:
            text += f" The first of them: {', '.join(self.names[:20])}."
        if len(self.class_names) > 1:
            counts = ", ".join(f"{name} {(labels == i).sum():,}" for i, name in enumerate(self.class_names))
            text += f" Points of each class: {counts}."
        return text

    def _has_place(self, point: NDArray[Any]) -> bool:
        return has_place(float(point[0]), log=self.x.log) and has_place(float(point[1]), log=self.y.log)

    def _plot(self, points: NDArray[np.float64], width: int, top: float, bottom: float) -> Plot:
        x_limits = self.x.limits(*value_range(points[:, 0], log=self.x.log, margin=0.04))
        y_limits = self.y.limits(*value_range(points[:, 1], log=self.y.log, margin=0.04))
        equal = self.equal and not (self.x.log or self.y.log)
        left = margin = 0.0
        # Equal units widen a range, which may lengthen the labels that the room was reckoned for; the room
        # only ever grows, and labels have a longest form, so this ends.
        while True:
            x = horizontal_scale(self.x, x_limits, left, width, margin=margin)
            y = Scale(low=y_limits[0], high=y_limits[1], start=bottom, stop=top, log=self.y.log)
            if equal:
                x, y = _equal(x, y)
            half = overhang(x)
            needed = max(tick_width(y.ticks(7)), half)
            if x.start >= needed - _SLACK and width - x.stop >= half - _SLACK:
                return Plot(x=x, y=y)
            left, margin = max(left, needed), max(margin, half)


def _equal(x: Scale, y: Scale) -> tuple[Scale, Scale]:
    """The two scales, the range of one widened around its middle until their units are equally long."""
    x_unit, y_unit = (x.high - x.low) / (x.stop - x.start), (y.high - y.low) / (y.start - y.stop)
    unit = max(x_unit, y_unit)
    x_low, x_high = _widened(x.low, x.high, unit / x_unit)
    y_low, y_high = _widened(y.low, y.high, unit / y_unit)
    return replace(x, low=x_low, high=x_high), replace(y, low=y_low, high=y_high)


def _widened(low: float, high: float, factor: float) -> tuple[float, float]:
    middle, half = (low + high) / 2, (high - low) / 2 * factor
    return middle - half, middle + half


def _cloud(pixels: NDArray[np.float64]) -> Markup:
    """All points of one class as one path, in units of half a pixel."""
    places = np.unique(np.rint(pixels * _STEPS).astype(int), axis=0)
    # Rows of 8 half pixels, each run through in turn: neighbours in the path are neighbours in the plane.
    order = np.lexsort((places[:, 0], places[:, 1] // 8))
    x, y, parts = 0, 0, []
    for to_x, to_y in places[order].tolist():
        down = to_y - y
        parts.append(f"m{to_x - x}{'' if down < 0 else ' '}{down}h0")
        x, y = to_x, to_y
    size = "small" if len(pixels) > 150 else None
    cloud = tag("path", class_="cloud", d="".join(parts))
    return tag("g", cloud, class_=size, transform=f"scale({1 / _STEPS:g})")


def _swatch(index: int) -> Markup:
    return tag("g", tag("circle", class_="dot", cx=9, cy=6, r=4.5), class_=f"s{index % NUM_COLOURS}")


def _class_names(
    pixels: NDArray[np.float64], labels: NDArray[Any], names: Sequence[str], plot: Plot
) -> Markup:
    """Each class' name at the median of its points, unless it would lie over another or leave the plot."""
    placed: list[tuple[float, float, float]] = []
    parts = []
    for index, name in enumerate(names):
        if not (labels == index).any():
            continue
        x, y = np.median(pixels[labels == index], axis=0)
        half = text_width(name, FONT_SIZE + 2) / 2
        inside = plot.x.start <= x - half and x + half <= plot.x.stop
        inside = inside and plot.y.stop + FONT_SIZE <= y <= plot.y.start - 4
        free = all(abs(x - a) >= half + b + 2 or abs(y - c) >= FONT_SIZE + 4 for a, c, b in placed)
        if inside and free:
            placed.append((float(x), float(y), half))
            parts.append(
                label(float(x), float(y) + 5, name, anchor="middle", kind=f"class s{index % NUM_COLOURS}")
            )
    return join(parts)
