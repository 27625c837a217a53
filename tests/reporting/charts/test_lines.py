import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.errors import UsageError
from creuset.reporting.charts import Axis, LineChart, Reference, Series
from creuset.reporting.charts.curves import thinned

STEP, LOSS = Axis(label="step"), Axis(label="loss, nats")
number = st.floats(allow_nan=True, allow_infinity=True)


def chart(*series: Series, **options: Any) -> LineChart:
    return LineChart(title="a chart", series=series, **({"x": STEP, "y": LOSS} | options))


def numbers_of(path: str) -> list[list[tuple[float, float]]]:
    """The points of each piece of a path of absolute M and L."""
    pieces = [piece for piece in path.split("M") if piece]
    return [[tuple(map(float, point.split())) for point in piece.split("L")] for piece in pieces]


def test_points_lie_where_the_axes_say(parse: type[Any]) -> None:
    drawing = parse(chart(Series(name="one", x=[0, 1, 2], y=[0, 10, 5])).svg(width=720))
    (line,) = drawing.all("path", "line")
    ((first, middle, last),) = numbers_of(line.attrib["d"])
    axis = re.match(r"M([\d.]+) ([\d.]+)H([\d.]+)", drawing.all("path", "axis")[0].attrib["d"])
    assert axis is not None
    left, bottom, right = map(float, axis.groups())
    top = bottom - 230
    assert first == (left, bottom)
    assert middle == pytest.approx(((left + right) / 2, top), abs=0.1)
    assert last == pytest.approx((right, (top + bottom) / 2), abs=0.1)


def test_what_has_no_place_is_a_gap_and_is_counted(parse: type[Any]) -> None:
    y = [1.0, 2.0, math.nan, 3.0, math.inf, 4.0, 5.0]
    drawing = parse(chart(Series(name="one", x=range(7), y=y)).svg())
    (line,) = drawing.all("path", "line")
    assert [len(piece) for piece in numbers_of(line.attrib["d"])] == [2, 2]
    (dots,) = drawing.all("path", "dots")
    assert dots.attrib["d"].count("M") == 1
    assert "2 of 7 values are not drawn: not finite." in drawing.texts()


def test_zero_has_no_place_on_a_logarithmic_axis(parse: type[Any]) -> None:
    log = Axis(label="loss", log=True)
    drawing = parse(chart(Series(name="one", x=[1, 2, 3, 4], y=[0.0, 1.0, 10.0, 100.0]), y=log).svg())
    (line,) = drawing.all("path", "line")
    ((a, b, c),) = numbers_of(line.attrib["d"])
    assert a[1] - b[1] == pytest.approx(b[1] - c[1], abs=0.11)
    assert any("1 of 4 values are not drawn: not finite, or not above zero" in t for t in drawing.texts())


@pytest.mark.parametrize(
    "series", [[], [Series(name="one", x=[], y=[])], [Series(name="n", x=[1], y=[math.nan])]]
)
def test_an_empty_chart_says_so(parse: type[Any], series: list[Series]) -> None:
    drawing = parse(chart(*series).svg())
    assert "no values to draw" in drawing.texts()
    drawing.check_texts()


def test_whiskers_reach_from_low_to_high(parse: type[Any]) -> None:
    y = Axis(label="score", low=0, high=10)
    series = Series(name="one", x=[0, 1], y=[4, 6], low=[2, 5], high=[5, 10], interval="whiskers")
    drawing = parse(chart(series, y=y).svg())
    (whiskers,) = drawing.all("path", "whisker")
    found = [tuple(map(float, w)) for w in re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", whiskers.attrib["d"])]
    top, height = 24.0, 230.0
    expected = [
        (top + height * (1 - low / 10), top + height * (1 - high / 10)) for low, high in ((2, 5), (5, 10))
    ]
    assert [(low, high) for _, low, high in found] == [pytest.approx(ends) for ends in expected]


def test_band_has_a_shape_for_each_stretch_without_a_gap(parse: type[Any]) -> None:
    nan = math.nan
    series = Series(
        name="one", x=range(5), y=[1, 2, nan, 3, 4], low=[0, 1, nan, 2, 3], high=[2, 3, nan, 4, 5]
    )
    (band,) = parse(chart(series).svg()).all("path", "band")
    assert band.attrib["d"].count("Z") == 2


def test_long_curves_keep_their_extremes() -> None:
    points = [(i / 1000, math.sin(i)) for i in range(100_000)]
    kept = thinned(points)
    assert len(kept) <= 4 * 101
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    for column in range(100):
        inside = [y for x, y in points if math.floor(x) == column]
        seen = [y for x, y in kept if math.floor(x) == column]
        assert (min(inside), max(inside)) == (min(seen), max(seen))


def test_names_stand_at_the_ends_or_in_a_legend(parse: type[Any]) -> None:
    short = [Series(name=f"run {i}", x=[0, 1], y=[0, 1]) for i in range(5)]
    direct = parse(chart(*short, references=[Reference(name="floor", value=0.5)]).svg())
    assert len(direct.all("text", "name")) == 5
    long = [Series(name="a name much too long for the right margin " * 2, x=[0, 1], y=[0, 1])] * 3
    with_legend = parse(chart(*long).svg())
    assert not with_legend.all("text", "name")
    for drawing in (direct, with_legend):
        drawing.check_texts()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=60), st.lists(st.tuples(number, number), max_size=8)), max_size=20),
    st.booleans(),
    st.booleans(),
    st.sampled_from([352, 500, 720]),
)
def test_any_data_makes_a_readable_chart(
    parse: type[Any], data: list[tuple[str, list[tuple[float, float]]]], x_log: bool, y_log: bool, width: int
) -> None:
    series = [Series(name=n, x=[x for x, _ in points], y=[y for _, y in points]) for n, points in data]
    x, y = Axis(label="step " * 9, log=x_log), Axis(label="loss " * 30, log=y_log)
    made = chart(*series, x=x, y=y)
    svg = made.svg(width=width)
    assert svg == made.svg(width=width)
    parse(svg).check_texts()
    assert "nan" not in re.sub(r"<(text|title|desc)\b.*?</\1>", "", svg)


def test_description_says_the_curve_in_words() -> None:
    text = chart(Series(name="train", x=[0, 10, 20], y=[2.0, 0.5, 1.0])).describe()
    assert text == "loss, nats against step. train: from 2 at 0 to 1 at 20; lowest 0.5, highest 2."


def test_series_refuse_what_does_not_fit() -> None:
    with pytest.raises(UsageError, match="x, y and intervals must have one length"):
        Series(name="one", x=[1, 2], y=[1])
    with pytest.raises(UsageError, match="an interval needs both ends"):
        Series(name="one", x=[1], y=[1], low=[0])
    with pytest.raises(UsageError, match="an axis must begin below its end"):
        Axis(label="x", low=2, high=1)
    with pytest.raises(UsageError, match="a logarithmic axis has no zero"):
        Axis(label="x", log=True, low=0)


@pytest.mark.parametrize("log", [False, True])
def test_an_axis_end_beyond_all_data_keeps_its_length(parse: type[Any], log: bool) -> None:
    series = Series(name="one", x=[1, 2], y=[3, 4])
    for options in ({"low": 50.0}, {"high": 0.5}):
        parse(chart(series, y=Axis(label="y", log=log, **options)).svg()).check_texts()
