"""A chart as an SVG file of its own, with the styles that a document would give it."""

from pathlib import Path
from typing import Protocol

from markupsafe import Markup

from creuset.reporting.charts.frame import WIDE


class _Chart(Protocol):
    def svg(self, *, width: int, key: str) -> Markup: ...


def standalone(chart: _Chart, *, width: int = WIDE) -> str:
    """The chart as the text of an .svg file, which follows the viewer's light or dark colours."""
    drawing = str(chart.svg(width=width, key="chart"))
    styles = (Path(__file__).parent.parent / "report.css").read_text()
    opening, rest = drawing.split(">", 1)
    if "xmlns=" not in opening:
        opening += ' xmlns="http://www.w3.org/2000/svg"'
    return f"{opening}><style><![CDATA[\n{styles}]]></style>{rest}\n"
