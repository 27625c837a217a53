"""Scores with their intervals, one below the other: a dot for the value, a whisker for the interval.

What to read from it: two values whose whiskers overlap are not told apart by their intervals alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from creuset.errors import UsageError
from creuset.reporting.charts.curves import Reference
from creuset.reporting.charts.frame import WIDE, Axis, fitting_ticks, horizontal_scale
from creuset.reporting.charts.scales import Scale, value_range
from creuset.reporting.numbers import common_decimals, compact, number
from creuset.reporting.svg import coordinate, drawing, fit_text, join, label, tag, text_width

_NAME_SHARE = 0.3
"""Names of rows take at most this share of a wide drawing."""


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One row: a name, a value and its interval.

    Args:
        name: What was measured, such as a model.
        value: The number; a row whose number is not finite shows it without a dot.
        interval: Both ends, or None where there is none.
        marked: Drawn in the accent colour.

    Raises:
        UsageError: The interval ends below its beginning.
    """

    name: str
    value: float
    interval: tuple[float, float] | None = None
    marked: bool = False

    def __post_init__(self) -> None:
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise UsageError("an interval ends below its beginning", where=self.name, got=self.interval)


@dataclass(frozen=True, kw_only=True)
class DotChart:
    """A horizontal chart of scores with intervals.

    Args:
        title: What the chart shows, for those who cannot see it.
        rows: One a score, from top to bottom.
        axis: The common axis, with the measure's name and unit.
        references: Vertical lines to compare with, such as chance or a published figure.
        decimals: Decimals of the numbers beside the dots; None for those that the intervals deserve.
    """

    title: str
    rows: Sequence[Dot]
    axis: Axis
    references: Sequence[Reference] = ()
    decimals: int | None = None

    def svg(self, *, width: int = WIDE, key: str = "chart") -> Markup:
        """The drawing, `width` pixels wide; `key` makes its ids its own within a document."""
        layout = _Layout(self, width)
        rows = [
            _row(row, text, layout, i)
            for i, (row, text) in enumerate(zip(self.rows, layout.texts, strict=True))
        ]
        body = join(
            [
                _frame(self, layout),
                *(_reference(r, i, layout, len(self.rows)) for i, r in enumerate(self.references)),
                *rows,
            ]
        )
        return drawing(
            body, width=width, height=layout.height, key=key, title=self.title, description=self.describe()
        )

    def describe(self) -> str:
        """Every row in words."""
        rows = "; ".join(f"{row.name} {text}" for row, text in zip(self.rows, self.texts(), strict=True))
        return f"{self.axis.label}: {rows or 'no values'}."

    def texts(self) -> list[str]:
        """What stands beside each dot: 0.974 [0.971, 0.977]."""
        decimals = self.decimals
        if decimals is None:
            decimals = common_decimals((row.value, row.interval) for row in self.rows)
        return [
            compact(row.value, decimals)
            + (
                ""
                if row.interval is None
                else " [" + ", ".join(compact(e, decimals) for e in row.interval) + "]"
            )
            for row in self.rows
        ]


class _Layout:
    """Where everything of one DotChart lies at one width: names beside the plot, or above each whisker."""

    def __init__(self, chart: DotChart, width: int) -> None:
        self.width = width
        self.texts = chart.texts()
        self.stacked = width < 480
        self.pitch = 40 if self.stacked else 26
        names = max((text_width(row.name) for row in chart.rows), default=0.0)
        self.name_width = min(names, _NAME_SHARE * width)
        self.text_width = max((text_width(text) for text in self.texts), default=0.0)
        ends = [end for row in chart.rows for end in (row.value, *(row.interval or ()))]
        ends += [reference.value for reference in chart.references]
        limits = chart.axis.limits(*value_range(ends, log=chart.axis.log, margin=0.05))
        left = 0.0 if self.stacked else self.name_width + 18
        margin = 0.0 if self.stacked else self.text_width + 18
        self.scale = horizontal_scale(chart.axis, limits, left, width, margin=margin)
        self.top = 15 * len(chart.references) + 8
        self.bottom = self.top + self.pitch * max(len(chart.rows), 1) + 2
        self.height = self.bottom + 38

    def middle(self, index: int) -> float:
        """Height of the whisker of one row."""
        return self.top + self.pitch * index + (27 if self.stacked else 13)


def _frame(chart: DotChart, layout: _Layout) -> Markup:
    ticks = fitting_ticks(layout.scale, 64)
    bottom, top = coordinate(layout.bottom), coordinate(layout.top)
    left, right = coordinate(layout.scale.start), coordinate(layout.scale.stop)
    grid = "".join(f"M{coordinate(layout.scale(tick.value))} {top}V{bottom}" for tick in ticks)
    marks = "".join(f"M{coordinate(layout.scale(tick.value))} {bottom}v4" for tick in ticks)
    foot = layout.bottom
    return join(
        [
            tag("path", class_="grid", d=grid) if grid and not layout.stacked else Markup(),
            tag("path", class_="axis", d=f"M{left} {bottom}H{right}{marks}"),
            *(label(layout.scale(t.value), foot + 16, t.text, anchor="middle", kind="tick") for t in ticks),
            label(layout.width - 2, foot + 33, chart.axis.label, anchor="end", width=layout.width - 4),
        ]
    )


def _row(row: Dot, text: str, layout: _Layout, index: int) -> Markup:
    y = layout.middle(index)
    base = y - 12 if layout.stacked else y + 4
    name_width = layout.width - text_width(text) - 24 if layout.stacked else layout.name_width
    parts = [
        label(0, base, row.name, width=name_width),
        label(layout.width - 2, base, text, anchor="end", kind="value"),
    ]
    scale = layout.scale
    if row.interval is not None and all(scale.shows(end) for end in row.interval):
        low, high = (coordinate(scale(_within(end, scale))) for end in row.interval)
        caps = "".join(
            f"M{coordinate(scale(end))} {coordinate(y - 4)}v8"
            for end in row.interval
            if scale.low <= end <= scale.high
        )
        parts.append(tag("path", class_="whisker", d=f"M{low} {coordinate(y)}H{high}{caps}"))
    if scale.shows(row.value) and scale.low <= row.value <= scale.high:
        parts.append(tag("circle", class_="dot", cx=scale(row.value), cy=y, r=4))
    return tag("g", *parts, class_="row marked" if row.marked else "row")


def _within(value: float, scale: Scale) -> float:
    return min(max(value, scale.low), scale.high)


def _reference(reference: Reference, index: int, layout: _Layout, num_rows: int) -> Markup:
    """A vertical line, named above the plot on a line of its own."""
    if not layout.scale.shows(reference.value):
        return Markup()
    x, y = layout.scale(_within(reference.value, layout.scale)), 15 * index + 11
    text = f"{reference.name} {number(reference.value)}"
    half = text_width(fit_text(text, layout.width)) / 2
    middle = min(max(x, half), layout.width - half)
    if layout.stacked:  # only beside the whiskers, so that it crosses no name
        lanes = [layout.middle(i) for i in range(num_rows)]
        line = "".join(f"M{coordinate(x)} {coordinate(lane - 8)}v16" for lane in lanes)
    else:
        line = f"M{coordinate(x)} {coordinate(y + 4)}V{coordinate(layout.bottom)}"
    name = label(middle, y, text, anchor="middle", kind="note", width=layout.width)
    return tag("g", tag("path", class_="reference", d=line), name)
