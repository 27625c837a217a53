"""Charts as inline SVG, made here without a library.

A chart is a frozen description of what to show; `svg(width=...)` draws it for a width, in pixels, so that a
document can hold one drawing for a page and one for a phone, each with text of its true size. Colours are
classes and CSS variables (charts.css), so that light, dark and print each choose their own.
"""

from creuset.reporting.charts.attention import AttentionGrid
from creuset.reporting.charts.curves import Reference, Series
from creuset.reporting.charts.dots import Dot, DotChart
from creuset.reporting.charts.frame import NARROW, WIDE, Axis
from creuset.reporting.charts.heatmap import HeatMap, confusion_matrix
from creuset.reporting.charts.histogram import Histogram, Sample
from creuset.reporting.charts.lines import LineChart
from creuset.reporting.charts.reliability import ReliabilityChart
from creuset.reporting.charts.scatter import ScatterChart

__all__ = [
    "NARROW",
    "WIDE",
    "AttentionGrid",
    "Axis",
    "Dot",
    "DotChart",
    "HeatMap",
    "Histogram",
    "LineChart",
    "Reference",
    "ReliabilityChart",
    "Sample",
    "ScatterChart",
    "Series",
    "confusion_matrix",
]
