"""The Renyi kernel count of modes in closed form."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from creuset.errors import DataError, UsageError
from creuset.metrics import blocks
from creuset.metrics.rke import median_distance, rke_mode_count
from creuset.metrics.signature import Context


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks.row_slices, "__defaults__", (13,))


def test_the_kernel_matrix_written_out() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    kernel = np.exp(-cdist(rows, rows, "sqeuclidean") / (2 * 0.7**2))
    expected = 1 / np.linalg.norm(kernel / 40, "fro") ** 2
    score = rke_mode_count(rows, bandwidth=0.7)
    assert score.value == pytest.approx(expected)
    assert "|bandwidth:0.7|" in score.signature


@pytest.mark.parametrize("modes", [1, 2, 8])
def test_tight_modes_far_apart_are_counted(modes: int) -> None:
    rows = 100.0 * np.eye(8)[np.arange(400) % modes]
    assert rke_mode_count(rows, bandwidth=1.0).value == pytest.approx(modes)


def test_all_samples_apart_count_as_many() -> None:
    score = rke_mode_count(1e3 * np.arange(30.0)[:, None], bandwidth=1.0)
    assert score.value == pytest.approx(30)
    assert rke_mode_count(np.ones((30, 2)), bandwidth=1.0).interval is None


def test_the_interval_covers() -> None:
    # Three tight modes of unequal shares: 1 / sum p^2 modes.
    shares, repeats, covered = np.array([0.6, 0.3, 0.1]), 200, 0
    rng = np.random.default_rng(0)
    for _ in range(repeats):
        rows = 1e3 * rng.choice(3, size=(300, 1), p=shares).astype(float)
        interval = rke_mode_count(rows, bandwidth=1.0).interval
        assert interval is not None
        covered += interval[0] <= 1 / np.square(shares).sum() <= interval[1]
    assert 0.9 * repeats <= covered <= 0.99 * repeats


def test_median_distance() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    assert median_distance(rows) == pytest.approx(np.median(pdist(rows)), rel=1e-2)
    many = np.random.default_rng(0).normal(size=(3000, 1))
    assert median_distance(many) == pytest.approx(0.954, rel=0.05)  # sqrt(2) * 0.6745
    assert median_distance(many) != median_distance(many, context=Context(seed=1))
    with pytest.raises(DataError, match="half of all pairs of samples are equal"):
        median_distance(np.ones((30, 2)))
    with pytest.raises(DataError, match="a distance needs 2 samples"):
        median_distance(rows[:1])


def test_bad_input_is_refused() -> None:
    with pytest.raises(UsageError, match="not a bandwidth"):
        rke_mode_count(np.ones((5, 2)), bandwidth=0)
    with pytest.raises(DataError, match="needs 3 samples"):
        rke_mode_count(np.ones((2, 2)), bandwidth=1)


def test_the_interval_begins_at_one_mode() -> None:
    score = rke_mode_count(np.concatenate([np.zeros((9, 1)), [[5.0]]]), bandwidth=1.0)
    assert score.interval is not None
    assert score.interval[0] == 1 < score.value < score.interval[1] <= 10
