"""`creuset compare A.txt B.txt --metrics`: the texts of several systems, tested against those of the first.

The same lines of all files belong together, and to the same references where a metric uses them: the tests
are paired by line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from creuset.assets import workspace
from creuset.data.text_lines import STANDARD_INPUT, display_name, read_lines
from creuset.errors import UsageError
from creuset.metrics.comparison import Comparison, compare_paired
from creuset.metrics.signature import Context
from creuset.metrics.text.rows import TextRows
from creuset.progress import Progress, Silent
from creuset.workflows.own_files import (
    TEXT_METRICS,
    Answers,
    TextMetric,
    Texts,
    read_answers,
    require_as_long,
    require_one_standard_input,
    require_references,
    text_context,
    text_metrics,
)
from creuset.workflows.verdicts import Test, Verdicts, tested


@dataclass(frozen=True, kw_only=True)
class ComparedTexts(Verdicts):
    """Files of texts against a baseline.

    Args:
        references: The files with the references; none where no metric uses them.
    """

    kind: ClassVar[str] = "file"

    references: tuple[str, ...]

    @property
    def measured_on(self) -> str:
        return f"references {', '.join(self.references)}" if self.references else "line by line"

    def to_json(self) -> dict[str, Any]:
        """The wire form of `--json`."""
        return {"references": list(self.references), **super().to_json()}


def compare_texts(
    systems: Sequence[str | Path],
    *,
    metrics: Sequence[str],
    references: Sequence[str | Path],
    seed: int = 0,
    progress: Progress | None = None,
) -> ComparedTexts:
    """Tests the texts of each system against those of the first, metric by metric.

    Args:
        systems: Two files or more with a text a line in the same order, or "-" for standard input.
        metrics: Names out of `TEXT_METRICS`; those of whole sets of texts have no rows and are refused.
        references: Files with the references, line by line; several where a text has several, none for
            metrics of the texts alone.
        seed: Decides permutations and resamples.
        progress: Who watches.

    Raises:
        UsageError: Less than two files, a run among them, a metric that there is not or that has no rows, or
            references that are missing or used by none.
        NotFoundError: A file that is not there.
        DataError: A line that is not UTF-8, or files of unequal numbers of lines.
    """
    if len(systems) < 2:
        raise UsageError("a comparison is of two files or more", got=len(systems))
    watcher = Silent() if progress is None else progress
    chosen = text_metrics(metrics)
    _require_rows(chosen)
    require_references(chosen, references)
    _refuse_runs(systems)
    require_one_standard_input((*systems, *references))
    texts = [read_lines(system) for system in systems]
    for lines, system in zip(texts[1:], systems[1:], strict=True):
        require_as_long(lines, system, texts[0], systems[0], "a line for each line of the first file")
    answers = read_answers(references, texts[0], systems[0])
    baseline, *others = _measured(texts, answers, list(chosen.values()), watcher)
    contexts = [
        text_context(metric, answers, len(texts[0]), seed)
        for metric in chosen.values()
        for _ in metric.scores
    ]
    names = [display_name(system) for system in systems]
    tests: list[Test] = [
        (name, partial(_comparison, ours, theirs, context))
        for name, rows in zip(names[1:], others, strict=True)
        for ours, theirs, context in zip(baseline, rows, contexts, strict=True)
    ]
    return ComparedTexts(
        baseline=names[0],
        comparisons=tested(tests, watcher),
        references=tuple(display_name(source) for source in references),
    )


def _require_rows(chosen: dict[str, TextMetric]) -> None:
    without = [name for name, metric in chosen.items() if metric.rows is None]
    if without:
        raise UsageError(
            f"{', '.join(without)} cannot be compared: of a whole set of texts, not of one row a text",
            where="--metrics",
            expected=", ".join(name for name, metric in TEXT_METRICS.items() if metric.rows is not None),
        )


def _refuse_runs(systems: Sequence[str | Path]) -> None:
    """Runs have no lines: they are compared by what was measured of them."""
    for system in systems:
        if str(system) == STANDARD_INPUT or Path(system).is_file():
            continue
        for folder in (Path(system), workspace() / "runs" / system):
            if (folder / "manifest.json").is_file():
                raise UsageError(
                    f"{system} is a run, and --metrics compares files of texts",
                    next_step="compare runs with each other, by --metric",
                )


def _measured(
    texts: Sequence[Texts], answers: Answers, metrics: Sequence[TextMetric], progress: Progress
) -> list[list[TextRows]]:
    """The rows of each score of each system."""
    found: list[list[TextRows]] = []
    progress.start("measuring", len(texts) * len(metrics), "metrics")
    for number, lines in enumerate(texts):
        found.append([])
        for done, metric in enumerate(metrics, 1):
            assert metric.rows is not None
            found[-1] += metric.rows(lines, answers)
            progress.advance(number * len(metrics) + done)
    progress.finish()
    return found


def _comparison(ours: TextRows, theirs: TextRows, context: Context) -> Comparison:
    """Rows of a mean are tested as the values in their first column: where these are 0 and 1, exactly."""
    is_mean = ours.spread != "bca"
    return compare_paired(
        ours.score(context=context),
        theirs.score(context=context),
        ours.rows[:, 0] if is_mean else ours.rows,
        theirs.rows[:, 0] if is_mean else theirs.rows,
        statistic=None if is_mean else ours.statistic,
        seed=context.seed,
    )
