"""What is done about a collapse: which remedy, and going back with it to the last healthy checkpoint.

A remedy is a few settings. The recipe of a run stays as it was written; what was set since stands in the
manifest, and is laid over the recipe whenever the run is opened (workflows/load.py), so that a resume goes on
with it. Nothing of the journal is cut: a "rollback" line ends the part that was abandoned.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from creuset.errors import GateError, RecipeError
from creuset.models import family_configs
from creuset.recipe.remedy import Cause, Remedy
from creuset.recipe.resolve import Recipe, parse_recipe
from creuset.runs.checkpoint import Checkpoint
from creuset.runs.folder import RunFolder
from creuset.runs.reference import reference
from creuset.training.collapse import Alarm
from creuset.training.recorder import Recorder
from creuset.training.watch import Raised, Response, written
from creuset.workflows.plan import Plan


def answers(plan: Plan, folder: RunFolder) -> Callable[[Alarm], Response]:
    """What is to be done about an alarm of this training.

    Args:
        plan: Its plan, with what earlier rollbacks have set.
        folder: Its run.
    """
    config = plan.recipe.collapse

    def answer(alarm: Alarm) -> Response:
        remedy = find_remedy(plan.recipe, alarm.cause, plan.dataset.spec.kind)
        if config.on_collapse == "warn":
            return Response(remedy=remedy)
        can_go_back = remedy is not None and len(folder.manifest().remedies) < config.max_rollbacks
        goes_back = config.on_collapse == "rollback" and can_go_back
        return Response(remedy=remedy, ends=True, goes_back=goes_back)

    return answer


def find_remedy(recipe: Recipe, cause: Cause, kind: str) -> Remedy | None:
    """The first remedy that the recipe can take; None where none is left.

    Args:
        recipe: As trained so far.
        cause: What collapsed.
        kind: Of the data.
    """
    for remedy in recipe.model.remedies(cause, recipe.training, recipe.players, recipe.data, kind):
        try:
            with_settings(recipe, dict(remedy.settings))
        except RecipeError:
            continue
        return remedy
    return None


def with_settings(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """The recipe, resolved anew with other values.

    Raises:
        RecipeError: They do not fit.
    """
    text = recipe.to_yaml()
    changed = parse_recipe(text, recipe.name, settings=settings, families=family_configs())
    return replace(changed, path=recipe.path)


def go_back_with(plan: Plan, folder: RunFolder, raised: Raised, recorder: Recorder, seconds: float) -> Plan:
    """Takes the run back to its last healthy checkpoint, and returns the plan to go on with.

    Killed on the way, the run goes on from a checkpoint before the alarm, and comes here again. Where
    training begins anew, what there was is kept as a run inside the run.

    Args:
        plan: As trained so far.
        folder: The run.
        raised: The alarm and its remedy.
        recorder: Gets the line of the rollback.
        seconds: Of training so far.
    """
    alarm, remedy = raised.alarm, raised.remedy
    assert remedy is not None
    healthy = folder.manifest().healthy
    back_to = 0 if healthy is None or remedy.from_start else step_of(healthy)
    values: dict[str, float | str] = {
        "back_to": back_to,
        "cause": alarm.cause,
        "signal": alarm.signal,
        "setting": written(remedy),
    }
    recorder.sync()
    kept = None if back_to else folder.set_aside(f"abandoned-{len(folder.manifest().remedies) + 1}")
    recorder.record(alarm.step, "rollback", values, clock={"seconds": seconds})
    folder.roll_back(
        {
            "from_step": alarm.step,
            "began": alarm.began,
            "back_to": back_to,
            "cause": alarm.cause,
            "signal": alarm.signal,
            "settings": dict(remedy.settings),
            "journal_bytes": recorder.sync(),
            "seconds": seconds,
            "seconds_of_checks": raised.seconds_of_checks,
        }
    )
    told = "" if kept is None else f"; what was trained so far: {reference(kept)}"
    recorder.progress.say(f"back to step {back_to}, with {written(remedy)}{told}")
    return replace(plan, recipe=with_settings(plan.recipe, dict(remedy.settings)))


def stopped_by(raised: Raised, step: int, run: str) -> GateError:
    """What to say of a training that stopped for a collapse.

    Args:
        raised: The alarm.
        step: Of the checkpoint that was made.
        run: How to name the run on the command line.
    """
    alarm, remedy = raised.alarm, raised.remedy
    settings = "" if remedy is None else f" (set {written(remedy)}: {remedy.why})"
    return GateError(
        f"the training collapsed: {alarm.cause}, since step {alarm.began}{settings}",
        where=f"{run}, step {step}",
        got=f"{alarm.signal} {alarm.value:.3g}",
        expected=f"not beyond {alarm.limit:.3g}",
        next_step=f"train anew with the setting, or go on all the same: creuset train --resume {run}",
    )


def seconds_so_far(folder: RunFolder) -> tuple[float, float]:
    """Of training up to the last rollback, with what was abandoned; and how many of them checks took."""
    last = folder.manifest().remedies[-1]  # an older creuset did not count them
    return float(last.get("seconds", 0.0)), float(last.get("seconds_of_checks", 0.0))


def journal_bytes(folder: RunFolder, checkpoint: Checkpoint | None) -> tuple[int, bool]:
    """How much of the journal belongs to a checkpoint, and whether a rollback ends it.

    Args:
        folder: The run.
        checkpoint: What training goes on from; None for its start.
    """
    own = 0 if checkpoint is None else int(checkpoint.facts["journal_bytes"])
    remedies = folder.manifest().remedies
    after_rollback = int(remedies[-1]["journal_bytes"]) if remedies else 0
    return max(own, after_rollback), after_rollback > own


def step_of(name: str) -> int:
    """The step of a checkpoint's name."""
    return int(name.removeprefix("step-"))
