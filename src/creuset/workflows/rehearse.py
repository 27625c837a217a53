"""Before a long training: a dry run that proves that it can be saved and taken up again."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from creuset.device import memory_errors, threads_restored
from creuset.errors import CheckpointError
from creuset.models.base import FittedModel, Model
from creuset.progress import Progress, Silent
from creuset.recipe.resolve import Recipe
from creuset.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from creuset.training.fit import fitted_checkpoint, places_of_share, training_rows
from creuset.training.loop import Loop
from creuset.training.recorder import Recorder
from creuset.training.session import Session
from creuset.workflows.execute import make_session
from creuset.workflows.forecasts import with_forecast
from creuset.workflows.plan import Plan, Settings, read
from creuset.workflows.tuning_data import look_at_model

_SMALLER = "lower data.batch_size, or raise training.accumulate"
_FIT_SAMPLES = 500
"""A family that is fitted in one go is tried on about so many samples."""


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a dry run saw. It only exists when saving and loading gave the very same numbers.

    Args:
        family: The model's family.
        num_parameters: Trained parameters; of a family without steps, the numbers that are stored.
        precision_reason: The number format chosen, and why.
        losses: What each player reported in the two steps, then in the one after the reload; of a family
            without steps, what its fit reported.
        num_fitted: For a family without steps, how many training samples it was fitted to; else None.
        checkpoint_bytes: The size of a checkpoint on disk.
    """

    family: str
    num_parameters: int
    precision_reason: str
    losses: list[dict[str, dict[str, float]]]
    num_fitted: int | None
    checkpoint_bytes: int


@threads_restored()
def dry_run(
    recipe: str | Path | Recipe,
    *,
    settings: Settings = (),
    seed: int | None = None,
    progress: Progress | None = None,
) -> DryRun:
    """Two real steps, a checkpoint, a reload into a new model, and one step more on both.

    A family that is fitted in one go is fitted to a small part of the training split, saved and loaded into a
    new model; then both are asked for logits.

    Raises:
        CheckpointError: The reloaded model does not go on, or answer, exactly as the first does.
        UsageError, DataError: The recipe or its data cannot be used.
        ResourceError: Out of memory.
    """
    watcher = Silent() if progress is None else progress
    plan = Plan.make(read(recipe, settings, seed), watcher)
    result = _try_steps(plan, watcher) if "gradient" in plan.family.traits else _try_fit(plan, watcher)
    plan.processes.close()
    return result


def _try_steps(plan: Plan, progress: Progress) -> DryRun:
    with memory_errors(_SMALLER):
        first, model = _silent_loop(plan, progress)
        losses = [first.take_step(), first.take_step()]
    with tempfile.TemporaryDirectory() as folder:
        path, size = _saved(first.checkpoint(), Path(folder))
        second, _ = _silent_loop(plan)
        second.restore(load_checkpoint(path), path)
    losses.append(first.take_step())
    resumed = second.take_step()
    if json.dumps(resumed) != json.dumps(losses[-1]):
        raise CheckpointError(
            "the reloaded training does not go on as the first one did", got=resumed, expected=losses[-1]
        )
    return DryRun(
        family=plan.family.name,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        precision_reason=plan.precision_reason,
        losses=losses,
        num_fitted=None,
        checkpoint_bytes=size,
    )


def _try_fit(plan: Plan, progress: Progress) -> DryRun:
    with memory_errors("choose other data"):
        rows, labels = training_rows(plan.recipe, plan.dataset)
        places = places_of_share(labels, min(1.0, _FIT_SAMPLES / len(labels)))
        first, second = _untrained(plan), _untrained(plan)
        values = first.fit(rows[places], labels[places], plan.recipe.training.seed)
    for remark in first.remarks():
        progress.say(f"warning: {remark}")
    saved = fitted_checkpoint(first, plan.recipe, journal_bytes=0, seconds=0.0)
    with tempfile.TemporaryDirectory() as folder:
        path, size = _saved(saved, Path(folder))
        read_back = load_checkpoint(path)
    second.load_arrays({name: tensor.numpy() for name, tensor in read_back.weights.items()})
    inputs = torch.from_numpy(rows[places])
    expected, got = first.logits(inputs), second.logits(inputs)
    if not torch.equal(got, expected):
        raise CheckpointError(
            "the reloaded model does not answer as the first one did",
            got=f"logits that differ by up to {float((got - expected).abs().max()):.3g}",
            expected="equal logits",
        )
    return DryRun(
        family=plan.family.name,
        num_parameters=sum(tensor.numel() for tensor in saved.weights.values()),
        precision_reason=plan.precision_reason,
        losses=[{"model": values}],
        num_fitted=len(places),
        checkpoint_bytes=size,
    )


def _untrained(plan: Plan) -> FittedModel:
    model = make_session(plan)
    assert isinstance(model, FittedModel)
    return model


def _saved(checkpoint: Checkpoint, folder: Path) -> tuple[Path, int]:
    """Where it was saved, and its size in bytes."""
    path = save_checkpoint(folder, checkpoint)
    return path, sum(file.stat().st_size for file in path.iterdir())


def _silent_loop(plan: Plan, told: Progress | None = None) -> tuple[Loop, Model]:
    session = make_session(plan)
    assert isinstance(session, Session)

    if told is not None:
        look_at_model(session, told)
        with_forecast(plan, session, told)

    def refuse(_checkpoint: Checkpoint, _best: bool) -> str:
        raise AssertionError("a rehearsal keeps no checkpoint")

    loop = session.loop(Recorder(None, None, step=0, progress=Silent()), sample=None, save=refuse)
    return loop, session.model
