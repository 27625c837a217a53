"""Comparison: whether system B is better or worse than system A, or the two cannot be told apart.

    the same samples   sign-flip permutation of the pairs; of 0 and 1 McNemar's exact test  compare_paired
    other samples      permutation of the samples between the systems                       compare_unpaired
    no row a sample    the difference of two values, with its standard error          metrics/replicates.py

A p value below 5%, after Holm's correction where several comparisons are read together, is a verdict.

Source: Cohen (1988), "Statistical power analysis for the behavioral sciences", chapter 2 (d, power); the
tests are in metrics/permutation.py.
Departures: the number of samples that would tell assumes that difference and spread stay as observed.

Legend of shapes: N samples, C columns, R permutations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr, stdtrit

from creuset.errors import DataError
from creuset.metrics.inputs import FloatArray, as_floats, require_same_length
from creuset.metrics.intervals import Bootstrap, Interval, Statistic, bootstrap
from creuset.metrics.permutation import NUM_PERMUTATIONS, deal_test, flip_test, holm, sign_test
from creuset.metrics.score import Better, Score
from creuset.metrics.signature import Signature, require_comparable

Verdict = Literal["better", "worse", "cannot tell apart"]

SIGNIFICANCE = 0.05
"""How often two equal systems may be called different."""

POWER = 0.8
"""How often the stated number of samples would tell; Cohen's convention."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """B against A by one metric.

    Args:
        metric, unit, better: As in `Score`.
        a, b: The two values.
        difference: b - a, in the metric's unit.
        interval: The 95% interval of the difference; None where it never varies. It is of this comparison
            alone, not corrected for others, so it may leave 0 out where the two cannot be told apart.
        p_value: How often equal systems would differ so much or more, in [0, 1]. A permutation test never
            gives 0; a test by standard errors does where there is a difference and no error, or so many
            errors that p is below the smallest number.
        p_corrected: The same, corrected for the comparisons that are read together (`holm`).
        effect_size: Cohen's d of the difference; its sign is that of `difference`; None where nothing varies.
        n: Samples of A; of both where they are paired.
        num_comparisons: How many comparisons are read together.
        paired: Whether both were measured on the same samples.
        signature: The signature that both scores share, and how they were tested.
        num_differing: Pairs that differ, where a test by the signs of pairs was made: they alone decide it.
    """

    metric: str
    unit: str
    better: Better
    a: float
    b: float
    difference: float
    interval: Interval | None
    p_value: float
    p_corrected: float
    effect_size: float | None
    n: int
    num_comparisons: int
    paired: bool
    signature: str
    num_differing: int | None = None

    @property
    def verdict(self) -> Verdict:
        """What is known of B: "better" or "worse" than A, or "cannot tell apart"."""
        if self.p_corrected >= SIGNIFICANCE or self.difference == 0:
            return "cannot tell apart"
        return "better" if (self.difference > 0) == (self.better == "higher") else "worse"

    @property
    def more_samples(self) -> int | None:
        """How many more samples of each system would tell, with a power of 80%, were the effect as observed.

        None where the verdict is clear already, or where no number would do: no difference was seen. A test
        that flips k pairs gives a p of 2/2^k at least: no fewer samples are named than have so many pairs
        that differ, at the rate observed, that the corrected level can be reached.
        """
        if self.verdict != "cannot tell apart" or not self.effect_size:
            return None
        sides = 1 if self.paired else 2
        quantiles = ndtri(1 - SIGNIFICANCE / (2 * self.num_comparisons)) + ndtri(POWER)
        needed = math.ceil(sides * float(quantiles / self.effect_size) ** 2)
        if self.num_differing:
            pairs = math.floor(math.log2(2 * self.num_comparisons / SIGNIFICANCE)) + 1  # 2/2^pairs < level
            needed = max(needed, math.ceil(pairs * self.n / self.num_differing))
        return max(needed - self.n, 1)

    def to_json(self) -> dict[str, Any]:
        """The wire form of `--json`."""
        return {
            "metric": self.metric,
            "unit": self.unit,
            "better": self.better,
            "a": self.a,
            "b": self.b,
            "difference": self.difference,
            "interval": None if self.interval is None else list(self.interval),
            "p_value": self.p_value,
            "p_corrected": self.p_corrected,
            "effect_size": self.effect_size,
            "n": self.n,
            "paired": self.paired,
            "verdict": self.verdict,
            "more_samples": self.more_samples,
            "signature": self.signature,
        }


def compare_paired(
    a: Score,
    b: Score,
    rows_a: ArrayLike,
    rows_b: ArrayLike,
    *,
    statistic: Statistic | None = None,
    seed: int = 0,
    num_permutations: int = NUM_PERMUTATIONS,
) -> Comparison:
    """Two systems measured on the same samples.

    Each sample's two rows are exchanged or not by a fair coin; p is the share of arrangements whose
    difference is as large. Where rows are 0 and 1, as in accuracy, that share is computed exactly: McNemar's
    test. The interval is a BCa bootstrap over samples, Cohen's d is that of paired differences.

    Args:
        a, b: The scores.
        rows_a, rows_b: What they were computed from, in the order of the same samples, (N,) or (N, C).
        statistic: Of the sum of rows (R, C), for many sums at once; the mean of (N,) where it is left out.
        seed: Decides permutations and resamples.
        num_permutations: R.

    Raises:
        GateError: The scores measure different things.
        DataError: Rows of unequal number, or that do not give the scores.
    """
    require_comparable(a.signature, b.signature)
    left, right = _rows("rows_a", rows_a, statistic), _rows("rows_b", rows_b, statistic)
    require_same_length(rows_a=left, rows_b=right)
    if left.shape != right.shape:
        raise DataError("rows of unequal columns", got=f"shapes {left.shape} and {right.shape}")
    n, columns = left.shape
    of_sums = _mean if statistic is None else statistic
    difference = _difference(a, b, of_sums(left.sum(axis=0)[None]), of_sums(right.sum(axis=0)[None]))
    generator = np.random.default_rng(seed)
    both, counts = np.unique(np.hstack([left, right]), axis=0, return_counts=True)
    sampled = bootstrap(
        both,
        lambda sums: of_sums(sums[:, columns:]) - of_sums(sums[:, :columns]),
        generator=generator,
        counts=counts,
    )
    steps = right - left
    if statistic is None and np.isin(steps, (-1, 0, 1)).all():
        test = "mcnemar_exact"
        p_value = sign_test(int((steps > 0).sum()), int((steps < 0).sum()))
    else:
        test = f"sign_flip{num_permutations}"
        p_value = flip_test(left, right, of_sums, difference, generator, num_permutations)
    return comparison_of(
        a,
        b,
        difference=difference,
        interval=sampled.interval("bca") if n > 1 else None,
        p_value=p_value,
        spread=_spread(sampled),
        fields={"interval": "bca95", "pairing": "samples", "test": test},
        paired=True,
        seed=seed,
        num_differing=int((steps != 0).any(axis=1).sum()),
    )


def compare_unpaired(
    a: Score,
    b: Score,
    values_a: ArrayLike,
    values_b: ArrayLike,
    *,
    seed: int = 0,
    num_permutations: int = NUM_PERMUTATIONS,
) -> Comparison:
    """Two systems measured on independent samples of one kind, such as two draws from a population.

    The samples are dealt anew between the systems; p is the share of deals whose difference of means over
    its standard error is as large, which holds for unequal spreads too. The interval is Welch's.

    Args:
        a, b: The scores, means of the values.
        values_a, values_b: A value a sample, (N,), at least 2 of each.
        seed: Decides the permutations.
        num_permutations: R.

    Raises:
        GateError: The scores measure different things, the number and the hash of the samples apart.
        DataError: Less than 2 samples, or values that do not give the scores.
    """
    require_comparable(a.signature, b.signature, ignoring=("n", "data", "seed"))
    left, right = _rows("values_a", values_a, None)[:, 0], _rows("values_b", values_b, None)[:, 0]
    if min(len(left), len(right)) < 2:
        raise DataError(
            "a comparison needs samples", got=f"{len(left)} and {len(right)}", expected="2 or more of each"
        )
    difference = _difference(a, b, left.mean(keepdims=True), right.mean(keepdims=True))
    errors = [one.var(ddof=1) / len(one) for one in (left, right)]
    degrees = [len(left) - 1, len(right) - 1]
    generator = np.random.default_rng(seed)
    pooled = math.sqrt(
        (errors[0] * len(left) * degrees[0] + errors[1] * len(right) * degrees[1]) / sum(degrees)
    )
    return comparison_of(
        a,
        b,
        difference=difference,
        interval=welch(difference, errors, degrees)[0],
        p_value=deal_test(left, right, generator, num_permutations),
        spread=pooled,
        fields={"interval": "welch95", "pairing": "none", "test": f"permutation{num_permutations}"},
        paired=False,
        seed=seed,
    )


def correct_together(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with p values corrected by Holm's method for being read together."""
    corrected = holm([one.p_value for one in comparisons])
    return [
        replace(one, p_corrected=p, num_comparisons=len(comparisons))
        for one, p in zip(comparisons, corrected, strict=True)
    ]


def comparison_of(
    a: Score,
    b: Score,
    *,
    difference: float,
    interval: Interval | None,
    p_value: float,
    spread: float,
    fields: dict[str, str],
    paired: bool,
    seed: int | None,
    num_differing: int | None = None,
) -> Comparison:
    """The comparison of two scores, which share a signature, by a test.

    Args:
        a, b: The scores.
        difference, interval, p_value, paired, num_differing: As in `Comparison`.
        spread: The standard deviation that a sample contributes, by which the effect size is measured.
        fields: What the test was, for the signature.
        seed: What decided its draws; None where there were none.
    """
    signature = Signature.parse(a.signature)
    extra = {**dict(signature.extra), **fields}
    signature = replace(signature, seed=signature.seed if seed is None else seed, extra=tuple(extra.items()))
    return Comparison(
        metric=a.metric,
        unit=a.unit,
        better=a.better,
        a=a.value,
        b=b.value,
        difference=difference,
        interval=interval,
        p_value=p_value,
        p_corrected=p_value,
        effect_size=difference / spread if spread > 0 else None,
        n=min(a.n, b.n),
        num_comparisons=1,
        paired=paired,
        signature=str(signature),
        num_differing=num_differing,
    )


def _rows(name: str, rows: ArrayLike, statistic: Statistic | None) -> FloatArray:
    """(N, C); of values that are averaged, the values and ones."""
    if statistic is None:
        values = as_floats(name, rows, "samples")
        return np.stack([values, np.ones(len(values))], axis=1)
    return as_floats(name, rows, "samples columns")


def _mean(sums: FloatArray) -> FloatArray:
    """Sums of values and of ones, (R, 2) -> means (R,)."""
    means: FloatArray = sums[:, 0] / sums[:, 1]
    return means


def _difference(a: Score, b: Score, value_a: FloatArray, value_b: FloatArray) -> float:
    """The difference that the rows give, once they were seen to give the scores."""
    for score, value in ((a, float(value_a[0])), (b, float(value_b[0]))):
        if not math.isclose(score.value, value, rel_tol=1e-6, abs_tol=1e-9):
            raise DataError(
                f"these rows do not give the score {score.metric}",
                got=f"{value:.9g} from the rows",
                expected=f"{score.value:.9g}",
                next_step="measure again, and compare with the rows of that evaluation",
            )
    return float(value_b[0] - value_a[0])


def _spread(sampled: Bootstrap) -> float:
    """The standard deviation that a single sample contributes, by the jackknife: for a mean, the values'."""
    n = int(sampled.counts.sum())
    if n < 2:
        return 0.0
    deviation = sampled.jackknife - np.average(sampled.jackknife, weights=sampled.counts)
    return math.sqrt((n - 1) * float(sampled.counts @ deviation**2))


def welch(
    difference: float, errors: Sequence[float], degrees: Sequence[float]
) -> tuple[Interval | None, float]:
    """The interval of a difference of independent values, and the p value of its being 0: Welch's t test.

    Args:
        difference: Of the values.
        errors: The squared standard error that each adds.
        degrees: The degrees of freedom of each error.

    Returns:
        The interval, None where there is no error; p, which is then 1 without a difference and 0 with one.
    """
    squared = float(sum(errors))
    if squared == 0:
        return None, 1.0 if difference == 0 else 0.0
    curvature = sum(error**2 / degree for error, degree in zip(errors, degrees, strict=True))
    freedom = squared**2 / curvature if curvature > 0 else 1e9
    error = math.sqrt(squared)
    half = float(stdtrit(freedom, 1 - SIGNIFICANCE / 2)) * error
    return (difference - half, difference + half), 2 * float(stdtr(freedom, -abs(difference) / error))
