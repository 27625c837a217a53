"""A mean against the number of samples: whether it had settled, and how its interval shrinks.

The first n samples are as good as any others where their order is random, as that of a split is, which is
sorted by content hash. Values at growing n are of nested sets, so they move together: that the last ones
agree says less than the last interval.

Legend of shapes: N samples, S sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from creuset.errors import UsageError
from creuset.metrics.inputs import as_floats
from creuset.metrics.intervals import Interval, mean_estimate, wilson_interval

NUM_SIZES = 10
_FEWEST = 20


@dataclass(frozen=True, kw_only=True)
class GrowthPoint:
    """The mean of the first samples.

    Args:
        n: How many.
        value: Their mean.
        interval: Its 95% interval; None for a single sample.
    """

    n: int
    value: float
    interval: Interval | None


def growing_sizes(num_samples: int, num_sizes: int = NUM_SIZES, fewest: int = _FEWEST) -> list[int]:
    """Numbers of samples that grow by about equal factors, from `fewest` to all; just all where those are
    fewer.

    Raises:
        UsageError: Less than 1 sample or size.
    """
    if num_samples < 1 or num_sizes < 1:
        raise UsageError(
            "no sizes to grow by",
            got=f"{num_samples} samples, {num_sizes} sizes",
            expected="1 or more of each",
        )
    sizes = np.geomspace(min(fewest, num_samples), num_samples, num_sizes)
    return [int(size) for size in np.unique(sizes.round())]


def growth_of_mean(values: ArrayLike, sizes: Sequence[int]) -> list[GrowthPoint]:
    """The mean over the first n samples for each n, with Wilson's interval where all values are 0 or 1, else
    Student's.

    Args:
        values: One a sample, (N,), in a random order.
        sizes: n, from 1 to N.

    Raises:
        DataError: No samples, or values that are not finite.
        UsageError: A size outside 1 to N.
    """
    array = as_floats("values", values, "samples")
    is_share = bool(np.isin(array, (0.0, 1.0)).all())
    points = []
    for size in sizes:
        if not 1 <= size <= len(array):
            raise UsageError("not a number of samples", got=size, expected=f"1 to {len(array)}")
        some = array[:size]
        interval = wilson_interval(float(some.sum()), size) if is_share else mean_estimate(some).interval
        points.append(GrowthPoint(n=size, value=float(some.mean()), interval=interval))
    return points
