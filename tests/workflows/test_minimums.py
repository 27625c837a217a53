"""Limits of scores: which score one is for, and what it says of it."""

import pytest

from creuset.errors import GateError, UsageError
from creuset.metrics.feature_scores import FEATURE_METRICS, feature_metrics
from creuset.metrics.score import Score
from creuset.workflows.minimums import as_minimums, check_minimums, picture_scores, require_measured


def score(metric: str = "accuracy", value: float = 0.9, better: str = "higher") -> Score:
    return Score(
        metric=metric,
        value=value,
        unit="fraction",
        better=better,  # type: ignore[arg-type]
        interval=None,
        n=10,
        signature="s",
    )


@pytest.mark.parametrize(
    ("given", "limit", "passes"),
    [
        (score(), 0.9, True),
        (score(), 0.91, False),
        (score("nll", 90.0, "lower"), 90.0, True),
        (score("nll", 90.0, "lower"), 89.9, False),
    ],
)
def test_a_gate_looks_in_the_direction_of_its_metric(given: Score, limit: float, passes: bool) -> None:
    if passes:
        check_minimums([given], {given.metric: limit})
        return
    word = "at least" if given.better == "higher" else "at most"
    with pytest.raises(GateError, match=f"{given.metric} misses its limit") as caught:
        check_minimums([given], {given.metric: limit})
    assert (caught.value.exit_code, caught.value.expected) == (4, f"{word} {limit:g}")


def test_a_gate_for_a_metric_that_was_not_measured_is_refused() -> None:
    with pytest.raises(UsageError, match='no score "acuracy"; did you mean "accuracy"'):
        check_minimums([score()], {"acuracy": 0.5})


def test_two_limits_for_one_metric_are_refused() -> None:
    assert as_minimums([("kd", -5.0), ("fd", 5.0)]) == {"kd": -5.0, "fd": 5.0}
    with pytest.raises(UsageError, match='two limits for "kd"\n  got: kd=-5 and kd=5\n  next: give one'):
        as_minimums([("kd", -5.0), ("kd", 5.0)])
    with pytest.raises(UsageError, match="got: fid_intercept=1 and fd-intercept=2"):
        as_minimums([("fid_intercept", 1.0), ("fd-intercept", 2.0)])


@pytest.mark.parametrize(
    ("limit", "measured"),
    [("kid", "kd"), ("kd", "kid"), ("fid_intercept", "fd_intercept"), ("is", "is-cnn"), ("is-cnn", "is-cnn")],
)
def test_a_limit_is_for_the_score_that_its_name_means(limit: str, measured: str) -> None:
    check_minimums([score("fid"), score(measured)], {limit: 0.9})
    with pytest.raises(GateError, match=f"{limit} misses its limit\n  got: {measured} "):
        check_minimums([score("fid"), score(measured)], {limit: 1.0})


def test_a_limit_for_several_scores_is_refused() -> None:
    with pytest.raises(UsageError, match=r'2 scores are called "rouge1_f1", .*\n  got: s; s\n'):
        check_minimums([score("rouge1_f1"), score("rouge1_f1")], {"rouge1_f1": 0.5})


def test_names_are_checked_before_anything_is_measured() -> None:
    pictures = picture_scores(feature_metrics(FEATURE_METRICS))
    for name in ("fd", "fid", "fd_intercept", "kid", "is", "is-cnn", "recall", "near_copies", "memorisation"):
        require_measured({name: 1.0}, pictures)
    require_measured({"fd_intercept": 1.0}, picture_scores(["fd"]))
    with pytest.raises(UsageError, match='no score "precison"; did you mean "precision"'):
        require_measured({"precison": 1.0}, pictures)
    with pytest.raises(UsageError, match='no score "is-cnn"; there is: kd'):
        require_measured({"is-cnn": 1.0}, picture_scores(["kd"]))
    with pytest.raises(UsageError, match=r'2 scores are called "exact_match", .*\n  got: a; b\n'):
        require_measured({"exact_match": 1.0}, {"a": ("exact_match",), "b": ("exact_match",)})
