"""How far a classifier's confidence can be trusted: the reliability diagram (Guo et al., ICML 2017)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from creuset.errors import UsageError
from creuset.reporting.charts.curves import path, xy
from creuset.reporting.charts.frame import WIDE, Axis, Plot, tick_width
from creuset.reporting.charts.scales import Scale
from creuset.reporting.numbers import number
from creuset.reporting.svg import coordinate, drawing, join, label, tag


@dataclass(frozen=True, kw_only=True, eq=False)
class ReliabilityChart:
    """How often predictions of each confidence are right; a perfectly calibrated model lies on the diagonal.

    Below the plot a strip shows how many predictions each bin holds.

    Args:
        title: What the chart shows, for those who cannot see it.
        confidence: Mean confidence of each bin, in [0, 1]; NaN for an empty bin.
        accuracy: Share of right predictions in each bin, in [0, 1].
        counts: Predictions in each bin.
        intervals: Interval of each accuracy, or None.

    Raises:
        UsageError: Lists of different lengths.
    """

    title: str
    confidence: Sequence[float]
    accuracy: Sequence[float]
    counts: Sequence[int]
    intervals: Sequence[tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        columns = (self.confidence, self.accuracy, self.counts, self.intervals)
        lengths = [len(column) for column in columns if column is not None]
        if len(set(lengths)) > 1:
            raise UsageError("each bin needs one value of each kind", where=self.title, got=lengths)

    def svg(self, *, width: int = WIDE, key: str = "chart") -> Markup:
        """The drawing, `width` pixels wide; `key` makes its ids its own within a document."""
        side = min(width, 420)
        axis = Axis(label="share that is right")
        top, strip = 24.0, 44.0
        ticks = Scale(low=0, high=1, start=0, stop=1).ticks(6)
        left = tick_width(ticks)
        x = Scale(low=0, high=1, start=left, stop=side - 14)
        y = Scale(low=0, high=1, start=top + 0.72 * (side - left), stop=top)
        plot = Plot(x=x, y=y)
        diagonal = f"M{xy((x.start, y.start))}L{xy((x.stop, y.stop))}"
        bottom = y.start + 56 + strip
        body = join(
            [
                plot.axes(Axis(label="confidence"), axis, ticks, ticks),
                tag("path", class_="reference", d=diagonal),
                tag("g", *self._bins(plot), class_="s0"),
                self._strip(x, bottom, strip),
            ]
        )
        return drawing(
            body, width=width, height=bottom + 4, key=key, title=self.title, description=self.describe()
        )

    def describe(self) -> str:
        """Every bin in words."""
        bins = zip(self.confidence, self.accuracy, self.counts, strict=True)
        parts = [f"{number(c, 2)}: {number(a, 2)} of {n:,}" for c, a, n in bins if n and math.isfinite(c)]
        return f"Mean confidence: share right. {'; '.join(parts) or 'no values'}."

    def _bins(self, plot: Plot) -> list[Markup]:
        bins = list(zip(self.confidence, self.accuracy, self.counts, strict=True))
        shown = [i for i, (c, a, n) in enumerate(bins) if n and math.isfinite(c) and math.isfinite(a)]
        parts = []
        if self.intervals is not None:
            ends = [(plot.x(bins[i][0]), *(plot.y(end) for end in self.intervals[i])) for i in shown]
            strokes = "".join(f"M{coordinate(x)} {coordinate(a)}V{coordinate(b)}" for x, a, b in ends)
            parts.append(tag("path", class_="whisker", d=strokes))
        places = [(plot.x(bins[i][0]), plot.y(bins[i][1])) for i in shown]
        if len(places) > 1:
            parts.append(tag("path", class_="line", d=path(places)))
        parts.extend(tag("circle", class_="dot", cx=x, cy=y, r=3.5) for x, y in places)
        return parts

    def _strip(self, x: Scale, bottom: float, height: float) -> Markup:
        """Bars of the bins' counts, over equal shares of the axis."""
        most = max(self.counts, default=0)
        cell = (x.stop - x.start) / max(len(self.counts), 1)
        bars = [
            tag(
                "rect",
                class_="bar",
                x=x.start + i * cell + 1,
                y=bottom - (height - 16) * count / most,
                width=cell - 2,
                height=(height - 16) * count / most,
            )
            for i, count in enumerate(self.counts)
            if count
        ]
        text = f"predictions in each bin, {most:,} at most"
        base = tag(
            "path", class_="axis", d=f"M{coordinate(x.start)} {coordinate(bottom)}H{coordinate(x.stop)}"
        )
        return join([*bars, base, label(x.start, bottom - height + 10, text, kind="note")])
