"""How to train a run again so that the same bytes come out."""

import shlex

from creuset.runs.folder import RunFolder
from creuset.workflows.load import run_recipe


def again_command(run: RunFolder) -> str:
    """What trains a run again from its resolved recipe, in the number format it was trained in."""
    command = ["creuset", "train", str(run.recipe_path), "--name", f"{run.id}-again"]
    return shlex.join([*command, *(word for text in precision_setting(run) for word in ("--set", text))])


def precision_setting(run: RunFolder) -> list[str]:
    """The setting that repeats what `training.precision: auto` came to; empty where a recipe says it itself.

    `auto` is decided by a timing, which may end otherwise in another home or on another day.
    """
    if run_recipe(run).training.precision != "auto":
        return []
    return [f"training.precision={run.manifest().precision}"]
