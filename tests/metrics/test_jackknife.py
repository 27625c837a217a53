"""The jackknife against closed forms."""

import numpy as np
import pytest

from creuset.errors import DataError
from creuset.metrics.jackknife import (
    block_jackknife,
    leave_one_out_error,
    random_blocks,
    second_order_jackknife,
)


def test_it_removes_a_bias_of_order_1_over_n_exactly() -> None:
    values = np.random.default_rng(0).normal(size=12)
    left_out = [np.delete(values, i).var() for i in range(12)]
    assert block_jackknife(values.var(), left_out).mean == pytest.approx(values.var(ddof=1))


def test_of_a_mean_the_error_is_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=12)
    left_out = np.array([np.delete(values, i).mean() for i in range(12)])
    expected = values.std(ddof=1) / np.sqrt(12)
    assert leave_one_out_error(left_out) == pytest.approx(expected)
    assert block_jackknife(values.mean(), left_out).standard_error == pytest.approx(expected)


def squared_mean(blocks: np.ndarray) -> float:
    return float(np.square(blocks.mean(axis=0)).sum())


def test_of_what_pairs_vary_three_quarters_are_taken_off() -> None:
    # |mean|^2 around 0 varies by pairs alone, 2 D/(K (K - 1)): the jackknife says twice as much.
    rng, num, dims = np.random.default_rng(0), 20, 64
    values, plain, corrected = [], [], []
    for _ in range(400):
        blocks = rng.normal(size=(num, dims))
        one = [squared_mean(np.delete(blocks, i, axis=0)) for i in range(num)]
        two = [squared_mean(np.delete(blocks, [i, (i + 1) % num], axis=0)) for i in range(num)]
        for found, estimate in (
            (plain, block_jackknife(squared_mean(blocks), one)),
            (corrected, second_order_jackknife(squared_mean(blocks), one, two)),
        ):
            assert estimate.standard_error is not None
            found.append(estimate.standard_error**2)
        values.append(estimate.mean)
    assert np.mean(plain) == pytest.approx(4 * dims / (num * (num - 1)), rel=0.05)
    assert np.mean(corrected) == pytest.approx(2.5 * dims / (num * (num - 1)), rel=0.1)
    assert np.var(values) < np.mean(corrected) < np.mean(plain)


def test_of_a_mean_nothing_is_taken_off() -> None:
    values = np.random.default_rng(0).normal(size=12)
    one = [np.delete(values, i).mean() for i in range(12)]
    two = [np.delete(values, [i, (i + 1) % 12]).mean() for i in range(12)]
    estimate = second_order_jackknife(values.mean(), one, two)
    assert estimate.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(12))
    assert estimate.mean == pytest.approx(values.mean())


def test_pairs_of_blocks_need_three() -> None:
    with pytest.raises(DataError, match="need 3 blocks"):
        second_order_jackknife(1.0, [1.0, 2.0], [1.0, 2.0])


def test_blocks_hold_every_sample_once_in_random_order() -> None:
    parts = random_blocks(47, 20, np.random.default_rng(0))
    assert sorted(np.concatenate(parts)) == list(range(47))
    assert {len(part) for part in parts} == {2, 3}
    assert not np.array_equal(np.concatenate(parts), np.arange(47))


@pytest.mark.parametrize(("num", "blocks"), [(39, 20), (10, 1)])
def test_too_few_samples_are_refused(num: int, blocks: int) -> None:
    with pytest.raises(DataError, match=f"{num} samples for {blocks} blocks"):
        random_blocks(num, blocks, np.random.default_rng(0))
