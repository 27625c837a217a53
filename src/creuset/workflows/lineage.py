"""What a run comes from: the runs before it, back to what others trained."""

from pathlib import Path

from creuset.errors import CheckpointError, NotFoundError
from creuset.runs.folder import RunFolder
from creuset.workflows.load import find_run

MERGED = "merged"
"""The folder of a tuned run in which its merged model lies, to be tuned further (workflows/merged_run.py)."""


def parent_of(base: Path) -> str | None:
    """The run whose merged model a base is; None of any other base."""
    folder = base.resolve().parent
    if folder.name != MERGED or not (folder.parent / "manifest.json").is_file():
        return None
    return RunFolder(folder.parent).reference


def lineage(run: RunFolder) -> list[str]:
    """What a run comes from, the oldest first, itself last: a base's name, then runs.

    A run that is gone is said to be; nothing is known of what was before it.
    """
    names, known = [run.reference], {run.path.resolve()}
    manifest = run.manifest()
    while manifest.parent is not None:
        try:
            parent = find_run(manifest.parent)
            manifest = parent.manifest()
        except (NotFoundError, CheckpointError):
            return [f"{manifest.parent} (gone)", *names]
        if parent.path.resolve() in known:
            break
        known.add(parent.path.resolve())
        names.insert(0, parent.reference)
    if manifest.base is not None:
        names.insert(0, manifest.base["name"])
    return names
