import numpy as np
import pytest

from creuset.errors import DataError, UsageError
from creuset.metrics.growth import growing_sizes, growth_of_mean
from creuset.metrics.intervals import mean_estimate, wilson_interval


def test_sizes_grow_by_equal_factors_up_to_all() -> None:
    sizes = growing_sizes(5000, 10, 20)
    assert (sizes[0], sizes[-1], len(sizes)) == (20, 5000, 10)
    factors = np.array(sizes[1:]) / sizes[:-1]
    assert factors == pytest.approx(np.full(9, 250 ** (1 / 9)), rel=0.03)
    assert growing_sizes(7) == [7]
    assert growing_sizes(22, 10, 20) == [20, 21, 22]


def test_a_mean_grows_with_students_interval_and_a_share_with_wilsons() -> None:
    draws = np.random.default_rng(0)
    values = draws.normal(3, 1, 100)
    point = growth_of_mean(values, [10, 100])[0]
    assert (point.n, point.value) == (10, pytest.approx(values[:10].mean()))
    assert point.interval == mean_estimate(values[:10]).interval
    right = (draws.random(100) < 0.9).astype(float)
    points = growth_of_mean(right, [1, 30, 100])
    assert [one.interval for one in points] == [wilson_interval(right[:n].sum(), n) for n in (1, 30, 100)]
    assert growth_of_mean(values, [1])[0].interval is None


def test_what_has_no_size_is_refused() -> None:
    with pytest.raises(UsageError, match="not a number of samples"):
        growth_of_mean([1.0, 2.0], [3])
    with pytest.raises(UsageError, match="no sizes to grow by"):
        growing_sizes(0)
    with pytest.raises(DataError, match="finite"):
        growth_of_mean([1.0, np.nan], [2])
