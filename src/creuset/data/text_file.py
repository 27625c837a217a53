"""CSV and TSV files of texts: one column of texts, perhaps one of classes, each row a text.

The first line is the header. In a .tsv file cells are parted by tabs, in a .csv file by commas or semicolons,
whichever the header has more of. A cell in double quotes may hold line breaks, tabs and, doubled, quotes. A
.tsv file need not know quotes: where each line has its number of cells, and a cell begins with a quote but is
not quoted to its end, all quotes of the file are characters. Empty lines are passed over, and white space
around a cell is taken off.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creuset.data.csv_file import MISSING, cell_error, find_labels, long_cells, read_text
from creuset.data.source import Part, Source, counted, encode_labels
from creuset.errors import DataError, Problem, did_you_mean

Row = tuple[int, list[str]]
"""The line that a row begins in, from 1, and its cells."""

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_NEXT = "correct these rows, or remove them"


@long_cells()
def read_texts(path: Path, *, text_column: str, label_column: str | None) -> Source:
    """The texts of a .csv or .tsv file, plain or compressed with gzip.

    Args:
        path: The file.
        text_column: The column with the texts.
        label_column: The column with the classes; None takes one of LABEL_COLUMNS, if there is one.

    Raises:
        DataError: A damaged file; an unknown or unclear column; rows with too few or too many cells, texts
            or labels that are missing, each as file:line:column (columns count from 1).
    """
    rows = read_rows(path, read_text(path))
    columns = column_names(path, rows[0])
    text_place = column_place(path, columns, text_column, "data.text_column")
    others = [name for place, name in enumerate(columns) if place != text_place]
    found = find_labels(path, others, label_column)
    class_place = None if found is None else columns.index(others[found])
    _check(path, rows[1:], columns, text_place, class_place)
    texts = np.empty(len(rows) - 1, dtype=object)
    texts[:] = [cells[text_place].strip() for _, cells in rows[1:]]
    class_names: tuple[str, ...] = ()
    labels: NDArray[np.int64] | None = None
    if class_place is not None:
        class_names, coded = encode_labels({"train": [cells[class_place].strip() for _, cells in rows[1:]]})
        labels = coded["train"]
    names = tuple(f"{path.name}:{line}" for line, _ in rows[1:])
    return Source(
        origin=f"{path.name}: texts",
        kind="texts",
        num_levels=0,
        parts={"train": Part(inputs=texts, labels=labels, names=names)},
        class_names=class_names,
        notes=unread_columns(
            [name for name in others if class_place is None or name != columns[class_place]],
            "neither texts nor classes",
        ),
    )


def read_rows(path: Path, text: str) -> list[Row]:
    """All rows of a file's content that are not empty, the header first."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    header = next((line for line in lines if line.strip()), None)
    if header is None:
        raise DataError("this file is empty", where=path, expected="a header and rows with texts")
    if not path.name.lower().endswith((".tsv", ".tsv.gz")):
        return list(_quoted_rows(path, text, max(",;", key=header.count)))
    plain = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
    even = all(len(cells) == len(plain[0][1]) for _, cells in plain)
    if even and any(cell[:1] == '"' and not _QUOTED.fullmatch(cell) for _, row in plain for cell in row):
        return plain
    return list(_quoted_rows(path, text, "\t"))


def _quoted_rows(path: Path, text: str, delimiter: str) -> Iterator[Row]:
    """The rows as the csv module cuts them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}:1: the row that begins here cannot be cut into cells",
            got=error,
            next_step="close the quotes and double those within, or write the file again with a CSV tool",
        ) from error


def column_names(path: Path, header: Row) -> list[str]:
    """The names of the columns; raises DataError where two are equal."""
    line, cells = header
    columns = [cell.strip() for cell in cells]
    for place, name in enumerate(columns):
        if columns.index(name) < place:
            raise DataError(
                f'{path}:{line}:{place + 1}: a second column is called "{name}"',
                next_step="give each column its own name",
            )
    return columns


def column_place(path: Path, columns: Sequence[str], name: str, setting: str) -> int:
    """The place of the column that a setting names; raises DataError with the nearest where it is none."""
    if name not in columns:
        raise DataError(
            f'no column "{name}"{did_you_mean(name, columns[:20])}',
            where=path,
            got=", ".join(f'"{column[:40]}"' for column in columns[:10]),
            expected="a header with the name of each column",
            next_step=f"set {setting} to the column of the texts",
        )
    return columns.index(name)


def _check(
    path: Path, rows: Sequence[Row], columns: Sequence[str], text_place: int, class_place: int | None
) -> None:
    """Refuses rows that are not a text with, where there are classes, its class."""
    if not rows:
        raise DataError("there are no rows below the header", where=path, got=", ".join(columns[:10]))
    problems = []
    for line, cells in rows:
        if len(cells) != len(columns):
            place, message = 0, f"{counted(len(cells), 'cell')} where {len(columns)} are expected"
        elif not cells[text_place].strip():
            place, message = text_place, f'the text "{columns[text_place]}" is empty'
        elif class_place is not None and cells[class_place].strip().lower() in MISSING:
            place, message = class_place, f'the label "{columns[class_place]}" is missing'
        else:
            continue
        problems.append(Problem(file=str(path), line=line, column=place + 1, message=message))
    if problems:
        raise cell_error(problems, next_step=_NEXT)


def unread_columns(names: Sequence[str], what: str) -> tuple[str, ...]:
    """A remark on columns that are not read; `what` says which they are not, as "neither a nor b"."""
    if not names:
        return ()
    shown = ", ".join(names[:10]) + (", .." if len(names) > 10 else "")
    return (f"{counted(len(names), 'column')} not read, {what}: {shown}",)
