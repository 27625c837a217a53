"""What a training will cost, measured: some real steps, or fits of growing parts of the data, and one of each
thing that comes beside and after them."""

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from creuset.data.dataset import Dataset
from creuset.device import memory_errors, peak_memory_bytes, threads_restored
from creuset.evaluation import suites
from creuset.models.base import FittedModel
from creuset.progress import Progress, Silent
from creuset.recipe.resolve import Recipe
from creuset.runs.folder import RunFolder
from creuset.training.distributed import Processes
from creuset.training.fit import fitted_checkpoint, places_of_share, training_rows
from creuset.training.recorder import Recorder
from creuset.training.schedule import Schedule
from creuset.training.session import Session
from creuset.workflows.distances import measure_generated, num_drawn
from creuset.workflows.evaluate import default_split, evaluate
from creuset.workflows.execute import make_session
from creuset.workflows.extrapolate import Cost, Timings, growing, line, power_law
from creuset.workflows.plan import Plan, Settings, read, with_absolute_source
from creuset.workflows.report import write_run_report
from creuset.workflows.step_samples import sample_writer
from creuset.workflows.train import create_run

_TRAINING_SECONDS = 5.0
"""How long steps or fits are measured; with what comes beside them, an estimate takes about ten seconds."""
_EVALUATION_SECONDS = 2.0
"""How long the evaluation is measured, on growing parts of its split."""
_REPEATS = 3
_REPEAT_SECONDS = 0.7
"""Validations, checkpoints and sheets are measured so often at most, while so much time has not gone by."""
_SMALLER = "lower data.batch_size, raise training.accumulate, or choose a smaller model.size"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One kind of work within a training.

    Args:
        count: How often it comes.
        seconds: All of it together.
    """

    count: int
    seconds: Cost


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a training will cost on this machine.

    Args:
        num_steps: Steps in all; None for a family that is fitted in one go.
        steps_measured: How many steps were timed.
        seconds_per_step: Their mean, with the 10th and 90th percentile; None for a family without steps.
        fits_measured: For a family without steps, (samples, seconds) of each fit that was timed.
        parts: Preparation, training, validations, checkpoints, sheets, evaluation and report, where the
            training has them.
        peak_memory_bytes: Of this process, over all that was measured.
        remarks: What the numbers rest on, or leave out.
    """

    num_steps: int | None
    steps_measured: int
    seconds_per_step: Cost | None
    fits_measured: Timings
    parts: dict[str, Part]
    peak_memory_bytes: int
    remarks: tuple[str, ...]

    @property
    def total_seconds(self) -> Cost:
        """All parts together."""
        return sum((part.seconds for part in self.parts.values()), Cost.exactly(0.0))

    def to_json(self) -> dict[str, Any]:
        step = self.seconds_per_step
        return {
            "num_steps": self.num_steps,
            "steps_measured": self.steps_measured,
            "seconds_per_step": None
            if step is None
            else {"mean": step.middle, "low": step.low, "high": step.high},
            "fits_measured": [
                {"num_samples": size, "seconds": seconds} for size, seconds in self.fits_measured
            ],
            "parts": {
                name: {"count": part.count, **part.seconds.to_json()} for name, part in self.parts.items()
            },
            "total_seconds": self.total_seconds.to_json(),
            "peak_memory_bytes": self.peak_memory_bytes,
            "remarks": list(self.remarks),
        }


@threads_restored()
def estimate(
    recipe: str | Path | Recipe,
    *,
    settings: Settings = (),
    seed: int | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """Measures a training in a folder of its own, which is removed, and adds up what all of it will take.

    Steps are measured for some seconds; a validation, a checkpoint and a sheet of samples a few times each;
    the evaluation on parts of its split; the report once. A family that is fitted in one go is fitted to
    growing parts of the training split.

    Raises:
        UsageError, DataError: The recipe or its data cannot be used.
        ResourceError: Out of memory or disk.
    """
    begin = time.perf_counter()
    watcher = Silent() if progress is None else progress
    plan = Plan.make(with_absolute_source(read(recipe, settings, seed)), watcher)
    with tempfile.TemporaryDirectory() as place, memory_errors(_SMALLER):
        session = make_session(plan)
        folder = RunFolder(Path(place) / "run")
        if plan.processes.first:
            create_run(plan, folder.path, Silent())
        preparation = Part(count=1, seconds=Cost.exactly(time.perf_counter() - begin))
        watcher.start("measuring", None, "steps")
        if isinstance(session, Session):
            found = _measure_steps(plan, session, folder)
        else:
            found = _measure_fits(plan, session, folder)
        after = _measure_afterwards(plan, folder) if plan.processes.first else {}
        watcher.finish()
    plan.processes.close()
    return replace(
        found,
        parts={"preparation": preparation, **found.parts, **after},
        peak_memory_bytes=peak_memory_bytes(plan.device),
    )


def _measure_steps(plan: Plan, session: Session, folder: RunFolder) -> Estimate:
    """The parts of a training by steps, all processes together."""
    processes, model = plan.processes, session.model
    draw_sheet = sample_writer(session, folder)
    loop = session.loop(
        Recorder(None, None, step=0, progress=Silent()),
        sample=draw_sheet,
        save=lambda checkpoint, best: folder.keep(checkpoint, best=best),
    )
    schedule = loop.schedule
    first = _seconds(loop.take_step)
    seconds: list[float] = []
    end = time.monotonic() + _TRAINING_SECONDS
    while loop.step < schedule.num_steps and processes.share(time.monotonic() < end):
        seconds.append(_seconds(loop.take_step))
    per_step = Cost.of_steps(seconds or [first])
    starting = Cost.exactly(max(0.0, first - per_step.middle))  # what only the first step takes
    parts = {"training": Part(count=schedule.num_steps, seconds=per_step * schedule.num_steps + starting)}

    def save() -> None:
        checkpoint = loop.checkpoint()
        if processes.first:
            folder.keep(checkpoint, best=True)

    with processes.unsharded(model):
        if loop.validate is not None:
            count = math.ceil(schedule.num_steps / schedule.validate_every)
            parts["validations"] = Part(count=count, seconds=_repeated(loop.validate, processes) * count)
        sheets = None if draw_sheet is None else _repeated(lambda: draw_sheet(loop.step), processes)
    fewest, most = _num_checkpoints(schedule, validated=loop.validate is not None)
    saving = _repeated(save, processes)
    cost = Cost(middle=saving.middle * most, low=saving.low * fewest, high=saving.high * most)
    parts["checkpoints"] = Part(count=most, seconds=cost)
    if sheets is not None:
        count = math.ceil(schedule.num_steps / schedule.sample_every)
        parts["sheets"] = Part(count=count, seconds=sheets * count)
    patience = plan.recipe.training.patience
    early = f"the training may stop earlier: training.patience is {patience}"
    return Estimate(
        num_steps=schedule.num_steps,
        steps_measured=max(1, len(seconds)),
        seconds_per_step=per_step,
        fits_measured=(),
        parts=parts,
        peak_memory_bytes=0,
        remarks=(early,) if patience else (),
    )


def _measure_fits(plan: Plan, model: FittedModel, folder: RunFolder) -> Estimate:
    """Fits of growing parts of the training split, and the checkpoint of the last one."""
    features, labels = training_rows(plan.recipe, plan.dataset)
    seed = plan.recipe.training.seed

    def fit(size: int) -> None:
        places = places_of_share(labels, size / len(labels))
        model.fit(features[places], labels[places], seed)

    growth = growing(fit, len(labels), _TRAINING_SECONDS, worst_growth=8.0)
    cost, law = power_law(growth)
    saving = _seconds(
        lambda: folder.keep(fitted_checkpoint(model, plan.recipe, journal_bytes=0, seconds=0.0), best=True)
    )
    return Estimate(
        num_steps=None,
        steps_measured=0,
        seconds_per_step=None,
        fits_measured=growth.timings,
        parts={
            "training": Part(count=1, seconds=cost),
            "checkpoints": Part(count=1, seconds=Cost.exactly(saving)),
        },
        peak_memory_bytes=0,
        remarks=(law,),
    )


def _measure_afterwards(plan: Plan, folder: RunFolder) -> dict[str, Part]:
    """The evaluation that the recipe asks for, and the report; on one process."""
    parts: dict[str, Part] = {}
    dataset = plan.dataset
    if plan.recipe.evaluation.suite != "none" and suites(plan.family, dataset.spec):
        split = default_split(dataset, Silent())
        whole = dataset.split(split).num_samples
        number = num_drawn(plan.recipe, plan.family, dataset.spec)

        def measure(size: int) -> None:
            without = 0 if number else None
            evaluate(folder, dataset=_part_of(dataset, split, size), num_generated=without)

        def draw(size: int) -> None:
            measure_generated(folder, _part_of(dataset, split, min(size, whole)), split, size)

        cost = line(growing(measure, whole, _EVALUATION_SECONDS, worst_growth=2.0))
        parts["evaluation"] = Part(count=1, seconds=cost)
        if number:
            cost = line(growing(draw, number, _EVALUATION_SECONDS, worst_growth=2.0))
            parts["distances"] = Part(count=1, seconds=cost)
    report = Cost.exactly(_seconds(lambda: write_run_report(folder, dataset=dataset)))
    return {**parts, "report": Part(count=1, seconds=report)}


def _part_of(dataset: Dataset, split: str, size: int) -> Dataset:
    """The data with `size` samples in a split, the classes in their shares."""
    part = dataset.split(split)
    if size >= part.num_samples:
        return dataset
    if part.stream is not None:
        stream = part.stream.shortened(size * part.stream.context + 1)
        blocks = stream.all_blocks()
        shorter = replace(part, inputs=blocks, hashes=part.hashes[: len(blocks)], stream=stream)
        return replace(dataset, splits={**dataset.splits, split: shorter})
    if part.labels is None:
        places = np.arange(size)
    else:
        places = places_of_share(part.labels.numpy(), size / part.num_samples)
    return replace(dataset, splits={**dataset.splits, split: part.select(places)})


def _num_checkpoints(schedule: Schedule, *, validated: bool) -> tuple[int, int]:
    """The scheduled ones; and those with one after each validation, as if each were the best so far."""
    fewest = math.ceil(schedule.num_steps / schedule.checkpoint_every)
    if not validated:
        return fewest, fewest
    steps = {*range(schedule.checkpoint_every, schedule.num_steps, schedule.checkpoint_every)}
    steps |= {*range(schedule.validate_every, schedule.num_steps, schedule.validate_every)}
    return fewest, len(steps) + 1


def _repeated(work: Callable[[], Any], processes: Processes) -> Cost:
    """A piece of work some times: the median, and the shortest and longest time."""
    seconds: list[float] = []
    end = time.monotonic() + _REPEAT_SECONDS
    while not seconds or (len(seconds) < _REPEATS and processes.share(time.monotonic() < end)):
        seconds.append(_seconds(work))
    return Cost(middle=float(np.median(seconds)), low=min(seconds), high=max(seconds))


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
