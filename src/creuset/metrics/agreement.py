"""Agreement between judges: raw agreement, Cohen's kappa for two judges, Krippendorff's alpha for more.

    kappa = (p_o - p_e)/(1 - p_e): observed agreement against that of two judges who label at random, each
            with the shares that they used
    alpha = 1 - D_o/D_e: observed disagreement between the labels of an item, against that between labels
            drawn from all items

1 is full agreement, 0 what chance gives, below 0 less than that. Labels are names without an order.

Sources: Cohen (1960), "A coefficient of agreement for nominal scales"; Krippendorff (2011), "Computing
Krippendorff's Alpha-Reliability", section C (nominal data, any number of judges, missing labels).
Departures: intervals are BCa bootstrap over items; a resample with one label only, in which both measures
are 0/0, counts as full agreement.

Legend of shapes: J judges, N items, L labels, R resamples.
"""

from collections.abc import Sequence

import numpy as np

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray
from creuset.metrics.intervals import NUM_RESAMPLES, Statistic, bootstrap
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context

Labels = Sequence[Sequence[str | int | None]]
"""A row a judge, a column an item; None where a judge gave no label."""


def raw_agreement(
    labels: Labels, *, context: Context = NO_CONTEXT, num_resamples: int = NUM_RESAMPLES
) -> Score:
    """The share of pairs of labels of one item that are equal, averaged over items with two labels or more.

    Raises:
        DataError: As `krippendorff_alpha`, but labels that are all the same are allowed.
    """
    counts = _counts(labels)  # (N, L)
    sizes = counts.sum(axis=1)
    shares = (counts * (counts - 1)).sum(axis=1) / (sizes * (sizes - 1))
    n = len(shares)
    return _score(
        "raw_agreement", shares[:, None], lambda sums: sums[:, 0] / n, labels, context, num_resamples
    )


def cohen_kappa(
    labels: Labels, *, context: Context = NO_CONTEXT, num_resamples: int = NUM_RESAMPLES
) -> Score:
    """Cohen's kappa of two judges over the items that both labelled, in [-1, 1].

    Raises:
        UsageError: Not two judges.
        DataError: As `krippendorff_alpha`.
    """
    if len(labels) != 2:
        raise UsageError(
            "Cohen's kappa is of two judges",
            got=f"{len(labels)} judges",
            next_step="take krippendorff_alpha for more",
        )
    _require_variety(_counts(labels))
    both = [(a, b) for a, b in zip(*labels, strict=True) if a is not None and b is not None]
    given = dict.fromkeys(name for pair in both for name in pair)
    names = {name: place for place, name in enumerate(given)}
    first, second = (
        np.eye(len(names))[[names[pair[judge]] for pair in both]] for judge in (0, 1)
    )  # (N, L) each
    same = (first * second).sum(axis=1, keepdims=True)
    n = len(both)

    def kappa(sums: FloatArray) -> FloatArray:
        observed = sums[:, 0] / n
        one, other = np.split(sums[:, 1:] / n, 2, axis=1)
        expected = (one * other).sum(axis=1)
        return _above_chance(1 - observed, 1 - expected)

    return _score("cohen_kappa", np.hstack([same, first, second]), kappa, labels, context, num_resamples)


def krippendorff_alpha(
    labels: Labels, *, context: Context = NO_CONTEXT, num_resamples: int = NUM_RESAMPLES
) -> Score:
    """Krippendorff's alpha for names, of two judges or more, who need not label every item; at most 1.

    Args:
        labels: A row a judge, a column an item, None for no label.
        context: Data, split and seed.
        num_resamples: Of the items, for the interval.

    Raises:
        DataError: Less than two judges, rows of unequal lengths, no item with two labels, or one label only
            (the measure is then 0/0).
    """
    counts = _counts(labels)
    _require_variety(counts)
    sizes = counts.sum(axis=1)
    apart = (counts * (sizes[:, None] - counts)).sum(axis=1) / (sizes - 1)

    def alpha(sums: FloatArray) -> FloatArray:
        each = sums[:, 1:]
        total = each.sum(axis=1)
        expected = (each * (total[:, None] - each)).sum(axis=1) / (total - 1)
        return _above_chance(sums[:, 0], expected)

    rows = np.hstack([apart[:, None], counts])
    return _score("krippendorff_alpha", rows, alpha, labels, context, num_resamples)


def _above_chance(observed: FloatArray, expected: FloatArray) -> FloatArray:
    """1 - observed/expected disagreement, 1 where neither is possible."""
    possible = expected > 1e-12
    ratio = np.divide(observed, expected, out=np.zeros(len(observed)), where=possible)
    result: FloatArray = 1 - ratio
    return result


def _counts(labels: Labels) -> FloatArray:
    """How many judges gave each label to each item, (N, L); items with less than two labels are left out."""
    lengths = {len(row) for row in labels}
    if len(labels) < 2 or len(lengths) != 1:
        raise DataError(
            "not the labels of several judges",
            where="labels",
            got=f"{len(labels)} judges with {', '.join(map(str, sorted(lengths))) or 'no'} items",
            expected="two judges or more, a label or None for each item",
        )
    given = dict.fromkeys(name for row in labels for name in row if name is not None)
    order = {name: place for place, name in enumerate(given)}
    counts = np.zeros((lengths.pop(), len(order)))
    for row in labels:
        for item, name in enumerate(row):
            if name is not None:
                counts[item, order[name]] += 1
    kept: FloatArray = counts[counts.sum(axis=1) >= 2]
    if not len(kept):
        raise DataError(
            "no item was labelled by two judges",
            where="labels",
            got=f"{len(counts)} items, {len(labels)} judges",
        )
    return kept


def _require_variety(counts: FloatArray) -> None:
    if np.count_nonzero(counts.sum(axis=0)) < 2:
        raise DataError(
            "all labels are the same: agreement beyond chance is not defined",
            where="labels",
            got=f"one label on {len(counts)} items",
            next_step="report raw_agreement",
        )


def _score(
    metric: str,
    rows: FloatArray,
    statistic: Statistic,
    labels: Labels,
    context: Context,
    num_resamples: int,
) -> Score:
    sampled = bootstrap(rows, statistic, generator=context.generator(), num_resamples=num_resamples)
    return context.score(
        metric=metric,
        value=sampled.estimate,
        unit="fraction" if metric == "raw_agreement" else "score",
        better="higher",
        interval=sampled.interval("bca") if len(rows) > 1 else None,
        n=len(rows),
        fields={"interval": "bca95", "judges": len(labels), "resamples": num_resamples},
        seeded=True,
    )
