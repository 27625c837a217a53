"""The kernel distance between two sets of features: the unbiased squared MMD with a cubic kernel.

    k(x, y) = (x.y / D + 1)^3
    MMD^2 = mean over i != j of k(x_i, x_j) + mean over i != j of k(y_i, y_j) - 2 mean k(x_i, y_j)

Unlike a Frechet distance it is unbiased at any N, so it may fall below 0 where the sets are alike.

Up to 10,000 samples all pairs are taken, and what each sample adds to the three sums is kept: leaving one
sample out is then a subtraction, and the error is the jackknife's over both sets. Where the sets are alike
what varies is of second order, the part of the kernel that is left when each sample's mean is taken off; the
jackknife counts it twice, so it is taken off once. With more samples both sets are dealt at random into
blocks; the value is the mean of the blocks' distances, the interval Student's.

Sources: Binkowski et al. (2018), "Demystifying MMD GANs", section 4 (KID); Efron and Stein (1981), "The
Jackknife Estimate of Variance", section 4 (what it counts twice); Szekely and Rizzo (2014), "Partial Distance
Correlation with Methods for Dissimilarities", section 2 (the unbiased square of a centred matrix).
Departures: blocks that share no sample in place of subsets drawn anew, whose spread is not an error.

Legend of shapes: N generated samples, M reference samples, D features.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from creuset.errors import DataError, UsageError
from creuset.metrics.blocks import row_slices, rows_of
from creuset.metrics.features import UNSTATED_EXTRACTOR, Extractor
from creuset.metrics.inputs import FloatArray, as_features, require_same_width
from creuset.metrics.intervals import CONFIDENCE, ROUNDING, Interval, mean_estimate
from creuset.metrics.jackknife import leave_one_out_error
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context

MOST_IN_FULL = 10_000
"""Samples of the larger set up to which all pairs are taken: 8 seconds on a core at 1,280 features."""

SAMPLES_PER_BLOCK = 2_000


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelSums:
    """What each sample adds to the sums of the kernel; made by `from_features`.

    Args:
        generated: sum over j != i of k(x_i, x_j), (N,).
        reference: sum over j != i of k(y_i, y_j), (M,).
        generated_across: sum over j of k(x_i, y_j), (N,).
        reference_across: sum over i of k(x_i, y_j), (M,).
        squares: Sums of k^2 over the pairs i != j of the generated samples, over those of the reference, and
            across.
    """

    generated: FloatArray
    reference: FloatArray
    generated_across: FloatArray
    reference_across: FloatArray
    squares: tuple[float, float, float]

    @classmethod
    def from_features(cls, generated: ArrayLike, reference: ArrayLike) -> "KernelSums":
        """The sums over all pairs of rows of (N, D) and (M, D).

        Raises:
            DataError: Empty, a single sample, not finite, or unequal numbers of features.
        """
        left, right = as_features("generated", generated), as_features("reference", reference)
        require_same_width(generated=left, reference=right)
        for name, array in (("generated", left), ("reference", right)):
            if len(array) < 2:
                raise DataError("a kernel distance needs 2 samples", where=name, got=len(array))
        generated, generated_squares = _within(left)
        reference, reference_squares = _within(right)
        generated_across, reference_across, squares_across = _across(left, right)
        return cls(
            generated=generated,
            reference=reference,
            generated_across=generated_across,
            reference_across=reference_across,
            squares=(generated_squares, reference_squares, squares_across),
        )

    @property
    def distance(self) -> float:
        """The unbiased squared MMD."""
        n, m = len(self.generated), len(self.reference)
        return float(
            self.generated.sum() / (n * (n - 1))
            + self.reference.sum() / (m * (m - 1))
            - 2 * self.generated_across.sum() / (n * m)
        )

    def left_out(self) -> tuple[FloatArray, FloatArray]:
        """The distance without each generated sample, (N,), and without each reference sample, (M,).

        Raises:
            DataError: Less than 3 samples in a set.
        """
        n, m = len(self.generated), len(self.reference)
        if min(n, m) < 3:
            raise DataError("an interval needs 3 samples", got=f"{n} generated, {m} reference")
        own, other = self.generated.sum(), self.reference.sum()
        across = self.generated_across.sum()
        without_generated: FloatArray = (
            (own - 2 * self.generated) / ((n - 1) * (n - 2))
            + other / (m * (m - 1))
            - 2 * (across - self.generated_across) / ((n - 1) * m)
        )
        without_reference: FloatArray = (
            own / (n * (n - 1))
            + (other - 2 * self.reference) / ((m - 1) * (m - 2))
            - 2 * (across - self.reference_across) / (n * (m - 1))
        )
        return without_generated, without_reference

    def squared_error(self) -> float:
        """The squared standard error of the distance, both sets being drawn anew.

        Raises:
            DataError: Less than 3 samples in a set.
        """
        jackknife = sum(leave_one_out_error(values) ** 2 for values in self.left_out())
        return max(jackknife - self._second_order(), jackknife / 2)

    def _second_order(self) -> float:
        """The part of the distance's variance that comes from pairs of samples."""
        n, m = len(self.generated), len(self.reference)
        squares_of_generated, squares_of_reference, squares_across = self.squares
        across = (
            squares_across
            - float(self.generated_across @ self.generated_across) / m
            - float(self.reference_across @ self.reference_across) / n
            + float(self.generated_across.sum()) ** 2 / (n * m)
        ) / ((n - 1) * (m - 1))
        return (
            2 * _centred_square(self.generated, squares_of_generated) / (n * (n - 1))
            + 2 * _centred_square(self.reference, squares_of_reference) / (m * (m - 1))
            + 4 * across / (n * m)
        )


def kernel_distance(
    generated: ArrayLike,
    reference: ArrayLike,
    *,
    extractor: Extractor = UNSTATED_EXTRACTOR,
    context: Context = NO_CONTEXT,
    most_in_full: int = MOST_IN_FULL,
    samples_per_block: int = SAMPLES_PER_BLOCK,
) -> Score:
    """The kernel distance with its interval: "kid" on Inception's features, else "kd".

    No interval is given where all samples are alike.

    Args:
        generated: Features (N, D).
        reference: Features (M, D).
        extractor: What made the features.
        context: Data, split and seed.
        most_in_full: Samples of the larger set up to which all pairs are taken.
        samples_per_block: Of the smaller set, where blocks are taken.

    Raises:
        DataError: Empty, fewer than 3 samples, not finite, unequal numbers of features, or fewer than two
            blocks of samples in the smaller set.
        UsageError: Blocks of less than 2 samples.
    """
    left, right = as_features("generated", generated), as_features("reference", reference)
    require_same_width(generated=left, reference=right)
    in_full = max(len(left), len(right)) <= most_in_full
    if in_full:
        sums = KernelSums.from_features(left, right)
        value = sums.distance
        interval = _jackknife_interval(sums)
        choices = {"estimator": "full", "interval": "jackknife_corrected95"}
    else:
        distances = _block_distances(left, right, samples_per_block, context.generator())
        estimate = mean_estimate(distances)
        value, interval = estimate.mean, estimate.interval
        choices = {"estimator": f"blocks{len(distances)}", "interval": "t95"}
    return context.score(
        metric="kid" if extractor.is_inception else "kd",
        value=value,
        unit="squared_mmd",
        better="lower",
        interval=interval,
        n=len(left),
        fields={**extractor.fields(), **choices, "kernel": "cubic", "reference_n": len(right)},
        seeded=not in_full,
    )


def _centred_square(sums: FloatArray, squares: float) -> float:
    """The mean square of a symmetric kernel matrix without its diagonal, centred by rows and columns; 0 for
    3 samples, of which nothing is left."""
    n = len(sums)
    if n < 4:
        return 0.0
    total = float(sums.sum())
    return (squares - 2 * float(sums @ sums) / (n - 2) + total**2 / ((n - 1) * (n - 2))) / (n * (n - 3))


def _jackknife_interval(sums: KernelSums) -> Interval | None:
    """None where leaving out any sample changes nothing but the rounding of the kernel's values."""
    size = math.sqrt(sums.squares[2] / (len(sums.generated) * len(sums.reference)))
    if max(float(np.ptp(values)) for values in sums.left_out()) <= ROUNDING * size:
        return None
    half = float(ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(sums.squared_error())
    return sums.distance - half, sums.distance + half


def _block_distances(
    left: NDArray[Any], right: NDArray[Any], size: int, draws: np.random.Generator
) -> list[float]:
    if size < 2:
        raise UsageError("blocks too small", got=f"samples_per_block {size}", expected="2 or more")
    num_blocks = min(len(left), len(right)) // size
    if num_blocks < 2:
        raise DataError(
            "not enough samples for two blocks",
            got=f"{len(left)} generated, {len(right)} reference",
            expected=f"{2 * size} or more in each",
            next_step="raise most_in_full to take all pairs, or lower samples_per_block",
        )
    parts = [np.array_split(draws.permutation(len(array)), num_blocks) for array in (left, right)]
    return [
        KernelSums.from_features(left[np.sort(one)], right[np.sort(two)]).distance
        for one, two in zip(*parts, strict=True)
    ]


def _within(features: NDArray[Any]) -> tuple[FloatArray, float]:
    """sum over j != i of k(x_i, x_j), (N,), and the sum of all squares, each pair of blocks once."""
    sums = np.zeros(len(features))
    squares = 0.0
    slices = row_slices(len(features))
    for number, rows in enumerate(slices):
        left = rows_of(features, rows)
        for columns in slices[number:]:
            if columns == rows:
                kernel = _kernel(left, left)
                np.fill_diagonal(kernel, 0)
                sums[rows] += kernel.sum(axis=1)
                squares += float(np.vdot(kernel, kernel))
            else:
                kernel = _kernel(left, rows_of(features, columns))
                sums[rows] += kernel.sum(axis=1)
                sums[columns] += kernel.sum(axis=0)
                squares += 2 * float(np.vdot(kernel, kernel))
    return sums, squares


def _across(left: NDArray[Any], right: NDArray[Any]) -> tuple[FloatArray, FloatArray, float]:
    left_sums, right_sums = np.zeros(len(left)), np.zeros(len(right))
    squares = 0.0
    for rows in row_slices(len(left)):
        some = rows_of(left, rows)
        for columns in row_slices(len(right)):
            kernel = _kernel(some, rows_of(right, columns))
            left_sums[rows] += kernel.sum(axis=1)
            right_sums[columns] += kernel.sum(axis=0)
            squares += float(np.vdot(kernel, kernel))
    return left_sums, right_sums, squares


def _kernel(left: FloatArray, right: FloatArray) -> FloatArray:
    base: FloatArray = left @ right.T
    base /= left.shape[1]
    base += 1
    cube: FloatArray = base * base
    cube *= base
    return cube
