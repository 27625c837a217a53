"""The Frechet distance between two sets of features, each seen as a Gaussian; its bias, and its floor.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

With S1 = F F^T, tr (S1 S2)^(1/2) is the sum of the square roots of the eigenvalues of F^T S2 F, which is
symmetric. F is the Cholesky factor, or eigh(S1)'s square root where S1 is singular. With fewer samples than
features F is the centred, scaled features themselves, or, where both sets are small, the sum is the nuclear
norm of the product of both.

The value at N samples lies too high by about c/N, and c grows with the features: values at unlike N say
nothing about each other. Report the value at N, the intercept on 1/N, and the distance of real from real
samples at the same N.

Sources: Dowson and Landau (1982), equation 4; Heusel et al. (2017), "GANs Trained by a Two Time-Scale Update
Rule" (FID); Chong and Forsyth (2020), "Effectively Unbiased FID" (the line in 1/N).
Departures: no general matrix square root; the intercept and its interval come from a jackknife over blocks,
not from a line through subsets with a bootstrap, which resamples duplicates and so never covers.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from creuset.errors import DataError, UsageError
from creuset.metrics.features import UNSTATED_EXTRACTOR, Extractor
from creuset.metrics.inputs import FloatArray, IntArray, as_features, as_floats, require_same_width
from creuset.metrics.intervals import within
from creuset.metrics.jackknife import (
    NUM_BLOCKS,
    left_out_interval,
    random_blocks,
    second_order_jackknife,
)
from creuset.metrics.moments import BlockMoments, FeatureMoments, require_same_features
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context, FieldValue

SAMPLES_PER_FEATURE = 4
"""Below 4 samples a feature the bias is not yet a line in 1/N."""


def frechet_distance(
    generated: ArrayLike | FeatureMoments,
    reference: ArrayLike | FeatureMoments,
    *,
    left_out: ArrayLike | None = None,
    extractor: Extractor = UNSTATED_EXTRACTOR,
    context: Context = NO_CONTEXT,
) -> Score:
    """The Frechet distance at these numbers of samples: "fid" on Inception's features, else "fd".

    Its interval is of the distance expected of as many generated samples from this reference, which at N
    exceeds that of infinitely many by far: see `frechet_intercept`. What rounding takes below 0, where a set
    without full rank is held against itself, is 0.

    Args:
        generated: Features (N, D), or their moments.
        reference: Features (M, D), or their moments.
        left_out: What `frechet_left_out` gave of them, (K,), for the interval; None for none.
        extractor: What made the features.
        context: Data, split and seed.

    Raises:
        DataError: Empty, not finite, a single sample, or unequal numbers of features.
    """
    value = _distance_of(generated, reference)
    fields: dict[str, FieldValue] = {**extractor.fields(), "reference_n": _count(reference)}
    interval = None
    if left_out is not None:
        without = as_floats("left_out", left_out, "blocks")
        interval = within(left_out_interval(value, without), 0)
        fields["interval"] = f"jackknife{len(without)}_t95_fixed_reference"
    return context.score(
        metric=_metric(extractor),
        value=value,
        unit="squared_distance",
        better="lower",
        interval=interval,
        n=_count(generated),
        fields=fields,
        seeded=left_out is not None,
    )


def frechet_left_out(
    generated: ArrayLike,
    reference: ArrayLike | FeatureMoments,
    *,
    generator: np.random.Generator,
    num_blocks: int = NUM_BLOCKS,
) -> FloatArray:
    """The distance without each block of generated samples in turn, the reference held fixed, (num_blocks,).

    By moments where there are twice as many samples as features, else by the features themselves.

    Args:
        generated: Features (N, D).
        reference: Features (M, D), or their moments.
        generator: Deals the blocks.
        num_blocks: How many.

    Raises:
        DataError: As `frechet_distance`, or too few samples for the blocks.
    """
    array = as_features("generated", generated)
    other = reference
    if not isinstance(reference, FeatureMoments):
        rows = as_features("reference", reference)
        other = rows if len(rows) < rows.shape[1] else FeatureMoments.from_features(rows)
    parts: Iterable[ArrayLike | FeatureMoments]
    if len(array) > 2 * array.shape[1]:
        parts = BlockMoments.from_features(array, generator=generator, num_blocks=num_blocks).left_out()
    else:
        blocks = random_blocks(len(array), num_blocks, generator)
        parts = (np.delete(array, block, axis=0) for block in blocks)
    return np.array([_distance_of(part, other) for part in parts])


def frechet_intercept(
    generated: ArrayLike | BlockMoments,
    reference: ArrayLike | BlockMoments | FeatureMoments,
    *,
    extractor: Extractor = UNSTATED_EXTRACTOR,
    context: Context = NO_CONTEXT,
    num_blocks: int = NUM_BLOCKS,
) -> Score:
    """The Frechet distance at infinitely many samples: "fid_intercept" or "fd_intercept".

    The intercept on 1/N of the line through the distance at N and at N less one block, with the jackknife's
    Student interval, in which what pairs of blocks vary is counted once. For equal distributions it lies
    around 0, below it as often as above.

    Args:
        generated: Features (N, D), dealt at random into blocks by the context's seed, or their blocks.
        reference: The same, of which the bias is taken away too; or fixed moments, of which it is not.
        extractor: What made the features.
        context: Data, split and seed.
        num_blocks: Blocks to leave out in turn, 3 or more.

    Raises:
        DataError: As `frechet_distance`; fewer than 4 D samples; or unequal numbers of blocks.
    """
    draws = context.generator()
    left = _as_blocks("generated", generated, num_blocks, draws)
    if isinstance(reference, FeatureMoments):
        _require_samples("reference", reference.count, reference.num_features)
        other = reference
        others: Iterator[FeatureMoments] = itertools.repeat(reference)
        others_without_pairs = others
    else:
        right = _as_blocks("reference", reference, num_blocks, draws)
        if len(right) != len(left):
            raise DataError("unequal numbers of blocks", got=f"{len(left)} and {len(right)}")
        other, others, others_without_pairs = right.total, right.left_out(), right.pairs_left_out()
    estimate = second_order_jackknife(
        _between_moments(left.total, other),
        [_between_moments(*pair) for pair in zip(left.left_out(), others, strict=False)],
        [_between_moments(*pair) for pair in zip(left.pairs_left_out(), others_without_pairs, strict=False)],
    )
    return context.score(
        metric=f"{_metric(extractor)}_intercept",
        value=estimate.mean,
        unit="squared_distance",
        better="lower",
        interval=estimate.interval,
        n=left.total.count,
        fields={
            **extractor.fields(),
            "extrapolated": "generated" if isinstance(reference, FeatureMoments) else "both",
            "interval": f"jackknife{len(left)}_corrected_t95",
            "reference_n": other.count,
        },
        seeded=True,
    )


def frechet_floor(
    reference: ArrayLike,
    *,
    num_samples: int,
    num_reference: int,
    extractor: Extractor = UNSTATED_EXTRACTOR,
    context: Context = NO_CONTEXT,
) -> Score:
    """What a perfect generator would score: real samples against other real ones, "fid_floor" or "fd_floor".

    Args:
        reference: Features of real samples (M, D).
        num_samples: How many, drawn by the context's seed, stand in for the generated ones.
        num_reference: How many of the others they are measured against. Take the numbers of the distance
            that the floor stands beside.
        extractor: What made the features.
        context: Data, split and seed.

    Raises:
        DataError: As `frechet_distance`, or fewer real samples than asked for.
        UsageError: Less than 2 samples asked for on either side.
    """
    array = as_features("reference", reference)
    if num_samples < 2 or num_reference < 2:
        raise UsageError(
            "a floor needs samples on both sides",
            got=f"{num_samples} and {num_reference}",
            expected="2 or more",
        )
    if num_samples + num_reference > len(array):
        raise DataError(
            "not enough real samples for a floor",
            where="reference",
            got=len(array),
            expected=f"{num_samples} + {num_reference} = {num_samples + num_reference}",
            next_step="give more real samples, or measure fewer",
        )
    drawn = context.generator().permutation(len(array))
    first = np.sort(drawn[:num_samples])
    second = np.sort(drawn[num_samples : num_samples + num_reference])
    return context.score(
        metric=f"{_metric(extractor)}_floor",
        value=_distance_of(_some_rows(array, first), _some_rows(array, second)),
        unit="squared_distance",
        better="lower",
        interval=None,
        n=num_samples,
        fields={**extractor.fields(), "reference_n": num_reference},
        seeded=True,
    )


def frechet_curve(generated: BlockMoments, reference: FeatureMoments) -> list[tuple[int, float]]:
    """The distance at growing numbers of samples: (N, value) for the first block, the first two, ...

    Raises:
        DataError: Unequal numbers of features, or a single sample.
    """
    points = []
    union: FeatureMoments | None = None
    for block in generated:
        union = block if union is None else union.merge(block)
        points.append((union.count, _distance_of(union, reference)))
    return points


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Fewer samples than features: their mean (D,), and rows (N, D) with rows^T rows their covariance."""

    mean: FloatArray
    rows: FloatArray

    @classmethod
    def of(cls, features: NDArray[Any]) -> "_Rows":
        array = features.astype(np.float64)
        mean = array.mean(axis=0)
        return cls(mean=mean, rows=(array - mean) / np.sqrt(len(array) - 1))


def _distance_of(first: ArrayLike | FeatureMoments, second: ArrayLike | FeatureMoments) -> float:
    """The distance, 0 where rounding takes it below."""
    left, right = _reduced("generated", first), _reduced("reference", second)
    widths = len(left.mean), len(right.mean)
    if widths[0] != widths[1]:
        require_same_width(generated=np.empty((1, widths[0])), reference=np.empty((1, widths[1])))
    if isinstance(left, _Rows):
        return max(0.0, _from_rows(left, right))
    return max(0.0, _from_rows(right, left) if isinstance(right, _Rows) else _between_moments(left, right))


def _some_rows(features: NDArray[Any], rows: IntArray) -> NDArray[Any] | FeatureMoments:
    """Some rows where they are fewer than features, else their moments, for which they are not copied."""
    few = len(rows) < features.shape[1]
    return features[rows] if few else FeatureMoments.from_rows(features, rows)


def _reduced(name: str, features: ArrayLike | FeatureMoments) -> "_Rows | FeatureMoments":
    if isinstance(features, FeatureMoments):
        _require_two(name, features.count)
        return features
    array = as_features(name, features)
    _require_two(name, len(array))
    if len(array) < array.shape[1]:
        return _Rows.of(array)
    return FeatureMoments.from_features(array)


def _from_rows(few: _Rows, other: "_Rows | FeatureMoments") -> float:
    """Exact with N x N or N x M matrices in place of D x D ones."""
    if isinstance(other, _Rows):
        trace = float(np.square(other.rows).sum())
        root = float(np.linalg.svd(few.rows @ other.rows.T, compute_uv=False).sum())
    else:
        covariance = other.covariance
        trace = float(np.trace(covariance))
        root = _sum_of_roots(few.rows @ covariance @ few.rows.T)
    return _assembled(few.mean - other.mean, float(np.square(few.rows).sum()) + trace, root)


def _between_moments(first: FeatureMoments, second: FeatureMoments) -> float:
    require_same_features(first, second)
    left, right = first.covariance, second.covariance
    factor = _factor(left)
    root = _sum_of_roots(factor.T @ right @ factor)
    return _assembled(first.mean - second.mean, float(np.trace(left) + np.trace(right)), root)


def _factor(covariance: FloatArray) -> NDArray[Any]:
    """F with F F^T = covariance."""
    try:
        factor: NDArray[Any] = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:  # singular: features that never vary or depend on each other
        values, vectors = np.linalg.eigh(covariance)
        factor = vectors * np.sqrt(np.clip(values, 0, None))
    return factor


def _sum_of_roots(product: NDArray[Any]) -> float:
    return float(np.sqrt(np.clip(np.linalg.eigvalsh(product), 0, None)).sum())


def _assembled(gap: FloatArray, traces: float, root: float) -> float:
    return float(gap @ gap) + traces - 2 * root


def _as_blocks(
    name: str, features: ArrayLike | BlockMoments, num_blocks: int, draws: np.random.Generator
) -> BlockMoments:
    if isinstance(features, BlockMoments):
        _require_samples(name, features.total.count, features.total.num_features)
        return features
    array = as_features(name, features)
    _require_samples(name, len(array), array.shape[1])
    return BlockMoments.from_features(array, generator=draws, num_blocks=num_blocks)


def _require_samples(name: str, count: int, num_features: int) -> None:
    needed = SAMPLES_PER_FEATURE * num_features
    if count < needed:
        raise DataError(
            "not enough samples for the intercept on 1/N",
            where=name,
            got=f"{count} samples of {num_features} features",
            expected=f"{needed} or more ({SAMPLES_PER_FEATURE} a feature)",
            next_step="generate more, take an extractor with fewer features, or report frechet_distance at N",
        )


def _require_two(name: str, count: int) -> None:
    if count < 2:
        raise DataError("a covariance needs 2 samples", where=name, got=count)


def _count(features: ArrayLike | FeatureMoments) -> int:
    return features.count if isinstance(features, FeatureMoments) else len(np.asarray(features))


def _metric(extractor: Extractor) -> str:
    return "fid" if extractor.is_inception else "fd"
