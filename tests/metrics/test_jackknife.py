"""The jackknife against closed forms."""

import numpy as np
import pytest

from creuset.errors import DataError
from creuset.metrics.jackknife import block_jackknife, leave_one_out_error, random_blocks


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


def test_blocks_hold_every_sample_once_in_random_order() -> None:
    parts = random_blocks(47, 20, np.random.default_rng(0))
    assert sorted(np.concatenate(parts)) == list(range(47))
    assert {len(part) for part in parts} == {2, 3}
    assert not np.array_equal(np.concatenate(parts), np.arange(47))


@pytest.mark.parametrize(("num", "blocks"), [(39, 20), (10, 1)])
def test_too_few_samples_are_refused(num: int, blocks: int) -> None:
    with pytest.raises(DataError, match=f"{num} samples for {blocks} blocks"):
        random_blocks(num, blocks, np.random.default_rng(0))
