"""What charts with two axes share: the range of the axes, the frame with its grid, the legend and the notes.

Layout, from top to bottom: the legend, the vertical axis' name, the plot, tick labels, the horizontal axis'
name, notes about values that could not be drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from creuset.errors import UsageError
from creuset.reporting.charts.scales import Scale, Tick
from creuset.reporting.svg import coordinate, fit_text, join, label, tag, text_width

WIDE, NARROW = 720, 352
"""The two widths, in pixels, in which a document draws each chart: for a page; for a phone or half a page."""

NUM_COLOURS = 10
"""Colours of the palette in charts.css; the colours repeat beyond."""

LINE_HEIGHT = 17
_GAP = 10


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a chart.

    Args:
        label: What it counts, with its unit: "loss in nats".
        log: Logarithmic; values of zero and below have no place on it.
        low: Where it begins, if not at the data.
        high: Where it ends, if not at the data. What lies beyond is cut off at the frame.

    Raises:
        UsageError: `low` is not below `high`, or not above zero on a logarithmic axis.
    """

    label: str
    log: bool = False
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise UsageError("an axis must begin below its end", where=self.label, got=(self.low, self.high))
        ends = [end for end in (self.low, self.high) if end is not None]
        if self.log and any(end <= 0 for end in ends):
            raise UsageError("a logarithmic axis has no zero", where=self.label, got=ends, expected="above 0")

    def limits(self, low: float, high: float) -> tuple[float, float]:
        """The given range, with the ends that this axis sets itself."""
        low = low if self.low is None else self.low
        high = high if self.high is None else self.high
        if low < high:
            return low, high
        # All data lies beyond the one end that was set: keep that end, and an axis of some length.
        if self.log:
            return (low, low * 10) if self.low is not None else (high / 10, high)
        return (low, low + 1) if self.low is not None else (high - 1, high)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """The rectangle in which a chart draws, and the scales of its two axes."""

    x: Scale
    y: Scale

    def clip(self, key: str) -> Markup:
        """Cuts at the frame what refers to it by url(#key-clip), with room for the dots at its edge."""
        left, top = self.x.start, self.y.stop
        rectangle = tag(
            "rect", x=left - 4, y=top - 4, width=self.x.stop - left + 8, height=self.y.start - top + 8
        )
        return tag("clipPath", rectangle, id=f"{key}-clip")

    def axes(self, x_axis: Axis, y_axis: Axis, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick]) -> Markup:
        """Grid lines, ticks, tick labels and the names of both axes."""
        left, right, bottom, top = self.x.start, self.x.stop, self.y.start, self.y.stop
        grid = "".join(
            f"M{coordinate(left)} {coordinate(self.y(t.value))}H{coordinate(right)}" for t in y_ticks
        )
        marks = "".join(f"M{coordinate(self.x(t.value))} {coordinate(bottom)}v4" for t in x_ticks)
        parts = [
            tag("path", class_="grid", d=grid) if grid else Markup(),
            tag(
                "path",
                class_="axis",
                d=f"M{coordinate(left)} {coordinate(bottom)}H{coordinate(right)}{marks}",
            ),
            *(label(left - 6, self.y(t.value) + 4, t.text, anchor="end", kind="tick") for t in y_ticks),
            *(label(self.x(t.value), bottom + 16, t.text, anchor="middle", kind="tick") for t in x_ticks),
            label(right, bottom + 33, x_axis.label, anchor="end", width=right - left),
            label(2, top - 11, y_axis.label, width=right - 2),
        ]
        return join(parts)


def fitting_ticks(scale: Scale, spacing: float) -> list[Tick]:
    """As many ticks as fit on a horizontal axis with `spacing` pixels between the middles of their labels.

    Labels that would still touch each other are avoided by taking fewer.
    """
    count = max(int(abs(scale.stop - scale.start) / spacing) + 1, 2)
    while True:
        ticks = scale.ticks(count)
        ends = [(scale(t.value), text_width(t.text) / 2) for t in ticks]
        if count <= 2 or all(b - a >= wa + wb + _GAP for (a, wa), (b, wb) in pairwise(ends)):
            break
        count -= 1
    if len(ticks) > 1 and any(b - a < wa + wb for (a, wa), (b, wb) in pairwise(ends)):
        return [ticks[0]]
    return ticks


def horizontal_scale(
    axis: Axis, limits: tuple[float, float], left: float, width: float, *, margin: float = 0.0
) -> Scale:
    """The scale of a horizontal axis from `left` to near the right end of a drawing.

    It begins so late and ends so early that no tick label reaches beyond the drawing, and leaves the `margin`
    on the right.
    """
    low, high = limits
    whole = Scale(low=low, high=high, start=left, stop=width, log=axis.log)
    half = overhang(whole)
    return Scale(low=low, high=high, start=max(left, half), stop=width - max(half, margin), log=axis.log)


def overhang(scale: Scale) -> float:
    """How far a tick label of a horizontal axis may reach beyond its ends."""
    return max((text_width(tick.text) / 2 for tick in fitting_ticks(scale, 70)), default=0.0) + 2


def tick_width(ticks: Sequence[Tick]) -> float:
    """Room on the left that the labels of a vertical axis take."""
    return max((text_width(tick.text) for tick in ticks), default=0.0) + _GAP


def legend(
    entries: Sequence[tuple[str, Markup]], *, left: float, top: float, width: float
) -> tuple[Markup, float]:
    """Rows of swatches and names, and the height they take.

    Args:
        entries: A name, and its swatch drawn in the rectangle (0, 0) to (18, 12).
        left: Where a row begins.
        top: Upper edge of the first row.
        width: Room for a row; a longer name is cut.
    """
    parts: list[Markup] = []
    x, row = left, 0
    for name, swatch in entries:
        shown = fit_text(name, width - 24)
        needed = 24 + text_width(shown)
        if x > left and x + needed > left + width:
            x, row = left, row + 1
        y = top + row * LINE_HEIGHT
        parts.append(tag("g", swatch, transform=f"translate({coordinate(x)} {coordinate(y)})"))
        parts.append(label(x + 23, y + 10, name, width=width - 24))
        x += needed + 16
    return join(parts), (row + 1) * LINE_HEIGHT if entries else 0


def note_lines(notes: Sequence[str], *, width: float, bottom: float) -> Markup:
    """Small lines at the foot of a drawing, the last one ending at `bottom`."""
    return join(
        label(0, bottom - (len(notes) - 1 - i) * LINE_HEIGHT - 4, note, kind="note", width=width)
        for i, note in enumerate(notes)
    )


def not_drawn(count: int, total: int, *, log: bool) -> list[str]:
    """The note that `count` of `total` values have no place in a chart; none for a count of zero."""
    if count == 0:
        return []
    why = "not finite, or not above zero on a logarithmic axis" if log else "not finite"
    return [f"{count:,} of {total:,} values are not drawn: {why}."]


def nothing(plot: Plot) -> Markup:
    """What stands in the middle of a frame without data."""
    middle = (plot.x.start + plot.x.stop) / 2
    return label(middle, (plot.y.start + plot.y.stop) / 2, "no values to draw", anchor="middle", kind="note")


def spread(wanted: Sequence[float], *, low: float, high: float, spacing: float = 15) -> list[float]:
    """Positions as near as may be to the `wanted` ones, `spacing` apart, within [low, high], in their order.

    Where there is no room for all of them at that spacing they are spaced evenly over [low, high].
    """
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    if len(wanted) > 1 and (len(wanted) - 1) * spacing > high - low:
        spacing = (high - low) / (len(wanted) - 1)
    clusters: list[tuple[float, list[int]]] = []  # (position of the first member, members)
    for index in order:
        first, members = min(max(wanted[index], low), high), [index]
        # A cluster that reaches into the one before joins it, at the mean of what its members want.
        while clusters and clusters[-1][0] + len(clusters[-1][1]) * spacing > first:
            members = clusters.pop()[1] + members
            first = sum(wanted[i] - k * spacing for k, i in enumerate(members)) / len(members)
            first = min(max(first, low), high - (len(members) - 1) * spacing)
        first = min(max(first, low), high - (len(members) - 1) * spacing)
        clusters.append((first, members))
    placed = [0.0] * len(wanted)
    for first, members in clusters:
        for k, index in enumerate(members):
            placed[index] = first + k * spacing
    return placed
