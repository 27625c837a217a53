"""Whether generated pictures are copies of training pictures, pixel by pixel, and the pairs to look at.

Legend of shapes: N generated, M held-out, T training pictures; H height, W width, C channels; P pairs.
"""

import numpy as np

from creuset.errors import DataError
from creuset.evaluation.generated import PictureSets, as_rows
from creuset.evaluation.suite import Evaluation
from creuset.metrics.features import Extractor
from creuset.metrics.memorisation import TrainingNeighbours, memorisation_score, near_copies

PIXELS = Extractor(name="pixels")
"""Levels of 0 to 255 as they are."""

NUM_SHOWN = 10
"""Pairs of the nearest, and as many of pictures that were not chosen."""


def copies_part(sets: PictureSets) -> Evaluation:
    """Memorisation and near copies; the nearest pairs, and those of the pictures that were drawn first.

    The pairs stand under `neighbours_generated` and `neighbours_training`, uint8 (P, H, W, C): the nearest,
    nearest first, then those drawn first; `details["neighbours"]` says how many are the nearest, their
    distances in levels, and which training pictures they are.
    """
    context = sets.context
    if sets.training is None:
        remark = "no memorisation: the training pictures are themselves what is measured"
        return Evaluation(suite="images", split=context.split, remarks=[remark])
    neighbours = TrainingNeighbours.from_features(
        as_rows(sets.generated),
        as_rows(sets.training),
        as_rows(sets.reference),
        training_data=sets.training_data,
    )
    scores = [memorisation_score(neighbours, extractor=PIXELS, context=context)]
    remarks = []
    try:
        scores.append(near_copies(neighbours, extractor=PIXELS, context=context))
    except DataError as error:
        remarks.append(
            f"no near copies: they need {error.expected} held-out pictures, and there are {error.got}"
        )
    num_shown = min(NUM_SHOWN, len(sets.generated))
    nearest, _ = neighbours.closest(num_shown)
    shown = np.concatenate([nearest, np.arange(num_shown)])
    training = neighbours.generated_index[shown]
    return Evaluation(
        suite="images",
        split=context.split,
        scores=scores,
        remarks=remarks,
        details={
            "neighbours": {
                "num_nearest": num_shown,
                "generated": shown.tolist(),
                "training": training.tolist(),
                "distances": neighbours.generated[shown].tolist(),
            }
        },
        pictures={
            "neighbours_generated": sets.generated[shown],
            "neighbours_training": sets.training[training],
        },
    )
