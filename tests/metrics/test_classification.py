"""Accuracy and F1 against scikit-learn, and the coverage of their intervals."""

import numpy as np
import pytest
import sklearn.metrics
from numpy.typing import NDArray

from creuset.metrics.classification import (
    accuracy,
    classification_scores,
    confusion_matrix,
    f1_macro,
    f1_micro,
    f1_per_class,
)
from creuset.metrics.intervals import wilson_interval
from creuset.metrics.predictions import Predictions
from creuset.metrics.signature import Context

CONTEXT = Context(data="3f2a9c01", split="test")


def from_classes(predicted: NDArray[np.int64], labels: NDArray[np.int64], num_classes: int) -> Predictions:
    return Predictions.from_scores(np.eye(num_classes)[predicted], labels)


def noisy(n: int, num_classes: int, seed: int = 0) -> Predictions:
    """Labels in unequal numbers; about two thirds are predicted right."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(
        num_classes, size=n, p=np.arange(1, num_classes + 1) * 2 / num_classes / (num_classes + 1)
    )
    logits = rng.normal(size=(n, num_classes)) + 1.5 * np.eye(num_classes)[labels]
    return Predictions.from_logits(logits, labels)


@pytest.mark.parametrize("num_classes", [2, 5])
def test_scikit_learn_agrees(num_classes: int) -> None:
    p = noisy(300, num_classes)
    np.testing.assert_array_equal(
        confusion_matrix(p), sklearn.metrics.confusion_matrix(p.labels, p.predicted)
    )
    assert accuracy(p).value == pytest.approx(sklearn.metrics.accuracy_score(p.labels, p.predicted))
    for score, average in ((f1_macro(p), "macro"), (f1_micro(p), "micro")):
        assert score.value == pytest.approx(sklearn.metrics.f1_score(p.labels, p.predicted, average=average))
    assert [score.value for score in f1_per_class(p)] == pytest.approx(
        sklearn.metrics.f1_score(p.labels, p.predicted, average=None)
    )


def test_scores_are_signed() -> None:
    p = noisy(500, 3)
    assert accuracy(p, context=CONTEXT).signature == (
        "accuracy|v:1|data:3f2a9c01|split:test|n:500|interval:wilson95"
    )
    assert f1_macro(p, context=CONTEXT).signature == (
        "f1_macro|v:1|data:3f2a9c01|split:test|n:500|seed:0|classes:3|interval:bca95|resamples:1000"
    )
    assert accuracy(p).interval == wilson_interval(int(p.correct.sum()), 500)


def test_classes_that_do_not_occur_have_no_f1() -> None:
    # Class 1 is only predicted, class 2 only true, class 3 neither: F1 of 0, 0 and none.
    p = from_classes(np.array([0, 0, 1, 0]), np.array([0, 0, 0, 2]), num_classes=4)
    assert {score.metric: score.value for score in f1_per_class(p)} == {
        "f1_class_0": pytest.approx(2 * 2 / (2 * 2 + 1 + 1)),
        "f1_class_1": 0,
        "f1_class_2": 0,
    }
    macro = f1_macro(p, context=CONTEXT)
    assert macro.value == pytest.approx(2 / 9)
    assert "classes:4" in macro.signature  # K, so that two models' scores can be compared


def test_a_perfect_macro_f1_has_no_interval_and_a_perfect_accuracy_has_one() -> None:
    labels = np.arange(20) % 2
    p = from_classes(labels, labels, 2)
    assert (f1_macro(p).value, f1_macro(p).interval) == (1, None)
    assert accuracy(p).interval == wilson_interval(20, 20)
    for score in f1_per_class(p):
        assert score.interval is not None
        assert 0.7 < score.interval[0] < score.interval[1] == 1


def test_the_seed_decides_the_interval_and_not_the_value() -> None:
    p = noisy(200, 3)
    one, same, other = (f1_macro(p, context=Context(data="d", split="s", seed=seed)) for seed in (0, 0, 1))
    assert one == same
    assert one.value == other.value
    assert one.interval != other.interval


def draws(num_trials: int, n: int) -> tuple[list[Predictions], NDArray[np.float64]]:
    """Samples of a fixed joint distribution of true and predicted classes, and that distribution."""
    joint = np.array([[0.42, 0.05, 0.03], [0.02, 0.24, 0.04], [0.06, 0.01, 0.13]])
    rng = np.random.default_rng(0)
    cells = rng.choice(9, size=(num_trials, n), p=joint.ravel())
    return [from_classes(row % 3, row // 3, 3) for row in cells], joint


def test_f1_of_a_class_covers() -> None:
    samples, joint = draws(500, 120)
    truth = 2 * joint[2, 2] / (joint[2].sum() + joint[:, 2].sum())
    intervals = [f1_per_class(p)[2].interval for p in samples]
    covered = np.mean(
        [interval is not None and interval[0] <= truth <= interval[1] for interval in intervals]
    )
    assert 0.92 <= covered <= 0.98  # 3 standard errors of 500 trials around 0.95


def test_macro_f1_covers() -> None:
    samples, joint = draws(300, 200)
    truth = np.mean([2 * joint[k, k] / (joint[k].sum() + joint[:, k].sum()) for k in range(3)])
    intervals = [f1_macro(p, num_resamples=300).interval for p in samples]
    covered = np.mean(
        [interval is not None and interval[0] <= truth <= interval[1] for interval in intervals]
    )
    assert 0.90 <= covered <= 0.985


def test_all_scores_of_a_classifier_with_probabilities() -> None:
    assert [score.metric for score in classification_scores(noisy(100, 3), context=CONTEXT)] == [
        "accuracy",
        "f1_macro",
        "auroc",
        "calibration_error",
        "calibration_floor",
        "label_nll",
        "brier_score",
        "f1_class_0",
        "f1_class_1",
        "f1_class_2",
    ]


def test_all_scores_of_a_classifier_that_only_ranks_on_one_class() -> None:
    p = from_classes(np.array([0, 1, 0]), np.array([0, 0, 0]), 2)
    assert [score.metric for score in classification_scores(p)] == [
        "accuracy",
        "f1_macro",
        "f1_class_0",
        "f1_class_1",
    ]
