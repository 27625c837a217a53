"""Recall and coverage without each block of generated samples in turn, in the one pass that counts balls.

Without a block the balls around its samples are gone, and those of its neighbours are wider, since one of
their k nearest may be gone too; real balls stay. Both shares without block b are therefore

    coverage   real samples whose ball holds a generated sample of another block
    recall     real samples that lie in a ball of another block, as wide as it is without b

A ball is never narrower without others, so what lies in it with all samples needs no second look: only
distances between a ball's width with all samples and its widest are held against each block's.

Legend of shapes: N generated samples, M real samples, K blocks, R, S samples of a part.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.errors import DataError
from creuset.metrics.blocks import Block, nearest_others
from creuset.metrics.inputs import FloatArray, IntArray

_NEIGHBOURS_KEPT = 4
"""Times k. Blocks are dealt at random, out of 20: that more than 3 k of the 4 k nearest are of one block, so
that a ball without it would be told too narrow, happens to one sample in 10^15 with k = 5."""


class BallsLeftOut:
    """Fed with all distances between real and generated samples, it knows both shares without each block.

    Args:
        generated: Features (N, D).
        num_real: M.
        k: The neighbour that sets the width of a ball.
        blocks: The block of each generated sample, 0 to K - 1, dealt at random, (N,).

    Attributes:
        widths: Of the balls around generated samples, squared, with all of them, (N,).

    Raises:
        DataError: Another number of blocks than of samples, or too few samples outside of some block.
    """

    def __init__(self, generated: NDArray[Any], num_real: int, k: int, blocks: IntArray) -> None:
        num, sizes = len(generated), np.bincount(blocks)
        if len(blocks) != num or num - sizes.max() <= k:
            raise DataError(
                "not enough samples outside of a block for balls",
                where="generated",
                got=f"{num} samples, blocks of up to {sizes.max()}",
                expected=f"more than k = {k} outside of each",
            )
        self._blocks = blocks
        self.widths, self._without = _widths(generated, k, blocks, len(sizes))
        self._widest = self._without.max(axis=1)
        self._covering = np.zeros((num_real, len(sizes)), dtype=bool)
        self._recalling = np.zeros((num_real, len(sizes)), dtype=bool)
        self._widened = np.zeros((num_real, len(sizes)), dtype=bool)

    def add(self, part: Block, real_widths: FloatArray) -> None:
        """Takes distances (R, S) from some real samples to some generated ones, and the widths of those real
        samples' balls, (R,)."""
        distances, here = part.distances, part.rows
        blocks = self._blocks[part.columns]
        widths, widest = self.widths[part.columns], self._widest[part.columns]
        _mark(self._covering[here], distances < real_widths[:, None], blocks)
        _mark(self._recalling[here], distances < widths, blocks)
        rows, columns = np.nonzero((distances >= widths) & (distances < widest))
        if len(rows):
            hit = distances[rows, columns][:, None] < self._without[part.columns][columns]
            hit[np.arange(len(rows)), blocks[columns]] = False  # without its block it is not there
            starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
            self._widened[here][rows[starts]] |= np.logical_or.reduceat(hit, starts, axis=0)

    @property
    def recall(self) -> FloatArray:
        """Without each block, (K,)."""
        found: FloatArray = (_by_others(self._recalling) | self._widened).mean(axis=0)
        return found

    @property
    def coverage(self) -> FloatArray:
        """Without each block, (K,)."""
        found: FloatArray = _by_others(self._covering).mean(axis=0)
        return found


def _widths(
    generated: NDArray[Any], k: int, blocks: IntArray, num_blocks: int
) -> tuple[FloatArray, FloatArray]:
    """The width of each sample's ball, (N,), and without each block, (N, K)."""
    distances, others = nearest_others(generated, min(_NEIGHBOURS_KEPT * k, len(generated) - 1))
    of_others = blocks[others]
    without = np.empty((len(generated), num_blocks))
    for block in range(num_blocks):
        left = np.cumsum(of_others != block, axis=1)
        place = np.minimum((left < k).sum(axis=1), distances.shape[1] - 1)
        without[:, block] = np.take_along_axis(distances, place[:, None], axis=1)[:, 0]
    return distances[:, k - 1].copy(), without


def _mark(marks: NDArray[np.bool_], hit: NDArray[np.bool_], blocks: IntArray) -> None:
    """Marks for each row (R, K) the blocks (S,) of what it hits, (R, S)."""
    rows, columns = np.nonzero(hit)
    marks[rows, blocks[columns]] = True


def _by_others(marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a mark of another block is there, (M, K)."""
    found: NDArray[np.bool_] = marks.sum(axis=1, keepdims=True) > marks
    return found
