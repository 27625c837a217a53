"""One against one: the decisions of a classifier for each pair of classes, and the votes that they add up to.

Arrays in, arrays out. Support vectors and coefficients are laid out as LIBSVM and scikit-learn hand them on.

Legend of shapes: B batch, F features, K classes, P = K (K - 1) / 2 pairs of classes in the order (0, 1),
(0, 2), ..., (1, 2), ..., V support vectors.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Kernel = Callable[[Array, Array], Array]
"""K(x, y) of each row of (B, F) with each of (V, F), as (B, V)."""

_CHUNK_NUMBERS = 2**23
"""Values of the kernel held at a time: 64 MB."""


def linear_kernel(rows: Array, vectors: Array) -> Array:
    """x . y, (B, F) and (V, F) -> (B, V)."""
    products: Array = rows @ vectors.T
    return products


def gaussian_kernel(gamma: float) -> Kernel:
    """exp(-gamma |x - y|^2); gamma is above 0."""

    def kernel(rows: Array, vectors: Array) -> Array:
        squares = (rows**2).sum(1)[:, None] + (vectors**2).sum(1) - 2 * rows @ vectors.T
        values: Array = np.exp(-gamma * squares)
        return values

    return kernel


def pair_coefficients(stored: Array, counts: Array) -> Array:
    """The weight of each support vector in each pair, (V, P), mostly 0.

    Args:
        stored: (K - 1, V); a vector of class i has its K - 1 weights against the other classes, in their
            order.
        counts: (K,), the support vectors of each class; the vectors stand class by class.
    """
    num_classes = len(counts)
    ends = np.cumsum(counts)
    pairs = list(combinations(range(num_classes), 2))
    coefficients = np.zeros((stored.shape[1], len(pairs)))
    for column, (first, second) in enumerate(pairs):
        of_first = slice(ends[first] - counts[first], ends[first])
        of_second = slice(ends[second] - counts[second], ends[second])
        coefficients[of_first, column] = stored[second - 1, of_first]
        coefficients[of_second, column] = stored[first, of_second]
    return coefficients


def pair_decisions(
    rows: Array, vectors: Array, coefficients: Array, intercepts: Array, kernel: Kernel
) -> Array:
    """sum_v a_v K(x, x_v) + b for each pair, (B, P): at least 0 where the first class is the better one.

    Args:
        rows: float64 (B, F).
        vectors: float64 (V, F).
        coefficients: (V, P), see `pair_coefficients`.
        intercepts: (P,).
        kernel: Is asked for a few rows at a time.
    """
    decisions = np.empty((len(rows), coefficients.shape[1]))
    chunk = max(1, _CHUNK_NUMBERS // len(vectors))
    for start in range(0, len(rows), chunk):
        part = slice(start, start + chunk)
        decisions[part] = kernel(rows[part], vectors) @ coefficients
    return decisions + intercepts


def votes(decisions: Array, num_classes: int) -> Array:
    """One score a class, (B, P) -> (B, K): its votes, and between equal votes the summed confidences."""
    counted = np.zeros((len(decisions), num_classes))
    confidences = np.zeros_like(counted)
    for decision, (first, second) in zip(decisions.T, combinations(range(num_classes), 2), strict=True):
        counted[:, first] += decision >= 0
        counted[:, second] += decision < 0
        confidences[:, first] += decision
        confidences[:, second] -= decision
    # Within (-1/3, 1/3), so that confidences decide between equal votes alone.
    scores: Array = counted + confidences / (3 * (np.abs(confidences) + 1))
    return scores
