"""Moments in blocks, merged and taken apart, against numpy's of everything at once."""

import numpy as np
import pytest

from creuset.errors import DataError
from creuset.metrics.jackknife import random_blocks
from creuset.metrics.moments import BlockMoments, FeatureMoments


def features(num: int = 3000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 100 + rng.normal(size=(num, 4)) @ rng.normal(size=(4, 4))


def assert_moments_of(moments: FeatureMoments, rows: np.ndarray) -> None:
    assert moments.count == len(rows)
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(moments.covariance, np.cov(rows, rowvar=False), rtol=1e-10)


def test_an_array_a_stream_of_blocks_and_merged_parts_agree_with_numpy() -> None:
    rows = features()
    assert_moments_of(FeatureMoments.from_features(rows), rows)
    assert_moments_of(FeatureMoments.from_blocks(rows[i : i + 7] for i in range(0, 3000, 7)), rows)
    parts = FeatureMoments.from_features(rows[:1]), FeatureMoments.from_features(rows[1:])
    assert_moments_of(parts[0].merge(parts[1]), rows)


def test_float32_features_are_summed_in_float64() -> None:
    rows = features().astype(np.float32)
    assert_moments_of(FeatureMoments.from_features(rows), rows.astype(np.float64))


def test_a_part_can_be_taken_away_again() -> None:
    rows = features()
    whole, part = FeatureMoments.from_features(rows), FeatureMoments.from_features(rows[:1000])
    assert_moments_of(whole.without(part), rows[1000:])
    with pytest.raises(DataError, match="nothing is left"):
        part.without(part)


def test_blocks_add_up_and_leave_out() -> None:
    rows = features()
    blocked = BlockMoments.from_features(rows, generator=np.random.default_rng(0), num_blocks=7)
    assert_moments_of(blocked.total, rows)
    for left, block in zip(blocked.left_out(), blocked, strict=True):
        again = left.merge(block)
        np.testing.assert_allclose(again.scatter, blocked.total.scatter, rtol=1e-10)
        assert left.count == 3000 - block.count


def test_blocks_are_dealt_at_random() -> None:
    labels = np.stack([np.arange(200) % 20, np.arange(200) // 10], axis=1).astype(float)
    blocked = BlockMoments.from_features(labels, generator=np.random.default_rng(0))
    assert all((block.scatter.diagonal() > 0).all() for block in blocked)


def test_stored_arrays_give_the_same_moments() -> None:
    moments = FeatureMoments.from_features(features())
    again = FeatureMoments.from_arrays(moments.to_arrays())
    assert again.count == 3000
    np.testing.assert_array_equal(again.scatter, moments.scatter)
    with pytest.raises(DataError, match="no scatter"):
        FeatureMoments.from_arrays({"count": 3, "mean": np.zeros(2)})
    with pytest.raises(DataError, match=r"mean of 2, scatter \(3, 3\)"):
        FeatureMoments(count=3, mean=np.zeros(2), scatter=np.eye(3))


def test_pairs_of_blocks_are_left_out_in_a_ring() -> None:
    rows = features(40)
    blocks = BlockMoments.from_features(rows, generator=np.random.default_rng(0), num_blocks=4)
    parts = random_blocks(40, 4, np.random.default_rng(0))
    for i, moments in enumerate(blocks.pairs_left_out()):
        kept = np.delete(rows, np.concatenate([parts[i], parts[(i + 1) % 4]]), axis=0)
        assert moments.count == len(kept)
        np.testing.assert_allclose(moments.covariance, np.cov(kept.T), rtol=1e-9)


def test_blocks_that_are_gathered_anew_are_those_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = features(200)
    kept = BlockMoments.from_features(rows, generator=np.random.default_rng(0), num_blocks=4)
    monkeypatch.setattr("creuset.metrics.moments._MOST_KEPT_BYTES", 0)
    anew = BlockMoments.from_features(rows, generator=np.random.default_rng(0), num_blocks=4)
    assert len(anew) == len(kept) == 4
    for one, other in zip([*kept, kept.total], [*anew, anew.total], strict=True):
        assert one.count == other.count
        np.testing.assert_array_equal(one.mean, other.mean)
        np.testing.assert_allclose(one.scatter, other.scatter, rtol=1e-12)


def test_bad_features_are_refused_with_their_place() -> None:
    rows = features(5000)
    rows[4500, 2] = np.nan
    with pytest.raises(DataError, match=r"the first at \(4500, 2\) of shape \(5000, 4\)"):
        FeatureMoments.from_features(rows)
    with pytest.raises(DataError, match="no block of features"):
        FeatureMoments.from_blocks([])
    with pytest.raises(DataError, match="unequal numbers of features"):
        FeatureMoments.from_blocks([np.zeros((3, 2)), np.zeros((3, 4))])
    with pytest.raises(DataError, match="nothing to measure"):
        FeatureMoments.from_features(np.zeros((0, 4)))
    with pytest.raises(DataError, match=r"axes \(samples, features\)"):
        FeatureMoments.from_features(np.zeros((3, 4, 4)))
    with pytest.raises(DataError, match="needs 2 samples"):
        _ = FeatureMoments.from_features(np.zeros((1, 4))).covariance


def test_some_rows_of_an_array() -> None:
    features = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    some = np.arange(0, 3000, 2)
    found, expected = FeatureMoments.from_rows(features, some), FeatureMoments.from_features(features[some])
    assert found.count == 1500
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.scatter, expected.scatter)
