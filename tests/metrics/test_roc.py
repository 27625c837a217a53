"""AUROC against scikit-learn and DeLong's sums written out, and the coverage of its interval."""

import math

import numpy as np
import pytest
import sklearn.metrics
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import norm

from creuset.errors import DataError
from creuset.metrics.predictions import Predictions
from creuset.metrics.roc import auroc


def binary(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> Predictions:
    return Predictions.from_scores(np.stack([-scores, scores], axis=1), positive.astype(np.int64))


def noisy(n: int, num_classes: int, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=n)
    logits = rng.normal(size=(n, num_classes)) + np.eye(num_classes)[labels]
    return Predictions.from_logits(logits.round(1), labels)  # rounding makes ties


def test_confident_answers_are_ranked_where_their_probabilities_round_to_1() -> None:
    """By hand: each sample of class 1 lies above each of class 0, all with probability 1.0 of class 1."""
    margins = np.concatenate([np.linspace(40, 40.5, 5), np.linspace(60, 60.5, 5)])
    labels = np.repeat([0, 1], 5)
    logits = np.stack([np.zeros(10), margins], axis=1)
    assert (np.exp(Predictions.from_logits(logits, labels).log_probs)[:, 1] == 1).all()
    assert auroc(Predictions.from_logits(logits, labels)).value == 1
    three = np.concatenate([logits, np.zeros((10, 1))], axis=1)
    assert auroc(Predictions.from_logits(three, labels)).value == 1


def test_scikit_learn_agrees() -> None:
    p = noisy(200, 2)
    assert p.log_probs is not None
    margins = (p.scores[:, 1] - p.scores[:, 0]).round(1)  # equal ones tie, whatever their last bit
    assert auroc(p).value == pytest.approx(sklearn.metrics.roc_auc_score(p.labels, margins))
    p = noisy(200, 4)
    assert p.log_probs is not None
    assert auroc(p).value == pytest.approx(
        sklearn.metrics.roc_auc_score(
            p.labels, np.exp(p.log_probs).round(12), multi_class="ovr", average="macro"
        )
    )


def test_delong_written_out() -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=60).round(1), np.arange(60) < 20
    above, below = scores[positive], scores[~positive]
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)  # every pair
    area = wins.mean()
    error = math.sqrt(wins.mean(axis=1).var(ddof=1) / 20 + wins.mean(axis=0).var(ddof=1) / 40)
    score = auroc(binary(scores, positive))
    assert score.value == pytest.approx(area)
    assert score.interval is not None
    half = norm.ppf(0.975) * error / (area * (1 - area))
    np.testing.assert_allclose(logit(score.interval), [logit(area) - half, logit(area) + half])


def test_the_binary_interval_covers() -> None:
    rng = np.random.default_rng(0)
    truth = norm.cdf(1.5 / math.sqrt(2))  # N(1.5, 1) above N(0, 1)
    covered = 0
    for _ in range(400):
        positive = np.arange(80) < 30
        interval = auroc(binary(rng.normal(size=80) + 1.5 * positive, positive)).interval
        covered += interval is not None and interval[0] <= truth <= interval[1]
    assert 0.92 <= covered / 400 <= 0.98


def test_the_macro_interval_covers() -> None:
    rng = np.random.default_rng(1)

    def draw(n: int) -> Predictions:
        labels = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
        return Predictions.from_scores(rng.normal(size=(n, 3)) + np.eye(3)[labels], labels)

    truth = auroc(draw(300_000)).value
    intervals = [auroc(draw(150)).interval for _ in range(400)]
    covered = np.mean(
        [interval is not None and interval[0] <= truth <= interval[1] for interval in intervals]
    )
    assert 0.92 <= covered <= 0.98


def test_a_rising_change_of_scores_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=50), rng.random(50) < 0.5
    assert auroc(binary(scores, positive)) == auroc(binary(np.exp(scores), positive))


def test_signature_says_which_average() -> None:
    assert "|average:binary|" in auroc(noisy(50, 2)).signature
    assert "|average:ovr_macro4|interval:delong_logit95" in auroc(noisy(50, 4)).signature


def test_classes_that_do_not_occur_are_left_out_of_the_mean() -> None:
    logits = np.random.default_rng(0).normal(size=(30, 3))
    labels = np.arange(30) % 2
    score = auroc(Predictions.from_scores(logits, labels))
    expected = [sklearn.metrics.roc_auc_score(labels == k, logits[:, k]) for k in (0, 1)]
    assert score.value == pytest.approx(np.mean(expected))
    assert "ovr_macro2" in score.signature


@pytest.mark.parametrize("positive", [[False, False, True, True], [False, False, False, True]])
def test_a_perfect_ranking_or_a_lone_sample_has_no_interval(positive: list[bool]) -> None:
    score = auroc(binary(np.arange(4.0), np.array(positive)))
    assert (score.value, score.interval) == (1, None)
    lone = auroc(binary(np.array([3.0, 1, 2, 0]), np.array([False, False, True, False])))
    assert (lone.value, lone.interval) == (pytest.approx(2 / 3), None)


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="needs samples of two classes\n  got: 3 samples of class 1"):
        auroc(Predictions.from_scores(np.eye(3), [1, 1, 1]))
