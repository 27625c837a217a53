from typing import Any

import pytest

from creuset.errors import UsageError
from creuset.metrics.score import Score
from creuset.reporting.blocks import Measured, Scores
from creuset.reporting.charts import Reference
from creuset.reporting.score_table import column_bands, score_charts, score_columns


def measured(
    subject: str, value: float, interval: tuple[float, float] | None = None, **options: Any
) -> Measured:
    fields = {
        "metric": "accuracy",
        "unit": "fraction",
        "better": "higher",
        "n": 500,
        "signature": "accuracy|a|v1",
    }
    return Measured(subject=subject, score=Score(value=value, interval=interval, **(fields | options)))


def test_fractions_are_printed_in_percent_with_the_digits_their_intervals_deserve() -> None:
    (column,) = score_columns(
        [measured("cnn", 0.98123, (0.974, 0.988)), measured("svm", 0.94, (0.92, 0.96)), measured("rnn", 0.9)]
    )
    assert (column.unit, column.letter, column.common_n) == ("%", "a", 500)
    cells = {name: column.cell(name) for name in ("cnn", "svm", "rnn", "none")}
    assert cells["none"] is None
    assert [(c.value, c.interval, c.n) for c in cells.values() if c] == [
        ("98.12", "[97.40, 98.80]", ""),
        ("94.00", "[92.00, 96.00]", ""),
        ("90.00", "", ""),
    ]


def test_unlike_signatures_never_share_a_column() -> None:
    columns = score_columns(
        [measured("a", 0.9), measured("b", 0.8), measured("c", 0.7, signature="accuracy|other data|v1")]
    )
    assert [set(column.scores) for column in columns] == [{"a", "b"}, {"c"}]
    assert [column.letter for column in columns] == ["a", "b"]


@pytest.mark.parametrize(("better", "expected"), [("higher", {"a", "b"}), ("lower", {"c"})])
def test_the_best_is_marked_with_all_that_overlap_it(better: str, expected: set[str]) -> None:
    scores = [("a", 0.9, (0.85, 0.95)), ("b", 0.88, (0.8, 0.86)), ("c", 0.7, (0.65, 0.79))]
    (column,) = score_columns([measured(name, v, ends, better=better) for name, v, ends in scores])
    assert column.marked() == expected


def test_marks_without_intervals_and_alone() -> None:
    (column,) = score_columns([measured("a", 0.9), measured("b", 0.9), measured("c", 0.8)])
    assert column.marked() == {"a", "b"}
    (column,) = score_columns([measured("a", 0.9, (0.8, 1.0))])
    assert column.marked() == set()


def test_n_stands_in_the_cell_where_it_differs() -> None:
    (column,) = score_columns([measured("a", 0.9, n=1000), measured("b", 0.8, n=20)])
    assert column.common_n is None
    assert [column.cell(name).n for name in "ab"] == ["n = 1,000", "n = 20"]  # type: ignore[union-attr]


def test_charts_are_drawn_where_subjects_share_a_measure() -> None:
    scores = Scores(
        measured=[
            measured("a", 0.9),
            measured("b", 0.8),
            measured("a", 80.0, metric="nll", unit="nats", signature="s"),
        ],
        caption="scores",
        references={"accuracy": [Reference(name="chance", value=0.1)]},
    )
    (chart,) = score_charts(scores, score_columns(scores.measured))
    assert chart.axis.label == "accuracy, % (higher is better)"
    assert [row.value for row in chart.rows] == [90.0, 80.0]
    assert [reference.value for reference in chart.references] == [10.0]
    silent = Scores(measured=scores.measured, caption="scores", charts=False)
    assert score_charts(silent, score_columns(silent.measured)) == []


def test_measures_are_written_as_people_write_them() -> None:
    names = ("f1_macro", "label_nll", "bits_per_dim")
    columns = score_columns([measured("a", 0.5, metric=name) for name in names])
    assert [column.metric for column in columns] == ["F1 macro", "label NLL", "bits per dim"]


def test_many_measures_stand_in_bands() -> None:
    columns = score_columns([measured("a", 0.5, metric=f"m{i}", signature=str(i)) for i in range(30)])
    assert [len(band) for band in column_bands(columns)] == [4] * 7 + [2]
    assert len({column.letter for column in columns}) == 30


def test_two_scores_for_one_place_are_refused() -> None:
    with pytest.raises(UsageError, match="two scores for one place: accuracy of a"):
        Scores(measured=[measured("a", 0.9), measured("a", 0.8)], caption="scores")


def test_a_reference_without_its_measure_is_refused() -> None:
    with pytest.raises(UsageError, match='no score of "acuracy"; did you mean "accuracy"'):
        Scores(
            measured=[measured("a", 0.9)],
            caption="scores",
            references={"acuracy": [Reference(name="chance", value=0.1)]},
        )


def test_a_probability_has_a_target_and_no_best() -> None:
    options = {"metric": "memorisation", "unit": "probability", "better": "lower", "signature": "s"}
    scores = [measured(name, value, **options) for name, value in (("a", 0.015), ("b", 0.48))]
    (column,) = score_columns(scores)
    assert column.unit == "probability, of real ones 0.5"
    assert column.marked() == set()
    assert [cell.value for name in "ab" if (cell := column.cell(name)) is not None] == ["0.01500", "0.48000"]
    chart = column.chart()
    assert chart.axis.label == "memorisation, probability, of real ones 0.5"
    assert [(reference.name, reference.value) for reference in chart.references] == [("real ones", 0.5)]
