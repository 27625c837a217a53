"""What of a run's checkpoints is whole, and how the run goes on without those that are not."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from creuset.errors import CheckpointError, CreusetError, NotFoundError, did_you_mean, nearest
from creuset.runs.checkpoint import Checkpoint, DamagedCheckpoint, load_checkpoint
from creuset.runs.manifest import Manifest
from creuset.runs.reference import reference

Damaged = dict[str, CreusetError]
"""A checkpoint's name -> what is wrong with it."""


def newest_whole(folder: Path, manifest: Manifest) -> tuple[Checkpoint | None, Damaged]:
    """The newest whole checkpoint below `folder` that the manifest names, and what is wrong with newer ones.

    Raises:
        CheckpointError: A newer creuset wrote a checkpoint.
    """
    damaged: Damaged = {}
    for name in sorted(manifest.checkpoints, reverse=True):
        try:
            return load_checkpoint(folder / name), damaged
        except (DamagedCheckpoint, NotFoundError) as error:
            damaged[name] = error
    return None, damaged


def all_damaged(folder: Path, names: set[str]) -> Damaged:
    """What is wrong with each checkpoint below `folder` that is not whole."""
    damaged: Damaged = {}
    for name in sorted(names):
        try:
            load_checkpoint(folder / name)
        except (DamagedCheckpoint, NotFoundError) as error:
            damaged[name] = error
    return damaged


def names_without(manifest: Manifest, damaged: Damaged, last: str) -> dict[str, Any]:
    """The names of a manifest's checkpoints when the damaged ones are named no more."""
    return {
        "last": last,
        "previous": None,
        "best": None if manifest.best in damaged else manifest.best,
        "healthy": None if manifest.healthy in damaged else manifest.healthy,
    }


def names_at(manifest: Manifest, last: str | None) -> dict[str, Any]:
    """The names of a manifest's checkpoints when training goes back to `last`, or to its start."""
    best = manifest.best
    return {
        "last": last,
        "previous": None,
        "best": best if best is not None and last is not None and best <= last else None,
        "healthy": last,
    }


def is_healthy(checkpoint: Checkpoint) -> bool:
    """Whether nothing was collapsing when it was made, as far as that was watched."""
    return bool(checkpoint.facts.get("collapse", {}).get("healthy"))


def progress_at(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a manifest says of how far a run came when `checkpoint` is its last one."""
    return {
        "best_validation_loss": checkpoint.facts.get("best_validation_loss"),
        "step": checkpoint.step,
        "seconds": checkpoint.facts["seconds"],
    }


def nothing_whole(run: Path, errors: Iterable[CreusetError]) -> CheckpointError:
    """What to say where a run has no whole checkpoint left to go on from."""
    return CheckpointError(
        "every checkpoint of this run is damaged: it cannot go on",
        where=run / "checkpoints",
        got="; ".join(str(error).splitlines()[0] for error in errors),
        expected="one whole checkpoint at least",
        next_step=f"creuset train {run / 'recipe.yaml'} trains it again, as a new run",
    )


def way_out(run: Path, damaged: str, manifest: Manifest) -> str:
    """What to do about a damaged checkpoint: go on from a whole one, where there is one."""
    others = manifest.checkpoints - {damaged}
    whole = others - all_damaged(run / "checkpoints", others).keys()
    if not whole:
        return f"creuset train {run / 'recipe.yaml'} trains it again, as a new run"
    return f"creuset train --resume {reference(run)} goes on from {max(whole)}, which is whole"


def no_such_checkpoint(
    run: Path, which: str, names: Mapping[str, str | None], there: Sequence[str]
) -> NotFoundError:
    """What to say where a checkpoint is asked for that is not there.

    Args:
        run: The run's folder.
        which: What was asked for.
        names: "best" and "last", and the checkpoints that they stand for.
        there: The checkpoints that are there.
    """
    if not there:
        return NotFoundError(
            f'no checkpoint "{which}" in this run',
            where=run,
            expected="a run that made a checkpoint",
            next_step=f"creuset train --resume {reference(run)}",
        )
    known = [*(word for word, stands_for in names.items() if stands_for in there), *there]
    near = did_you_mean(which, known) if nearest(which, known) else ""
    return NotFoundError(
        f'no checkpoint "{which}" in this run{near}',
        where=run,
        expected=f"one of {', '.join(known)}",
        next_step=f"creuset runs show {reference(run)}",
    )
