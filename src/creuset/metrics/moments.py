"""Mean and covariance of features, gathered in blocks: all that a Frechet distance needs of a set of samples.

Source: Chan, Golub and LeVeque (1983), "Algorithms for Computing the Sample Variance", equation 2.1.

Legend of shapes: N samples, D features.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from creuset.errors import DataError
from creuset.metrics.blocks import row_slices, rows_of
from creuset.metrics.inputs import FloatArray, IntArray, as_features, as_floats
from creuset.metrics.jackknife import NUM_BLOCKS, random_blocks

_MOST_KEPT_BYTES = 160_000_000
"""Of the triangles of all blocks of a set: 20 blocks of 1,414 features."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMoments:
    """How many samples, their mean, and the sum of products of their deviations from it.

    Args:
        count: Samples, from 1.
        mean: float64 (D,).
        scatter: sum (x - mean)(x - mean)^T, float64 (D, D).

    Raises:
        DataError: No samples, values that are not finite, or shapes that do not belong together.
    """

    count: int
    mean: FloatArray
    scatter: FloatArray

    def __post_init__(self) -> None:
        as_floats("mean", self.mean, "features")
        as_floats("scatter", self.scatter, "features features")
        dims = len(self.mean)
        if self.count < 1 or self.scatter.shape != (dims, dims):
            raise DataError(
                "not the moments of features",
                got=f"count {self.count}, mean of {dims}, scatter {self.scatter.shape}",
                expected=f"1 or more samples and a scatter of ({dims}, {dims})",
            )

    @classmethod
    def from_features(cls, features: ArrayLike) -> "FeatureMoments":
        """The moments of an array (N, D), read a block of rows at a time.

        Raises:
            DataError: Empty, of another number of axes, or not finite.
        """
        array = as_features("features", features)
        return _gathered(array, row_slices(len(array)))

    @classmethod
    def from_rows(cls, features: ArrayLike, rows: IntArray) -> "FeatureMoments":
        """The moments of some rows of an array (N, D), read a block at a time: they are never copied whole.

        Args:
            features: (N, D).
            rows: Which rows, 1 or more; sorted they are read several times faster from a file.

        Raises:
            DataError: As `from_features`.
        """
        return _gathered(as_features("features", features), _cut(rows))

    @classmethod
    def from_blocks(cls, blocks: Iterable[ArrayLike]) -> "FeatureMoments":
        """The moments of arrays (B, D) that come one after another and need never be in memory together.

        Raises:
            DataError: No block, an empty one, one of another width, or values that are not finite.
        """
        return cls.merged(cls.from_features(block) for block in blocks)

    @classmethod
    def merged(cls, parts: Iterable["FeatureMoments"]) -> "FeatureMoments":
        """The moments of several sets of samples together.

        Raises:
            DataError: No set, or unequal numbers of features.
        """
        total: FeatureMoments | None = None
        for part in parts:
            total = part if total is None else total.merge(part)
        if total is None:
            raise DataError("nothing to measure", where="blocks", got="no block of features")
        return total

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, ArrayLike]) -> "FeatureMoments":
        """The moments that `to_arrays` gave.

        Raises:
            DataError: An array is missing, or what `FeatureMoments` raises.
        """
        missing = [name for name in ("count", "mean", "scatter") if name not in arrays]
        if missing:
            raise DataError("not the moments of features", got=f"no {', no '.join(missing)}")
        return cls(
            count=int(np.asarray(arrays["count"])),
            mean=as_floats("mean", arrays["mean"], "features"),
            scatter=as_floats("scatter", arrays["scatter"], "features features"),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Count, mean and scatter by name, to be stored."""
        return {"count": np.array(self.count), "mean": self.mean, "scatter": self.scatter}

    @property
    def num_features(self) -> int:
        return len(self.mean)

    @property
    def covariance(self) -> FloatArray:
        """The scatter over N - 1, (D, D).

        Raises:
            DataError: A single sample.
        """
        if self.count < 2:
            raise DataError("a covariance needs 2 samples", got=self.count)
        return self.scatter / (self.count - 1)

    def merge(self, other: "FeatureMoments") -> "FeatureMoments":
        """The moments of both sets of samples together.

        Raises:
            DataError: Another number of features.
        """
        require_same_features(self, other)
        count = self.count + other.count
        gap = other.mean - self.mean
        return FeatureMoments(
            count=count,
            mean=self.mean + gap * (other.count / count),
            scatter=self.scatter + other.scatter + np.outer(gap, gap * (self.count * other.count / count)),
        )

    def without(self, part: "FeatureMoments") -> "FeatureMoments":
        """The moments of the samples that are left when `part`, which is among them, is taken away.

        Raises:
            DataError: Another number of features, or a part that leaves nothing.
        """
        require_same_features(self, part)
        count = self.count - part.count
        if count < 1:
            raise DataError("nothing is left", got=f"{part.count} of {self.count} samples taken away")
        gap = part.mean - self.mean
        mean = self.mean - gap * (part.count / count)
        shift = np.outer(gap, gap * (part.count * self.count / count))
        return FeatureMoments(count=count, mean=mean, scatter=self.scatter - part.scatter - shift)


class BlockMoments:
    """The moments of samples dealt at random into equal blocks, for estimates that leave a block out.

    Iterating gives the moments of each block.

    Args:
        blocks: Gives the moments of each block, of one number of features, each time that it is called.
        num_blocks: How many it gives.

    Raises:
        DataError: No block, or unequal numbers of features.
    """

    def __init__(self, blocks: Callable[[], Iterable[FeatureMoments]], num_blocks: int) -> None:
        self._blocks, self._num_blocks = blocks, num_blocks
        self.total = FeatureMoments.merged(blocks())

    @classmethod
    def from_features(
        cls, features: ArrayLike, *, generator: np.random.Generator, num_blocks: int = NUM_BLOCKS
    ) -> "BlockMoments":
        """Deal the rows of (N, D) into blocks.

        A scatter is symmetric, so one triangle of it is kept: 4 D^2 bytes a block. Where all triangles would
        take more than 160 MB, moments are gathered from the features each time that they are asked for.

        Args:
            features: (N, D), held or mapped as long as the blocks are used.
            generator: Deals.
            num_blocks: How many.

        Raises:
            DataError: As `FeatureMoments.from_features`, or too few samples for the blocks.
        """
        array = as_features("features", features)
        # Sorted, because rows in order are read several times faster from a file.
        parts = [np.sort(part) for part in random_blocks(len(array), num_blocks, generator)]
        if num_blocks * 4 * array.shape[1] ** 2 > _MOST_KEPT_BYTES:
            return cls(lambda: (_gathered(array, _cut(part)) for part in parts), len(parts))
        kept = [_packed(_gathered(array, _cut(part))) for part in parts]
        return cls(lambda: map(_unpacked, kept), len(parts))

    def __len__(self) -> int:
        return self._num_blocks

    def __iter__(self) -> Iterator[FeatureMoments]:
        return iter(self._blocks())

    def left_out(self) -> Iterator[FeatureMoments]:
        """The moments of all samples but those of each block in turn."""
        for block in self:
            yield self.total.without(block)

    def pairs_left_out(self) -> Iterator[FeatureMoments]:
        """The moments of all samples but those of each block and the next; after the last comes the first."""
        for first, second in itertools.pairwise(itertools.chain(self, itertools.islice(self, 1))):
            yield self.total.without(first).without(second)


def require_same_features(first: FeatureMoments, second: FeatureMoments) -> None:
    """Both are moments of the same number of features.

    Raises:
        DataError: They are not.
    """
    if first.num_features != second.num_features:
        raise DataError(
            "unequal numbers of features",
            got=f"{first.num_features} and {second.num_features}",
            expected="features of one extractor",
        )


def _packed(moments: FeatureMoments) -> tuple[int, FloatArray, FloatArray]:
    """Count, mean, and one triangle of the scatter."""
    return moments.count, moments.mean, moments.scatter[np.tril_indices(moments.num_features)]


def _unpacked(packed: tuple[int, FloatArray, FloatArray]) -> FeatureMoments:
    """The moments of which one triangle was kept."""
    count, mean, triangle = packed
    lower = np.tril_indices(len(mean))
    scatter = np.zeros((len(mean), len(mean)))
    scatter[lower] = triangle
    scatter.T[lower] = triangle
    return FeatureMoments(count=count, mean=mean, scatter=scatter)


def _gathered(features: NDArray[Any], parts: Sequence[slice] | Sequence[IntArray]) -> FeatureMoments:
    return reduce(FeatureMoments.merge, (_of_rows(rows_of(features, part)) for part in parts))


def _cut(indices: IntArray) -> list[IntArray]:
    return [indices[rows] for rows in row_slices(len(indices))]


def _of_rows(rows: FloatArray) -> FeatureMoments:
    mean = rows.mean(axis=0)
    deviations = rows - mean
    return FeatureMoments(count=len(rows), mean=mean, scatter=deviations.T @ deviations)
