"""Recall and coverage without blocks, in one pass, against balls counted anew without each block."""

import numpy as np
import pytest

from creuset.errors import DataError
from creuset.metrics import blocks as distances
from creuset.metrics.balls_left_out import BallsLeftOut
from creuset.metrics.jackknife import block_numbers
from creuset.metrics.precision_recall import BallCounts


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("spread", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(("num", "num_real", "dims"), [(150, 90, 2), (90, 150, 20), (200, 200, 64)])
def test_one_pass_is_as_good_as_counting_anew(
    num: int, num_real: int, dims: int, spread: float, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances.row_slices, "__defaults__", (37,))
    rng = np.random.default_rng(dims + k)
    real, generated = rng.normal(size=(num_real, dims)), spread * rng.normal(size=(num, dims)) + 0.1
    numbers = block_numbers(num, 20, rng)
    whole, plain = (BallCounts.from_features(generated, real, k=k, blocks=b) for b in (numbers, None))
    for name in ("real_balls", "recalled", "covered"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(plain, name))
    assert plain.recall_left_out is plain.coverage_left_out is None
    anew = [BallCounts.from_features(generated[numbers != block], real, k=k) for block in range(20)]
    np.testing.assert_allclose(whole.recall_left_out, [balls.recalled.mean() for balls in anew])  # type: ignore[arg-type]
    np.testing.assert_allclose(whole.coverage_left_out, [balls.covered.mean() for balls in anew])  # type: ignore[arg-type]


def test_equal_samples_have_balls_of_no_width() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(60, 3))
    generated = np.repeat(rng.normal(size=(8, 3)), 10, axis=0)
    numbers = block_numbers(80, 20, rng)
    whole = BallCounts.from_features(generated, real, k=5, blocks=numbers)
    anew = [BallCounts.from_features(generated[numbers != block], real, k=5) for block in range(20)]
    np.testing.assert_allclose(whole.recall_left_out, [balls.recalled.mean() for balls in anew])  # type: ignore[arg-type]
    np.testing.assert_allclose(whole.coverage_left_out, [balls.covered.mean() for balls in anew])  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [1, 5])
def test_blocks_of_neighbours_are_counted_right_as_well(k: int) -> None:
    """Not dealt at random: all of a sample's nearest are of its own block, or of one other."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(70, 2))
    generated = rng.normal(size=(90, 2))
    numbers = np.argsort(np.argsort(generated[:, 0])) // 30
    whole = BallCounts.from_features(generated, real, k=k, blocks=numbers)
    anew = [BallCounts.from_features(generated[numbers != block], real, k=k) for block in range(3)]
    np.testing.assert_allclose(whole.recall_left_out, [balls.recalled.mean() for balls in anew])  # type: ignore[arg-type]
    np.testing.assert_allclose(whole.coverage_left_out, [balls.covered.mean() for balls in anew])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (np.arange(12) // 7, "12 samples, blocks of up to 7"),
        (np.zeros(11, dtype=np.int64), "blocks"),
        (np.arange(12) - 1, "out of range"),
        (np.linspace(0, 1, 12), "blocks"),
    ],
)
def test_blocks_that_are_none_are_refused(blocks: np.ndarray, message: str) -> None:
    rows = np.random.default_rng(0).normal(size=(12, 3))
    with pytest.raises(DataError, match=message):
        BallsLeftOut(rows, 12, 5, blocks)
