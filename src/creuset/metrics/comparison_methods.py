"""How the scores of each metric are compared, from the rows that two evaluations kept: a table by metric.

    any metric of rows    the same samples, paired                                    compare_paired
    auroc                 each sample's share in the error of the difference          compare_shares
    fd, fid               jackknife over blocks of generated samples                  compare_replicates
    kd, kid               jackknife over generated samples and shared reference       compare_replicates
    precision, density    a value a generated sample, in balls of the reference       compare_unpaired

Two generators are measured against the same reference. For the Frechet distance and for balls it counts as
fixed. Of two kernel distances it counts as drawn: what is left of the difference without each reference
sample gives its error exactly, and the reference's own part cancels. Where generators are equal to the
reference, distances vary to second order, which a jackknife counts twice: they are then told apart less often
than in 5 of 100 cases.

Recall and coverage depend on the generated set as a whole, and are not compared. They have a value a
reference sample, but one generated sample decides over many of them at once: McNemar's test on them told
equal generators apart in 10 to 28 of 100 simulated pairs.

Source: Efron and Stein (1981), "The Jackknife Estimate of Variance"; the tests are in metrics/comparison.py
and metrics/replicates.py.

Legend of shapes: N generated samples, M reference samples, K blocks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from creuset.errors import UsageError
from creuset.metrics.comparison import Comparison, compare_paired, compare_unpaired
from creuset.metrics.replicates import Replicates, compare_replicates, compare_shares
from creuset.metrics.rows import AUROC_SHARE, KeptRows, has_rows, paired_rows, said_by_others
from creuset.metrics.score import Score
from creuset.metrics.signature import require_comparable

Compare = Callable[[Score, Score, KeptRows, KeptRows, int], Comparison]
"""Two scores, the rows kept beside each, a seed -> their comparison."""


@dataclass(frozen=True, kw_only=True)
class ComparisonMethod:
    """How a metric is compared that is no function of sums of one row a sample.

    Args:
        needs: The rows that it needs, by the names they are kept under.
        compare: The comparison.
    """

    needs: tuple[str, ...]
    compare: Compare


def is_compared(metric: str, kept: KeptRows) -> bool:
    """Whether the rows that were kept allow a comparison by this metric."""
    method = COMPARISON_METHODS.get(metric)
    return has_rows(metric, kept) if method is None else not _missing(method, kept)


def why_not_compared(metric: str, kept: KeptRows) -> str | None:
    """Why what was kept beside a score gives no comparison by this metric; None where it does."""
    if is_compared(metric, kept):
        return None
    if metric in _OF_WHOLE_SET:
        return (
            "it depends on the generated set as a whole: one generated sample decides over many reference "
            "samples at once, so no test by samples holds"
        )
    method = COMPARISON_METHODS.get(metric)
    if method is None:
        return "it is not made of one row a sample"
    return f"the evaluation did not keep what gives its error: {', '.join(_missing(method, kept))}"


def is_compared_by_default(metric: str, kept: KeptRows) -> bool:
    """Whether a metric is compared where none is named: not where others say the same."""
    return is_compared(metric, kept) and not said_by_others(metric)


def compare_kept(a: Score, b: Score, kept_a: KeptRows, kept_b: KeptRows, *, seed: int = 0) -> Comparison:
    """Two systems by one metric, from what was kept beside their scores.

    Args:
        a, b: The scores.
        kept_a, kept_b: All rows of both evaluations: of the same samples in the same order, or of generated
            samples against the same reference.
        seed: Decides permutations and resamples.

    Raises:
        GateError: The scores measure different things: other data, other numbers of samples, otherwise.
        UsageError: What was kept does not give the comparison.
        DataError: Rows that do not give the scores.
    """
    require_comparable(a.signature, b.signature)
    method = COMPARISON_METHODS.get(a.metric)
    for kept in (kept_a, kept_b):
        if reason := why_not_compared(a.metric, kept):
            raise UsageError(
                f'"{a.metric}" cannot be compared: {reason}',
                next_step="compare another metric" + (", or measure again" if method is not None else ""),
            )
    if method is None:
        return _paired(a, b, kept_a, kept_b, seed)
    return method.compare(a, b, kept_a, kept_b, seed)


def _missing(method: ComparisonMethod, kept: KeptRows) -> list[str]:
    return [name for name in method.needs if name not in kept]


def _paired(a: Score, b: Score, kept_a: KeptRows, kept_b: KeptRows, seed: int) -> Comparison:
    left, right = paired_rows(a.metric, kept_a, kept_b)
    return compare_paired(a, b, left.rows, right.rows, statistic=left.statistic, seed=seed)


def _by_shares(name: str) -> ComparisonMethod:
    """By each sample's share in the error of the score, (N,)."""

    def compare(a: Score, b: Score, kept_a: KeptRows, kept_b: KeptRows, _: int) -> Comparison:
        return compare_shares(a, b, kept_a[name], kept_b[name])

    return ComparisonMethod(needs=(name,), compare=compare)


def _by_blocks(name: str) -> ComparisonMethod:
    """By the value without each block of generated samples, (K,), the reference being fixed."""

    def compare(a: Score, b: Score, kept_a: KeptRows, kept_b: KeptRows, _: int) -> Comparison:
        return compare_replicates(a, b, _jackknife(kept_a[name]), _jackknife(kept_b[name]))

    return ComparisonMethod(needs=(name,), compare=compare)


def _by_both_sets(generated: str, reference: str) -> ComparisonMethod:
    """By the value without each generated sample, (N,), and without each reference sample, (M,)."""

    def compare(a: Score, b: Score, kept_a: KeptRows, kept_b: KeptRows, _: int) -> Comparison:
        return compare_replicates(
            a,
            b,
            _jackknife(kept_a[generated]),
            _jackknife(kept_b[generated]),
            shared=_jackknife(kept_b[reference] - kept_a[reference]),
        )

    return ComparisonMethod(needs=(generated, reference), compare=compare)


def _by_generated_samples(name: str) -> ComparisonMethod:
    """By a value of each generated sample, (N,), whose mean the score is."""

    def compare(a: Score, b: Score, kept_a: KeptRows, kept_b: KeptRows, seed: int) -> Comparison:
        return compare_unpaired(a, b, kept_a[name], kept_b[name], seed=seed)

    return ComparisonMethod(needs=(name,), compare=compare)


def _jackknife(values: NDArray[np.float64] | NDArray[np.int64]) -> Replicates:
    return Replicates(values=values.astype(np.float64), kind="jackknife")


_OF_WHOLE_SET = ("recall", "coverage")
_FRECHET = _by_blocks("fd")
_KERNEL = _by_both_sets("kd_generated", "kd_reference")

COMPARISON_METHODS: Mapping[str, ComparisonMethod] = MappingProxyType(
    {
        "auroc": _by_shares(AUROC_SHARE),
        "fd": _FRECHET,
        "fid": _FRECHET,
        "kd": _KERNEL,
        "kid": _KERNEL,
        "precision": _by_generated_samples("precision"),
        "density": _by_generated_samples("density"),
    }
)
"""metric -> method; every other metric is compared sample by sample, where it has rows."""
