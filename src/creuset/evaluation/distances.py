"""How far generated pictures are from real ones, by the features of a network.

Beside each score stands what training pictures, as many as were generated, reach in place of the generated
ones: a perfect generator would do no better.

Legend of shapes: N generated, M reference pictures; D features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creuset.errors import DataError
from creuset.evaluation.curves import distance_curves
from creuset.evaluation.generated import PictureSets, channels_first, chosen_places
from creuset.evaluation.suite import Evaluation
from creuset.generation.pictures import Pictures
from creuset.metrics.feature_scores import score_measuring
from creuset.metrics.feature_sets import FeatureSets, Measuring
from creuset.metrics.inputs import FloatArray
from creuset.metrics.kernel import MOST_IN_FULL, KernelSums
from creuset.metrics.precision_recall import NEAREST_K
from creuset.pretrained.features import FeatureNetwork, extract
from creuset.progress import Progress

_GROUPS = (("fd",), ("kd",), ("precision", "recall", "density", "coverage"))
"""Measures that stand or fall together where there are few pictures."""


@dataclass(frozen=True, kw_only=True)
class DistanceSetting:
    """How generated pictures are measured.

    Args:
        num_generated: How many are drawn, from 1. Of real pictures as many are taken, at most.
        network: What turns pictures into features; None where there is none.
        missing: What is missing then, and how it is to be had: a sentence without a full stop.
        cache: A folder for the features of real pictures, which are the same for every model.
    """

    num_generated: int
    network: FeatureNetwork | None
    missing: str = ""
    cache: Path | None = None


def distances_part(sets: PictureSets, setting: DistanceSetting, progress: Progress) -> Evaluation:
    """Frechet and kernel distance, precision, recall, density and coverage, with floors and curves.

    `details["notes"]` says what so many pictures are too few for; what is missing is said as a remark.
    """
    split = sets.context.split
    if setting.network is None:
        return Evaluation(suite="images", split=split, remarks=[setting.missing])
    try:
        features = _features(sets, setting.network, setting.cache, progress)
    except DataError as error:
        return Evaluation(suite="images", split=split, remarks=[f"no distances: {_reason(error)}"])
    measuring = Measuring(features, sets.context)
    found = Evaluation(suite="images", split=split)
    notes: list[str] = []
    for names in _GROUPS:
        try:
            measured = score_measuring(names, measuring)
        except DataError as error:
            found.remarks.append(f"no {', '.join(names)}: {_reason(error)}")
            continue
        found.scores.extend(measured.scores)
        found.floors.extend(measured.floors)
        notes.extend(measured.remarks)
    return Evaluation(
        suite="images",
        split=split,
        scores=found.scores,
        floors=found.floors,
        remarks=found.remarks,
        details={"curves": distance_curves(features), **({"notes": notes} if notes else {})},
        rows=kept_rows(measuring),
    )


def kept_rows(measuring: Measuring) -> Mapping[str, FloatArray | NDArray[np.int64]]:
    """What comparisons of two models are made of.

        fd              the Frechet distance without each of 20 blocks of generated pictures, (20,)
        kd_generated    the kernel distance without each generated picture, (N,)
        kd_reference    the kernel distance without each reference picture, (M,)
        precision       1 where a generated picture lies in some real ball, else 0, (N,)
        density         the real balls that each generated picture lies in, over k, (N,)

    What needs more pictures than there are is not among them.
    """
    generated, reference = measuring.sets.generated, measuring.sets.reference
    rows: dict[str, FloatArray | NDArray[np.int64]] = {}
    fewest, most = sorted((len(generated), len(reference)))
    if measuring.fills_blocks and fewest >= 2:
        rows["fd"] = measuring.frechet_left_out
    if fewest >= 3 and most <= MOST_IN_FULL:
        left_out = KernelSums.from_features(generated, reference).left_out()
        rows["kd_generated"], rows["kd_reference"] = left_out
    if fewest > NEAREST_K:
        balls = measuring.balls.real_balls
        rows["precision"] = (balls > 0).astype(np.int64)
        rows["density"] = balls / NEAREST_K
    return rows


def _features(
    sets: PictureSets, network: FeatureNetwork, cache: Path | None, progress: Progress
) -> FeatureSets:
    """The features of all; of training pictures as many as were generated, none where there are fewer."""

    def of(images: Pictures, folder: Path | None) -> NDArray[np.float32]:
        return extract(channels_first(images), network, cache=folder, progress=progress)

    num_generated, real = len(sets.generated), None
    if sets.training is not None and len(sets.training) >= num_generated:
        places = chosen_places(len(sets.training), num_generated, sets.context)
        real = of(sets.training[places], cache)
    return FeatureSets(
        generated=of(sets.generated, None),
        reference=of(sets.reference, cache),
        real=real,
        extractor=network.extractor,
        real_data=sets.training_data,
    )


def _reason(error: DataError) -> str:
    stated = "" if error.got is None else f", got {error.got}"
    return f"{error.message}{stated}" + ("" if error.expected is None else f", expected {error.expected}")
