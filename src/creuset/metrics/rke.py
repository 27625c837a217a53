"""Renyi kernel entropy: how many modes a set of features has, without any reference.

    RKE = 1 / |K/N|_F^2,   K_ij = exp(-|x_i - x_j|^2 / (2 bandwidth^2))

1 where all samples are alike, and up to N where each is far from all others: the exponential of an entropy of
order 2. The ratio of the count for generated to that for real samples, at one bandwidth and one N, shows a
loss of variety.

Source: Jalali, Li and Farnia (2023), "An Information-Theoretic Evaluation of Generative Models in Learning
Multi-modal Distributions", equation 6.
Departures: the count itself in place of its logarithm; rows in blocks; an interval, from the jackknife of the
logarithm of the count.

Legend of shapes: N samples, D features.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from creuset.errors import DataError, UsageError
from creuset.metrics.blocks import own_distances
from creuset.metrics.features import UNSTATED_EXTRACTOR, Extractor
from creuset.metrics.inputs import FloatArray, as_features
from creuset.metrics.intervals import CONFIDENCE, Interval, within
from creuset.metrics.jackknife import leave_one_out_error
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context

_MOST_FOR_MEDIAN = 2000
"""Samples whose distances are looked at for a bandwidth: 2 million pairs fix a median well enough."""


def median_distance(reference: ArrayLike, *, context: Context = NO_CONTEXT) -> float:
    """The median distance between two samples: a bandwidth that any data give by themselves.

    Take it from real samples, once, and use it for all sets that are compared.

    Args:
        reference: Features (M, D); of more than 2,000 as many are drawn by the context's seed.
        context: The seed.

    Raises:
        DataError: Empty, a single sample, not finite, or half of all pairs equal.
    """
    array = as_features("reference", reference)
    if len(array) < 2:
        raise DataError("a distance needs 2 samples", where="reference", got=len(array))
    if len(array) > _MOST_FOR_MEDIAN:
        array = array[np.sort(context.generator().permutation(len(array))[:_MOST_FOR_MEDIAN])]
    pairs = [
        block.distances[np.triu_indices(len(block.distances), 1)]
        if block.rows == block.columns
        else block.distances.ravel()
        for block in own_distances(array)
    ]
    median = math.sqrt(float(np.median(np.concatenate(pairs))))
    if median == 0:
        raise DataError(
            "no bandwidth: half of all pairs of samples are equal",
            where="reference",
            next_step="state a bandwidth yourself",
        )
    return median


def rke_mode_count(
    features: ArrayLike,
    *,
    bandwidth: float,
    extractor: Extractor = UNSTATED_EXTRACTOR,
    context: Context = NO_CONTEXT,
) -> Score:
    """The effective number of modes, in [1, N], where the interval is cut. None is given where all are alike.

    Args:
        features: (N, D).
        bandwidth: Of the Gaussian kernel, in the unit of the features; above 0. Samples much nearer to each
            other count as one mode.
        extractor: What made the features.
        context: Data, split and seed.

    Raises:
        DataError: Empty, fewer than 3 samples, or not finite.
        UsageError: A bandwidth that is not above 0.
    """
    array = as_features("features", features)
    num = len(array)
    if num < 3:
        raise DataError("a count of modes needs 3 samples", where="features", got=num)
    if not 0 < bandwidth < math.inf:
        raise UsageError("not a bandwidth", got=bandwidth, expected="a number above 0")
    similar = np.zeros(num)  # sum over j of K_ij^2
    for block in own_distances(array):
        kernel = block.distances
        kernel *= -1 / bandwidth**2
        np.exp(kernel, out=kernel)
        similar[block.rows] += kernel.sum(axis=1)
        if block.rows != block.columns:
            similar[block.columns] += kernel.sum(axis=0)
    value = num**2 / float(similar.sum())
    return context.score(
        metric="rke",
        value=value,
        unit="modes",
        better="higher",
        interval=within(_interval(value, similar), 1, num),
        n=num,
        fields={
            **extractor.fields(),
            "bandwidth": f"{bandwidth:.6g}",
            "interval": "jackknife_log95",
            "kernel": "gaussian",
        },
    )


def _interval(value: float, similar: FloatArray) -> Interval | None:
    num = len(similar)
    left_out = 2 * math.log(num - 1) - np.log(similar.sum() - 2 * similar + 1)
    error = leave_one_out_error(left_out)
    if error <= 1e-12:
        return None
    half = float(ndtri((1 + CONFIDENCE) / 2)) * error
    return value * math.exp(-half), value * math.exp(half)
