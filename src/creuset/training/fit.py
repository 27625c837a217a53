"""Training of a family without gradients: one fit, one journal line, one checkpoint."""

import time

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.dataset import Dataset
from creuset.errors import DataError
from creuset.models.base import FittedModel
from creuset.recipe.resolve import Recipe
from creuset.runs.checkpoint import Checkpoint
from creuset.training.loop import Outcome
from creuset.training.recorder import Recorder

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Samples as rows (N, F) and their labels (N,)."""


def fit(
    model: FittedModel, recipe: Recipe, dataset: Dataset, recorder: Recorder
) -> tuple[Outcome, Checkpoint]:
    """Fits `model` to the training split.

    What the model remarks on its fit, such as that it did not converge, is said as a warning and kept in the
    journal line.

    Raises:
        DataError: The data has no labels.
    """
    rows, labels = training_rows(recipe, dataset)
    recorder.progress.start("fitting", None, "samples")
    begin = time.monotonic()
    values: dict[str, float | str] = {**model.fit(rows, labels, recipe.training.seed)}
    seconds = time.monotonic() - begin
    recorder.progress.finish()
    for remark in model.remarks():
        recorder.progress.say(f"warning: {remark}")
    if model.remarks():
        values["warning"] = "; ".join(model.remarks())
    recorder.record(1, "train", values, player="model", clock={"seconds": seconds})
    checkpoint = fitted_checkpoint(model, recipe, journal_bytes=recorder.sync(), seconds=seconds)
    return Outcome(step=1, reason="finished", signal_number=None, seconds=seconds), checkpoint


def fitted_checkpoint(
    model: FittedModel, recipe: Recipe, *, journal_bytes: int, seconds: float
) -> Checkpoint:
    """Everything of a fitted model, as the checkpoint of its only step."""
    weights = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in model.arrays().items()}
    return Checkpoint(
        step=1,
        family=recipe.model.family,
        weights=weights,
        facts={"seed": recipe.training.seed, "journal_bytes": journal_bytes, "seconds": seconds},
    )


def training_rows(recipe: Recipe, dataset: Dataset) -> Rows:
    """The training split as a fit takes it: float32 rows, pictures in [-1, 1], and labels.

    Raises:
        DataError: The data has no labels.
    """
    batch = dataset.batch("train", torch.arange(dataset.splits["train"].num_samples))
    if "labels" not in batch:
        raise DataError("this family learns from labels, and the data has none", where=recipe.data.source)
    inputs = batch["images"] if "images" in batch else batch["features"]
    return np.ascontiguousarray(inputs.flatten(1).numpy(), dtype=np.float32), batch["labels"].numpy()


def places_of_share(labels: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Where the first samples of each class stand, `share` of them, but at least one of each.

    Args:
        labels: (N,).
        share: Above 0, at most 1.
    """
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.sort(np.concatenate([found[: max(1, round(share * len(found)))] for found in places]))
