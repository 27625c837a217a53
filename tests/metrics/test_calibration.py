"""Calibration error by hand and in simulation; label NLL and Brier score against scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics
from numpy.typing import NDArray

from creuset.errors import DataError, UsageError
from creuset.metrics.calibration import (
    brier_score,
    calibration_bins,
    calibration_error,
    calibration_floor,
    label_nll,
)
from creuset.metrics.predictions import Predictions

HAND = Predictions.from_probabilities(
    # Confidences 0.9, 0.8, 0.7 and 0.4; right, wrong, right, wrong.
    [[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.3, 0.3, 0.4]],
    [0, 0, 2, 1],
)


def noisy(n: int, num_classes: int) -> Predictions:
    rng = np.random.default_rng(0)
    labels = rng.integers(num_classes, size=n)
    return Predictions.from_logits(rng.normal(size=(n, num_classes)) + np.eye(num_classes)[labels], labels)


def binary(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Predictions:
    """Class 0 predicted with the given confidences above 1/2."""
    return Predictions.from_probabilities(
        np.stack([confidence, 1 - confidence], axis=1), np.where(right, 0, 1).astype(np.int64)
    )


def test_bins_by_hand() -> None:
    bins = calibration_bins(HAND, num_bins=2)
    assert bins.edges.tolist() == [0, 0.5, 1]
    assert bins.counts.tolist() == [1, 3]
    np.testing.assert_allclose(bins.confidence, [0.4, 0.8])
    np.testing.assert_allclose(bins.accuracy, [0, 2 / 3])


def test_calibration_error_by_hand() -> None:
    # Two bins: 1/4 |0 - 0.4| + 3/4 |2/3 - 0.8|. Fifteen bins hold each sample alone:
    # 1/4 (|1 - 0.9| + |0 - 0.8| + |1 - 0.7| + |0 - 0.4|).
    assert calibration_error(HAND, num_bins=2).value == pytest.approx(0.2)
    assert calibration_error(HAND).value == pytest.approx(0.4)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    on_edge = binary(np.array([0.6, 0.8, 1.0]), np.array([True, True, True]))
    assert calibration_bins(on_edge, num_bins=5).counts.tolist() == [0, 0, 1, 1, 1]
    assert np.isnan(calibration_bins(on_edge, num_bins=5).accuracy[0])


def test_calibration_error_names_its_choices() -> None:
    signature = calibration_error(HAND, num_bins=10).signature
    assert signature.endswith("|n:4|seed:0|bins:10|interval:basic95|resamples:1000")


@pytest.mark.parametrize("exponent", [1.0, 1.2, 2.0])
def test_calibration_error_covers(exponent: float) -> None:
    # Right with probability confidence^exponent: calibrated at 1, more and more overconfident above.
    def draw(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        return 0.5 + 0.5 * rng.beta(2, 1, size=n)

    rng = np.random.default_rng(0)
    many = draw(rng, 1_000_000)
    bins = np.ceil(many * 15).astype(np.int64)
    truth = np.abs(np.bincount(bins, many**exponent - many)).sum() / len(many)
    covered = 0
    for _ in range(100):
        confidence = draw(rng, 300)
        predictions = binary(confidence, rng.random(300) < confidence**exponent)
        interval = calibration_error(predictions, num_resamples=200).interval
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert covered >= 88


def test_the_floor_is_what_a_calibrated_classifier_shows() -> None:
    rng = np.random.default_rng(0)
    confidence = 0.5 + 0.5 * rng.random(400)
    observed = [
        calibration_error(binary(confidence, rng.random(400) < confidence), num_resamples=2).value
        for _ in range(200)
    ]
    floor = calibration_floor(binary(confidence, np.ones(400, dtype=np.bool_)))
    assert floor.interval is not None
    assert floor.value == pytest.approx(np.mean(observed), rel=0.1)
    assert 0.9 <= np.mean([floor.interval[0] <= error <= floor.interval[1] for error in observed]) <= 0.99


def test_certain_and_right_has_no_interval() -> None:
    score = calibration_error(Predictions.from_probabilities([[1.0, 0.0]] * 5, [0] * 5))
    assert (score.value, score.interval) == (0, None)


@pytest.mark.parametrize("num_classes", [2, 4])
def test_scikit_learn_agrees(num_classes: int) -> None:
    p = noisy(200, num_classes)
    assert p.log_probs is not None
    probabilities, labels = np.exp(p.log_probs), list(range(num_classes))
    assert label_nll(p).value == pytest.approx(
        sklearn.metrics.log_loss(p.labels, probabilities, labels=labels)
    )
    assert brier_score(p).value == pytest.approx(
        sklearn.metrics.brier_score_loss(p.labels, probabilities, labels=labels, scale_by_half=False)
    )


def test_units_and_directions() -> None:
    p = noisy(50, 3)
    scores = [calibration_error(p), calibration_floor(p), label_nll(p), brier_score(p)]
    assert [(score.unit, score.better) for score in scores] == [
        ("fraction", "lower"),
        ("fraction", "lower"),
        ("nats", "lower"),
        ("score", "lower"),
    ]


def test_an_infinite_nll_is_refused_and_the_brier_score_is_not() -> None:
    wrong = Predictions.from_probabilities([[1.0, 0.0], [0.5, 0.5]], [1, 1])
    with pytest.raises(DataError, match="infinite\n  got: 1 of 2 true classes with probability 0"):
        label_nll(wrong)
    assert brier_score(wrong).value == pytest.approx((2 + 0.5) / 2)


def test_what_cannot_be_calibrated_is_refused() -> None:
    scores = Predictions.from_scores([[1.0, 2.0]], [0])
    for metric in (calibration_error, calibration_floor, calibration_bins, label_nll, brier_score):
        with pytest.raises(DataError, match="needs probabilities"):
            metric(scores)
    with pytest.raises(UsageError, match="needs bins"):
        calibration_error(HAND, num_bins=0)
    with pytest.raises(UsageError, match="needs draws"):
        calibration_floor(HAND, num_draws=1)


def test_intervals_stay_within_what_can_be() -> None:
    p = Predictions.from_logits(np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 5.0]]), [0, 0, 0])
    assert brier_score(p).interval == (0, 2)
    interval = label_nll(p).interval
    assert interval is not None
    assert interval[0] == 0
