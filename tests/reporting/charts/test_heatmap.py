import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.errors import UsageError
from creuset.reporting.charts import HeatMap, confusion_matrix


def chart(values: np.ndarray, **options: Any) -> HeatMap:
    return HeatMap(title="a matrix", values=values, measure="weight", **options)


def shades(drawing: Any, shape: tuple[int, int]) -> np.ndarray:
    """The signed opacity of each cell, read back from the strokes."""
    found = np.zeros(shape)
    for path in drawing.all("path", "heat"):
        sign = -1 if "negative" in path.attrib["class"] else 1
        for column, row, length in re.findall(r"M(\d+) (\d+)\.5h(\d+)", path.attrib["d"]):
            found[int(row), int(column) : int(column) + int(length)] = sign * float(
                path.attrib["stroke-opacity"]
            )
    return found


def test_shades_follow_the_values(parse: type[Any]) -> None:
    values = np.random.default_rng(0).normal(size=(12, 9))
    found = shades(parse(chart(values).svg()), values.shape)
    assert np.abs(found - values / np.abs(values).max()).max() <= 0.5 / 16 + 1e-3


def test_runs_of_one_shade_are_one_stroke(parse: type[Any]) -> None:
    drawing = parse(chart(np.ones((3, 50)), texts=()).svg())
    (path,) = drawing.all("path", "heat")
    assert path.attrib["d"] == "M0 0.5h50M0 1.5h50M0 2.5h50"
    assert len(chart(np.random.default_rng(0).random((64, 64)), texts=()).svg()) < 50_000


def test_confusions_are_shares_of_a_row_and_texts_are_counts(parse: type[Any]) -> None:
    counts = np.array([[8, 2], [0, 0]])
    made = confusion_matrix("confusions", counts, ("cat", "dog"))
    drawing = parse(made.svg())
    assert shades(drawing, (2, 2)).tolist() == [[1.0, 0.25], [0.0, 0.0]]
    assert [t.text for t in drawing.all("text", "cell")] == ["8", "2"]
    assert made.values.tolist() == [[0.8, 0.2], [0.0, 0.0]]
    assert made.describe().endswith("Largest: 0.8, row cat, column cat.")
    drawing.check_texts()


def test_what_is_not_finite_stays_blank_and_is_counted(parse: type[Any]) -> None:
    drawing = parse(chart(np.array([[1.0, np.nan], [np.inf, -1.0]])).svg())
    assert shades(drawing, (2, 2)).tolist() == [[1, 0], [0, -1]]
    assert "2 of 4 values are not drawn: not finite." in drawing.texts()
    parse(chart(np.full((2, 2), np.nan)).svg()).check_texts()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.text(max_size=30), st.sampled_from([352, 720]))
def test_names_and_numbers_never_overlap(
    parse: type[Any], rows: int, columns: int, name: str, width: int
) -> None:
    made = chart(
        np.random.default_rng(0).normal(size=(rows, columns)) * 100,
        row_names=[f"{name}{i}" for i in range(rows)],
        column_names=[f"{name}{i}" for i in range(columns)],
        rows="queries",
        columns="keys",
    )
    parse(made.svg(width=width)).check_texts()


def test_names_and_texts_must_fit() -> None:
    with pytest.raises(UsageError, match="takes a matrix"):
        chart(np.zeros(3))
    with pytest.raises(UsageError, match="each row and column needs a name"):
        chart(np.zeros((2, 3)), row_names=("a", "b", "c"))
    with pytest.raises(UsageError, match="each cell needs a text"):
        chart(np.zeros((2, 3)), texts=[["a"]])
    with pytest.raises(UsageError, match="a confusion matrix is square"):
        confusion_matrix("c", np.zeros((2, 3)), ("a", "b"))
