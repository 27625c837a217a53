import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.errors import UsageError
from creuset.reporting.charts import Axis, Dot, DotChart, Reference

ROWS = [
    Dot(name="cnn", value=98.0, interval=(97.0, 99.0), marked=True),
    Dot(name="svm", value=96.0, interval=(94.0, 98.0)),
    Dot(name="chance", value=90.0),
]


def chart(rows: list[Dot], **options: Any) -> DotChart:
    axis = options.pop("axis", Axis(label="accuracy, %"))
    return DotChart(title="accuracies", rows=rows, axis=axis, **options)


@pytest.mark.parametrize("width", [352, 720])
def test_dots_and_whiskers_lie_on_the_axis(parse: type[Any], width: int) -> None:
    drawing = parse(chart(ROWS, axis=Axis(label="%", low=90, high=100)).svg(width=width))
    ticks = [float(t.attrib["x"]) for t in drawing.all("text", "tick")]
    texts = [float(t.text) for t in drawing.all("text", "tick")]
    unit = (ticks[-1] - ticks[0]) / (texts[-1] - texts[0])

    def place(value: float) -> float:
        return ticks[0] + (value - texts[0]) * unit

    dots = [float(dot.attrib["cx"]) for dot in drawing.all("circle", "dot")]
    assert dots == pytest.approx([place(98), place(96), place(90)], abs=0.2)
    whiskers = [
        tuple(map(float, re.match(r"M([\d.]+) [\d.]+H([\d.]+)", w.attrib["d"]).groups()))  # type: ignore[union-attr]
        for w in drawing.all("path", "whisker")
    ]
    assert whiskers == [
        pytest.approx((place(97), place(99)), abs=0.2),
        pytest.approx((place(94), place(98)), abs=0.2),
    ]
    drawing.check_texts()


def test_numbers_stand_beside_the_dots() -> None:
    assert chart(ROWS).texts() == ["98.0 [97.0, 99.0]", "96.0 [94.0, 98.0]", "90.0"]
    assert chart(ROWS, decimals=0).texts()[0] == "98 [97, 99]"
    assert chart(ROWS).describe() == "accuracy, %: cnn 98.0 [97.0, 99.0]; svm 96.0 [94.0, 98.0]; chance 90.0."


def test_a_whisker_beyond_a_set_axis_ends_at_the_frame_without_a_cap(parse: type[Any]) -> None:
    rows = [Dot(name="a", value=5.0, interval=(-100.0, 6.0))]
    drawing = parse(chart(rows, axis=Axis(label="x", low=0, high=10)).svg())
    (whisker,) = drawing.all("path", "whisker")
    assert whisker.attrib["d"].count("v8") == 1


def test_a_number_that_is_not_finite_is_written_but_has_no_dot(parse: type[Any]) -> None:
    drawing = parse(chart([Dot(name="diverged", value=math.nan), ROWS[0]]).svg())
    assert len(drawing.all("circle", "dot")) == 1
    assert "NaN" in drawing.texts()


def test_references_are_named_above_the_plot(parse: type[Any]) -> None:
    references = [Reference(name="chance", value=10.0), Reference(name="published", value=97.5)]
    for width in (352, 720):
        drawing = parse(chart(ROWS, references=references).svg(width=width))
        assert {"chance 10", "published 97.5"} <= set(drawing.texts())
        assert len(drawing.all("path", "reference")) == 2
        drawing.check_texts()


value = st.floats()
rows = st.lists(st.tuples(st.text(max_size=80), value, st.none() | st.tuples(value, value)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(rows, st.sampled_from([352, 720]), st.booleans())
def test_any_scores_make_a_readable_chart(parse: type[Any], rows: list[Any], width: int, log: bool) -> None:
    dots = [
        Dot(name=name, value=value, interval=None if ends is None or ends[0] > ends[1] else ends)
        for name, value, ends in rows
    ]
    parse(chart(dots, axis=Axis(label="a measure", log=log)).svg(width=width)).check_texts()


def test_an_interval_must_not_end_before_it_begins() -> None:
    with pytest.raises(UsageError, match="an interval ends below its beginning"):
        Dot(name="a", value=1.0, interval=(2.0, 1.0))
