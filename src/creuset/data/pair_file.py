"""Files of pairs of texts: a source text and the target text that belongs to it.

.jsonl       one JSON object a line, with a text under each of two names
.csv, .tsv   two columns, read as files of texts are (`text_file.py`)

White space around a text is taken off; within it, line breaks too, it is kept. Empty lines are passed over.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from creuset.data.csv_file import cell_error, long_cells, read_text
from creuset.data.source import Part, Source, counted, listed
from creuset.data.text_file import column_names, column_place, read_rows, unread_columns
from creuset.data.text_lines import read_lines
from creuset.errors import DataError, Problem, did_you_mean

PAIR_SUFFIX = ".jsonl"
SOURCE, TARGET = "source", "target"
"""The names of the two texts where data.source_column and data.target_column say nothing."""

_NEXT = "correct these lines, or remove them"


def read_pairs(path: Path, *, source_column: str | None, target_column: str | None) -> Source:
    """The pairs of a .jsonl, .csv or .tsv file, the last two plain or compressed with gzip.

    Args:
        path: The file.
        source_column: The name of the source texts; None for "source".
        target_column: The name of the target texts; None for "target".

    Raises:
        DataError: A damaged file; a name that is not there, with the nearest one; texts that are empty or no
            text, each as file:line.
    """
    names = (source_column or SOURCE, target_column or TARGET)
    read = _json_lines if path.name.lower().endswith(PAIR_SUFFIX) else _columns
    lines, texts, notes = read(path, names)
    pairs = np.empty((len(texts), 2), dtype=object)
    pairs[:] = texts
    return Source(
        origin=f"{path.name}: {counted(len(texts), 'pair')} of texts",
        kind="pairs",
        num_levels=0,
        parts={
            "train": Part(inputs=pairs, labels=None, names=tuple(f"{path.name}:{line}" for line in lines))
        },
        notes=notes,
    )


_Read = tuple[list[int], list[tuple[str, str]], tuple[str, ...]]
"""The line of each pair, the pairs, and what is worth saying."""


def _json_lines(path: Path, names: tuple[str, str]) -> _Read:
    lines: list[int] = []
    pairs: list[tuple[str, str]] = []
    problems: list[Problem] = []
    others: dict[str, None] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            column = error.colno if isinstance(error, json.JSONDecodeError) else 1
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            problems.append(_problem(path, number, f"this is no JSON: {reason}", column))
            continue
        message = _fault(found, names)
        if message is not None:
            problems.append(_problem(path, number, message))
            continue
        others.update(dict.fromkeys(name for name in found if name not in names))
        lines.append(number)
        pairs.append((found[names[0]].strip(), found[names[1]].strip()))
    if problems:
        raise DataError(
            f"{counted(len(problems), 'wrong line')}\n    {listed(problems)}",
            expected=f'an object a line: {{"{names[0]}": "text", "{names[1]}": "text"}}',
            next_step=_NEXT,
        )
    if not pairs:
        raise DataError("there are no pairs in this file", where=path, got="empty lines alone")
    return lines, pairs, unread_columns(list(others), "neither sources nor targets")


def _fault(found: Any, names: tuple[str, str]) -> str | None:
    """What is wrong with a line's object; None where nothing is."""
    if not isinstance(found, dict):
        return f"this is no object, but {type(found).__name__}"
    for name in names:
        if name not in found:
            return f'no "{name}"{did_you_mean(name, list(found)[:20])}'
        text = found[name]
        if not isinstance(text, str):
            return f'"{name}" is no text, but {type(text).__name__}'
        if not text.strip():
            return f'"{name}" is empty'
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            return f'"{name}" holds half a character (a lone surrogate), which no text can'
    return None


@long_cells()
def _columns(path: Path, names: tuple[str, str]) -> _Read:
    rows = read_rows(path, read_text(path))
    columns = column_names(path, rows[0])
    settings = ("data.source_column", "data.target_column")
    places = [column_place(path, columns, name, of) for name, of in zip(names, settings, strict=True)]
    if len(rows) == 1:
        raise DataError("there are no rows below the header", where=path, got=", ".join(columns[:10]))
    problems: list[Problem] = []
    for line, cells in rows[1:]:
        if len(cells) != len(columns):
            problems.append(
                _problem(path, line, f"{counted(len(cells), 'cell')} where {len(columns)} are expected")
            )
            continue
        empty = next((place for place in places if not cells[place].strip()), None)
        if empty is not None:
            problems.append(_problem(path, line, f'the text "{columns[empty]}" is empty', empty + 1))
    if problems:
        raise cell_error(problems, next_step="correct these rows, or remove them")
    pairs = [(cells[places[0]].strip(), cells[places[1]].strip()) for _, cells in rows[1:]]
    others = [name for place, name in enumerate(columns) if place not in places]
    return [line for line, _ in rows[1:]], pairs, unread_columns(others, "neither sources nor targets")


def _problem(path: Path, line: int, message: str, column: int = 1) -> Problem:
    return Problem(file=str(path), line=line, column=column, message=message)
