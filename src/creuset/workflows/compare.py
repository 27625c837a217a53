"""`creuset compare`: runs that were measured on the same data, tested against the first of them.

It reads the evaluations that are kept beside the runs, and measures nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from creuset.errors import CheckpointError, GateError, NotFoundError, UsageError, did_you_mean
from creuset.metrics.comparison import Comparison
from creuset.metrics.comparison_methods import (
    COMPARISON_METHODS,
    compare_kept,
    is_compared_by_default,
    why_not_compared,
)
from creuset.metrics.score import Score
from creuset.metrics.signature import require_comparable
from creuset.progress import Progress, Silent
from creuset.runs.folder import RunFolder
from creuset.runs.rows import SampleRows
from creuset.workflows.likelihood_kinds import of_unlike_kind
from creuset.workflows.load import find_run
from creuset.workflows.verdicts import Test, Verdicts, tested


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredRun:
    """One run and the evaluation that it is compared by.

    Args:
        run: The run.
        evaluation: The evaluation's name, as `RunFolder.evaluations` has it.
        document: What it says.
        rows: What it kept of each sample.
    """

    run: RunFolder
    evaluation: str
    document: Mapping[str, Any]
    rows: SampleRows

    @property
    def split(self) -> str:
        """The part of the data that was measured."""
        return str(self.document["split"])

    @cached_property
    def scores(self) -> dict[str, Score]:
        """By metric."""
        scores = [Score.from_json(score) for score in self.document["scores"]]
        return {score.metric: score for score in scores}


@dataclass(frozen=True, kw_only=True)
class ComparedRuns(Verdicts):
    """Runs against a baseline.

    Args:
        suite: The suite that measured them all.
        split: The part of the data.
        measured: The runs in their order, the baseline first.
    """

    kind: ClassVar[str] = "run"

    suite: str
    split: str
    measured: tuple[MeasuredRun, ...]

    @property
    def measured_on(self) -> str:
        return f"{self.suite} on {self.split}"

    def to_json(self) -> dict[str, Any]:
        """The wire form of `--json`."""
        return {"suite": self.suite, "split": self.split, **super().to_json()}


def compare(
    runs: Sequence[str | Path | RunFolder],
    *,
    suite: str | None = None,
    metrics: Sequence[str] = (),
    split: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ComparedRuns:
    """Tests each run against the first, metric by metric, on the samples that both were measured on, or by
    what both generated, against the same reference.

    Args:
        runs: Two runs or more.
        suite: Whose scores; default: the suite that the first run was measured with.
        metrics: Which of them; default: those whose rows were kept (metrics/comparison_methods.py), without
            F1 of single classes, what another metric says too, and likelihoods of unlike kind.
        split: Of the data; default: the split of each run's usual evaluation.
        seed: Decides permutations and resamples.
        progress: Who watches.

    Raises:
        UsageError: Less than two runs, or a metric that was not measured or has no rows.
        NotFoundError: No such run, or no such evaluation of it.
        CheckpointError: An evaluation without its rows.
        GateError: The runs were measured on different data, or otherwise differently.
    """
    if len(runs) < 2:
        raise UsageError("a comparison is of two runs or more", got=len(runs))
    watcher = Silent() if progress is None else progress
    folders = [run if isinstance(run, RunFolder) else _found(run) for run in runs]
    chosen = _suite_of(folders[0]) if suite is None else suite
    baseline, *others = [_measured(folder, chosen, split) for folder in folders]
    common = [name for name in baseline.scores if all(name in other.scores for other in others)]
    compared = _compared(baseline, others, common, metrics)
    for other in others:
        for name in compared:
            require_comparable(baseline.scores[name].signature, other.scores[name].signature)
        _require_same_samples(baseline, other)
    tests: list[Test] = [
        (other.run.reference, partial(_comparison, baseline, other, name, seed))
        for other in others
        for name in compared
    ]
    return ComparedRuns(
        suite=chosen,
        split=baseline.split,
        measured=(baseline, *others),
        baseline=baseline.run.reference,
        comparisons=tested(tests, watcher),
        left_out=tuple(name for name in common if name not in compared),
    )


def _found(run: str | Path) -> RunFolder:
    if Path(run).is_file():
        raise UsageError(
            f"{run} is a file, and runs are compared",
            next_step="compare files of texts with --metrics bleu,rouge --references FILE",
        )
    return find_run(run)


def _suite_of(run: RunFolder) -> str:
    """The suite of the run's usual evaluation."""
    documents = run.evaluations()
    usual = [name for name, document in documents.items() if document["suite"] == name]
    if not documents:
        raise NotFoundError(
            "this run was not measured", where=run.path, next_step=f"creuset eval {run.reference}"
        )
    return usual[0] if usual else str(next(iter(documents.values()))["suite"])


def _measured(run: RunFolder, suite: str, split: str | None) -> MeasuredRun:
    """The usual evaluation, or the first of those of another split, with its rows."""
    documents = run.evaluations()
    names = sorted(
        (
            name
            for name, document in documents.items()
            if document["suite"] == suite
            and (document["split"] == split or (split is None and name == suite))
        ),
        key=lambda name: (name != suite, documents[name]["seed"], name),
    )
    again = f"creuset eval {run.reference} --suite {suite}" + ("" if split is None else f" --split {split}")
    if not names:
        raise NotFoundError(
            f"this run was not measured with the suite {suite}"
            + ("" if split is None else f" on the split {split}"),
            where=run.path,
            got=", ".join(f"{one['suite']} on {one['split']}" for one in documents.values())
            or "no evaluation",
            next_step=again,
        )
    rows = run.evaluation_rows(names[0])
    if rows is None:
        raise CheckpointError(
            "this evaluation kept no rows, which a test needs",
            where=run.evaluation / f"{names[0]}.json",
            next_step=again,
        )
    return MeasuredRun(run=run, evaluation=names[0], document=documents[names[0]], rows=rows)


def _compared(
    baseline: MeasuredRun, others: Sequence[MeasuredRun], common: Sequence[str], asked: Sequence[str]
) -> list[str]:
    """The metrics that are compared: those asked for, or those that all runs have rows of."""
    for measured in (baseline, *others):
        for name in asked:
            _require_score(measured, name)
            _require_compared(measured, name)
    if asked:
        return list(dict.fromkeys(asked))
    everyone = [measured.rows.arrays for measured in (baseline, *others)]
    compared = [name for name in common if all(is_compared_by_default(name, kept) for kept in everyone)]
    found = list(_of_one_kind(compared, baseline, others))
    if (
        not found
    ):  # the first that is compared at all, such as nats per token where there are no bits per byte
        possible = (name for name in common if all(why_not_compared(name, kept) is None for kept in everyone))
        found = list(islice(possible, 1))
    if not found:
        raise UsageError(
            "these runs have no score in common that is compared: no rows of one were kept by all",
            got="; ".join(
                f"{measured.run.reference}: {', '.join(measured.scores)}" for measured in (baseline, *others)
            ),
        )
    return found


def _of_one_kind(found: Sequence[str], baseline: MeasuredRun, others: Sequence[MeasuredRun]) -> Sequence[str]:
    """Without likelihoods of unlike kind, such as a bound and an exact one, unless nothing else is there."""
    alike = [
        name
        for name in found
        if not any(of_unlike_kind(baseline.scores[name], other.scores[name]) for other in others)
    ]
    return alike or found


def _require_score(measured: MeasuredRun, metric: str) -> None:
    if metric not in measured.scores:
        raise UsageError(
            f'no score "{metric}"{did_you_mean(metric, measured.scores)}', where=measured.run.path
        )


def _require_compared(measured: MeasuredRun, metric: str) -> None:
    reason = why_not_compared(metric, measured.rows.arrays)
    if reason is not None:
        others = sorted(
            name for name in measured.scores if is_compared_by_default(name, measured.rows.arrays)
        )
        again = f", or measure again: creuset eval {measured.run.reference}"
        raise UsageError(
            f'"{metric}" cannot be compared: {reason}',
            where=measured.run.reference,
            expected=f"one of {', '.join(others)}" if others else None,
            next_step="compare another metric" + (again if metric in COMPARISON_METHODS else ""),
        )


def _require_same_samples(baseline: MeasuredRun, other: MeasuredRun) -> None:
    if baseline.rows.samples != other.rows.samples:
        raise GateError(
            "these runs were measured on different samples, or in another order",
            where=f"{baseline.run.reference} and {other.run.reference}",
            got=f"samples {baseline.rows.samples[:16]} against {other.rows.samples[:16]}",
            expected="the same samples",
            next_step=f"creuset eval {other.run.reference}, and compare again",
        )


def _comparison(baseline: MeasuredRun, other: MeasuredRun, metric: str, seed: int) -> Comparison:
    return compare_kept(
        baseline.scores[metric],
        other.scores[metric],
        baseline.rows.arrays,
        other.rows.arrays,
        seed=seed,
    )
