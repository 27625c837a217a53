"""`creuset.train`: from a recipe to a run folder with a trained model, its scores and its report."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from creuset.assets import workspace
from creuset.device import machine_facts
from creuset.errors import CheckpointError, CreusetError, Interrupted, UsageError
from creuset.files import write_atomic
from creuset.generation import pictures
from creuset.metrics.score import Score
from creuset.models.base import FittedModel
from creuset.progress import Progress, Silent
from creuset.reporting.sheet import picture_sheet
from creuset.runs.checkpoint import Checkpoint
from creuset.runs.folder import Manifest, RunFolder, now
from creuset.runs.journal import Journal
from creuset.training.fit import fit
from creuset.training.loop import Outcome
from creuset.training.recorder import Recorder
from creuset.training.session import Session, build_model
from creuset.workflows.evaluate import evaluate, stored_scores
from creuset.workflows.load import Loaded, find_run, load, run_recipe
from creuset.workflows.plan import Plan, Settings, read
from creuset.workflows.report import write_run_report

_SHEET = 64
"""Pictures on a sheet of samples."""


@dataclass(frozen=True)
class Run:
    """A finished or stopped training.

    Attributes:
        folder: Its run folder.
        outcome: How it ended.
    """

    folder: RunFolder
    outcome: Outcome

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def scores(self) -> list[Score]:
        """What was measured, from the run's evaluation files."""
        return stored_scores(self.folder)

    def model(self) -> Loaded:
        """The trained model, ready to use."""
        return load(self.folder)


def train(
    recipe: str | Path,
    *,
    name: str | Path | None = None,
    seed: int | None = None,
    settings: Settings = (),
    max_seconds: float | None = None,
    measure: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Trains what a recipe describes.

    Args:
        recipe: A YAML file, or the name of a recipe that creuset ships.
        name: The run's ID below the workspace's runs/, or a path; default: the recipe's name.
        seed: Decides every random draw, in place of the recipe's training.seed.
        settings: Values in place of the recipe's: {"training.num_steps": 500}, or ["training.num_steps=500"].
        max_seconds: Checkpoint and stop after so many seconds of training.
        measure: Evaluate the model and write the report when training is over.
        progress: Who watches; nobody by default.

    Returns:
        The run: its path, scores and model.

    Raises:
        UsageError: Something in the recipe, the data or the call is wrong; nothing was started.
        Interrupted: A signal came; a checkpoint was made.
        NumericalError: NaN or infinity; the last good checkpoint is named.
    """
    watcher = Silent() if progress is None else progress
    resolved = read(recipe, settings, seed)
    if name is not None:
        _refuse_existing(run_path(name))
    plan = Plan.make(resolved, watcher)
    session = _session(plan)
    folder = plan.processes.share(_create(plan, name).path if plan.processes.first else None)
    return _carry_out(plan, session, RunFolder(folder), measure, max_seconds, watcher)


def resume(
    run: str | Path,
    *,
    max_seconds: float | None = None,
    measure: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Goes on with a run from its last good checkpoint, as if it had never stopped.

    Recipe, seed and precision come from the run. Without a checkpoint it starts at step 0.

    Args:
        run: The run's ID or path.
        max_seconds: Checkpoint and stop after so many seconds of training.
        measure: Evaluate the model and write the report when training is over.
        progress: Who watches.

    Raises:
        NotFoundError: There is no such run.
        UsageError: The data is no longer what the run was trained on, or another process trains there.
    """
    watcher = Silent() if progress is None else progress
    folder = find_run(run)
    manifest = folder.manifest()
    recipe = run_recipe(folder)
    plan = Plan.make(recipe, watcher, (manifest.precision, manifest.precision_reason))  # type: ignore[arg-type]
    if plan.dataset.content_hash != manifest.data_hash:
        raise UsageError(
            "the data is not what this run was trained on",
            where=recipe.data.source,
            got=f"data hash {plan.dataset.content_hash[:16]}",
            expected=f"data hash {manifest.data_hash[:16]}",
            next_step="put the data back as it was, or start a new run",
        )
    return _carry_out(plan, _session(plan), folder, measure, max_seconds, watcher)


def run_path(name: str | Path) -> Path:
    """Where a run of this name lies: a path as it is, an ID below the workspace's runs/."""
    path = Path(name)
    return path if len(path.parts) > 1 or path.is_absolute() else workspace() / "runs" / path


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UsageError(
            "there is a run of this name already",
            where=path,
            next_step=f"creuset train --resume {path.name}, or another --name",
        )


def _session(plan: Plan) -> Session | FittedModel:
    if "gradient" in plan.family.traits:
        return Session.prepare(plan.recipe, plan.family, plan.dataset, plan.precision, plan.processes)
    model = build_model(plan.family, plan.recipe.model, plan.dataset.spec, plan.recipe.training.seed)
    assert isinstance(model, FittedModel)
    return model


def _create(plan: Plan, name: str | Path | None) -> RunFolder:
    recipe = plan.recipe
    path = run_path(name) if name is not None else free_path(workspace() / "runs", recipe.name)
    manifest = Manifest(
        id=path.name,
        created=now(),
        command=" ".join(["creuset", *sys.argv[1:]])
        if Path(sys.argv[0]).stem == "creuset"
        else "creuset.train",
        family=plan.family.name,
        seed=recipe.training.seed,
        device=str(plan.device),
        precision=plan.precision,
        precision_reason=plan.precision_reason,
        machine=machine_facts(),
        data_source=recipe.data.source,
        data_hash=plan.dataset.content_hash,
        data_spec=asdict(plan.dataset.spec),
        data_report=plan.dataset.report.to_json(),
    )
    return RunFolder.create(path, recipe.to_yaml(), manifest)


def free_path(folder: Path, name: str) -> Path:
    """`name`, or `name-2`, `name-3`, ... where it is taken."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}"
    return path


def _carry_out(
    plan: Plan,
    session: Session | FittedModel,
    folder: RunFolder,
    measure: bool,
    max_seconds: float | None,
    progress: Progress,
) -> Run:
    processes = plan.processes
    if not processes.first:
        outcome = _work(plan, session, folder, max_seconds, Silent())
        processes.close()
        return Run(folder, outcome)
    with folder.lock():
        folder.update(status="running", stop_reason=None)
        try:
            outcome = _work(plan, session, folder, max_seconds, progress)
        except BaseException as error:
            folder.update(status="failed", stop_reason=_first_line(error))
            raise
        finished = outcome.reason in ("finished", "early_stop")
        folder.update(status="finished" if finished else "stopped", stop_reason=outcome.reason)
    processes.close()
    if outcome.signal_number is not None:
        raise Interrupted(
            f"stopped after step {outcome.step}; checkpoint {folder.manifest().last}",
            signal_number=outcome.signal_number,
            next_step=f"creuset train --resume {folder.id}",
        )
    if measure:
        if plan.recipe.evaluation.suite != "none":
            evaluate(folder, dataset=plan.dataset, progress=progress)
        write_run_report(folder, dataset=plan.dataset)
    return Run(folder, outcome)


def _work(
    plan: Plan,
    session: Session | FittedModel,
    folder: RunFolder,
    max_seconds: float | None,
    progress: Progress,
) -> Outcome:
    """The training itself, from the last good checkpoint where there is one."""
    checkpoint, damaged = folder.last_good()
    for error in damaged:
        progress.say(f"warning: {error}")
    if damaged and checkpoint is None:
        raise CheckpointError(
            "every checkpoint of this run is damaged", where=folder.checkpoints, next_step="start a new run"
        )
    journal = _journal(folder, checkpoint) if plan.processes.first else None
    recorder = Recorder(
        journal,
        folder.tensorboard if plan.processes.first else None,
        step=0 if checkpoint is None else checkpoint.step,
        progress=progress,
    )
    try:
        if isinstance(session, FittedModel):
            return _fit(plan, session, folder, checkpoint, recorder)
        progress.say(f"{plan.family.name} on {plan.device}, {plan.precision_reason}")
        loop = session.loop(
            recorder, sample=_sampler(session, folder), save=lambda saved, best: folder.keep(saved, best=best)
        )
        if checkpoint is not None:
            loop.restore(checkpoint, folder.checkpoints / checkpoint.name)
            _record_resume(recorder, checkpoint)
        return loop.run(max_seconds)
    finally:
        recorder.close()


def _journal(folder: RunFolder, checkpoint: Checkpoint | None) -> Journal:
    journal = Journal(folder.journal_path)
    journal.cut(0 if checkpoint is None else checkpoint.facts["journal_bytes"])
    return journal


def _record_resume(recorder: Recorder, checkpoint: Checkpoint) -> None:
    """The checkpoint's own line was written after it, so a cut journal lacks it."""
    clock = {"seconds": checkpoint.facts["seconds"]}
    if checkpoint.facts["scheduled"]:
        recorder.record(checkpoint.step, "checkpoint", {}, clock=clock)
    recorder.record(checkpoint.step, "resume", {}, clock=clock)


def _fit(
    plan: Plan, model: FittedModel, folder: RunFolder, checkpoint: Checkpoint | None, recorder: Recorder
) -> Outcome:
    if checkpoint is None:
        outcome, checkpoint = fit(model, plan.recipe, plan.dataset, recorder)
        folder.keep(checkpoint, best=True)
    else:
        seconds = float(checkpoint.facts["seconds"])
        outcome = Outcome(step=1, reason="finished", signal_number=None, seconds=seconds)
    return outcome


def _sampler(session: Session, folder: RunFolder) -> Callable[[int], None] | None:
    """Draws the sheet of a step: samples, or originals above their reconstructions."""
    traits, device = session.family.traits, session.processes.device
    seed = session.recipe.training.seed
    if "samples" in traits:

        def draw() -> torch.Tensor:
            return pictures.sample(session.model, _SHEET, seed=seed, device=device)

    elif "encodes" in traits and "validation" in session.dataset.splits:

        def draw() -> torch.Tensor:
            available = session.dataset.splits["validation"].num_samples
            originals = session.dataset.batch("validation", torch.arange(min(_SHEET // 2, available)))[
                "images"
            ]
            copies = pictures.reconstruct(session.model, originals, device)
            return torch.stack([originals, copies], dim=1).flatten(0, 1)

    else:
        return None

    def write(step: int) -> None:
        drawn = pictures.to_pictures(draw())
        if session.processes.first:
            sheet = picture_sheet(drawn, alt=f"step {step}")
            write_atomic(folder.samples / f"step-{step:08d}.png", sheet.png)

    return write


def _first_line(error: BaseException) -> str:
    text = str(error) if isinstance(error, CreusetError) else f"{type(error).__name__}: {error}"
    return text.splitlines()[0] if text else type(error).__name__
