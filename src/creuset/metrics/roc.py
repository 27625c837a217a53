"""AUROC: the probability that a sample of a class is ranked above one that is not of it.

Sources: DeLong, DeLong and Clarke-Pearson (1988), "Comparing the Areas under Two or More Correlated Receiver
Operating Characteristic Curves"; Sun and Xu (2014) for its computation by midranks.
Departures: the interval is made on the log-odds scale, so that it stays within [0, 1]; for several classes
DeLong's components of all one-vs-rest areas are averaged sample by sample, which keeps their correlation.

Legend of shapes: N samples, K classes.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, logsumexp, ndtri

from creuset.errors import DataError
from creuset.metrics.inputs import FloatArray, IntArray
from creuset.metrics.intervals import CONFIDENCE, Interval
from creuset.metrics.predictions import Predictions
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context

_DECIMALS = 10
"""Of log-odds: what differs by less is a tie, told apart by rounding alone."""


def auroc(predictions: Predictions, *, context: Context = NO_CONTEXT) -> Score:
    """The area under the ROC curve, in [0, 1]; 0.5 is chance.

    Two classes: how class 1 is ranked. More: the mean over the classes that occur of each against the rest,
    unweighted. Ties count one half. No interval is given for a perfect ranking, or where a class has a
    single sample.

    Raises:
        DataError: Labels of one class only.
    """
    classes = _ranked_classes(predictions)
    area, shares = _mean_area(predictions, classes)
    return context.score(
        metric="auroc",
        version=2,
        value=area,
        unit="fraction",
        better="higher",
        interval=_interval(area, math.sqrt(float(np.square(shares).sum()))),
        n=predictions.n,
        fields={
            "average": "binary" if predictions.num_classes == 2 else f"ovr_macro{len(classes)}",
            "interval": "delong_logit95",
        },
    )


def auroc_shares(predictions: Predictions) -> FloatArray:
    """Each sample's share in the error of `auroc`, (N,): the sum of their squares is DeLong's variance.

    Of two classifiers on the same samples, the sum of the squares of the differences is the variance of the
    difference (metrics/replicates.py). NaN where a class has a single sample, whose share is unknown.

    Raises:
        DataError: Labels of one class only.
    """
    return _mean_area(predictions, _ranked_classes(predictions))[1]


def _ranked_classes(predictions: Predictions) -> IntArray:
    classes = np.unique(predictions.labels)
    if len(classes) < 2:
        raise DataError(
            "AUROC needs samples of two classes",
            where="labels",
            got=f"{predictions.n} samples of class {classes[0]}",
        )
    return classes[1:] if predictions.num_classes == 2 else classes


def _mean_area(predictions: Predictions, classes: IntArray) -> tuple[float, FloatArray]:
    """The mean of the classes' areas, and each sample's share in its error."""
    parts = [_area(_ranking(predictions, int(label)), predictions.labels == label) for label in classes]
    shares: FloatArray = np.mean([components for _, components in parts], axis=0)
    return float(np.mean([value for value, _ in parts])), shares


def _ranking(predictions: Predictions, label: int) -> FloatArray:
    """What samples are ranked by for one class, (N,): its log-odds against the rest, or its score.

    Probabilities themselves would tie where they round to 1.
    """
    log_probs = predictions.log_probs
    if log_probs is None:
        scores: FloatArray = predictions.scores[:, label]
        return scores
    rest = logsumexp(np.delete(log_probs, label, axis=1), axis=1)
    log_odds: FloatArray = np.round(log_probs[:, label] - rest, _DECIMALS)
    return log_odds


def _area(scores: FloatArray, positive: NDArray[np.bool_]) -> tuple[float, FloatArray]:
    """The area, and each sample's share (N,) in its error: DeLong's variance is the sum of their squares.

    A class of one sample leaves its share unknown: NaN.
    """
    num_positive = int(positive.sum())
    num_negative = len(positive) - num_positive
    among_all = _midranks(scores)
    placement = np.empty(len(scores))  # the part of the other kind against which each is ranked right
    placement[positive] = (among_all[positive] - _midranks(scores[positive])) / num_negative
    placement[~positive] = 1 - (among_all[~positive] - _midranks(scores[~positive])) / num_positive
    area = float(placement[positive].mean())
    weight = np.where(positive, num_positive * (num_positive - 1.0), num_negative * (num_negative - 1.0))
    share = np.full(len(scores), np.nan)
    np.divide(placement - area, np.sqrt(weight), out=share, where=weight > 0)
    return area, share


def _midranks(scores: FloatArray) -> FloatArray:
    """Ranks from 1, equal scores sharing the mean of theirs, (N,)."""
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    midranks: FloatArray = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    return midranks


def _interval(area: float, standard_error: float) -> Interval | None:
    if not 0 < area < 1 or not standard_error > 0:
        return None
    centre = float(logit(area))
    half = float(ndtri((1 + CONFIDENCE) / 2)) * standard_error / (area * (1 - area))
    return float(expit(centre - half)), float(expit(centre + half))
