import math
import re
from typing import Any

import pytest

from creuset.errors import UsageError
from creuset.reporting.charts import ReliabilityChart

CHART = ReliabilityChart(
    title="reliability",
    confidence=[math.nan, 0.25, 0.75],
    accuracy=[math.nan, 0.25, 0.5],
    counts=[0, 10, 40],
    intervals=[(0, 1), (0.0, 0.5), (0.25, 0.75)],
)


@pytest.mark.parametrize("width", [352, 720])
def test_bins_lie_where_they_should(parse: type[Any], width: int) -> None:
    drawing = parse(CHART.svg(width=width))
    (diagonal,) = drawing.all("path", "reference")
    x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", diagonal.attrib["d"]))
    dots = [(float(d.attrib["cx"]), float(d.attrib["cy"])) for d in drawing.all("circle", "dot")]
    expected = [(x0 + c * (x1 - x0), y0 + a * (y1 - y0)) for c, a in ((0.25, 0.25), (0.75, 0.5))]
    assert dots == [pytest.approx(place, abs=0.1) for place in expected]
    (whiskers,) = drawing.all("path", "whisker")
    ends = re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", whiskers.attrib["d"])
    assert [(float(a) - y0) / (y1 - y0) for a, _ in ends] == pytest.approx([0.0, 0.25], abs=1e-3)
    assert [(float(b) - y0) / (y1 - y0) for _, b in ends] == pytest.approx([0.5, 0.75], abs=1e-3)
    heights = [float(bar.attrib["height"]) for bar in drawing.all("rect", "bar")]
    assert heights == [pytest.approx(7), pytest.approx(28)]
    drawing.check_texts()


def test_empty_and_described(parse: type[Any]) -> None:
    empty = ReliabilityChart(title="t", confidence=[], accuracy=[], counts=[])
    parse(empty.svg()).check_texts()
    assert empty.describe().endswith("no values.")
    assert CHART.describe() == "Mean confidence: share right. 0.25: 0.25 of 10; 0.75: 0.5 of 40."


def test_lengths_must_agree() -> None:
    with pytest.raises(UsageError, match="each bin needs one value of each kind"):
        ReliabilityChart(title="t", confidence=[0.5], accuracy=[], counts=[1])
