"""Rows give the scores that they were kept for."""

import math

import numpy as np
import pytest

from creuset.errors import UsageError
from creuset.metrics.calibration import brier_score, label_nll
from creuset.metrics.classification import accuracy, f1_macro, f1_per_class
from creuset.metrics.predictions import Predictions
from creuset.metrics.rows import classification_rows, has_rows, paired_rows, said_by_others


def answers(seed: int, num_classes: int = 4) -> Predictions:
    drawn = np.random.default_rng(seed)
    return Predictions.from_logits(drawn.normal(size=(60, num_classes)), drawn.integers(0, 3, 60))


def test_each_score_comes_out_of_its_rows() -> None:
    a, b = answers(0), answers(1)
    kept = [classification_rows(one) for one in (a, b)]
    for predictions, place in ((a, 0), (b, 1)):
        scores = [measure(predictions) for measure in (accuracy, f1_macro, label_nll, brier_score)]
        for score in [*scores, *f1_per_class(predictions)]:
            found = paired_rows(score.metric, *kept)[place]
            if found.statistic is None:
                assert found.rows.mean() == pytest.approx(score.value)
            else:
                assert found.statistic(found.rows.sum(axis=0)[None])[0] == pytest.approx(score.value)


def test_shares_of_auroc_are_kept_where_they_are_known() -> None:
    kept = classification_rows(answers(0))
    assert math.sqrt(np.square(kept["auroc_share"]).sum()) == pytest.approx(0.05, abs=0.03)
    for labels in ([0, 0, 0], [0, 0, 1]):  # no area, and a class of one sample
        few = Predictions.from_scores(np.eye(3)[:, :2], np.array(labels))
        assert "auroc_share" not in classification_rows(few)


def test_both_systems_have_the_same_columns() -> None:
    # one of them never says class 3
    labels = np.array([0, 1, 2])
    few = Predictions.from_scores(np.eye(4)[[0, 1, 2]], labels)
    many = Predictions.from_scores(np.eye(4)[[0, 1, 3]], labels)
    left, right = paired_rows("f1_macro", classification_rows(few), classification_rows(many))
    assert left.rows.shape == right.rows.shape == (3, 12)


def test_scores_that_only_rank_have_no_rows_of_probabilities() -> None:
    kept = classification_rows(Predictions.from_scores(np.eye(2), np.array([0, 1])))
    assert kept.keys() == {"label", "predicted"}
    assert has_rows("accuracy", kept)
    assert has_rows("f1_class_0", kept)
    assert said_by_others("f1_class_0")
    with pytest.raises(UsageError, match='"label_nll" is not made of one row a sample'):
        paired_rows("label_nll", kept, kept)
