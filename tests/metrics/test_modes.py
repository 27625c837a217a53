"""Counting modes against perfect samplers, closed forms and published floors."""

import math

import numpy as np
import pytest

from creuset.errors import DataError, UsageError
from creuset.metrics.modes import (
    GRID_SIGMA,
    RING_SIGMA,
    ModeCounts,
    expected_kl,
    expected_modes,
    grid_means,
    kl_from_uniform,
    mode_scores,
    modes_by_error,
    ring_means,
)
from creuset.metrics.score import Score


def perfect(means: np.ndarray, sigma: float, num: int = 2500, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return means[rng.integers(len(means), size=num)] + sigma * rng.normal(size=(num, 2))


def by_name(counts: ModeCounts) -> dict[str, Score]:
    return {score.metric: score for score in mode_scores(counts)}


def test_the_mixtures_are_those_of_the_papers() -> None:
    ring = ring_means()
    assert ring.shape == (8, 2)
    np.testing.assert_allclose(np.linalg.norm(ring, axis=1), 1)
    assert ring[0].tolist() == [1, 0]
    assert sorted(map(tuple, grid_means())) == [(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)]
    assert (RING_SIGMA, GRID_SIGMA) == (0.01, 0.05)


@pytest.mark.parametrize(("means", "sigma"), [(ring_means(), RING_SIGMA), (grid_means(), GRID_SIGMA)])
def test_a_perfect_sampler_scores_what_is_expected_of_it(means: np.ndarray, sigma: float) -> None:
    scores = by_name(ModeCounts.from_points(perfect(means, sigma), means, sigma))
    assert scores["modes"].value == len(means)
    assert scores["modes_perfect"].value == pytest.approx(len(means))
    assert scores["high_quality_perfect"].value == pytest.approx(0.989, abs=5e-4)
    assert scores["high_quality"].interval is not None
    low, high = scores["high_quality"].interval
    assert low <= scores["high_quality_perfect"].value <= high
    assert scores["mode_kl"].value == pytest.approx(scores["mode_kl_perfect"].value, abs=0.006)
    assert scores["mode_kl_excess"].interval is not None
    low, high = scores["mode_kl_excess"].interval
    assert low < 0 < high


def test_a_collapsed_generator_reaches_one_mode() -> None:
    means = ring_means()
    scores = by_name(ModeCounts.from_points(perfect(means[:1], RING_SIGMA), means, RING_SIGMA))
    assert scores["modes"].value == 1
    assert scores["mode_kl"].value == pytest.approx(math.log(8))
    assert scores["mode_kl_excess"].interval is None


def test_points_between_modes_count_nowhere() -> None:
    scores = by_name(ModeCounts.from_points(np.zeros((100, 2)), ring_means(), RING_SIGMA))
    assert scores["modes"].value == scores["high_quality"].value == 0
    assert "mode_kl" not in scores


def test_the_edge_of_quality() -> None:
    means = np.array([[0.0], [10.0]])
    counts = ModeCounts.from_points([[0.29], [0.31], [9.9]], means, 0.1)
    assert counts.counts.tolist() == [1, 1]
    assert counts.num_good == 2
    assert ModeCounts.from_points([[0.29], [0.31], [9.9]], means, 0.1, sigmas=4).num_good == 3


def test_stacked_digits_are_told_apart_by_place() -> None:
    counts = ModeCounts.from_classes([[0, 0, 7], [0, 7, 0], [7, 0, 0], [7, 0, 0]])
    assert counts.num_modes == 1000
    assert {i: int(c) for i, c in enumerate(counts.counts) if c} == {7: 1, 70: 1, 700: 2}
    scores = by_name(counts)
    assert scores["modes"].value == 3
    assert "high_quality" not in scores


def test_reference_numbers_of_stacked_digits() -> None:
    assert expected_kl(1000, 26_000) == pytest.approx(0.0194, abs=1e-4)
    assert expected_modes(1000, 1000) == pytest.approx(633, abs=1)
    assert modes_by_error(26_000, 0.01) == pytest.approx(34, abs=2)


def test_expected_kl_is_that_of_simulation() -> None:
    rng = np.random.default_rng(0)
    draws = [kl_from_uniform(rng.multinomial(40, np.full(8, 1 / 8))) for _ in range(4000)]
    assert expected_kl(8, 40) == pytest.approx(np.mean(draws), abs=3 * np.std(draws) / np.sqrt(4000))
    assert expected_kl(8, 1) == pytest.approx(math.log(8))


def test_expected_modes_of_a_classifier_that_errs_is_that_of_simulation() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        digits = np.where(rng.random((200, 2)) < 0.1, rng.integers(1, 4, size=(200, 2)), 0)
        found.append(ModeCounts.from_classes(digits, num_classes=4).covered)
    expected = modes_by_error(200, 0.1, num_digits=2, num_classes=4)
    assert expected == pytest.approx(np.mean(found), abs=3 * np.std(found) / np.sqrt(300))
    assert modes_by_error(200, 0.0) == 1


def test_the_interval_of_the_excess_covers() -> None:
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    truth = math.log(4) + float((shares * np.log(shares)).sum())
    rng, repeats, covered = np.random.default_rng(0), 300, 0
    for _ in range(repeats):
        counts = rng.multinomial(200, shares)
        interval = by_name(ModeCounts(counts=counts, n=200))["mode_kl_excess"].interval
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert 0.9 * repeats <= covered <= 0.99 * repeats


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="points 2, means 3"):
        ModeCounts.from_points(np.zeros((4, 2)), np.zeros((4, 3)), 0.1)
    with pytest.raises(DataError, match="one mode cannot be missed"):
        ModeCounts.from_points(np.zeros((4, 2)), np.zeros((1, 2)), 0.1)
    with pytest.raises(UsageError, match="not a spread"):
        ModeCounts.from_points(np.zeros((4, 2)), ring_means(), 0.0)
    with pytest.raises(DataError, match="whole numbers from 0 to 9"):
        ModeCounts.from_classes([[0, 10, 3]])
    with pytest.raises(DataError, match="only zeros"):
        kl_from_uniform([0, 0])
    with pytest.raises(UsageError, match="1 modes, 5 samples"):
        expected_kl(1, 5)
    with pytest.raises(UsageError, match="quality: not a probability"):
        expected_modes(8, 5, quality=1.5)
    with pytest.raises(UsageError, match="error_rate: not a probability"):
        modes_by_error(100, -0.1)
    with pytest.raises(UsageError, match="not a number of digits"):
        modes_by_error(100, 0.1, num_digits=0)
