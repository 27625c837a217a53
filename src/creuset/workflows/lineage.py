"""What a run comes from: the runs before it, back to what others trained."""

from pathlib import Path

from creuset.data.tokenizer_files import read_settings
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


def ancestors(run: RunFolder) -> list[RunFolder]:
    """The runs that a run goes on from, the nearest first, as far as they are there."""
    return _before(run)[0]


def lineage(run: RunFolder) -> list[str]:
    """What a run comes from, the oldest first, itself last: a base's name, then runs.

    A run that is gone is said to be; nothing is known of what was before it.
    """
    before, gone = _before(run)
    names = [folder.reference for folder in (*reversed(before), run)]
    if gone is not None:
        return [f"{gone} (gone)", *names]
    base = (run, *before)[-1].manifest().base
    return names if base is None else [*_of_base(base["name"]), *names]


def _of_base(name: str) -> list[str]:
    """A base's name; of one into which an adapter was merged, what its certificate says of both before it."""
    path = Path(name) / "certificate.json"
    if not path.is_file():
        return [name]
    about = read_settings(path).get("about")
    if not isinstance(about, dict) or "base_of_adapter" not in about:
        return [name]
    return [str(about.get("base")), f"adapter {about.get('model')}", name]


def _before(run: RunFolder) -> tuple[list[RunFolder], str | None]:
    """The runs before a run, the nearest first, and the one that is gone."""
    found: list[RunFolder] = []
    known = {run.path.resolve()}
    parent = run.manifest().parent
    while parent is not None:
        try:
            folder = find_run(parent)
            before = folder.manifest().parent
        except (NotFoundError, CheckpointError):
            return found, parent
        if folder.path.resolve() in known:
            break
        known.add(folder.path.resolve())
        found.append(folder)
        parent = before
    return found, None
