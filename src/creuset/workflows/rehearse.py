"""Before a long training: a dry run that proves it can be saved and resumed, and an estimate of its cost."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from creuset.device import memory_errors, peak_memory_bytes, threads_restored
from creuset.errors import CheckpointError, UsageError
from creuset.models.base import Model
from creuset.progress import Progress, Silent
from creuset.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from creuset.training.loop import Loop
from creuset.training.recorder import Recorder
from creuset.training.session import Session
from creuset.workflows.plan import Plan, Settings, read

_ESTIMATE_SECONDS = 10.0
"""How long steps are measured for an estimate, after a first one that is not counted."""
_SMALLER = "lower data.batch_size, or raise training.accumulate"


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a dry run saw. It only exists when saving and resuming gave the very same numbers.

    Args:
        family: The model's family.
        num_parameters: Trained parameters.
        precision_reason: The number format chosen, and why.
        losses: What each player reported in the two steps, then in the one after the reload.
        checkpoint_bytes: The size of a checkpoint on disk.
    """

    family: str
    num_parameters: int
    precision_reason: str
    losses: list[dict[str, dict[str, float]]]
    checkpoint_bytes: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a training will cost, measured on some of its steps.

    Args:
        steps_measured: How many steps were timed.
        seconds_per_step: Median, with the 10th and 90th percentile.
        total_seconds: For all steps, validations and checkpoints: middle, low, high.
        peak_memory_bytes: Of this process, over the measured steps.
        num_steps: Steps in all.
    """

    steps_measured: int
    seconds_per_step: tuple[float, float, float]
    total_seconds: tuple[float, float, float]
    peak_memory_bytes: int
    num_steps: int

    def to_json(self) -> dict[str, Any]:
        return {
            "steps_measured": self.steps_measured,
            "num_steps": self.num_steps,
            "seconds_per_step": dict(zip(("median", "low", "high"), self.seconds_per_step, strict=True)),
            "total_seconds": dict(zip(("middle", "low", "high"), self.total_seconds, strict=True)),
            "peak_memory_bytes": self.peak_memory_bytes,
        }


@threads_restored()
def dry_run(
    recipe: str | Path, *, settings: Settings = (), seed: int | None = None, progress: Progress | None = None
) -> DryRun:
    """Two real steps, a checkpoint, a reload into a new model, and one step more on both.

    Raises:
        CheckpointError: The reloaded training did not go on exactly as the first did.
        UsageError, DataError: The recipe or its data cannot be used.
        ResourceError: Out of memory.
    """
    plan = Plan.make(read(recipe, settings, seed), Silent() if progress is None else progress)
    with memory_errors(_SMALLER):
        first, model = _silent_loop(plan)
        losses = [first.take_step(), first.take_step()]
    with tempfile.TemporaryDirectory() as folder:
        path = save_checkpoint(Path(folder), first.checkpoint())
        size = sum(file.stat().st_size for file in path.iterdir())
        second, _ = _silent_loop(plan)
        second.restore(load_checkpoint(path), path)
    losses.append(first.take_step())
    resumed = second.take_step()
    if json.dumps(resumed) != json.dumps(losses[-1]):
        raise CheckpointError(
            "the reloaded training does not go on as the first one did", got=resumed, expected=losses[-1]
        )
    plan.processes.close()
    return DryRun(
        family=plan.family.name,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        precision_reason=plan.precision_reason,
        losses=losses,
        checkpoint_bytes=size,
    )


@threads_restored()
def estimate(
    recipe: str | Path, *, settings: Settings = (), seed: int | None = None, progress: Progress | None = None
) -> Estimate:
    """Measures steps, a validation and a checkpoint, and adds them up for the whole training.

    Raises:
        UsageError, DataError: The recipe or its data cannot be used.
        ResourceError: Out of memory.
    """
    plan = Plan.make(read(recipe, settings, seed), Silent() if progress is None else progress)
    with memory_errors(_SMALLER):
        loop, _ = _silent_loop(plan)
        first = _seconds(loop.take_step)
        seconds = _timed_steps(loop)
    if not seconds:  # a training of one step
        seconds = [first]
    schedule = loop.schedule
    with tempfile.TemporaryDirectory() as folder:
        saving = _seconds(lambda: save_checkpoint(Path(folder), loop.checkpoint()))
    validating = 0.0 if loop.validate is None else _seconds(loop.validate)
    beside = validating * (schedule.num_steps // schedule.validate_every)
    beside += saving * (schedule.num_steps // min(schedule.checkpoint_every, schedule.validate_every))
    low, middle, high = (float(value) for value in np.percentile(seconds, (10, 50, 90)))
    plan.processes.close()
    return Estimate(
        steps_measured=len(seconds),
        seconds_per_step=(middle, low, high),
        total_seconds=(
            middle * schedule.num_steps + beside,
            low * schedule.num_steps + beside,
            high * schedule.num_steps + beside,
        ),
        peak_memory_bytes=peak_memory_bytes(plan.device),
        num_steps=schedule.num_steps,
    )


def _silent_loop(plan: Plan) -> tuple[Loop, Model]:
    if "gradient" not in plan.family.traits:
        raise UsageError(
            f"the family {plan.family.name} is fitted in one go: there are no steps to try or to measure",
            next_step="creuset train RECIPE",
        )
    session = Session.prepare(plan.recipe, plan.family, plan.dataset, plan.precision, plan.processes)

    def refuse(_checkpoint: Checkpoint, _best: bool) -> str:
        raise AssertionError("a rehearsal keeps no checkpoint")

    loop = session.loop(Recorder(None, None, step=0, progress=Silent()), sample=None, save=refuse)
    return loop, session.model


def _timed_steps(loop: Loop) -> list[float]:
    seconds: list[float] = []
    end = time.monotonic() + _ESTIMATE_SECONDS
    while time.monotonic() < end and loop.step < loop.schedule.num_steps:
        seconds.append(_seconds(loop.take_step))
    return seconds


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
