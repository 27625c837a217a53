"""Families of pictures in one table: likelihoods with their kind, distances of what is drawn from real
pictures, and what training and drawing took.

A row is ranked only where all of its numbers were measured alike, which their signatures say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from creuset.device import machine_facts
from creuset.metrics.score import Score
from creuset.models.base import Model
from creuset.progress import Progress, Silent
from creuset.reporting.blocks import Grid, GridCell, GridRow, Measured
from creuset.reporting.numbers import fixed, seconds, significant_decimals
from creuset.reporting.score_table import ScoreColumn, printed_metric, score_columns
from creuset.reporting.sheet import Sheet
from creuset.workflows.compare import ComparedRuns
from creuset.workflows.comparison_blocks import num_parameters
from creuset.workflows.drawing_time import DrawingTime, drawing_times
from creuset.workflows.likelihood_kinds import kind_of_likelihood, what_is_likely
from creuset.workflows.load import Loaded, load

REAL = "training pictures"
"""The column of what real pictures reach in place of drawn ones."""
_NLL = "nll"
_OF_SAMPLES = ("fd", "fid", "kd", "kid", "precision", "recall", "density", "coverage")
_NAMES: Mapping[str, str] = {
    "fd": "Frechet distance",
    "fid": "Frechet inception distance",
    "kd": "kernel distance",
    "kid": "kernel inception distance",
}
_FLOOR = "_floor"
_TOLD: Mapping[str, str] = {"none": "nothing", "class": "its class", "text": "phrases of its class"}


@dataclass(frozen=True, kw_only=True)
class FamilyEntry:
    """One run in the table.

    Args:
        run: As it can be typed.
        family: Its family.
        told: What it was told of each picture in training: none, class, text.
        num_parameters: Trained numbers; None for a family that is fitted without gradients.
        steps: Of its training.
        training_seconds: All of it, with validations, sheets and checkpoints.
        data_hash: Of the data with all of its splits.
        scores: By metric.
        drawing: How long it draws; None where that was not timed, or nothing is drawn.
    """

    run: str
    family: str
    told: str
    num_parameters: int | None
    steps: int
    training_seconds: float
    data_hash: str
    scores: Mapping[str, Score]
    drawing: DrawingTime | None

    def to_json(self) -> dict[str, Any]:
        nll, drawing = self.scores.get(_NLL), self.drawing
        return {
            "run": self.run,
            "family": self.family,
            "told": self.told,
            "num_parameters": self.num_parameters,
            "steps": self.steps,
            "training_seconds": self.training_seconds,
            "data_hash": self.data_hash,
            "likelihood": None
            if nll is None
            else {"kind": kind_of_likelihood(nll), "of": what_is_likely(nll)},
            "seconds_per_1000_samples": None
            if drawing is None
            else {
                "median": drawing.per_thousand,
                "extremes": list(drawing.extremes),
                "num_samples": drawing.num_samples,
                "rounds": len(drawing.seconds),
                "threads": drawing.threads,
            },
            "scores": [score.to_json() for score in self.scores.values()],
        }


@dataclass(frozen=True, kw_only=True)
class FamilyTable:
    """Runs that were measured by the suite `images`, side by side.

    Args:
        entries: By the names that they are shown by.
        floors: What real pictures reach, by the metric.
        measured_on: The suite and split.
        processor: What the drawing was timed on.
    """

    entries: Mapping[str, FamilyEntry]
    floors: Mapping[str, Score]
    measured_on: str
    processor: str

    def to_json(self) -> dict[str, Any]:
        """The wire form: a member of `creuset compare --json`."""
        return {
            "measured_on": self.measured_on,
            "processor": self.processor,
            "runs": [entry.to_json() for entry in self.entries.values()],
            "floors": [score.to_json() for score in self.floors.values()],
        }

    def grid(self, sheets: Mapping[str, Sheet] | None = None, of_sheets: str = "") -> Grid:
        """The table as a block.

        Args:
            sheets: A few samples of each run, by the columns' names; None for none.
            of_sheets: What they are, in a few words.
        """
        subjects = [*self.entries, *([REAL] if self.floors else [])]
        groups: dict[str, list[GridRow]] = {
            "Likelihood of held-out pictures": self._likelihood(subjects),
            "What is drawn, against held-out pictures": [
                self._score_row(metric, subjects)
                for metric in _OF_SAMPLES
                if any(metric in entry.scores for entry in self.entries.values())
            ],
            "What it took": self._costs(subjects),
        }
        if sheets:
            cells = [GridCell(text="", sheet=sheets[name]) if name in sheets else None for name in subjects]
            groups["Samples"] = [GridRow(name="samples", small=of_sheets, cells=cells)]
        return Grid(
            subjects=subjects,
            groups={title: rows for title, rows in groups.items() if rows},
            caption=f"All runs in one table; measured: {self.measured_on}.",
            note=self._note(),
        )

    def _likelihood(self, subjects: Sequence[str]) -> list[GridRow]:
        scores = self._scores(_NLL)
        if not scores:
            return []
        kinds = [
            GridCell(text=kind_of_likelihood(scores[name]), small=f"of {what_is_likely(scores[name])}")
            if name in scores
            else None
            for name in subjects
        ]
        return [self._score_row(_NLL, subjects), GridRow(name="kind of NLL", cells=kinds)]

    def _scores(self, metric: str) -> dict[str, Score]:
        found = {name: entry.scores[metric] for name, entry in self.entries.items() if metric in entry.scores}
        return found | ({REAL: self.floors[metric]} if metric in self.floors else {})

    def _score_row(self, metric: str, subjects: Sequence[str]) -> GridRow:
        """Values with intervals; the best are marked where all were measured alike and have intervals."""
        scores = self._scores(metric)
        columns = score_columns([Measured(subject=name, score=score) for name, score in scores.items()])
        of_runs = [score for name, score in scores.items() if name != REAL]
        ranked = len({score.signature for score in of_runs}) == 1 and all(map(_has_interval, of_runs))
        cells = {
            name: _score_cell(column, name, ranked=ranked) for column in columns for name in column.scores
        }
        unit = f"{columns[0].unit}, " if columns[0].unit else ""
        return GridRow(
            name=_NAMES.get(metric, printed_metric(metric)),
            small=f"{unit}{columns[0].better} is better",
            cells=[cells.get(name) for name in subjects],
        )

    def _costs(self, subjects: Sequence[str]) -> list[GridRow]:
        entries = [self.entries.get(name) for name in subjects]
        rows = {
            "family": [None if one is None else GridCell(text=one.family) for one in entries],
            "told of each picture": [
                None if one is None else GridCell(text=_TOLD[one.told]) for one in entries
            ],
            "parameters": [
                None
                if one is None or one.num_parameters is None
                else GridCell(text=f"{one.num_parameters:,}")
                for one in entries
            ],
            "training": [
                None
                if one is None
                else GridCell(text=seconds(one.training_seconds), small=f"{one.steps:,} steps")
                for one in entries
            ],
        }
        if any(entry.drawing is not None for entry in self.entries.values()):
            rows["drawing 1,000 samples"] = [
                None if one is None or one.drawing is None else _drawing_cell(one.drawing) for one in entries
            ]
        return [GridRow(name=name, cells=cells) for name, cells in rows.items()]

    def _note(self) -> str:
        parts = [
            "In brackets: 95% intervals. Bold: the best value of a row with intervals, and each whose "
            "interval overlaps with that of the best. Likelihoods of unlike kind are not ranked: a bound may "
            "be of a better model than an exact likelihood that looks better."
        ]
        if self.floors:
            parts.append(f"The column of {REAL}: as many of them in place of drawn ones.")
        drawn = [entry.drawing for entry in self.entries.values() if entry.drawing is not None]
        if drawn:
            threads = "1 thread" if drawn[0].threads == 1 else f"{drawn[0].threads} threads"
            parts.append(
                f"Drawing: the median of {len(drawn[0].seconds)} rounds of {drawn[0].num_samples:,} samples, "
                f"from the fastest to the slowest below it, on {self.processor} with {threads}."
            )
        else:
            parts.append("How long each takes to draw was not timed: `creuset compare --time-samples 100`.")
        return " ".join(parts)


def family_table(
    found: ComparedRuns,
    names: Mapping[str, str],
    *,
    time_samples: int | None = None,
    progress: Progress | None = None,
) -> FamilyTable | None:
    """The table of compared runs; None of runs that were not measured by the suite `images`.

    Args:
        found: The comparison.
        names: Run as it can be typed -> the name of its column.
        time_samples: Time the drawing of so many samples, three times; None for no timing.
        progress: Who watches.

    Raises:
        NotFoundError, CheckpointError: A run has no checkpoint.
    """
    if found.suite != "images":
        return None
    models = {one.run.reference: load(one.run) for one in found.measured}
    times: Mapping[str, DrawingTime] = {}
    if time_samples is not None:
        times = drawing_times(models, time_samples, Silent() if progress is None else progress)
    entries = {}
    for one in found.measured:
        manifest, reference = one.run.manifest(), one.run.reference
        entries[names[reference]] = FamilyEntry(
            run=reference,
            family=manifest.family,
            told=_told(models[reference]),
            num_parameters=num_parameters(models[reference]),
            steps=manifest.step,
            training_seconds=manifest.seconds,
            data_hash=manifest.data_hash,
            scores=one.scores,
            drawing=times.get(reference),
        )
    floors = [Score.from_json(score) for score in found.measured[0].document["floors"]]
    return FamilyTable(
        entries=entries,
        floors={
            score.metric.removesuffix(_FLOOR): score
            for score in floors
            if score.metric.removesuffix(_FLOOR) in _OF_SAMPLES and score.metric.endswith(_FLOOR)
        },
        measured_on=found.measured_on,
        processor=machine_facts()["processor"],
    )


def _told(loaded: Loaded) -> str:
    return loaded.model.condition if isinstance(loaded.model, Model) else "none"


def _has_interval(score: Score) -> bool:
    """Also an end of what can be reached, such as no sample in any ball, where an interval has no width."""
    return score.interval is not None or score.value == 0


def _score_cell(column: ScoreColumn, name: str, *, ranked: bool) -> GridCell:
    cell = column.cell(name)
    assert cell is not None
    score = column.scores[name]
    whole = column.unit == "%" and score.interval is None  # four digits of a share of few samples say nothing
    return GridCell(
        text=fixed(score.value * column.factor, 1) if whole else cell.value,
        small=cell.interval,
        marked=cell.marked and ranked,
    )


def _drawing_cell(drawing: DrawingTime) -> GridCell:
    low, high = drawing.extremes
    decimals = significant_decimals(drawing.per_thousand, 2)
    return GridCell(
        text=f"{fixed(drawing.per_thousand, decimals)} s",
        small=f"{fixed(low, decimals)} to {fixed(high, decimals)}",
    )
