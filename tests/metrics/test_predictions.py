"""Predictions: three ways to make them, and what each refuses."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from creuset.errors import DataError
from creuset.metrics.predictions import Predictions

LOGITS = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 3.0]])
LABELS = np.array([0, 1])


def test_logits_and_their_probabilities_say_the_same() -> None:
    a = Predictions.from_logits(LOGITS, LABELS)
    b = Predictions.from_probabilities(softmax(LOGITS, axis=1), LABELS)
    assert a.log_probs is not None
    assert b.log_probs is not None
    np.testing.assert_allclose(a.log_probs, b.log_probs)
    np.testing.assert_allclose(np.exp(a.log_probs).sum(axis=1), 1)
    for predictions in (a, b, Predictions.from_scores(LOGITS, LABELS)):
        assert predictions.predicted.tolist() == [0, 2]
        assert predictions.correct.tolist() == [1, 0]
        assert (predictions.n, predictions.num_classes) == (2, 3)


def test_tensors_are_taken() -> None:
    predictions = Predictions.from_logits(torch.tensor(LOGITS, dtype=torch.float32), torch.tensor(LABELS))
    assert predictions.scores.dtype == np.float64
    assert predictions.labels.tolist() == [0, 1]


def test_huge_logits_stay_finite() -> None:
    predictions = Predictions.from_logits([[1e4, -1e4]], [1])
    assert predictions.log_probs is not None
    assert predictions.log_probs.tolist() == [[0, -2e4]]


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, dtype=int), r"logits: nothing to measure\n  got: shape \(0, 3\)"),
        (LOGITS, [0], "unequal numbers of samples\n  got: logits 2, labels 1"),
        (LOGITS, [0, 3], "labels: values out of range\n  got: 0 to 3\n  expected: whole numbers from 0 to 2"),
        (LOGITS, [0.0, 1.0], "labels: wrong kind of values"),
        (LOGITS * np.nan, LABELS, "logits: values that are not finite\n  got: 6 of 6"),
        (
            LOGITS[0],
            LABELS,
            r"logits: wrong shape\n  got: shape \(3,\)\n  expected: axes \(samples, classes\)",
        ),
        (LOGITS[:, :1], [0, 0], "logits: one column is no choice"),
    ],
)
def test_what_logits_refuse(logits: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Predictions.from_logits(logits, labels)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([[0.5, 0.5], [0.5, 0.4]], "do not sum to 1\n  got: 1 of 2 rows; row 1 sums to 0.9\n"),
        ([[1.2, -0.2], [0.5, 0.5]], "negative probabilities\n  got: 1 of 4, the lowest -0.2\n"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Predictions.from_probabilities(probabilities, [0, 1])


def test_scores_have_no_probabilities() -> None:
    with pytest.raises(DataError, match="label_nll needs probabilities\n  got: scores that only rank"):
        Predictions.from_scores(LOGITS, LABELS).require_log_probs("label_nll")
