"""Shares of things that come in clusters, such as tokens or spans in blocks: what is drawn is a cluster.

    share = sum of the clusters' hits / sum of their sizes

What one model tells of one text hangs together, so an interval over single tokens would be too narrow: the
clusters are resampled, with their sums and sizes. Where all shares are 0, or all 1, no resample says how far
that may be from the truth; Wilson's interval of the clusters then does: the clusters with any hit, or with
all, out of all clusters. The signature says both.

Source: Cochran 1977, "Sampling Techniques", chapter 9A (the ratio of totals of unequal clusters).

Legend of shapes: M clusters.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from creuset.metrics.inputs import FloatArray
from creuset.metrics.intervals import wilson_interval
from creuset.metrics.score import Better, Score
from creuset.metrics.signature import Context, FieldValue
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic


def ratio_score(
    metric: str,
    sums: ArrayLike,
    sizes: ArrayLike,
    *,
    unit: Literal["fraction", "nats"],
    better: Better,
    clusters: str,
    fields: Mapping[str, FieldValue],
    context: Context,
) -> Score:
    """The sum of all clusters over their size, with a BCa interval over clusters; n counts clusters.

    Args:
        metric: The metric's name.
        sums: Of each cluster, float64 (M,); of a "fraction" in [0, size].
        sizes: Things in each, above 0, (M,).
        unit: "fraction" for a share, which has an interval at 0 and 1 too.
        better: Whether higher or lower is better.
        clusters: What they are called, for the signature.
        fields: Every choice that changes the number.
        context: Data, split and seed.
    """
    rows = TextRows(
        metric=metric,
        unit=unit,
        better=better,
        rows=np.stack([np.asarray(sums, dtype=np.float64), np.asarray(sizes, dtype=np.float64)], axis=1),
        statistic=mean_statistic,
        spread="bca",
        fields={**fields, "rows": clusters},
    )
    return rows.score(context=context) if unit == "nats" else _with_ends(rows, context)


def rows_of_ratio(sums: ArrayLike, sizes: ArrayLike) -> FloatArray:
    """One number a cluster whose mean is the ratio: its sum over the mean size, (M,).

    Two models that were asked the same are compared by these: their sizes agree, cluster by cluster.
    """
    lengths = np.asarray(sizes, dtype=np.float64)
    rows: FloatArray = np.asarray(sums, dtype=np.float64) / lengths.mean()
    return rows


def mean_share_score(
    metric: str,
    values: FloatArray,
    *,
    fields: Mapping[str, FieldValue],
    context: Context,
    trials: bool,
) -> Score:
    """The mean of shares in [0, 1], one a row, with an interval that is there at 0 and 1 too; more is better.

    Args:
        metric: The metric's name.
        values: (M,).
        fields: Every choice that changes the number.
        context: Data, split and seed.
        trials: Whether each can be nothing but 0 or 1, whatever is measured: Wilson's interval then.
    """
    rows = TextRows(
        metric=metric,
        unit="fraction",
        better="higher",
        rows=mean_rows(values),
        statistic=mean_statistic,
        spread="wilson" if trials else "bca",
        fields=fields,
    )
    return rows.score(context=context) if trials else _with_ends(rows, context)


def _with_ends(rows: TextRows, context: Context) -> Score:
    """The score of shares, with Wilson's interval of its rows where all are 0 or all are 1."""
    score = replace(rows, fields={**rows.fields, "interval_at_0_and_1": "wilson95"}).score(context=context)
    if score.value in (0.0, 1.0):
        return replace(score, interval=wilson_interval(score.value * rows.n, rows.n))
    return score
