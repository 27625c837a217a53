"""The jackknife: how far a statistic moves when a part of the samples is left out, and so its error and bias.

    pseudo-value of part i    K T - (K - 1) T(all but i)
    corrected estimate        their mean: the intercept on 1/N of the line through T at N and at N (K - 1)/K
    standard error            sd/sqrt(K) of the pseudo-values; Student's t with K - 1 degrees of freedom

Where parts act together, as in a distance between equal distributions, their pairs vary the statistic too,
and the jackknife counts that twice. How much it is shows when two parts are left out together:

    of parts i and j          K T - (K - 1)(T(all but i) + T(all but j)) + (K - 2) T(all but both)

Sources: Quenouille (1956), "Notes on bias in estimation"; Shao and Tu (1995), "The Jackknife
and Bootstrap", chapters 1 and 2; Efron and Stein (1981), "The Jackknife Estimate of Variance", section 4.
Departures: pairs of neighbours only, K of the K (K - 1)/2. Three quarters of what was counted twice are taken
off, as the estimate of it varies itself: of 300 pairs of sets intervals then held the truth in 93 to 98% over
nine cases, with all of it taken off in 92 to 96%, with nothing in 95 to 99% (docs/log.md).
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from creuset.errors import DataError
from creuset.metrics.inputs import FloatArray, IntArray, as_floats, require_same_length
from creuset.metrics.intervals import Interval, MeanEstimate, mean_estimate, student_estimate

NUM_BLOCKS = 20
"""Blocks of samples that are left out in turn: Student's t with 19 degrees of freedom is 7% wider than the
normal, and each block costs one more computation of the statistic."""


_TAKEN_OFF = 0.75
"""Share of what was counted twice."""


def block_numbers(num_samples: int, num_blocks: int, generator: np.random.Generator) -> IntArray:
    """The block of each sample, from 0, as `random_blocks` deals them, (num_samples,).

    Raises:
        DataError: As `random_blocks`.
    """
    numbers = np.empty(num_samples, dtype=np.int64)
    for number, block in enumerate(random_blocks(num_samples, num_blocks, generator)):
        numbers[block] = number
    return numbers


def random_blocks(num_samples: int, num_blocks: int, generator: np.random.Generator) -> list[IntArray]:
    """The indices of the samples dealt at random into blocks whose sizes differ by at most 1.

    At random, because samples often come sorted, or with a class that repeats with their position.

    Raises:
        DataError: Less than 2 blocks, or less than 2 samples for each.
    """
    if num_blocks < 2 or num_samples < 2 * num_blocks:
        raise DataError(
            "not enough samples for a jackknife over blocks",
            got=f"{num_samples} samples for {num_blocks} blocks",
            expected="2 or more blocks with 2 or more samples each",
        )
    return np.array_split(generator.permutation(num_samples), num_blocks)


def block_jackknife(estimate: float, left_out: ArrayLike) -> MeanEstimate:
    """The statistic without its bias of order 1/N, with its error; no interval where it never varies.

    Args:
        estimate: Of all samples.
        left_out: Of all samples but one block, for each of K equal blocks, (K,).

    Raises:
        DataError: No blocks, or values that are not finite.
    """
    values = as_floats("left_out", left_out, "blocks")
    num = len(values)
    return mean_estimate(num * estimate - (num - 1) * values)


def second_order_jackknife(estimate: float, left_out: ArrayLike, pairs_left_out: ArrayLike) -> MeanEstimate:
    """The statistic without its bias, with an error in which pairs of blocks count once.

    Args:
        estimate: Of all samples.
        left_out: Of all samples but one block, for each of K equal blocks, (K,).
        pairs_left_out: Of all but block i and the next one, the last block's next being the first, (K,).

    Raises:
        DataError: Less than 3 blocks, unequal numbers, or values that are not finite.
    """
    values = as_floats("left_out", left_out, "blocks")
    pairs = as_floats("pairs_left_out", pairs_left_out, "blocks")
    require_same_length(left_out=values, pairs_left_out=pairs)
    num = len(values)
    if num < 3:
        raise DataError("pairs of blocks need 3 blocks", where="left_out", got=num)
    plain = block_jackknife(estimate, values)
    assert plain.standard_error is not None
    together = num * estimate - (num - 1) * (values + np.roll(values, -1)) + (num - 2) * pairs
    # Of a quadratic statistic: var(together) = 4/K^2 (1 + 2/K) E b^2 over pairs b, and 2/(K (K - 1)) E b^2
    # is what they add to the variance.
    counted_twice = float(together.var(ddof=1)) / 2 * (num - 2) / (num - 1)
    variance = plain.standard_error**2
    error = math.sqrt(variance - _TAKEN_OFF * min(counted_twice, variance / 2))
    return student_estimate(plain.mean, error, num)


def left_out_interval(estimate: float, left_out: ArrayLike) -> Interval | None:
    """Where the statistic's expectation *at this number of samples* lies: estimate +- t(K - 1) error.

    The bias of order 1/N stays, in the estimate as in what it is an interval of. The variance of the
    statistic of one block fewer is on average not estimated too small: Efron and Stein (1981), theorem 1.
    How often such intervals hold: benchmarks/fixed_reference_intervals.py. None where the statistic never
    varies.

    Args:
        estimate: Of all samples.
        left_out: Of all samples but one block, for each of K equal blocks, (K,).

    Raises:
        DataError: Fewer than 2 blocks, or values that are not finite.
    """
    values = as_floats("left_out", left_out, "blocks")
    if len(values) < 2:
        raise DataError("an interval needs 2 blocks", where="left_out", got=len(values))
    return student_estimate(estimate, leave_one_out_error(values), len(values)).interval


def leave_one_out_error(left_out: FloatArray) -> float:
    """The jackknife standard error of a statistic from its value without each sample or equal block, (N,).

    sqrt((N - 1)/N sum (T_i - mean)^2). For two independent sets, add the squares of their errors.
    """
    num = len(left_out)
    return float(np.sqrt((num - 1) / num * np.square(left_out - left_out.mean()).sum()))
