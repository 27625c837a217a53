"""Pairwise squared distances and inner products in blocks: memory does not grow with the number of pairs.

    |x - y|^2 = |x|^2 + |y|^2 - 2 x.y, the products of a block being one matrix product in float64

Features are read a block at a time, so float32 arrays and arrays mapped from a file are never copied whole.
A distance below the rounding of its terms is 0, so that equal rows are at distance 0.

Legend of shapes: N, M rows; D features; B, C rows of a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.metrics.inputs import FloatArray, IntArray

BLOCK_ROWS = 1024
"""8 MB of distances at a time: large enough for matrix products at full speed, small enough for a cache."""

_ROUNDING = 1e-13
"""Of |x|^2 + |y|^2: below it, what is left of |x|^2 + |y|^2 - 2 x.y is rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Distances between some rows of one array and some of another.

    Args:
        rows, columns: Which rows of the first and of the second array.
        distances: Squared, (B, C).
    """

    rows: slice
    columns: slice
    distances: FloatArray


def row_slices(num_rows: int, size: int = BLOCK_ROWS) -> list[slice]:
    """Consecutive slices of at most `size` rows that cover `num_rows`."""
    return [slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size)]


def rows_of(features: NDArray[Any], rows: slice | IntArray) -> FloatArray:
    """Some rows in float64."""
    block: FloatArray = features[rows].astype(np.float64, copy=False)
    return block


def squared_norms(features: NDArray[Any]) -> FloatArray:
    """|x|^2 of each row, (N,)."""
    norms = np.empty(len(features))
    for rows in row_slices(len(features)):
        block = rows_of(features, rows)
        norms[rows] = np.einsum("bd,bd->b", block, block)
    return norms


def cross_distances(first: NDArray[Any], second: NDArray[Any]) -> Iterator[Block]:
    """The squared distances of all pairs of rows of two arrays, by rows of the first."""
    first_norms, second_norms = squared_norms(first), squared_norms(second)
    for rows in row_slices(len(first)):
        left = rows_of(first, rows)
        for columns in row_slices(len(second)):
            right = rows_of(second, columns)
            distances = _distances(left, right, first_norms[rows], second_norms[columns])
            yield Block(rows=rows, columns=columns, distances=distances)


def own_distances(features: NDArray[Any]) -> Iterator[Block]:
    """The squared distances among the rows of one array, each pair of blocks once: columns from the rows on.

    Where `rows == columns` the block is square and holds both (i, j) and (j, i).
    """
    norms = squared_norms(features)
    slices = row_slices(len(features))
    for number, rows in enumerate(slices):
        left = rows_of(features, rows)
        for columns in slices[number:]:
            right = left if columns == rows else rows_of(features, columns)
            distances = _distances(left, right, norms[rows], norms[columns])
            yield Block(rows=rows, columns=columns, distances=distances)


def kth_neighbour(features: NDArray[Any], k: int) -> FloatArray:
    """The squared distance of each row to its k-th nearest other row, (N,); k in [1, N - 1]."""
    nearest = np.full((len(features), k), np.inf)
    for block in own_distances(features):
        if block.rows == block.columns:
            np.fill_diagonal(block.distances, np.inf)
            _keep_nearest(nearest, block.rows, block.distances)
        else:
            _keep_nearest(nearest, block.rows, block.distances)
            _keep_nearest(nearest, block.columns, block.distances.T)
    widths: FloatArray = nearest.max(axis=1)
    return widths


def nearest_others(features: NDArray[Any], num: int) -> tuple[FloatArray, IntArray]:
    """Of each row the squared distances to its nearest other rows, ascending, and which those are.

    Args:
        features: (N, D).
        num: K, how many, in [1, N - 1].

    Returns:
        Distances (N, K) and indices (N, K).
    """
    nearest = np.full((len(features), num), np.inf)
    indices = np.zeros((len(features), num), dtype=np.int64)
    for block in own_distances(features):
        if block.rows == block.columns:
            np.fill_diagonal(block.distances, np.inf)
        _keep_nearest_indexed(nearest, indices, block.rows, block.distances, block.columns.start)
        if block.rows != block.columns:
            _keep_nearest_indexed(nearest, indices, block.columns, block.distances.T, block.rows.start)
    order = np.argsort(nearest, axis=1, kind="stable")
    return np.take_along_axis(nearest, order, axis=1), np.take_along_axis(indices, order, axis=1)


def nearest_rows(queries: NDArray[Any], bank: NDArray[Any]) -> tuple[FloatArray, IntArray]:
    """Of each query, the squared distance to the nearest row of the bank and that row's index, (N,) each."""
    distances = np.full(len(queries), np.inf)
    indices = np.zeros(len(queries), dtype=np.int64)
    for block in cross_distances(queries, bank):
        closest = block.distances.argmin(axis=1)
        lowest = block.distances[np.arange(len(closest)), closest]
        better = lowest < distances[block.rows]
        distances[block.rows][better] = lowest[better]
        indices[block.rows][better] = closest[better] + block.columns.start
    return distances, indices


def _keep_nearest(nearest: FloatArray, rows: slice, distances: FloatArray) -> None:
    """Let the k nearest of some rows take part of a block's distances that are nearer; changes `nearest`."""
    kept = nearest[rows]
    k = kept.shape[1]
    improved = np.flatnonzero(distances.min(axis=1) < kept.max(axis=1))
    candidates = np.concatenate([kept[improved], distances[improved]], axis=1)
    candidates.partition(k - 1, axis=1)
    kept[improved] = candidates[:, :k]


def _keep_nearest_indexed(
    nearest: FloatArray, indices: IntArray, rows: slice, distances: FloatArray, first: int
) -> None:
    """As `_keep_nearest`, with the indices of those that are kept; `first` is that of the first distance."""
    kept, num = nearest[rows], nearest.shape[1]
    improved = np.flatnonzero(distances.min(axis=1) < kept.max(axis=1))
    candidates = np.concatenate([kept[improved], distances[improved]], axis=1)
    chosen = np.argpartition(candidates, num - 1, axis=1)[:, :num]
    known = np.take_along_axis(indices[rows][improved], np.minimum(chosen, num - 1), axis=1)
    indices[rows][improved] = np.where(chosen < num, known, first + chosen - num)
    kept[improved] = np.take_along_axis(candidates, chosen, axis=1)


def _distances(
    left: FloatArray, right: FloatArray, left_norms: FloatArray, right_norms: FloatArray
) -> FloatArray:
    distances: FloatArray = left @ right.T
    distances *= -2
    distances += left_norms[:, None]
    distances += right_norms
    if distances.min() < _ROUNDING * (left_norms.max() + right_norms.max()):
        distances[distances < _ROUNDING * (left_norms[:, None] + right_norms)] = 0
    return distances
