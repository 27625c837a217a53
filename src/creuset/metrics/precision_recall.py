"""Precision, recall, density and coverage of generated samples by balls around neighbours.

A ball stands around each sample, as wide as the distance to its k-th nearest neighbour of its own set.

    precision   share of generated samples that lie in some real sample's ball: are they realistic?
    recall      share of real samples that lie in some generated sample's ball: is the variety there?
    density     mean over generated samples of the real balls that each lies in, over k
    coverage    share of real samples whose ball holds some generated sample

A single outlier has a large ball: density and coverage are less fooled by it than precision and recall.

Sources: Kynkaanniemi et al. (2019), "Improved Precision and Recall Metric for Assessing Generative Models",
equations 1 and 2; Naeem et al. (2020), "Reliable Fidelity and Diversity Metrics for Generative Models",
equations 3 and 4.
Departures: in blocks, so memory does not grow with the number of pairs. All four have intervals, over
generated samples with the reference held fixed: of another reference the expected value is another. Those
of recall and coverage come from a jackknife over blocks of generated samples, which decide these values
together: Wilson's over the reference samples alone, with the generated ones held fixed, held the expected
value of draws of both sets in 77 to 89%; it is joined to the jackknife's near 0 and 1. How often all of
them hold: benchmarks/fixed_reference_intervals.py.

Not to be confused with a classifier's precision and recall.

Legend of shapes: N generated samples, M real samples, D features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from creuset.errors import DataError, UsageError
from creuset.metrics.balls_left_out import BallsLeftOut
from creuset.metrics.blocks import cross_distances, kth_neighbour
from creuset.metrics.features import UNSTATED_EXTRACTOR, Extractor
from creuset.metrics.inputs import FloatArray, IntArray, as_features, require_same_width
from creuset.metrics.intervals import Interval, mean_estimate, wilson_interval, within
from creuset.metrics.jackknife import left_out_interval
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context, FieldValue

NEAREST_K = 5
"""Naeem et al. (2020), section 4; Kynkaanniemi et al. take 3."""

_FEW = 10
"""Reference samples: with fewer the values of left-out blocks are the same few numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BallCounts:
    """Which balls each sample lies in: one row a sample of all four measures; made by `from_features`.

    Args:
        k: The neighbour that sets the width of a ball.
        real_balls: How many real balls each generated sample lies in, int64 (N,).
        recalled: 1 where a real sample lies in some generated ball, else 0, int64 (M,).
        covered: 1 where a real sample's ball holds some generated sample, else 0, int64 (M,).
        recall_left_out, coverage_left_out: Both shares without each of K blocks of generated samples, (K,);
            None where they were not asked for.
    """

    k: int
    real_balls: IntArray
    recalled: IntArray
    covered: IntArray
    recall_left_out: FloatArray | None = None
    coverage_left_out: FloatArray | None = None

    @classmethod
    def from_features(
        cls, generated: ArrayLike, real: ArrayLike, *, k: int = NEAREST_K, blocks: IntArray | None = None
    ) -> "BallCounts":
        """Count balls between features (N, D) and (M, D).

        Args:
            generated: (N, D).
            real: (M, D).
            k: The neighbour that sets the width of a ball.
            blocks: The block of each generated sample, (N,), as `block_numbers` deals them, for the intervals
                of recall and coverage; None for none.

        Raises:
            DataError: Empty, not finite, unequal numbers of features, or not more than k samples in a set, or
                outside of a block.
            UsageError: k below 1.
        """
        fake, true = as_features("generated", generated), as_features("real", real)
        require_same_width(generated=fake, real=true)
        if k < 1:
            raise UsageError("not a neighbour", got=f"k {k}", expected="1 or more")
        for name, array in (("generated", fake), ("real", true)):
            if len(array) <= k:
                raise DataError(
                    "not enough samples for balls",
                    where=name,
                    got=len(array),
                    expected=f"more than k = {k}",
                )
        leaving_out = None if blocks is None else BallsLeftOut(fake, len(true), k, blocks)
        fake_widths = kth_neighbour(fake, k) if leaving_out is None else leaving_out.widths
        true_widths = kth_neighbour(true, k)
        real_balls = np.zeros(len(fake), dtype=np.int64)
        recalled = np.zeros(len(true), dtype=bool)
        covered = np.zeros(len(true), dtype=bool)
        for block in cross_distances(true, fake):
            if leaving_out is not None:
                leaving_out.add(block, true_widths[block.rows])
            in_real = block.distances < true_widths[block.rows, None]
            real_balls[block.columns] += np.count_nonzero(in_real, axis=0)
            covered[block.rows] |= in_real.any(axis=1)
            recalled[block.rows] |= (block.distances < fake_widths[block.columns]).any(axis=1)
        return cls(
            k=k,
            real_balls=real_balls,
            recalled=recalled.astype(np.int64),
            covered=covered.astype(np.int64),
            recall_left_out=None if leaving_out is None else leaving_out.recall,
            coverage_left_out=None if leaving_out is None else leaving_out.coverage,
        )


def precision_recall_scores(
    balls: BallCounts, *, extractor: Extractor = UNSTATED_EXTRACTOR, context: Context = NO_CONTEXT
) -> list[Score]:
    """Precision, recall, density and coverage, in this order.

    Over the n generated samples with the reference held fixed: Wilson's interval for precision, Student's for
    density, cut at 0, and where blocks were left out the jackknife's for recall and coverage, cut at 0 and 1.
    Where fewer than 10 reference samples are found, or fewer than 10 are not, left-out blocks say too little:
    it reaches at least as far as Wilson's over the reference samples then. A density that is the same for all
    samples has none.

    Args:
        balls: Of generated and real features.
        extractor: What made the features.
        context: Data, split and seed.
    """
    num, num_real = len(balls.real_balls), len(balls.covered)
    shared: dict[str, FieldValue] = {**extractor.fields(), "k": balls.k, "reference_n": num_real}

    def left_out(hits: int, without: FloatArray | None) -> tuple[Interval | None, str | None]:
        if without is None:
            return None, None
        interval = left_out_interval(hits / num_real, without)
        if interval is None or min(hits, num_real - hits) < _FEW:
            wilson = wilson_interval(hits, num_real)
            low, high = wilson if interval is None else interval
            interval = min(low, wilson[0]), max(high, wilson[1])
        return within(interval, 0, 1), f"jackknife{len(without)}_t95_fixed_reference"

    def scored(metric: str, value: float, unit: str, interval: Interval | None, tag: str | None) -> Score:
        return context.score(
            metric=metric,
            value=value,
            unit=unit,
            better="higher",
            interval=interval,
            n=num,
            fields=shared if tag is None else {**shared, "interval": tag},
            seeded=tag is not None and tag.startswith("jackknife"),
        )

    hits = int(np.count_nonzero(balls.real_balls))
    density = mean_estimate(balls.real_balls / balls.k)
    recalled, covered = int(balls.recalled.sum()), int(balls.covered.sum())
    return [
        scored("precision", hits / num, "fraction", wilson_interval(hits, num), "wilson95_fixed_balls"),
        scored("recall", recalled / num_real, "fraction", *left_out(recalled, balls.recall_left_out)),
        scored("density", density.mean, "ratio", within(density.interval, 0), "t95_fixed_balls"),
        scored("coverage", covered / num_real, "fraction", *left_out(covered, balls.coverage_left_out)),
    ]
