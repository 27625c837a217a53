"""The Inception score against torch-fidelity and closed forms."""

import numpy as np
import pytest
import torch
from scipy.special import stdtrit

from creuset.errors import DataError
from creuset.metrics.features import INCEPTION_SHA256, Extractor
from creuset.metrics.inception_score import score_classes
from creuset.metrics.signature import Context
from fidelity import fidelity

DIGITS = Extractor(name="digits-cnn")


def logits(num: int, classes: int = 7, seed: int = 0) -> np.ndarray:
    return 3 * np.random.default_rng(seed).normal(size=(num, classes))


@pytest.mark.parametrize(("num", "splits"), [(200, 10), (203, 10), (50, 3)])
def test_torch_fidelity_agrees(num: int, splits: int) -> None:
    isc = fidelity("metric_isc")
    rows = logits(num)
    theirs = isc.isc_features_to_metric(torch.from_numpy(rows), splits=splits, shuffle=False)
    ours = score_classes(rows, classifier=DIGITS, num_splits=splits, shuffle=False)
    assert ours.value == pytest.approx(theirs[isc.KEY_METRIC_ISC_MEAN], rel=1e-12)
    assert ours.interval is not None
    half = (
        stdtrit(splits - 1, 0.975) * theirs[isc.KEY_METRIC_ISC_STD] / np.sqrt(splits - 1)
    )  # theirs has ddof 0
    assert ours.interval[1] - ours.value == pytest.approx(half)


def test_sure_and_even_answers_score_the_number_of_classes() -> None:
    sure = 200.0 * np.eye(5)[np.arange(100) % 5]
    assert score_classes(sure, classifier=DIGITS, shuffle=False).value == pytest.approx(5)
    assert score_classes(np.zeros((100, 5)), classifier=DIGITS).value == pytest.approx(1)


def test_sorted_samples_are_shuffled_first() -> None:
    by_class = 200.0 * np.eye(10)[np.arange(1000) // 100]
    assert score_classes(by_class, classifier=DIGITS, shuffle=False).value == pytest.approx(1)
    assert score_classes(by_class, classifier=DIGITS).value > 9


def test_the_name_says_whose_answers_they_are() -> None:
    score = score_classes(logits(100), classifier=DIGITS, context=Context(seed=2))
    assert score.metric == "is-digits-cnn"
    assert "|seed:2|" in score.signature
    assert "|ddof:1|" in score.signature
    assert "|splits:10|" in score.signature
    inception = Extractor(name="inception-2015", sha256=INCEPTION_SHA256)
    assert score_classes(logits(100), classifier=inception).metric == "is"


def test_bad_logits_are_refused() -> None:
    with pytest.raises(DataError, match="19 samples, 10 splits"):
        score_classes(logits(19), classifier=DIGITS)
    with pytest.raises(DataError, match="50 samples, 1 splits"):
        score_classes(logits(50), classifier=DIGITS, num_splits=1)
    with pytest.raises(DataError, match="one class leaves no choice"):
        score_classes(logits(50, classes=1), classifier=DIGITS)


def test_intervals_stay_within_1_and_the_classes() -> None:
    nearly_even = np.zeros((100, 3))
    nearly_even[0, 0] = 9  # in one of ten splits
    low = score_classes(nearly_even, classifier=DIGITS, shuffle=False)
    assert low.interval is not None
    assert 1 == low.interval[0] < low.value < low.interval[1]
    nearly_sure = 200.0 * np.eye(3)[np.arange(300) % 3]
    nearly_sure[:3] = 0
    high = score_classes(nearly_sure, classifier=DIGITS, shuffle=False)
    assert high.interval is not None
    assert high.interval[0] < high.value < high.interval[1] == 3
    assert score_classes(np.zeros((100, 5)), classifier=DIGITS).interval is None
