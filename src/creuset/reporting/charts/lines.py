"""Curves over a common horizontal axis: losses against steps, scores against data.

How values are treated
- A value that is not finite, or not above zero on a logarithmic axis, is a gap in its curve; a point alone
  between two gaps is drawn as a dot. The number of such values is written below the drawing.
- A curve with more points than pixels keeps the first, lowest, highest and last point of each pixel column
  (M4, Jugel et al., VLDB 2014): the drawing is the same, the file is small.
- Curves are named where they end. Where there is no room for that, a legend above the plot names them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from creuset.reporting.charts.curves import Point, Reference, Series, curve, reference_line, runs, swatch
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
    spread,
    tick_width,
)
from creuset.reporting.charts.scales import Scale, has_place, rounded_range, value_range
from creuset.reporting.numbers import number
from creuset.reporting.svg import drawing, join, label, tag, text_width

_LABEL_SHARE = 0.26
"""Names at the ends of curves may take this share of the width; longer ones go into a legend."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LineChart:
    """Curves over a common axis.

    Args:
        title: What the chart shows, for those who cannot see it.
        series: The curves, in the order of their colours.
        x: The horizontal axis.
        y: The vertical axis.
        references: Horizontal lines to compare with.
        height: Height of the plot, in pixels.
    """

    title: str
    series: Sequence[Series]
    x: Axis
    y: Axis
    references: Sequence[Reference] = ()
    height: int = 230

    def svg(self, *, width: int = WIDE, key: str = "chart") -> Markup:
        """The drawing, `width` pixels wide; `key` makes its ids its own within a document."""
        layout = _Layout(self, width)
        plot, clip = layout.plot, f"url(#{key}-clip)"
        curves = [curve(s, i, plot, marks=layout.total > 1) for i, s in enumerate(self.series)]
        body = join(
            [
                plot.clip(key),
                plot.axes(self.x, self.y, layout.x_ticks, layout.y_ticks),
                layout.head,
                tag("g", *(reference_line(r, plot) for r in self.references), clip_path=clip),
                tag("g", *curves, clip_path=clip) if curves else Markup(),
                layout.names,
                nothing(plot) if layout.empty else Markup(),
                note_lines(layout.notes, width=width, bottom=layout.height),
            ]
        )
        return drawing(
            body, width=width, height=layout.height, key=key, title=self.title, description=self.describe()
        )

    def describe(self) -> str:
        """The curves in words: where each begins and ends, and its lowest and highest value."""
        sentences = []
        for series in self.series:
            points = [p for p in series.points() if _drawable(p, self.x, self.y)]
            if not points:
                sentences.append(f"{series.name}: no values.")
                continue
            (x0, y0), (x1, y1) = points[0], points[-1]
            values = [y for _, y in points]
            sentences.append(
                f"{series.name}: from {number(y0)} at {number(x0)} to {number(y1)} at {number(x1)}; "
                f"lowest {number(min(values))}, highest {number(max(values))}."
            )
        return f"{self.y.label} against {self.x.label}. " + " ".join(sentences)


class _Layout:
    """Where everything of one LineChart lies at one width."""

    def __init__(self, chart: LineChart, width: int) -> None:
        points = [p for s in chart.series for p in s.points()]
        good = [p for p in points if _drawable(p, chart.x, chart.y)]
        self.empty = not good
        self.total = len(chart.series) + len(chart.references)
        self.notes = not_drawn(len(points) - len(good), len(points), log=chart.x.log or chart.y.log)
        names = [s.name for s in chart.series] + [r.name for r in chart.references]
        longest = max((text_width(name) for name in names), default=0.0)
        room = len(names) * LINE_HEIGHT <= chart.height and longest <= _LABEL_SHARE * width
        direct = self.total > 1 and room and not self.empty
        head_height = 0.0
        self.head = Markup()
        if self.total > 1 and not direct:
            entries = [(s.name, swatch(i)) for i, s in enumerate(chart.series)]
            entries += [(r.name, tag("path", class_="reference", d="M0 6H18")) for r in chart.references]
            self.head, head_height = legend(entries, left=0, top=2, width=width)
            head_height += 4
        top = head_height + 24
        bottom = top + chart.height
        self.height = bottom + 38 + LINE_HEIGHT * len(self.notes)
        y_low, y_high = _y_limits(chart, good)
        y = Scale(low=y_low, high=y_high, start=bottom, stop=top, log=chart.y.log)
        self.y_ticks = y.ticks(8 if chart.y.log else 6)
        left = tick_width(self.y_ticks)
        x_limits = chart.x.limits(*value_range((x for x, _ in good), log=chart.x.log))
        x = horizontal_scale(chart.x, x_limits, left, width, margin=longest + 12 if direct else 0)
        self.x_ticks = fitting_ticks(x, 70)
        self.plot = Plot(x=x, y=y)
        self.names = _end_names(chart, self.plot) if direct else Markup()


def _drawable(point: Point, x: Axis, y: Axis) -> bool:
    return has_place(point[0], log=x.log) and has_place(point[1], log=y.log)


def _y_limits(chart: LineChart, good: Iterable[Point]) -> tuple[float, float]:
    values = [y for _, y in good] + [r.value for r in chart.references]
    values += [end for s in chart.series for _, low, high in s.whiskers() for end in (low, high)]
    low, high = value_range(values, log=chart.y.log, margin=0.03 if chart.y.log else 0.0)
    if not chart.y.log:
        low, high = rounded_range(low, high, 6)
    return chart.y.limits(low, high)


def _end_names(chart: LineChart, plot: Plot) -> Markup:
    """The names to the right of the plot, each as near to the end of its line as the others allow."""
    entries: list[tuple[float, str, str]] = []
    for index, series in enumerate(chart.series):
        pieces = runs(series.points(), plot)
        if pieces:
            entries.append((pieces[-1][-1][1], series.name, f"name s{index % NUM_COLOURS}"))
    for reference in chart.references:
        if plot.y.shows(reference.value):
            entries.append((plot.y(reference.value), reference.name, "note"))
    heights = spread([y for y, _, _ in entries], low=plot.y.stop, high=plot.y.start - 4)
    return join(
        label(plot.x.stop + 8, y + 4, name, kind=kind)
        for y, (_, name, kind) in zip(heights, entries, strict=True)
    )
