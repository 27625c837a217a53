"""The features of one measurement, and the scores of each measure by name.

Legend of shapes: N generated, M reference, T other real samples; D features; K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.metrics.features import UNSTATED_EXTRACTOR, Extractor
from creuset.metrics.frechet import frechet_distance, frechet_intercept, frechet_left_out
from creuset.metrics.inception_score import score_classes
from creuset.metrics.inputs import FloatArray, IntArray
from creuset.metrics.jackknife import NUM_BLOCKS, block_numbers, random_blocks
from creuset.metrics.kernel import SAMPLES_PER_BLOCK, kernel_distance
from creuset.metrics.memorisation import TrainingNeighbours, memorisation_score, near_copies
from creuset.metrics.moments import BlockMoments, FeatureMoments
from creuset.metrics.precision_recall import BallCounts, precision_recall_scores
from creuset.metrics.rke import median_distance, rke_mode_count
from creuset.metrics.score import Score
from creuset.metrics.signature import UNSTATED, Context

KERNEL_BLOCKS = 10
"""So many at least where a kernel distance is taken in blocks: Student's t of fewer is wide."""

MOST_FEATURES_LEFT_OUT = 1536
"""Up to which a Frechet distance has its interval (or up to so many generated samples), and its intercept
unasked: they take 20 and 41 eigenproblems, whose time grows with the cube of the features: the intercept on a
core 17 seconds of 1,280 features, 82 of 2,048."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureSets:
    """The samples of one measurement, as features of one extractor.

    Args:
        generated: (N, D).
        reference: Real samples that the generated ones are held against, (M, D).
        real: Other real samples, (T, D): those that the model was trained on. They are what memorisation is
            measured by, and where T is N or more, what the floors are.
        logits: Of the extractor's classes on the generated samples, (N, K), for the Inception score.
        extractor: What made the features.
        real_data: The content hash, in hexadecimal, of the samples that `real` is or was drawn from (its
            first 8 digits stand in the signatures of what is measured by them), or a name.
    """

    generated: NDArray[Any]
    reference: NDArray[Any]
    real: NDArray[Any] | None = None
    logits: NDArray[Any] | None = None
    extractor: Extractor = UNSTATED_EXTRACTOR
    real_data: str = UNSTATED


class Measuring:
    """The scores of one pair of sets by name; what several of them need is computed once."""

    def __init__(self, sets: FeatureSets, context: Context) -> None:
        self.sets, self.context = sets, context

    def scores(self, name: str) -> list[Score]:
        sets = self.sets
        stated: dict[str, Any] = {"extractor": sets.extractor, "context": self.context}
        if name == "fd":
            left_out = self.frechet_left_out if self.gives_frechet_interval else None
            return [frechet_distance(sets.generated, self.reference_moments, left_out=left_out, **stated)]
        if name == "fd-intercept":
            return [frechet_intercept(sets.generated, sets.reference, **stated)]
        if name == "kd":
            smaller = min(len(sets.generated), len(sets.reference))
            size = max(2, min(SAMPLES_PER_BLOCK, smaller // KERNEL_BLOCKS))
            return [kernel_distance(sets.generated, sets.reference, samples_per_block=size, **stated)]
        if name == "is":
            assert sets.logits is not None
            return [score_classes(sets.logits, classifier=sets.extractor, context=self.context)]
        if name == "rke":
            return [rke_mode_count(sets.generated, bandwidth=self.bandwidth, **stated)]
        if name == "memorisation":
            return [memorisation_score(self.neighbours, **stated), near_copies(self.neighbours, **stated)]
        return [score for score in self.ball_scores if score.metric == name]

    @cached_property
    def reference_moments(self) -> FeatureMoments | NDArray[Any]:
        """The reference's moments, or its features where there are fewer samples than features."""
        reference = self.sets.reference
        return reference if len(reference) < reference.shape[1] else FeatureMoments.from_features(reference)

    @property
    def fills_blocks(self) -> bool:
        """Whether there are enough generated samples to leave blocks of them out."""
        return len(self.sets.generated) >= 2 * NUM_BLOCKS

    @property
    def gives_frechet_interval(self) -> bool:
        """Whether its 20 eigenproblems, of as many rows as there are features or generated samples, are
        soon done."""
        return self.fills_blocks and min(self.sets.generated.shape) <= MOST_FEATURES_LEFT_OUT

    @cached_property
    def frechet_left_out(self) -> FloatArray:
        """The Frechet distance without each block of generated samples, the reference held fixed."""
        draws = self.context.generator()
        return frechet_left_out(self.sets.generated, self.reference_moments, generator=draws)

    @cached_property
    def balls(self) -> BallCounts:
        generated = self.sets.generated
        blocks = None
        if self.fills_blocks:
            blocks = block_numbers(len(generated), NUM_BLOCKS, self.context.generator())
        return BallCounts.from_features(generated, self.sets.reference, blocks=blocks)

    @cached_property
    def ball_scores(self) -> list[Score]:
        return precision_recall_scores(self.balls, extractor=self.sets.extractor, context=self.context)

    @cached_property
    def bandwidth(self) -> float:
        return median_distance(self.sets.reference, context=self.context)

    @cached_property
    def neighbours(self) -> TrainingNeighbours:
        assert self.sets.real is not None
        return TrainingNeighbours.from_features(
            self.sets.generated,
            self.sets.real,
            self.sets.reference,
            training_data=self.sets.real_data,
        )


class MeasuringReal:
    """The scores of real samples in place of the generated ones, as many of them: drawn by the context's
    seed, and copied only for what reads them more than once."""

    def __init__(self, generated: Measuring, real: NDArray[Any]) -> None:
        self._generated, self._real = generated, real
        self._rows = drawn_rows(real, len(generated.sets.generated), generated.context)

    def scores(self, name: str) -> list[Score]:
        if name != "fd":
            return self._of_copy.scores(name)
        measuring, reference = self._generated, self._generated.reference_moments
        draws = measuring.context.generator()
        left_out: list[float] | FloatArray | None = None
        rows: NDArray[Any] | FeatureMoments
        if len(self._rows) <= 2 * self._real.shape[1]:
            rows = self._real[self._rows]
            if measuring.gives_frechet_interval:
                left_out = frechet_left_out(rows, reference, generator=draws)
        else:
            rows = FeatureMoments.from_rows(self._real, self._rows)
            if measuring.gives_frechet_interval:
                left_out = [frechet_distance(part, reference).value for part in self._left_out(draws)]
        return [
            frechet_distance(
                rows,
                reference,
                left_out=left_out,
                extractor=measuring.sets.extractor,
                context=measuring.context,
            )
        ]

    def _left_out(self, draws: np.random.Generator) -> Iterator[FeatureMoments]:
        """The moments of the drawn rows without each of their blocks; rows are read, and never copied."""
        dealt = random_blocks(len(self._rows), NUM_BLOCKS, draws)
        parts = [np.sort(self._rows[block]) for block in dealt]
        blocks = BlockMoments(
            lambda: (FeatureMoments.from_rows(self._real, part) for part in parts), len(parts)
        )
        return blocks.left_out()

    @cached_property
    def _of_copy(self) -> Measuring:
        taken = self._real if len(self._rows) == len(self._real) else self._real[self._rows]
        return Measuring(replace(self._generated.sets, generated=taken, real=None), self._generated.context)


def drawn_rows(features: NDArray[Any], num: int, context: Context) -> IntArray:
    """So many places of rows, drawn by the context's seed, in their order."""
    return np.sort(context.generator().permutation(len(features))[:num])
