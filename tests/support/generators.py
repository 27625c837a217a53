"""Generators that are Gaussians, measured against one reference as the suite of pictures measures models."""

import numpy as np

from creuset.evaluation.distances import kept_rows
from creuset.metrics.feature_sets import FeatureSets, Measuring
from creuset.metrics.features import Extractor
from creuset.metrics.inputs import FloatArray
from creuset.metrics.rows import KeptRows
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.runs.folder import RunFolder
from creuset.runs.rows import SampleRows

DATA = Context(data="0" * 64, split="test")
PLAIN = Extractor(name="none")


def measured(
    generated: FloatArray, reference: FloatArray, *, extractor: Extractor = PLAIN, context: Context = DATA
) -> tuple[dict[str, Score], KeptRows]:
    """Scores by metric, and the rows kept beside them, of features (N, D) and (M, D)."""
    sets = FeatureSets(generated=generated, reference=reference, extractor=extractor)
    measuring = Measuring(sets, context)
    names = ("fd", "kd", "precision", "recall", "density", "coverage")
    scores = [score for name in names for score in measuring.scores(name)]
    return {score.metric: score for score in scores}, kept_rows(measuring)


def write_distances(
    run: RunFolder, mean: float, *, seed: int, n: int = 120, extractor: str = "none", data: str = DATA.data
) -> None:
    """Adds the distances of features of a Gaussian's samples to what was measured of a run of pictures.

    Args:
        run: Measured with the suite images.
        mean: Of each of 8 features; that of the reference is 0.
        seed: Of the samples; the reference is always the same.
        n: How many samples.
        extractor, data: What the signatures say.
    """
    reference = np.random.default_rng(99).normal(size=(120, 8))
    generated = np.random.default_rng(seed).normal(mean, size=(n, 8))
    context = Context(data=data, split="test")
    scores, rows = measured(generated, reference, extractor=Extractor(name=extractor), context=context)
    document, kept = run.evaluations()["images"], run.evaluation_rows("images")
    assert kept is not None
    others = [score for score in document["scores"] if score["metric"] not in scores]
    document |= {"scores": [*others, *(score.to_json() for score in scores.values())]}
    run.write_evaluation("images", document, SampleRows(arrays={**kept.arrays, **rows}, samples=kept.samples))
