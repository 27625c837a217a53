"""`creuset.train`: from a recipe to a run folder with a trained model, its scores and its report."""

import shlex
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from creuset.assets import workspace
from creuset.device import device_name, machine_facts, resolve_device, threads_restored
from creuset.errors import CreusetError, UsageError
from creuset.metrics.score import Score
from creuset.models import family
from creuset.pretrained.whole_base import weights_hash
from creuset.progress import Progress, Silent
from creuset.recipe.resolve import Recipe
from creuset.recipe.sections import FamilyConfig
from creuset.runs.folder import RunFolder, refuse_existing
from creuset.runs.manifest import Manifest, now
from creuset.training.base import base_path
from creuset.training.distributed import Processes
from creuset.training.loop import Outcome, StopReason
from creuset.training.session import Session
from creuset.workflows.evaluate import stored_scores
from creuset.workflows.execute import carry_out, make_session
from creuset.workflows.execute import measure as measure_run
from creuset.workflows.forecasts import tell_beside, with_forecast
from creuset.workflows.leakage import leakage_remark, look_for_leakage
from creuset.workflows.lineage import parent_of
from creuset.workflows.load import Loaded, find_run, load, run_recipe
from creuset.workflows.outdated import outdated_scores
from creuset.workflows.plan import Plan, Settings, read, with_absolute_source
from creuset.workflows.report import write_run_report
from creuset.workflows.run_data import as_trained, own_data_section
from creuset.workflows.tuning_data import look_at_model

_DECIDES_BYTES = ("torch", "numpy", "processor", "threads")
"""What of a machine decides how sums are rounded."""


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

    @property
    def outdated_scores(self) -> list[str]:
        """A sentence for each evaluation that was measured on an earlier checkpoint than the one of now."""
        return list(outdated_scores(self.folder).values())

    def model(self) -> Loaded:
        """The trained model, ready to use."""
        return load(self.folder)


@threads_restored()
def train(
    recipe: str | Path | Recipe,
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
        recipe: A YAML file, the name of a recipe that creuset ships, or one that was read already.
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
    resolved = with_absolute_source(read(recipe, settings, seed))
    _check_time_limit(resolved, max_seconds)
    if name is not None:
        refuse_existing(run_path(name))
    plan = Plan.make(resolved, watcher)
    session = make_session(plan)
    if isinstance(session, Session):
        look_at_model(session, watcher)
        plan = with_forecast(plan, session, watcher)
    path = plan.processes.share_result(lambda: str(create_run(plan, name, watcher).path))
    folder = RunFolder(Path(path))
    outcome = carry_out(plan, session, folder, max_seconds=max_seconds, progress=watcher)
    if plan.processes.first:
        tell_beside(folder, watcher)
        if measure:
            measure_run(plan, folder, watcher)
    return Run(folder, outcome)


@threads_restored()
def resume(
    run: str | Path,
    *,
    max_seconds: float | None = None,
    measure: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Goes on with a run from its last good checkpoint, as if it had never stopped.

    Recipe, seed and precision come from the run. Without a checkpoint it starts at step 0. A run that is
    finished is measured where that is still to be done, or was done at an earlier step, and else left as it
    is. Without measuring, a report that is there already is brought up to date, and says at which step its
    scores were measured.

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
    _check_time_limit(run_recipe(folder), max_seconds)
    if folder.status() == "finished":
        return _look_after(folder, manifest, measure, watcher)
    plan = _plan_again(folder, manifest, watcher)
    _warn_of_another_machine(manifest, watcher)
    outcome = carry_out(plan, make_session(plan), folder, max_seconds=max_seconds, progress=watcher)
    if plan.processes.first:
        if measure:
            measure_run(plan, folder, watcher)
        elif folder.report_path.exists():
            write_run_report(folder, dataset=plan.dataset)
    return Run(folder, outcome)


def _check_time_limit(recipe: Recipe, max_seconds: float | None) -> None:
    """Refuses a time limit that could not be kept.

    Raises:
        UsageError: The family is fitted in one go, which nothing can stop half way and keep.
    """
    if max_seconds is not None and "gradient" not in family(recipe.model.family).traits:
        raise UsageError(
            f"the family {recipe.model.family} is fitted in one go: it has no step to stop after",
            where="--max-time",
            got=f"{max_seconds:g} s",
            expected="no time limit",
            next_step="leave it out; creuset train RECIPE --estimate says how long the fit takes",
        )


def _look_after(folder: RunFolder, manifest: Manifest, measure: bool, progress: Progress) -> Run:
    """A finished run, measured where that is wanted and still to be done; the first process does it all."""
    training = run_recipe(folder).training
    processes = Processes(training.distributed, resolve_device(training.device))
    processes.wait()  # the first one's lock makes the run look as if it were training

    def is_to_be_measured() -> bool:
        progress.say(f"{folder.id} is finished, at step {manifest.step}: nothing is left to train")
        for error in _repair(folder):
            progress.say(f"warning: {error}")
        return measure and (not folder.report_path.exists() or bool(outdated_scores(folder)))

    if processes.share_result(is_to_be_measured):
        plan = _plan_again(folder, manifest, progress)
        processes.close()
        if processes.first:
            measure_run(plan, folder, progress)
    else:
        processes.close()
    return Run(folder, _outcome_of(manifest))


def _plan_again(folder: RunFolder, manifest: Manifest, progress: Progress) -> Plan:
    """The plan that a run was trained by, with the data as it was then."""
    recipe = run_recipe(folder)
    read_again = replace(recipe, data=own_data_section(folder, recipe.data))
    plan = Plan.make(read_again, progress, (manifest.precision, manifest.precision_reason))
    return replace(plan, recipe=recipe, dataset=as_trained(folder, plan.dataset))


def _repair(folder: RunFolder) -> list[CreusetError]:
    """Tidies a finished run up, and names its damaged checkpoints no more: the whole ones can be used."""
    with folder.lock():
        damaged = folder.repair()
        folder.tidy()
    return damaged


def _outcome_of(manifest: Manifest) -> Outcome:
    """How a finished run ended."""
    reason: StopReason = "early_stop" if manifest.stop_reason == "early_stop" else "finished"
    return Outcome(step=manifest.step, reason=reason, signal_number=None, seconds=manifest.seconds)


def _warn_of_another_machine(manifest: Manifest, progress: Progress) -> None:
    """Says what may make the rest of the run differ from what it would have been, in its last digits."""
    here = machine_facts()
    changed = [
        f"{name} {manifest.machine.get(name)} is now {here[name]}"
        for name in _DECIDES_BYTES
        if manifest.machine.get(name) != here[name]
    ]
    if changed:
        progress.say(f"warning: the last digits may differ from an uninterrupted run: {', '.join(changed)}")


def run_path(name: str | Path) -> Path:
    """Where a run of this name lies: a path as it is, an ID below the workspace's runs/.

    Raises:
        UsageError: A run of that name could not be found again.
    """
    path = Path(name)
    if not path.name or path.name.startswith("."):
        raise UsageError(
            "not a name for a run",
            where="--name",
            got=repr(str(name)),
            expected="a name that does not begin with a dot, or a path",
        )
    return path if len(path.parts) > 1 or path.is_absolute() else workspace() / "runs" / path


def create_run(plan: Plan, name: str | Path | None, progress: Progress) -> RunFolder:
    """The folder of a new run, of that name or of the first one that is free; on one process.

    Raises:
        UsageError: There is a run of that name.
    """
    leakage = look_for_leakage(plan.dataset.shown)
    remark = leakage_remark(leakage, plan.recipe.data)
    if remark is not None:
        progress.say(f"data: {remark}")
    if name is not None:
        return _create_at(run_path(name), plan, leakage)
    while True:
        path = free_path(workspace() / "runs", plan.recipe.name)
        try:
            return _create_at(path, plan, leakage)
        except UsageError:
            if not path.exists():
                raise
            # a training that began at the same moment was quicker: the next name


def _create_at(path: Path, plan: Plan, leakage: dict[str, Any]) -> RunFolder:
    recipe = plan.recipe
    manifest = Manifest(
        id=path.name,
        created=now(),
        command=typed_command("creuset.train"),
        family=plan.family.name,
        seed=recipe.training.seed,
        device=str(plan.device),
        device_name=device_name(plan.device),
        num_processes=plan.processes.world_size,
        distributed=plan.processes.strategy if plan.processes.distributed else None,
        precision=plan.precision,
        precision_reason=plan.precision_reason,
        machine=machine_facts(),
        data_source=recipe.data.source,
        data_hash=plan.dataset.content_hash,
        data_spec=asdict(plan.dataset.spec),
        data_report={
            **plan.dataset.report.to_json(),
            "near_duplicates": leakage,
            **({} if plan.gate is None else {"gate": plan.gate.to_json()}),
        },
        parent=_parent_of(plan),
        base=base_of(recipe.model),
    )
    return RunFolder.create(path, recipe.to_yaml(), manifest, tokenizer=plan.dataset.tokenizer)


def _parent_of(plan: Plan) -> str | None:
    """The run whose codes are learned, or whose model is tuned further."""
    if plan.dataset.spec.codes is not None:
        return plan.dataset.spec.codes.run
    name = plan.recipe.model.base_name
    return None if name is None or plan.family.tune is None else parent_of(base_path(name))


def base_of(model: FamilyConfig) -> dict[str, str] | None:
    """The language model that a recipe tunes, with the hash of its weights; None where it tunes none."""
    if model.base_name is None or family(model.family).tune is None:
        return None
    return {"name": model.base_name, "sha256": weights_hash(base_path(model.base_name))}


def typed_command(function: str) -> str:
    """What the user typed, to be typed again; or the function that was called from Python."""
    program = Path(sys.argv[0])
    if "creuset" not in (program.stem, program.parent.name):
        return function
    return shlex.join(["creuset", *sys.argv[1:]])


def free_path(folder: Path, name: str) -> Path:
    """`name`, or `name-2`, `name-3`, ... where it is taken."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}"
    return path
