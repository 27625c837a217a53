import re
from typing import Any

from creuset.reporting.charts import Axis, Dot, DotChart
from creuset.reporting.charts.standalone import standalone

CHART = DotChart(title="a > b", rows=[Dot(name="a", value=1.0)], axis=Axis(label="x"))


def test_a_chart_alone_carries_its_styles_and_its_size(parse: type[Any]) -> None:
    drawing = parse(standalone(CHART, width=400))
    assert drawing.width == 400
    (style,) = drawing.all("style")
    assert "--series-0" in (style.text or "")
    assert "prefers-color-scheme: dark" in (style.text or "")
    assert drawing.texts() == parse(CHART.svg(width=400)).texts()


def test_its_styles_ask_for_nothing() -> None:
    text = standalone(CHART)
    assert re.findall(r"https?:", text.replace("http://www.w3.org/2000/svg", "")) == []
    assert "url(" not in text
    assert "@import" not in text
