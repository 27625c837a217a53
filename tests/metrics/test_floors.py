"""Likelihood floors: known figures on scikit-learn's digits, and models worked out by hand."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from creuset.errors import DataError, GateError, UsageError
from creuset.metrics.floors import SMOOTHING, PixelCounts, likelihood_floors
from creuset.metrics.likelihood import LikelihoodSetting
from creuset.metrics.signature import Context, Signature, differences, require_comparable

DIGITS = LikelihoodSetting(num_levels=17)


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    pictures, labels = load_digits(return_X_y=True)
    return pictures.astype(np.int64), labels


def test_the_known_figures_of_scikit_learns_digits(digits: Any) -> None:
    pictures, labels = digits
    counts = PixelCounts.from_levels(pictures[:1000], 17, labels[:1000])
    context = Context(data="digits", split="test")
    uniform, independent, mixture = likelihood_floors(
        counts, pictures[1350:].reshape(-1, 8, 8), setting=DIGITS, context=context
    )
    assert [round(score.value, 1) for score in (uniform, independent, mixture)] == [181.3, 106.3, 99.5]
    assert mixture.interval is not None
    assert (mixture.interval[1] - mixture.interval[0]) / 2 / 1.965 == pytest.approx(0.55, abs=0.005)
    assert mixture.n == 447
    assert mixture.signature == (
        "nll_class_mixture|v:1|data:digits|split:test|n:447|binarisation:none|classes:10"
        "|fitted_to:unstated|importance_samples:none|interval:t95|likelihood:levels17|smoothing:0.3"
    )


def test_the_smoothing_is_near_the_best_on_validation_pictures(digits: Any) -> None:
    pictures, labels = digits
    counts = PixelCounts.from_levels(pictures[:1000], 17, labels[:1000])
    nll = {
        smoothing: -counts.fit(smoothing).log_likelihoods(pictures[1000:1350]).mean()
        for smoothing in (0.05, 0.1, 0.2, SMOOTHING, 0.5, 1.0)
    }
    assert min(nll, key=nll.__getitem__) == SMOOTHING


def test_a_mixture_by_hand() -> None:
    # Two classes (3 and 1 pictures) of one pixel with two levels; with smoothing 1, class 0 has levels
    # (3 + 1)/(3 + 2), 1/5 and class 1 has 1/3, 2/3.
    model = PixelCounts.from_levels([[0], [0], [0], [1]], 2, [0, 0, 0, 1]).fit(smoothing=1)
    expected = [math.log(0.75 * 4 / 5 + 0.25 / 3), math.log(0.75 / 5 + 0.25 * 2 / 3)]
    np.testing.assert_allclose(model.log_likelihoods([[0], [1]]), expected)


def test_probabilities_of_all_pictures_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    counts = PixelCounts.from_levels(rng.integers(3, size=(20, 2, 2)), 3, rng.integers(4, size=20))
    every = np.array(list(product(range(3), repeat=4)))
    for model in (counts.fit(), counts.without_classes().fit()):
        assert np.exp(model.log_likelihoods(every)).sum() == pytest.approx(1)


def test_grey_values_are_expected_counts_of_dynamic_binarisation() -> None:
    rng = np.random.default_rng(0)
    grey, labels = rng.random((30, 2, 3)), np.arange(30) % 3
    expected = PixelCounts.from_grey(grey, labels)
    drawn = np.mean(
        [
            PixelCounts.from_levels((rng.random(grey.shape) < grey).astype(np.uint8), 2, labels).levels
            for _ in range(2000)
        ],
        axis=0,
    )
    np.testing.assert_allclose(expected.levels, drawn, atol=0.2)
    assert expected.levels.sum() == pytest.approx(30 * 6)
    assert expected.pictures.tolist() == [10, 10, 10]


def test_chunks_do_not_show(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, labels = digits
    whole = PixelCounts.from_levels(pictures[:200], 17, labels[:200])
    likelihoods = whole.fit().log_likelihoods(pictures[200:300])
    monkeypatch.setattr("creuset.metrics.floors._CHUNK_ELEMENTS", 64 * 7)
    pieces = PixelCounts.from_levels(pictures[:200], 17, labels[:200])
    np.testing.assert_array_equal(pieces.levels, whole.levels)
    np.testing.assert_allclose(pieces.fit().log_likelihoods(pictures[200:300]), likelihoods)


def test_without_labels_there_is_no_mixture_and_a_seed_only_for_drawn_pictures() -> None:
    setting = LikelihoodSetting(num_levels=2, binarisation="dynamic", num_importance_samples=50)
    floors = likelihood_floors(
        PixelCounts.from_grey(np.full((4, 2), 0.25)), [[0, 1], [0, 0]], setting=setting
    )
    assert [score.metric for score in floors] == ["nll_uniform", "nll_independent_pixels"]
    for score, fit in zip(floors, ("", "fitted_to:unstated|"), strict=True):
        assert f"|seed:0|binarisation:dynamic|{fit}importance_samples:none|" in score.signature
    assert floors[0].value == pytest.approx(2 * math.log(2))


def test_a_fitted_floor_says_which_training_data_it_was_fitted_to() -> None:
    counts = PixelCounts.from_levels([[0, 1], [1, 1]], 2, [0, 1])
    setting = LikelihoodSetting(num_levels=2)
    signatures = [
        Signature.parse(floor.signature)
        for floor in likelihood_floors(counts, [[0, 1]], setting=setting, training_data="0123456789abcdef")
    ]
    assert [signature.fields().get("fitted_to") for signature in signatures] == [None, "01234567", "01234567"]
    other = likelihood_floors(counts, [[0, 1]], setting=setting, training_data="fedcba9876543210")
    assert differences(signatures[1], other[1].signature) == ("fitted_to",)
    assert differences(signatures[0], other[0].signature) == ()
    with pytest.raises(GateError, match="differ in fitted_to"):
        require_comparable(signatures[2], other[2].signature)


def test_a_label_that_no_picture_has_takes_no_part() -> None:
    with_gap = PixelCounts.from_levels([[0], [0], [1]], 2, [0, 0, 2])
    without = PixelCounts.from_levels([[0], [0], [1]], 2, [0, 0, 1])
    np.testing.assert_allclose(with_gap.fit().log_likelihoods([[1]]), without.fit().log_likelihoods([[1]]))


def test_what_does_not_fit_is_refused() -> None:
    counts = PixelCounts.from_levels([[0, 1], [1, 1]], 2)
    binary = LikelihoodSetting(num_levels=2)
    with pytest.raises(DataError, match="pictures of another size\n  got: 3 pixels\n  expected: 2"):
        likelihood_floors(counts, [[0, 1, 1]], setting=binary)
    with pytest.raises(DataError, match="out of range\n  got: 0 to 2\n  expected: whole numbers from 0 to 1"):
        likelihood_floors(counts, [[0, 2]], setting=binary)
    with pytest.raises(UsageError, match="counts of 2 levels, a setting of 17"):
        likelihood_floors(counts, [[0, 1]], setting=DIGITS)
    with pytest.raises(UsageError, match="not a smoothing\n  got: 0"):
        counts.fit(smoothing=0)
    with pytest.raises(DataError, match="levels 2, labels 1"):
        PixelCounts.from_levels([[0], [1]], 2, [0])
    with pytest.raises(UsageError, match="not a number of levels"):
        PixelCounts.from_levels([[0], [1]], 1)
    with pytest.raises(DataError, match="outside the stated range"):
        PixelCounts.from_grey([[0, 255]])
