"""Aliases: a name of the workspace for the run in use. It moves to what is not worse, and back again."""

import re
from dataclasses import dataclass
from typing import Any

from creuset.assets.places import alias_lock, aliases, earlier_targets, write_alias
from creuset.assets.store import stored_names
from creuset.errors import GateError, NotFoundError, UsageError
from creuset.progress import Progress
from creuset.runs.folder import RunFolder
from creuset.workflows.compare import ComparedRuns, compare
from creuset.workflows.first_stage import RUN
from creuset.workflows.load import find_run

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Served:
    """What an alias stands for now.

    Args:
        alias: The name.
        run: The run's reference.
        before: What it stood for until now; None for nothing.
        comparison: How both compare; None where nothing was compared.
    """

    alias: str
    run: str
    before: str | None
    comparison: ComparedRuns | None = None

    def to_json(self) -> dict[str, Any]:
        """The wire form of `--json`."""
        return {
            "alias": self.alias,
            "run": self.run,
            "before": self.before,
            "comparison": None if self.comparison is None else self.comparison.to_json(),
        }


def promote(
    run: str, alias: str, *, force: bool = False, seed: int = 0, progress: Progress | None = None
) -> Served:
    """Lets an alias stand for a run, where the run is not worse than what the alias stands for.

    Args:
        run: The run; it must have been measured.
        alias: Letters, digits, ".", "_" and "-"; no name of a model or a run.
        force: Do not compare.
        seed: Of the comparison.
        progress: Who watches.

    Raises:
        NotFoundError: No such run, or it was not measured.
        UsageError: An alias that cannot be one, or stands for this run already.
        GateError: The run is worse by some metric, or was measured otherwise than what the alias stands for;
            the alias is as it was.
    """
    folder = find_run(run)
    _require_name(alias)
    if not folder.evaluations():
        raise NotFoundError(
            "this run was not measured, so nothing says that it may be used",
            where=folder.reference,
            next_step=f"creuset eval {folder.reference}",
        )
    with alias_lock():
        before = aliases().get(alias)
        target = _target(folder)
        if before == target:
            raise UsageError("the alias stands for this run already", where=alias, got=folder.reference)
        comparison = None
        if before is not None and not force:
            comparison = compare([find_run(before), folder], seed=seed, progress=progress)
            worse = [one for _, one in comparison.comparisons if one.verdict == "worse"]
            if worse:
                raise GateError(
                    f"{folder.reference} is worse than {before}, which {alias} stands for",
                    got="; ".join(f"{one.metric} {one.a:.6g} -> {one.b:.6g}" for one in worse),
                    expected="no metric worse, as far as can be told",
                    next_step="keep what is used, or promote it with --force",
                )
        write_alias(alias, target, [*earlier_targets(alias), *([] if before is None else [before])])
    return Served(alias=alias, run=folder.reference, before=before, comparison=comparison)


def rollback(alias: str) -> Served:
    """Lets an alias stand for what it stood for before the last `promote`.

    Raises:
        NotFoundError: No such alias, nothing before, or a run that is gone; the alias is as it was.
    """
    with alias_lock():
        now = aliases().get(alias)
        if now is None:
            known = ", ".join(aliases()) or "none"
            raise NotFoundError("no such alias", where=alias, expected=f"one of this workspace: {known}")
        earlier = earlier_targets(alias)
        if not earlier:
            raise NotFoundError(
                "it never stood for anything else", where=alias, got=now, next_step="creuset models list"
            )
        folder = find_run(earlier[-1])
        write_alias(alias, earlier[-1], earlier[:-1])
    return Served(alias=alias, run=folder.reference, before=now)


def _target(folder: RunFolder) -> str:
    """What is written: the ID of a run of the workspace, else its path."""
    reference = folder.reference
    return f"{RUN}{reference if reference == folder.id else folder.path.resolve()}"


def _require_name(alias: str) -> None:
    if not _NAME.fullmatch(alias):
        raise UsageError(
            "this cannot be an alias",
            where="--as",
            got=alias,
            expected='up to 64 letters, digits, ".", "_" and "-", the first a letter or a digit',
        )
    if alias in stored_names():
        raise UsageError("a model has this name", where="--as", got=alias, next_step="choose another name")
    try:
        taken = find_run(alias) if alias not in aliases() else None
    except NotFoundError:
        taken = None
    if taken is not None:
        raise UsageError("a run has this name", where="--as", got=alias, next_step="choose another name")
