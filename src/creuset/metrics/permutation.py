"""Permutation tests and Holm's correction: the p values of comparisons.

Sources: Noreen (1989), "Computer-intensive methods for testing hypotheses" (permutation of pairs and of
samples); McNemar (1947), "Note on the sampling error of the difference between correlated proportions";
Chung and Romano (2013), "Exact and asymptotically robust permutation tests" (the studentised difference of
means); Holm (1979), "A simple sequentially rejective multiple test procedure".
Departures: p counts the observed arrangement among the permutations, so it is never 0.

Legend of shapes: N samples, C columns, R permutations.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray
from creuset.metrics.intervals import Statistic

NUM_PERMUTATIONS = 10_000
"""The smallest p is 1/10,001, which Holm's correction for 100 comparisons still leaves below 5%."""


_CHUNK_ELEMENTS = 2**22


def sign_test(rises: int, falls: int) -> float:
    """How often fair coins fall at least as unevenly: McNemar's exact test, two-sided.

    Args:
        rises: Samples that only the second system got right.
        falls: Samples that only the first one did.
    """
    return min(1.0, 2 * float(bdtr(min(rises, falls), rises + falls, 0.5))) if rises + falls else 1.0


def flip_test(
    left: FloatArray,
    right: FloatArray,
    of_sums: Statistic,
    observed: float,
    generator: np.random.Generator,
    num_permutations: int,
) -> float:
    """The p value when the two rows of each sample are exchanged by a fair coin.

    Args:
        left, right: The rows of both systems, (N, C).
        of_sums: The measure of the sum of rows, for many sums at once, (R, C) -> (R,).
        observed: The difference of the measures as they are, right less left.
        generator: The coins.
        num_permutations: R.

    Raises:
        UsageError: No permutations.
    """
    step = right - left
    step = step[(step != 0).any(axis=1)]  # exchanging equal rows changes nothing
    if not len(step):
        return 1.0
    sum_left = left.sum(axis=0)
    total = sum_left + right.sum(axis=0)
    as_large = 0
    for size in _chunks(num_permutations, len(step)):
        bits = np.frombuffer(generator.bytes(size * len(step) // 8 + 1), dtype=np.uint8)
        flipped = np.unpackbits(bits, count=size * len(step)).reshape(size, len(step))
        first = sum_left + flipped @ step  # (R, C)
        as_large += _count_as_large(of_sums(total - first) - of_sums(first), observed)
    return (1 + as_large) / (1 + num_permutations)


def deal_test(
    left: FloatArray, right: FloatArray, generator: np.random.Generator, num_permutations: int
) -> float:
    """The p value of a difference of means when the values are dealt anew between the systems.

    The difference is taken over its standard error, so that unequal spreads do no harm.

    Args:
        left, right: A value a sample, (N,), 2 or more of each.
        generator: The deals.
        num_permutations: R.

    Raises:
        UsageError: No permutations.
    """
    values = np.concatenate([left, right])
    values = values - values.mean()  # keeps the sums of squares precise
    num_left, n = len(left), len(values)
    if not values.any():
        return 1.0
    observed = float(_studentised(values[None], num_left)[0])
    as_large = 0
    for size in _chunks(num_permutations, n):
        dealt = generator.permuted(np.broadcast_to(values, (size, n)), axis=1)
        as_large += _count_as_large(_studentised(dealt, num_left), observed)
    return (1 + as_large) / (1 + num_permutations)


def _studentised(values: FloatArray, num_left: int) -> FloatArray:
    """(mean of the rest - mean of the first) / its standard error, (R, N) -> (R,)."""
    left, right = values[:, :num_left], values[:, num_left:]
    variance = left.var(axis=1, ddof=1) / num_left + right.var(axis=1, ddof=1) / right.shape[1]
    gap = right.mean(axis=1) - left.mean(axis=1)
    with np.errstate(divide="ignore"):  # two constant halves are infinitely far apart
        result: FloatArray = gap / np.sqrt(variance)
    return result


def _count_as_large(values: FloatArray, observed: float) -> int:
    """How many are as far from 0 as the observed one, up to rounding."""
    return int(np.count_nonzero(np.abs(values) >= abs(observed) * (1 - 1e-9)))


def _chunks(num: int, width: int) -> list[int]:
    if num < 1:
        raise UsageError("a permutation test needs permutations", got=num, expected="1 or more")
    chunk = max(1, _CHUNK_ELEMENTS // width)
    return [min(chunk, num - start) for start in range(0, num, chunk)]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's p values: below a level with at most that chance that any of the true nulls is rejected.

    The k-th smallest of m is multiplied by m - k + 1, never falling below one before it, at most 1.

    Raises:
        DataError: A p value outside [0, 1].
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise DataError("not p values", got=list(p_values), expected="numbers from 0 to 1")
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for passed, place in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - passed)))
        corrected[place] = highest
    return corrected
