"""Comparisons of measures of whole sets of samples, from the standard error of their difference.

    the value without parts of the samples, or of resamples    Welch's t test             compare_replicates
    each sample's share in the error                           DeLong's test of AUROCs    compare_shares

Sources: Efron and Stein (1981), "The Jackknife Estimate of Variance"; DeLong, DeLong and Clarke-Pearson
(1988), "Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves".

Legend of shapes: N samples.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from creuset.errors import DataError
from creuset.metrics.comparison import Comparison, comparison_of, welch
from creuset.metrics.inputs import FloatArray, as_floats, require_same_length
from creuset.metrics.score import Score
from creuset.metrics.signature import require_comparable


@dataclass(frozen=True, kw_only=True, eq=False)
class Replicates:
    """A value of a whole set of samples, such as a distance, and the same value of parts of it.

    Args:
        values: The value without each block in turn, or of each bootstrap resample, (replicates,).
        kind: "jackknife" or "bootstrap".
    """

    values: FloatArray
    kind: Literal["jackknife", "bootstrap"]

    def squared_error(self) -> float:
        """The squared standard error of the value of the whole set.

        Raises:
            DataError: Less than 2 replicates, or values that are not finite.
        """
        values = as_floats("replicates", self.values, "replicates")
        if len(values) < 2:
            raise DataError("one replicate has no spread", where="replicates", expected="2 or more")
        if self.kind == "bootstrap":
            return float(values.var(ddof=1))
        return float((len(values) - 1) * values.var())

    @property
    def degrees_of_freedom(self) -> float:
        """Of the squared error: blocks - 1, or so many that they do not matter."""
        return len(self.values) - 1 if self.kind == "jackknife" else math.inf


def compare_replicates(
    a: Score,
    b: Score,
    replicates_a: Replicates,
    replicates_b: Replicates,
    *,
    shared: Replicates | None = None,
) -> Comparison:
    """Two systems by a measure of whole sets, such as a Frechet distance, which has no row a sample.

    Welch's t test on the difference, with its interval: the errors of both are independent. What both were
    measured against, a reference, adds to the error of the difference by `shared`. Without it that reference
    is taken as fixed where the replicates leave out generated samples alone; where they leave out parts of
    it too, the errors rise and fall together, and the test is on the careful side.

    Args:
        a, b: The scores.
        replicates_a, replicates_b: How much each could have been another one.
        shared: The difference b - a without each part of the reference, where that counts as drawn too. The
            samples that would tell are then more of the reference as well, in proportion.

    Raises:
        GateError: The scores measure different things.
        DataError: Less than 2 replicates.
    """
    require_comparable(a.signature, b.signature)
    parts = [replicates_a, replicates_b] if shared is None else [replicates_a, replicates_b, shared]
    errors = [part.squared_error() for part in parts]
    difference = b.value - a.value
    interval, p_value = welch(difference, errors, [part.degrees_of_freedom for part in parts])
    common = 0.0 if shared is None else errors[2] * (a.n + b.n) / 2
    return comparison_of(
        a,
        b,
        difference=difference,
        interval=interval,
        p_value=p_value,
        spread=math.sqrt((errors[0] * a.n + errors[1] * b.n + common) / 2),
        fields={
            "interval": "welch95",
            "pairing": "none" if shared is None else "reference",
            "test": "welch",
        },
        paired=False,
        seed=None,
    )


def compare_shares(a: Score, b: Score, shares_a: ArrayLike, shares_b: ArrayLike) -> Comparison:
    """Two systems on the same samples, by a measure of which each sample's share in the error is known.

    z = (b - a) / sqrt(sum of (share_b - share_a)^2): for AUROC, with `auroc_shares`, DeLong's test.

    Args:
        a, b: The scores.
        shares_a, shares_b: The sum of their squares is the squared standard error of each, (N,), in the order
            of the same samples.

    Raises:
        GateError: The scores measure different things.
        DataError: Shares of unequal number, or not finite.
    """
    require_comparable(a.signature, b.signature)
    left, right = as_floats("shares_a", shares_a, "samples"), as_floats("shares_b", shares_b, "samples")
    require_same_length(shares_a=left, shares_b=right)
    squared = float(np.square(right - left).sum())
    difference = b.value - a.value
    interval, p_value = welch(difference, [squared], [math.inf])
    return comparison_of(
        a,
        b,
        difference=difference,
        interval=interval,
        p_value=p_value,
        spread=math.sqrt(squared * len(left)),
        fields={"interval": "normal95", "pairing": "samples", "test": "delong"},
        paired=True,
        seed=None,
    )
