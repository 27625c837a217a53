"""A chart as an SVG file of its own, with the styles that a document would give it."""

from pathlib import Path
from typing import Protocol

from markupsafe import Markup

from creuset.reporting.charts.frame import WIDE


class _Chart(Protocol):
    def svg(self, *, width: int, key: str) -> Markup: ...


def standalone(chart: _Chart, *, width: int = WIDE) -> str:
    """The chart as the text of an .svg file, which follows the viewer's light or dark colours.

    Args:
        chart: What is drawn.
        width: In pixels.
    """
    svg = str(chart.svg(width=width, key="chart"))
    styles = (Path(__file__).parent / "charts.css").read_text(encoding="utf-8")
    opening, rest = svg.split(">", 1)
    return f"{opening}><style><![CDATA[\n{styles}]]></style>{rest}\n"
