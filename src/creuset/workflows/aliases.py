"""Aliases: a name of the workspace for the run in use. It moves to what is not worse, and back again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from creuset.assets.places import alias_lock, aliases, earlier_targets, write_alias
from creuset.assets.store import stored_names
from creuset.errors import GateError, NotFoundError, UsageError, did_you_mean
from creuset.evaluation.forgetting import UNSEEN
from creuset.metrics.comparison import Comparison
from creuset.progress import Progress, Silent
from creuset.runs.folder import RunFolder
from creuset.workflows.first_stage import RUN
from creuset.workflows.load import find_run
from creuset.workflows.promotion import compare_for_promotion
from creuset.workflows.verdicts import Verdicts

ALLOWED: Mapping[str, float] = MappingProxyType({UNSEEN: 0.02})
"""How much worse a run may be that takes an alias over. A tuning nearly always costs a little of the texts
that it never saw, which 40 passages prove: 0.02 nats a token are 2% of perplexity."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Served:
    """What an alias stands for now.

    Args:
        alias: The name.
        run: The run's reference.
        before: What it stood for until now; None for nothing.
        comparison: How both compare; None where nothing was compared.
        allowed: The metrics by which the run is worse, and by how much it was allowed to be.
    """

    alias: str
    run: str
    before: str | None
    comparison: Verdicts | None = None
    allowed: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The wire form of `--json`."""
        return {
            "alias": self.alias,
            "run": self.run,
            "before": self.before,
            "comparison": None if self.comparison is None else self.comparison.to_json(),
            "allowed": dict(self.allowed),
        }


def promote(
    run: str,
    alias: str,
    *,
    force: bool = False,
    allow: Mapping[str, float] = ALLOWED,
    seed: int = 0,
    progress: Progress | None = None,
) -> Served:
    """Lets an alias stand for a run, where the run is not worse than what the alias stands for.

    Args:
        run: The run; it must have been measured.
        alias: Letters, digits, ".", "_" and "-"; no name of a model or a run.
        force: Do not compare.
        allow: By how much the run may be worse as measured, metric by metric; by every other metric it must
            not be.
        seed: Of the comparison.
        progress: Who watches.

    Raises:
        NotFoundError: No such run, or it was not measured.
        UsageError: An alias that cannot be one, or stands for this run; a metric that is not compared.
        GateError: The run is worse by some metric, or nothing of it can be compared with what the alias
            stands for; the alias is as it was.
    """
    folder = find_run(run)
    _require_name(alias)
    if not folder.evaluations():
        raise NotFoundError(
            "this run was not measured, so nothing says that it may be used",
            where=folder.reference,
            next_step=f"creuset eval {folder.reference}",
        )
    allowed = {**ALLOWED, **allow}
    _require_sizes(allowed)
    before, target = aliases().get(alias), _target(folder)
    if before == target:
        raise UsageError("the alias stands for this run already", where=alias, got=folder.reference)
    comparison = None
    if before is not None and not force:
        watcher = Silent() if progress is None else progress
        comparison = _compared(before, folder, alias, allowed, seed, watcher)
    with alias_lock():
        if aliases().get(alias) != before:
            raise UsageError(
                "the alias was moved meanwhile",
                where=alias,
                got=aliases().get(alias),
                expected=before,
                next_step="promote the run again",
            )
        write_alias(alias, target, [*earlier_targets(alias), *([] if before is None else [before])])
    compared = () if comparison is None else comparison.comparisons
    worse = {one.metric: allowed[one.metric] for _, one in compared if one.verdict == "worse"}
    return Served(alias=alias, run=folder.reference, before=before, comparison=comparison, allowed=worse)


def _compared(
    before: str, folder: RunFolder, alias: str, allow: Mapping[str, float], seed: int, progress: Progress
) -> Verdicts:
    """How a run compares with what an alias stands for.

    Raises:
        NotFoundError: That is gone.
        UsageError: A metric is allowed for that is not compared.
        GateError: The run is worse by some metric, or nothing of both can be compared.
    """
    try:
        now = find_run(before)
    except NotFoundError as error:
        raise NotFoundError(
            "the run is gone that this alias stands for: there is nothing to compare with",
            where=alias,
            got=before,
            next_step="promote the new one with --force, which compares nothing",
        ) from error
    comparison = compare_for_promotion(now, folder, seed=seed, progress=progress)
    compared = {one.metric: one for _, one in comparison.comparisons}
    for name in allow:
        if name not in compared and name not in ALLOWED:
            raise UsageError(
                f'nothing is compared by "{name}"{did_you_mean(name, compared)}',
                where="--allow",
                expected=", ".join(compared),
            )
    worse = [one for one in compared.values() if is_refused(one, allow.get(one.metric, 0.0))]
    if worse:
        raise GateError(
            f"{folder.reference} is worse than {before}, which {alias} stands for",
            where=comparison.measured_on,
            got="; ".join(map(_difference, worse)),
            expected="no metric worse, as far as can be told" + _exceptions(allow, compared),
            next_step="keep what is used; or allow for it, "
            f"--allow {worse[0].metric}={_rounded_up(worse[0])}; --force compares nothing",
        )
    return comparison


def is_refused(one: Comparison, allowed: float) -> bool:
    """Whether a run is worse by a metric, and the difference that was measured is more than is allowed."""
    return one.verdict == "worse" and abs(one.difference) > allowed


def _exceptions(allow: Mapping[str, float], compared: Mapping[str, Comparison]) -> str:
    """By which metrics a run may be worse."""
    told = [f"{name} by {value:g} at most" for name, value in allow.items() if name in compared and value]
    return f", but for {', '.join(told)}" if told else ""


def _require_sizes(allow: Mapping[str, float]) -> None:
    wrong = next((name for name, value in allow.items() if not value >= 0), None)  # NaN is none either
    if wrong is not None:
        raise UsageError(
            "a run is allowed to be worse by so much, whichever way is worse",
            where="--allow",
            got=f"{wrong}={allow[wrong]:g}",
            expected="a number that is at least 0",
        )


def _rounded_up(one: Comparison) -> str:
    """A loss that would be allowed for, in two digits."""
    return f"{1.1 * abs(one.difference):.2g}"


def _difference(one: Comparison) -> str:
    ends = "" if one.interval is None else f" [{one.interval[0]:+.4g}, {one.interval[1]:+.4g}]"
    return (
        f"{one.metric} {one.a:.6g} -> {one.b:.6g}, {one.difference:+.4g}{ends}, "
        f"p {one.p_corrected:.2g} after correction"
    )


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
