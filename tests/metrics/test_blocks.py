"""Distances in blocks against distances written out, over block borders."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from creuset.metrics import blocks
from creuset.metrics.blocks import cross_distances, kth_neighbour, nearest_rows, own_distances, row_slices


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks.row_slices, "__defaults__", (7,))


def features(num: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, 5))


def test_slices_cover_all_rows() -> None:
    assert row_slices(15) == [slice(0, 7), slice(7, 14), slice(14, 15)]
    assert row_slices(7) == [slice(0, 7)]


def test_every_pair_is_there_once() -> None:
    first, second = features(20), features(16, seed=1)
    seen = np.full((20, 16), np.nan)
    for block in cross_distances(first, second):
        assert np.isnan(seen[block.rows, block.columns]).all()
        seen[block.rows, block.columns] = block.distances
    np.testing.assert_allclose(seen, cdist(first, second, "sqeuclidean"), rtol=1e-12)
    own = np.full((20, 20), np.nan)
    for block in own_distances(first):
        assert np.isnan(own[block.rows, block.columns]).all()
        own[block.rows, block.columns] = block.distances
        own[block.columns, block.rows] = block.distances.T
    np.testing.assert_allclose(own, cdist(first, first, "sqeuclidean"), rtol=1e-12)


def test_equal_rows_are_at_distance_0_however_far_from_the_origin() -> None:
    rows = 1e3 + features(20)
    doubled = np.concatenate([rows, rows])
    for block in own_distances(doubled):
        equal = np.equal.outer(np.arange(40)[block.rows] % 20, np.arange(40)[block.columns] % 20)
        assert (block.distances[equal] == 0).all()
        assert (block.distances[~equal] > 0).all()


def test_an_outlier_does_not_swallow_small_distances() -> None:
    rows = np.array([[0.0], [1e-3], [1e9]])
    assert kth_neighbour(rows, 1)[:2] == pytest.approx([1e-6, 1e-6])


@pytest.mark.parametrize("k", [1, 3, 19])
def test_kth_neighbour_is_that_of_sorting(k: int) -> None:
    rows = features(20)
    expected = np.sort(cdist(rows, rows, "sqeuclidean"), axis=1)[:, k]  # column 0 is the row itself
    np.testing.assert_allclose(kth_neighbour(rows, k), expected, rtol=1e-12)


def test_nearest_rows_over_blocks() -> None:
    queries, bank = features(16, seed=1), features(20)
    distances, indices = nearest_rows(queries, bank)
    full = cdist(queries, bank, "sqeuclidean")
    np.testing.assert_array_equal(indices, full.argmin(axis=1))
    np.testing.assert_allclose(distances, full.min(axis=1), rtol=1e-12)


def test_float32_rows_mapped_from_a_file_give_float64_distances(tmp_path: Path) -> None:
    rows = features(20).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    exact = kth_neighbour(rows.astype(np.float64), 2)
    np.testing.assert_array_equal(kth_neighbour(mapped, 2), exact)
