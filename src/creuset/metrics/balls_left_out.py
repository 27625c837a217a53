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
from creuset.metrics.inputs import FloatArray, IntArray, as_integers, require_same_length

_NEIGHBOURS_KEPT = 4
"""Times k, at first: with 20 blocks dealt at random hardly a sample needs more of them."""


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
        DataError: No block for each sample, or too few samples outside of some block.
    """

    def __init__(self, generated: NDArray[Any], num_real: int, k: int, blocks: IntArray) -> None:
        blocks = as_integers("blocks", blocks, "samples", below=len(generated)).astype(np.int64)
        require_same_length(generated=generated, blocks=blocks)
        num, sizes = len(generated), np.bincount(blocks)
        if num - sizes.max() <= k:
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
        between = (distances >= widths) & (distances < widest)
        rows, columns = np.nonzero(between)
        near, of_block = distances[rows, columns], blocks[columns]
        for block, widened in enumerate(self._without[part.columns].T):
            hit = (near < widened[columns]) & (of_block != block)  # without its block it is not there
            self._widened[here][rows[hit], block] = True

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
    most, kept = len(generated) - 1, _NEIGHBOURS_KEPT * k
    while True:
        kept = min(kept, most)
        distances, others = nearest_others(generated, kept)
        of_others = blocks[others]
        places = np.empty((len(generated), num_blocks), dtype=np.int64)
        for block in range(num_blocks):
            places[:, block] = (np.cumsum(of_others != block, axis=1) < k).sum(axis=1)
        enough = places < kept  # a sample's own block may hold what it needs: without that it has no ball
        enough[np.arange(len(generated)), blocks] = True
        if enough.all() or kept == most:
            without = np.take_along_axis(distances, np.minimum(places, kept - 1), axis=1)
            return distances[:, k - 1].copy(), without
        kept *= 2


def _mark(marks: NDArray[np.bool_], hit: NDArray[np.bool_], blocks: IntArray) -> None:
    """Marks for each row (R, K) the blocks (S,) of what it hits, (R, S)."""
    rows, columns = np.nonzero(hit)
    marks[rows, blocks[columns]] = True


def _by_others(marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a mark of another block is there, (M, K)."""
    found: NDArray[np.bool_] = marks.sum(axis=1, keepdims=True) > marks
    return found
