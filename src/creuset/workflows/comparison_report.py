"""`creuset compare A B --report FILE`: the compared runs on one page, from what is kept beside them."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from creuset.data.dataset import Dataset
from creuset.device import machine_facts
from creuset.errors import UsageError
from creuset.metrics.rows import said_by_others
from creuset.progress import Progress, Silent
from creuset.reporting.blocks import Block, Chapter, Commands, Document, Finding, Measured, Row, Scores
from creuset.reporting.document import write_report
from creuset.workflows.again import again_command
from creuset.workflows.chapters import classification_figures
from creuset.workflows.compare import ComparedRuns, MeasuredRun
from creuset.workflows.comparison_blocks import run_table, sample_blocks, verdict_blocks
from creuset.workflows.family_sheets import OF_SMALL_SHEETS, budget_remarks, small_sheets
from creuset.workflows.family_table import REAL, FamilyTable, family_table
from creuset.workflows.joint_curves import joint_curves, loss_by_place, losses_are_one_quantity, own_losses
from creuset.workflows.load import Loaded, load
from creuset.workflows.outdated import outdated_scores
from creuset.workflows.run_data import run_data

SUFFIX = ".html"
_TRAINING_LEAD = (
    "Over the whole validation split. Seconds are those of a run: validations, sheets of samples and "
    "checkpoints take their part of them."
)


def require_page(path: Path) -> None:
    """Refuses a file's name that no report has, before anything is compared.

    Raises:
        UsageError: It does not end with SUFFIX, or is a folder.
    """
    if path.suffix != SUFFIX or path.is_dir():
        raise UsageError(
            "no name of a page", where="--report", got=path, expected=f"a file ending with {SUFFIX}"
        )


def write_comparison_report(
    found: ComparedRuns, path: Path, *, table: FamilyTable | None = None, progress: Progress | None = None
) -> None:
    """Writes what is known of compared runs as one self-contained page.

    Args:
        found: The comparison.
        path: The page.
        table: The runs' table, where it was made before; else it is made here, without timing.
        progress: Who watches.

    Raises:
        UsageError: A run is compared with itself; the data is no longer what the runs were trained on; or
            the page cannot be written.
        NotFoundError, CheckpointError: A run has no checkpoint to draw samples with.
        ResourceError: The disk is full.
    """
    require_page(path)
    _require_each_once(found)
    names = shown_names(found)
    watcher = Silent() if progress is None else progress
    if table is None:
        table = family_table(found, names, progress=watcher)
    write_report(_document(found, names, table, watcher), path)


def shown_names(found: ComparedRuns) -> dict[str, str]:
    """Run as it can be typed -> its ID, or the whole of it where two runs share an ID."""
    ids = {one.run.reference: one.run.id for one in found.measured}
    return ids if len(set(ids.values())) == len(ids) else {reference: reference for reference in ids}


def _require_each_once(found: ComparedRuns) -> None:
    references = [one.run.reference for one in found.measured]
    if len(set(references)) < len(references):
        raise UsageError("a report shows each run once", got=", ".join(references), expected="different runs")


def _document(
    found: ComparedRuns, names: Mapping[str, str], table: FamilyTable | None, progress: Progress
) -> Document:
    measured = {names[one.run.reference]: one for one in found.measured}
    models = {name: load(one.run) for name, one in measured.items()}
    dataset = run_data(found.measured[0].run, progress).shown
    first, *others = names.values()
    manifest = found.measured[0].run.manifest()
    machine = machine_facts()
    chapters = [
        *_one_table(table, models, dataset, found.split),
        Chapter(title="What was compared", blocks=[*run_table(models), *_outdated(measured)]),
        Chapter(
            title="Scores and verdicts", blocks=[*_scores(found, measured), *verdict_blocks(found, names)]
        ),
        Chapter(title="Training", lead=_TRAINING_LEAD, blocks=_training(measured)),
        *_details(found.suite, measured),
        *_samples(models, dataset),
        Chapter(title="Again", blocks=_again(found)),
    ]
    return Document(
        title=f"{', '.join(others)} against {first}",
        subtitle=f"Measured by the suite {found.suite} on the {found.split} split of the same data.",
        facts={
            "data": f"{manifest.data_source} ({manifest.data_hash[:8]})",
            "suite": f"{found.suite} on {found.split}",
            "compared on": machine["processor"],
        },
        chapters=chapters,
        colophon=f"Made by creuset {machine['creuset']}.",
    )


def _outdated(measured: Mapping[str, MeasuredRun]) -> list[Block]:
    """A warning for each run whose scores are of an earlier checkpoint."""
    found = {name: outdated_scores(one.run).get(one.evaluation) for name, one in measured.items()}
    return [Finding(text=f"{name}: {text}.", kind="warning") for name, text in found.items() if text]


def _scores(found: ComparedRuns, measured: Mapping[str, MeasuredRun]) -> list[Block]:
    """The scores of each run, those that were compared first; not those that say the same as others."""
    compared = [one.metric for _, one in found.comparisons]
    others = [metric for one in measured.values() for metric in one.scores if not said_by_others(metric)]
    scores = [
        Measured(subject=name, score=one.scores[metric])
        for metric in dict.fromkeys([*compared, *others])
        for name, one in measured.items()
        if metric in one.scores
    ]
    return [Scores(measured=scores, caption=f"What each run scores; measured: {found.measured_on}.")]


def _training(measured: Mapping[str, MeasuredRun]) -> list[Block]:
    runs = {name: one.run for name, one in measured.items()}
    figures: list[Block] = [*joint_curves(runs)]
    if not losses_are_one_quantity(list(runs.values())):
        text = "The losses of these families are different quantities, and are in no chart together."
        figures += [
            Finding(text=f"{text} Each is beside the others, over the same seconds."),
            *own_losses(runs),
        ]
    elif not figures:
        figures.append(Finding(text="Less than two of these runs were validated while they were trained."))
    return figures


def _details(suite: str, measured: Mapping[str, MeasuredRun]) -> list[Chapter]:
    """What the suite kept beside its scores."""
    documents = {name: one.document for name, one in measured.items()}
    if suite == "text":
        return [Chapter(title="Loss against what was read before", blocks=[loss_by_place(documents)])]
    if suite == "classification":
        rows = [
            Row(figures=[replace(figure, caption=f"{name}: {figure.caption}") for figure in figures])
            for name, document in documents.items()
            for figures in [classification_figures(dict(document))]
        ]
        return [Chapter(title="Where each one errs", blocks=rows)]
    return []


def _one_table(
    table: FamilyTable | None, models: Mapping[str, Loaded], dataset: Dataset, split: str
) -> list[Chapter]:
    """The table of families, with a few samples of each; nothing where there is no such table."""
    if table is None:
        return []
    sheets = small_sheets(models, dataset, split, real=REAL if table.floors else None)
    blocks: list[Block] = [table.grid(sheets, of_sheets=OF_SMALL_SHEETS), *budget_remarks(table)]
    return [Chapter(title="In one table", blocks=blocks)]


def _samples(models: Mapping[str, Loaded], dataset: Dataset) -> list[Chapter]:
    blocks = sample_blocks(models, dataset)
    return [Chapter(title="Samples, side by side", blocks=blocks)] if blocks else []


def _again(found: ComparedRuns) -> list[Block]:
    runs = [one.run for one in found.measured]
    compare = ["creuset", "compare", *(run.reference for run in runs), "--report", "comparison.html"]
    return [
        Commands(commands=[shlex.join(compare)], caption="This comparison."),
        Commands(commands=[again_command(run) for run in runs], caption="The trainings."),
    ]
