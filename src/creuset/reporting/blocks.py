"""What a document is made of: frozen descriptions, drawn by document.py.

A Document holds Chapters, a Chapter holds blocks, a Section is a block that holds further blocks under a
heading of its own. All texts are plain: they are escaped, and only `code` between backticks is set apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from markupsafe import Markup

from creuset.errors import UsageError, did_you_mean
from creuset.metrics.score import Better, Score
from creuset.reporting.charts.curves import Reference
from creuset.reporting.sheet import Sheet

Cell = str | float | int | bool | None
"""A text, a number, a yes or no, or nothing: a dash."""


class Chart(Protocol):
    """A drawing that can be made for any width (reporting/charts)."""

    def svg(self, *, width: int, key: str) -> Markup:
        """The drawing, `width` pixels wide; `key` makes its ids its own within a document."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """Paragraphs, separated by empty lines; `code` between backticks."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart or a sheet of pictures with its caption; it is numbered.

    Args:
        drawing: What is shown; it carries its own text for those who cannot see it.
        caption: What to see in it.
    """

    drawing: Chart | Sheet
    caption: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """Two or more figures side by side where there is room, below each other where there is none."""

    figures: Sequence[Figure]


@dataclass(frozen=True, kw_only=True)
class Passages:
    """Texts side by side where there is room, line for line as they were written; numbered as a figure.

    Args:
        texts: For each, what it is called, and what it says.
        caption: What to read in them.
    """

    texts: Mapping[str, str]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip of sound to be played.

    Args:
        name: What it is called.
        wav: The bytes of a WAV file, which the document holds whole: 21 kB for 8,000 samples.
        picture: What it looks like.
    """

    name: str
    wav: bytes
    picture: Sheet


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """Clips side by side, each with its picture and a player; numbered as a figure.

    Args:
        clips: What is to be heard.
        caption: What to listen for.
    """

    clips: Sequence[Clip]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; it is numbered.

    Args:
        header: The names of the columns.
        rows: The cells; a column of numbers is aligned on its decimal point, None is a dash.
        caption: What it shows.
        note: In small print below, or "".
        best: For each column, by its name, in which a best value is marked: which end is the better one.

    Raises:
        UsageError: A row of another length than the header, or a best value of a column that is not there
            or holds no numbers.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str
    note: str = ""
    best: Mapping[str, Better] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise UsageError(
                    "a row has other cells than the header",
                    where=f'table "{self.caption}"',
                    got=f"{len(row)} cells",
                    expected=f"{len(self.header)}",
                )
        for name in self.best:
            if name not in self.header or not self.numeric(list(self.header).index(name)):
                raise UsageError(
                    "a best value needs a column of numbers",
                    where=f'table "{self.caption}"',
                    got=name,
                    expected=", ".join(n for i, n in enumerate(self.header) if self.numeric(i)),
                )

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers, and nothing else but missing values."""
        cells = [row[column] for row in self.rows if row[column] is not None]
        return bool(cells) and not any(isinstance(cell, str | bool) for cell in cells)


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """What a grid says of one subject.

    Args:
        text: Its value, or "" for a sheet alone.
        small: In small print below, such as an interval, or "".
        marked: Whether it is among the best of its row.
        sheet: Pictures in place of a text.
    """

    text: str
    small: str = ""
    marked: bool = False
    sheet: Sheet | None = None


@dataclass(frozen=True, kw_only=True)
class GridRow:
    """A line of a grid: what it is of, how it is to be read, and a cell a subject; None is a dash."""

    name: str
    cells: Sequence[GridCell | None]
    small: str = ""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table with a column for each subject and a row for each of many measures; it is numbered.

    Args:
        subjects: The names of the columns.
        groups: The rows under the headings of their groups.
        caption: What it shows.
        note: In small print below, or "".

    Raises:
        UsageError: A row with other than one cell a subject.
    """

    subjects: Sequence[str]
    groups: Mapping[str, Sequence[GridRow]]
    caption: str
    note: str = ""

    def __post_init__(self) -> None:
        for row in (row for rows in self.groups.values() for row in rows):
            if len(row.cells) != len(self.subjects):
                raise UsageError(
                    "a row has other cells than the grid has subjects",
                    where=f'grid "{self.caption}", {row.name}',
                    got=f"{len(row.cells)} cells",
                    expected=f"{len(self.subjects)}",
                )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A score and whose it is: a run, a model, a baseline."""

    subject: str
    score: Score


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A table of scores with intervals, and a chart for each measure that several subjects share.

    Scores stand in one column, and in one chart, only if metric, unit and signature are the same.

    Args:
        measured: The scores; subjects and measures appear in the order of their first score.
        caption: What was measured.
        references: For a metric, by its name, figures to compare with, such as chance or a published one;
            drawn into its chart, in the score's unit.
        charts: Draw the charts.

    Raises:
        UsageError: Two scores of one subject with the same metric and signature, or a reference for a metric
            without a score.
    """

    measured: Sequence[Measured]
    caption: str
    references: Mapping[str, Sequence[Reference]] = field(default_factory=dict)
    charts: bool = True

    def __post_init__(self) -> None:
        seen: set[tuple[str, str, str, str]] = set()
        for one in self.measured:
            place = (one.subject, one.score.metric, one.score.unit, one.score.signature)
            if place in seen:
                raise UsageError(
                    f"two scores for one place: {one.score.metric} of {one.subject}",
                    where=f'scores "{self.caption}"',
                    got=one.score.signature,
                    next_step="give the subjects different names",
                )
            seen.add(place)
        metrics = {one.score.metric for one in self.measured}
        for name in self.references:
            if name not in metrics:
                raise UsageError(
                    f'a reference without a score: no score of "{name}"{did_you_mean(name, sorted(metrics))}',
                    where=f'scores "{self.caption}"',
                )


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Commands to type, one a line, to be copied at once."""

    commands: Sequence[str]
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Names and values: what was trained, on what, with what."""

    facts: Mapping[str, Cell]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What follows from the numbers, or what to beware of."""

    text: str
    kind: Literal["finding", "warning"] = "finding"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long each step took, and its share of the whole.

    Args:
        seconds: For each step, in order, its duration.
        caption: What was timed.
    """

    seconds: Mapping[str, float]
    caption: str = "How long each step took"


@dataclass(frozen=True, kw_only=True)
class Section:
    """Blocks under a heading of their own, which the table of contents lists."""

    title: str
    blocks: Sequence["Block"]


Block = (
    Text
    | Figure
    | Row
    | Passages
    | Sounds
    | Table
    | Grid
    | Scores
    | Commands
    | Facts
    | Finding
    | Timing
    | Section
)


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A numbered part of a document.

    Args:
        title: Its heading.
        lead: What it is about, in a sentence or two, or "".
        blocks: What it shows.
    """

    title: str
    blocks: Sequence[Block]
    lead: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A report.

    Args:
        title: Its heading.
        subtitle: One sentence below it, or "".
        facts: The key facts at its top.
        chapters: Its parts.
        colophon: A line at its end: what made it, or "".
    """

    title: str
    subtitle: str
    facts: Mapping[str, Cell]
    chapters: Sequence[Chapter]
    colophon: str = ""
