"""A CSV file cut into rows, its columns named and its labels taken out; the numbers stay text.

The first line is the header, unless all of its cells are numbers; columns without a header are called 1, 2,
3 and so on. Numbers that count two or more columns from 0 or 1 are a header as well, as pandas writes it,
unless all lines are such. Cells are parted by commas, semicolons or tabs, whichever the first line has most
of; a cell may be in double quotes, but hold no line break. Empty lines are passed over.
"""

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from creuset.data.source import counted, listed
from creuset.errors import DataError, Problem, did_you_mean

CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
"""How the names of such files end, in lower case."""
LABEL_COLUMNS = ("label", "class", "target")
"""A column with one of these names, in any case, holds the labels where data.label_column says nothing."""
NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""Cells that say that there is no value, in lower case."""

_NEXT = "correct these cells, remove rows or columns that hold no numbers, or set data.text_column for texts"
_LONGEST_CELL = 2**31 - 1
_BOMB_RATIO = 200
_BOMB_BYTES = 1 << 28


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The rows of a CSV file.

    Args:
        path: The file.
        rows: The rows as they stand, without the header.
        line_numbers: The line of each row in the file, from 1.
        delimiter: What parts the cells.
        columns: The names of all columns.
        label_place: Which of them holds the labels; None where none does.
        labels: The label of each row; empty where there are none.
        notes: What is legal but worth saying.
    """

    path: Path
    rows: Sequence[str]
    line_numbers: Sequence[int]
    delimiter: str
    columns: tuple[str, ...]
    label_place: int | None
    labels: Sequence[str]
    notes: tuple[str, ...] = ()


@contextmanager
def long_cells() -> Iterator[None]:
    """Lets the csv module read cells of any length, where its own limit is 131,072 characters.

    The limit is one of the whole process, and is put back at the end.
    """
    usual = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


@long_cells()
def cut_csv(path: Path, label_column: str | None) -> Sheet:
    """Rows, columns and labels of a CSV or TSV file, plain or compressed with gzip.

    Raises:
        DataError: A damaged file; an unknown or unclear label column; rows of different length; labels that
            are missing.
    """
    lines = [line.rstrip("\r") for line in read_text(path).split("\n")]
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise DataError("this file is empty", where=path, expected="a header and rows of numbers")
    line_numbers, rows = map(list, zip(*numbered, strict=True))
    delimiter = max(",;\t", key=rows[0].count)
    cells = _cells(path, line_numbers, rows, delimiter)
    first = next(cells)
    columns, is_header = _columns(path, line_numbers[0], first)
    counts = not is_header and _is_count(first)
    if counts and not all(map(_is_count, _cells(path, line_numbers, rows, delimiter))):
        columns, is_header = tuple(cell.strip() for cell in first), True
    label_place = find_labels(path, columns, label_column)
    labels: list[str] = [] if is_header or label_place is None else [first[label_place].strip()]
    problems: list[Problem] = []
    for number, row in zip(line_numbers[1:], cells, strict=True):
        message, place = None, 0
        if len(row) != len(columns):
            message = f"{counted(len(row), 'cell')} where {len(columns)} are expected"
        elif label_place is not None:
            labels.append(row[label_place].strip())
            if labels[-1].lower() in MISSING:
                message, place = f'the label "{columns[label_place]}" is missing', label_place
        if message is not None:
            problems.append(Problem(file=str(path), line=number, column=place + 1, message=message))
    if problems:
        raise cell_error(problems)
    if is_header:
        del rows[0], line_numbers[0]
    if not rows:
        raise DataError("there are no rows below the header", where=path, got=", ".join(columns[:10]))
    return Sheet(
        path=path,
        rows=rows,
        line_numbers=line_numbers,
        delimiter=delimiter,
        columns=columns,
        label_place=label_place,
        labels=labels,
        notes=_count_note(columns) if counts and is_header else (),
    )


def cell_error(problems: Sequence[Problem], *, next_step: str = _NEXT) -> DataError:
    """One error for all wrong cells of a file: how many in which columns, and the first of them by place."""
    by_column = Counter(problem.column for problem in problems)
    columns = ", ".join(f"column {column} ({number:,})" for column, number in by_column.most_common(5))
    return DataError(
        f"{counted(len(problems), 'wrong cell')}\n    {listed(problems)}",
        got=columns + (", .." if len(by_column) > 5 else ""),
        next_step=next_step,
    )


def _cells(
    path: Path, line_numbers: Sequence[int], rows: Sequence[str], delimiter: str
) -> Iterator[list[str]]:
    """Each row's cells."""
    reader = csv.reader(rows, delimiter=delimiter, strict=True)
    try:
        for place, cells in enumerate(reader):
            if reader.line_num != place + 1:
                raise DataError(
                    f"{path}:{line_numbers[place]}:1: a cell in quotes goes on in the next line",
                    expected="one row a line",
                    next_step="close the quotes, or take the line break out of the cell",
                )
            yield cells
    except csv.Error as error:
        raise DataError(
            f"{path}:{line_numbers[reader.line_num - 1]}:1: cannot be cut into cells",
            got=error,
            next_step="close the quotes, or write the file again with a CSV tool",
        ) from error


def read_text(path: Path) -> str:
    """The whole file as text, decompressed within bounds; raises DataError where it is no UTF-8 text."""
    size = path.stat().st_size
    most = max(_BOMB_BYTES, _BOMB_RATIO * size)
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    try:
        if compressed:
            with gzip.open(path) as packed:
                content = packed.read(most + 1)
        else:
            content = path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            "cannot be decompressed: the file is damaged or cut short",
            where=path,
            got=error,
            next_step="download or compress it again",
        ) from error
    if len(content) > most:
        raise DataError(
            "this file expands suspiciously",
            where=path,
            got=f"{size:,} bytes that become more than {most:,}",
            next_step="decompress it yourself if it is what you expect",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "the file is not UTF-8 text",
            where=path,
            got=f"byte 0x{content[error.start]:02x} in line {content.count(10, 0, error.start) + 1}",
            next_step="save it as UTF-8",
        ) from error
    if "\0" in text:
        raise DataError("this is no text file", where=path, got="a zero byte", expected="CSV")
    return text


def _columns(path: Path, line_number: int, cells: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """The names of the columns, and whether the line that they come from is a header."""
    names = tuple(cell.strip() for cell in cells)
    numeric = [name for name in names if NUMBER.fullmatch(name)]
    if len(numeric) == len(names):
        return tuple(str(place) for place in range(1, len(names) + 1)), False
    # pandas calls nameless columns 0, 1, 2; other numbers in the first line are data without a header.
    if numeric not in ([str(start + place) for place in range(len(numeric))] for start in (0, 1)):
        raise DataError(
            f"{path}:{line_number}:1: the first line mixes names and numbers",
            got=", ".join(names[:6]) + (", .." if len(names) > 6 else ""),
            expected="a header with the name of each column, or numbers only",
            next_step="add a header line",
        )
    for place, name in enumerate(names):
        if not name or name in names[:place]:
            what = f'a second column is called "{name}"' if name else "a column has no name"
            raise DataError(
                f"{path}:{line_number}:{place + 1}: {what}", next_step="give each column its own name"
            )
    return names, True


def _is_count(cells: Sequence[str]) -> bool:
    """Whether a line counts its two or more columns, from 0 or from 1: a header of pandas, or a sample."""
    names = [cell.strip() for cell in cells]
    counts = ([str(start + place) for place in range(len(names))] for start in (0, 1))
    return len(names) > 1 and names in counts


def _count_note(columns: Sequence[str]) -> tuple[str, ...]:
    shown = ", ".join(columns) if len(columns) < 4 else f"{columns[0]}, {columns[1]}, .. {columns[-1]}"
    return (f"the first line {shown} is taken as the columns' names",)


def find_labels(path: Path, columns: Sequence[str], label_column: str | None) -> int | None:
    """The place of the column with the classes: `label_column`, else the one in LABEL_COLUMNS, if any.

    Raises:
        DataError: There is no such column, or there are several of LABEL_COLUMNS.
    """
    if label_column is not None:
        if label_column not in columns:
            raise DataError(
                f'no column "{label_column}"{did_you_mean(label_column, columns[:20])}',
                where=path,
                got=counted(len(columns), "column"),
                next_step="set data.label_column to one of the columns (without a header: 1, 2, 3 and so on)",
            )
        return columns.index(label_column)
    places = [place for place, name in enumerate(columns) if name.lower() in LABEL_COLUMNS]
    if len(places) > 1:
        raise DataError(
            "several columns could hold the labels",
            where=path,
            got=", ".join(columns[place] for place in places),
            next_step="set data.label_column to one of them",
        )
    return places[0] if places else None
