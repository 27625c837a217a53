import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.errors import UsageError
from creuset.reporting.charts import Axis, ScatterChart
from creuset.reporting.svg import text_width

X, Y = Axis(label="first"), Axis(label="second")


def chart(points: np.ndarray, **options: Any) -> ScatterChart:
    return ScatterChart(title="a plane", points=points, **({"x": X, "y": Y} | options))


def places(path: str) -> set[tuple[float, float]]:
    """Where the dots of a cloud lie, in pixels."""
    x = y = 0
    found = set()
    for step in re.findall(r"m(-?\d+) ?(-?\d+)h0", path):
        x, y = x + int(step[0]), y + int(step[1])
        found.add((x / 2, y / 2))
    return found


def test_every_point_is_drawn_at_its_half_pixel(parse: type[Any]) -> None:
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(400, 2)), rng.integers(2, size=400)
    x, y = Axis(label="x", low=-5, high=5), Axis(label="y", low=-5, high=5)
    made = chart(points, x=x, y=y, labels=labels, class_names=("a", "b"), equal=False, height=300)
    drawing = parse(made.svg())
    ticks = [(float(t.attrib["x"]), float(t.attrib["y"]), t) for t in drawing.all("text", "tick")]
    horizontal = {
        float(t.text.replace("−", "-")): x for x, y, t in ticks if t.attrib["text-anchor"] == "middle"
    }
    vertical = {
        float(t.text.replace("−", "-")): y - 4 for x, y, t in ticks if t.attrib["text-anchor"] == "end"
    }
    (a, b), (c, d) = (min(horizontal), max(horizontal)), (min(vertical), max(vertical))
    pixels = np.stack(
        [
            np.interp(points[:, 0], [a, b], [horizontal[a], horizontal[b]]),
            np.interp(points[:, 1], [c, d], [vertical[c], vertical[d]]),
        ],
        axis=1,
    )
    for index, cloud in enumerate(drawing.all("path", "cloud")):
        drawn = np.array(sorted(places(cloud.attrib["d"])))
        for pixel in pixels[labels == index]:
            assert np.abs(drawn - pixel).max(axis=1).min() <= 0.4


def test_equal_axes_have_equal_units(parse: type[Any]) -> None:
    points = np.array([[0.0, 0.0], [10.0, 1.0]])
    drawing = parse(chart(points).svg())
    (cloud,) = drawing.all("path", "cloud")
    (x0, y0), (x1, y1) = sorted(places(cloud.attrib["d"]))
    assert (x1 - x0) / (y0 - y1) == pytest.approx(10, rel=0.02)


def test_points_are_small(parse: type[Any]) -> None:
    points = np.random.default_rng(0).normal(size=(5000, 2))
    assert len(chart(points).svg()) < 45_000


def test_points_that_are_not_finite_are_counted(parse: type[Any]) -> None:
    points = np.array([[0.0, 1.0], [np.nan, 1.0], [2.0, np.inf]])
    drawing = parse(chart(points).svg())
    assert "2 of 3 values are not drawn: not finite." in drawing.texts()
    empty = parse(chart(points[1:]).svg())
    assert "no values to draw" in empty.texts()
    parse(chart(np.zeros((0, 2))).svg()).check_texts()


def test_classes_are_named_at_their_median_where_there_is_room(parse: type[Any]) -> None:
    points = np.array([[0.0, 0.0], [10.0, 10.0], [5.0, 5.0], [5.1, 5.0], [5.0, 5.1], [5.1, 5.1]])
    labels = np.array([0, 0, 1, 1, 2, 2])
    made = chart(points, labels=labels, class_names=("zero", "one", "two"), height=200)
    drawing = parse(made.svg())
    assert [t.text for t in drawing.all("text", "class")] == ["zero"]
    assert drawing.texts().count("two") == 1  # in the legend alone
    assert made.describe(labels).endswith("Points of each class: zero 2, one 2, two 2.")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=20),
    st.lists(st.text(max_size=40), min_size=1, max_size=14),
    st.sampled_from([352, 720]),
)
def test_any_points_make_a_readable_chart(
    parse: type[Any], points: list[tuple[float, float]], names: list[str], width: int
) -> None:
    labels = np.arange(len(points)) % len(names)
    made = chart(np.array(points).reshape(-1, 2), labels=labels, class_names=names)
    assert made.svg(width=width) == made.svg(width=width)
    parse(made.svg(width=width)).check_texts()


def test_points_and_labels_must_fit() -> None:
    with pytest.raises(UsageError, match=r"takes points \(N, 2\)"):
        chart(np.zeros((3, 3)))
    with pytest.raises(UsageError, match="each point needs one label"):
        chart(np.zeros((3, 2)), labels=np.zeros(2, dtype=int), class_names=("a",))
    with pytest.raises(UsageError, match="a label has no class"):
        chart(np.zeros((3, 2)), labels=np.array([0, 1, 2]), class_names=("a", "b"))


def test_names_stand_beside_their_points_and_over_nothing(parse: type[Any]) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(120, 2))
    names = [f"name{number}" for number in range(120)]
    drawing = parse(chart(points, names=names).svg())
    shown = {text.text: text for text in drawing.all("text", "label") if text.text.startswith("name")}
    assert len(shown) > 45
    assert "name0" in shown  # the first ones first
    (note,) = drawing.all("text", "note")
    assert note.text == f"{120 - len(shown)} of 120 names find no room."
    boxes = []
    for text in shown.values():
        x, y, width = float(text.attrib["x"]), float(text.attrib["y"]), text_width(text.text)
        left = x - {"middle": width / 2, "end": width}.get(text.attrib.get("text-anchor", ""), 0)
        boxes.append((left, y - 9, left + width, y + 3))
    for one, other in combinations(boxes, 2):
        apart = one[2] <= other[0] + 0.2 or other[2] <= one[0] + 0.2
        assert apart or one[3] <= other[1] + 0.2 or other[3] <= one[1] + 0.2


def test_each_point_needs_a_name_where_there_are_names() -> None:
    with pytest.raises(UsageError, match="each point needs one name"):
        chart(np.zeros((3, 2)), names=["a"])
