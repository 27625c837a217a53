"""Intervals: how far a score could have come out differently on other samples of the same kind.

    proportion          Wilson's score interval, closed form            tag wilson95
    mean                mean +- t quantile x standard error             tag t95
    anything else       bootstrap over samples, percentile or BCa       tags percentile95, bca95

The bootstrap works on sufficient statistics: each sample is a row, a statistic is a function of the sum of
the rows, and a resample is a vector of multinomial counts, so that all resamples are one matrix product.

Sources: Wilson (1927), "Probable inference, the law of succession, and statistical inference"; Efron (1987),
"Better bootstrap confidence intervals", equations 2.3 and 6.6 (BCa); Efron and Tibshirani (1993), chapter 14.
Departures: a statistic that never varies gives no interval, instead of one of width 0; an interval that
reaches beyond what the measure can be is cut there (`within`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri, stdtrit

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray, IntArray, as_floats, as_integers, require_same_length

Interval = tuple[float, float]
Statistic = Callable[[FloatArray], FloatArray]
"""Sums of rows (resamples, columns) -> one value a resample (resamples,)."""

CONFIDENCE = 0.95
"""The level of every interval that a Score carries."""

NUM_RESAMPLES = 1000
"""Efron and Tibshirani (1993), section 14.3: BCa intervals want at least 1,000."""

ROUNDING = 1e-12
"""Of a value: an error below it is the rounding of values that are all equal."""

_CHUNK_ELEMENTS = 2**22
"""Resample weights held at a time: 32 MB in float64."""


def wilson_interval(successes: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's interval of a proportion: the p that a score test of `successes` out of `n` does not reject.

    (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n), p = successes/n. It keeps its coverage near
    0 and 1, and is never of width 0.

    Args:
        successes: In [0, n]; a tie may count as half of one, which makes the interval a little too wide.
        n: Trials, from 1.
        confidence: Coverage, in (0, 1).

    Raises:
        DataError: No trials, or successes that are not among them.
    """
    if n < 1 or not 0 <= successes <= n:
        raise DataError(
            "not a proportion", got=f"{successes} of {n}", expected="0 <= successes <= n and n from 1"
        )
    z = float(ndtri(_upper_tail(confidence)))
    p = successes / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return low, high


@dataclass(frozen=True, kw_only=True)
class MeanEstimate:
    """A mean over samples.

    Args:
        mean: The samples' mean.
        standard_error: sd/sqrt(n) with n - 1 in the variance; None for a single sample.
        interval: Student's interval; None for a single sample, and where nothing varies.
        n: Samples.
    """

    mean: float
    standard_error: float | None
    interval: Interval | None
    n: int


def mean_estimate(values: ArrayLike, confidence: float = CONFIDENCE) -> MeanEstimate:
    """The mean with its standard error and Student's interval: mean +- t(n - 1) sd/sqrt(n).

    Args:
        values: (samples,), finite.
        confidence: Coverage, in (0, 1).

    Raises:
        DataError: No samples, or values that are not finite.
    """
    array = as_floats("values", values, "samples")
    n, mean = len(array), float(array.mean())
    if n == 1:
        return MeanEstimate(mean=mean, standard_error=None, interval=None, n=1)
    return student_estimate(mean, float(array.std(ddof=1)) / math.sqrt(n), n, confidence)


def student_estimate(mean: float, error: float, n: int, confidence: float = CONFIDENCE) -> MeanEstimate:
    """Student's interval around a mean of n values, at least 2, whose standard error is known:
    mean +- t(n - 1) error. None where the error is 0, or the rounding of the mean."""
    if error <= ROUNDING * abs(mean):
        return MeanEstimate(mean=mean, standard_error=error, interval=None, n=n)
    half = float(stdtrit(n - 1, _upper_tail(confidence))) * error
    return MeanEstimate(mean=mean, standard_error=error, interval=(mean - half, mean + half), n=n)


def within(interval: Interval | None, low: float = -math.inf, high: float = math.inf) -> Interval | None:
    """The interval cut at the lowest and the highest value that the measure can have."""
    return None if interval is None else (max(interval[0], low), min(interval[1], high))


@dataclass(frozen=True, kw_only=True, eq=False)
class Bootstrap:
    """A statistic of the samples and of resamples of them.

    Args:
        estimate: The statistic of the samples themselves.
        resampled: The statistic of each resample, (resamples,).
        jackknife: The statistic without one sample, a value for each distinct row (rows,).
        counts: How many samples each distinct row stands for, (rows,).
    """

    estimate: float
    resampled: FloatArray
    jackknife: FloatArray
    counts: IntArray

    def interval(
        self, method: Literal["percentile", "bca"] = "bca", confidence: float = CONFIDENCE
    ) -> Interval | None:
        """The percentile or the bias-corrected and accelerated interval.

        None where all resamples agree: then they say nothing about the spread (a perfect classifier on a
        few samples is no proof of perfection).
        """
        if float(np.ptp(self.resampled)) <= ROUNDING * max(1.0, abs(self.estimate)):
            return None
        tails = np.array([1 - _upper_tail(confidence), _upper_tail(confidence)])
        if method == "bca":
            tails = self._bca_tails(tails)
        low, high = np.quantile(self.resampled, tails)
        return float(low), float(high)

    def _bca_tails(self, tails: FloatArray) -> FloatArray:
        num = len(self.resampled)
        below = np.mean(self.resampled < self.estimate) + np.mean(self.resampled == self.estimate) / 2
        bias = ndtri(np.clip(below, 0.5 / num, 1 - 0.5 / num))
        deviation = np.average(self.jackknife, weights=self.counts) - self.jackknife
        spread = float(np.sum(self.counts * deviation**2))
        acceleration = float(np.sum(self.counts * deviation**3)) / (6 * spread**1.5) if spread > 0 else 0.0
        shifted = bias + ndtri(tails)
        corrected: FloatArray = ndtr(bias + shifted / (1 - acceleration * shifted))
        return corrected


def bootstrap(
    rows: ArrayLike,
    statistic: Statistic,
    *,
    generator: np.random.Generator,
    counts: ArrayLike | None = None,
    num_resamples: int = NUM_RESAMPLES,
) -> Bootstrap:
    """Resample the samples with replacement and compute the statistic of each resample.

    The resamples depend on the generator and the number of rows alone: two models measured on the same
    samples with equal generators are resampled alike. For an interval of their difference, put the columns
    of both side by side and subtract in the statistic.

    Args:
        rows: One row of sufficient statistics a sample, (samples, columns).
        statistic: Of the sum of rows, for many sums at once; finite.
        generator: Every draw.
        counts: (rows,), where equal samples are given as one row with their number: exact and cheaper.
        num_resamples: Resamples.

    Raises:
        DataError: No samples, or rows that are not finite.
        UsageError: Less than 2 resamples.
    """
    if num_resamples < 2:
        raise UsageError("a bootstrap needs resamples", got=num_resamples, expected="2 or more")
    table = as_floats("rows", rows, "samples columns")
    if counts is None:
        weights = np.ones(len(table), dtype=np.int64)
    else:
        weights = as_integers("counts", counts, "rows", below=2**62).astype(np.int64)
        require_same_length(rows=table, counts=weights)
        table, weights = table[weights > 0], weights[weights > 0]
        if len(table) == 0:
            raise DataError("nothing to measure", where="counts", got="only zeros")
    num_samples = int(weights.sum())
    total = weights @ table
    chunk = max(1, _CHUNK_ELEMENTS // len(table))
    resampled = [
        statistic(
            generator.multinomial(num_samples, weights / num_samples, size=min(chunk, num_resamples - start))
            @ table
        )
        for start in range(0, num_resamples, chunk)
    ]
    return Bootstrap(
        estimate=float(statistic(total[None])[0]),
        resampled=np.concatenate(resampled),
        jackknife=statistic(total - table) if num_samples > 1 else np.zeros(1),
        counts=weights,
    )


def _upper_tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UsageError("not a confidence level", got=confidence, expected="a number between 0 and 1")
    return (1 + confidence) / 2
