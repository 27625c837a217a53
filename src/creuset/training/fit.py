"""Training of a family without gradients: one fit, one journal line, one checkpoint."""

import time

import numpy as np
import torch

from creuset.data.dataset import Dataset
from creuset.errors import DataError
from creuset.models.base import FittedModel
from creuset.recipe.resolve import Recipe
from creuset.runs.checkpoint import Checkpoint
from creuset.training.loop import Outcome
from creuset.training.recorder import Recorder


def fit(
    model: FittedModel, recipe: Recipe, dataset: Dataset, recorder: Recorder
) -> tuple[Outcome, Checkpoint]:
    """Fits `model` to the training split.

    Raises:
        DataError: The data has no labels.
    """
    split = dataset.splits["train"]
    batch = dataset.batch("train", torch.arange(split.num_samples))
    if "labels" not in batch:
        raise DataError("this family learns from labels, and the data has none", where=recipe.data.source)
    inputs = batch["images"] if "images" in batch else batch["features"]
    recorder.progress.start("fitting", None, "samples")
    begin = time.monotonic()
    features = np.ascontiguousarray(inputs.flatten(1).numpy(), dtype=np.float32)
    values = model.fit(features, batch["labels"].numpy(), recipe.training.seed)
    seconds = time.monotonic() - begin
    recorder.progress.finish()
    recorder.record(1, "train", values, player="model", clock={"seconds": seconds})
    weights = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in model.arrays().items()}
    checkpoint = Checkpoint(
        step=1,
        family=recipe.model.family,
        weights=weights,
        facts={"seed": recipe.training.seed, "journal_bytes": recorder.sync(), "seconds": seconds},
    )
    return Outcome(step=1, reason="finished", signal_number=None, seconds=seconds), checkpoint
