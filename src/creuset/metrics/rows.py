"""Rows: what is kept of each sample beside a score, and how the score is made of it again.

An array of one number a sample stands under the name of the metric that is its mean. A classifier's `label`
and `predicted` classes stand for all metrics of its confusion matrix. Paired comparisons are made of these;
what is kept of distances, and how they are compared, is in metrics/comparison_methods.py.

Legend of shapes: N samples, K classes, C columns, R resamples.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from creuset.errors import UsageError
from creuset.metrics.inputs import FloatArray, IntArray
from creuset.metrics.intervals import Statistic
from creuset.metrics.predictions import Predictions
from creuset.metrics.roc import auroc_shares
from creuset.metrics.text.perplexity import bits_per_byte_of, counted, nats_per_token_of, perplexity_of

KeptRows = Mapping[str, NDArray[np.float64] | NDArray[np.int64]]
"""name -> (N,), or of distances as many as parts were left out."""

AUROC_SHARE = "auroc_share"
"""The rows of AUROC, which is no sum of them (metrics/roc.py)."""

_CLASSES = ("label", "predicted")
_OF_CLASSES = ("accuracy", "f1_macro")
_F1_OF_CLASS = "f1_class_"
_OF_TEXTS: Mapping[str, tuple[str, Statistic]] = MappingProxyType(
    {
        "nats_per_token": ("num_tokens", nats_per_token_of),
        "perplexity": ("num_tokens", perplexity_of),
        "bits_per_byte": ("num_bytes", bits_per_byte_of),
    }
)
"""metric -> by what the nats of texts are divided, and how."""
_SAID_ALREADY = ("bits_per_dim", "nats_per_token", "perplexity")
"""Metrics that say in another unit what a metric beside them says."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MetricRows:
    """The rows of one metric.

    Args:
        rows: (N,) where the metric is their mean, else (N, C).
        statistic: The metric of sums of rows (R, C); None for the mean.
    """

    rows: FloatArray
    statistic: Statistic | None = None


def classification_rows(predictions: Predictions) -> dict[str, FloatArray | IntArray]:
    """Label, predicted class, share in the error of AUROC where there is one, and for probabilities the label
    NLL and Brier score of each sample."""
    rows: dict[str, FloatArray | IntArray] = {"label": predictions.labels, "predicted": predictions.predicted}
    if np.unique(predictions.labels).size > 1:
        shares = auroc_shares(predictions)
        if np.isfinite(shares).all():
            rows[AUROC_SHARE] = shares
    if predictions.log_probs is not None:
        samples = np.arange(predictions.n)
        errors = np.exp(predictions.log_probs)
        errors[samples, predictions.labels] -= 1
        rows["label_nll"] = -predictions.log_probs[samples, predictions.labels]
        rows["brier_score"] = np.square(errors).sum(axis=1)
    return rows


def has_rows(metric: str, kept: KeptRows) -> bool:
    """Whether the rows that were kept give this metric."""
    of_classes = metric in _OF_CLASSES or metric.startswith(_F1_OF_CLASS)
    of_texts = metric in _OF_TEXTS and "nats" in kept and _OF_TEXTS[metric][0] in kept
    return metric in kept or of_texts or (of_classes and all(name in kept for name in _CLASSES))


def said_by_others(metric: str) -> bool:
    """Whether a metric says what another one beside it says: in another unit, or class by class."""
    return metric in _SAID_ALREADY or metric.startswith(_F1_OF_CLASS)


def paired_rows(metric: str, first: KeptRows, second: KeptRows) -> tuple[MetricRows, MetricRows]:
    """The rows of a metric of two systems that were measured on the same samples.

    Raises:
        UsageError: Nothing that was kept of one of them gives the metric.
    """
    for kept in (first, second):
        if not has_rows(metric, kept):
            raise UsageError(
                f'"{metric}" is not made of one row a sample',
                got=f"rows of {', '.join(sorted(kept)) or 'nothing'}",
                next_step="compare another metric",
            )
    if metric in first and metric in second:
        left, right = (MetricRows(rows=kept[metric].astype(np.float64)) for kept in (first, second))
        return left, right
    if metric in _OF_TEXTS:
        left, right = (_of_texts(metric, kept) for kept in (first, second))
        return left, right
    num_classes = 1 + max(int(kept[name].max()) for kept in (first, second) for name in _CLASSES)
    left, right = (_of_classes(metric, kept, num_classes) for kept in (first, second))
    return left, right


def _of_texts(metric: str, kept: KeptRows) -> MetricRows:
    divisor, statistic = _OF_TEXTS[metric]
    nats, counts = (kept[name].astype(np.float64) for name in ("nats", divisor))
    return MetricRows(rows=counted(nats, counts), statistic=statistic)


def _of_classes(metric: str, kept: KeptRows, num_classes: int) -> MetricRows:
    label, predicted = (kept[name].astype(np.int64) for name in _CLASSES)
    if metric == "accuracy":
        return MetricRows(rows=(label == predicted).astype(np.float64))
    if metric == "f1_macro":
        return macro_f1_rows(label, predicted, num_classes)
    number = int(metric.removeprefix(_F1_OF_CLASS))
    is_true, is_guess = label == number, predicted == number
    rows = np.stack([is_true & is_guess, is_true, is_guess], axis=1)
    return MetricRows(rows=rows.astype(np.float64), statistic=macro_f1)


def macro_f1_rows(label: IntArray, predicted: IntArray, num_classes: int) -> MetricRows:
    """1 for each class that a sample is and is called, is, and is called, (N, 3K); their macro F1."""
    classes = np.arange(num_classes)
    is_true, is_guess = label[:, None] == classes, predicted[:, None] == classes
    rows = np.concatenate([is_true & is_guess, is_true, is_guess], axis=1)
    return MetricRows(rows=rows.astype(np.float64), statistic=macro_f1)


def macro_f1(sums: FloatArray) -> FloatArray:
    """Sums of (TP, true, predicted) of each class, (R, 3K) -> the mean F1 of the classes that occur, (R,)."""
    hits, true, guessed = np.split(sums, 3, axis=1)  # (R, K) each
    size = true + guessed
    occurs = size > 0
    f1 = 2 * hits / np.where(occurs, size, 1)
    mean: FloatArray = f1.sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)
    return mean
