"""Files of records, objects with named values, whatever they are about.

.jsonl, .ndjson   an object a line; .jsonl.gz too
.json             an array of objects
.csv, .tsv        a header and a row a record, whose values are texts (`text_file.py`); with .gz too
.parquet          a table, read by pyarrow where that is installed

Each record knows where it begins, so that whoever reads its values can name the place. All wrong lines of a
file are named together. Empty lines are passed over.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from json.decoder import JSONDecoder
from pathlib import Path
from typing import Any

from creuset.data.csv_file import long_cells, read_text
from creuset.data.source import counted, listed
from creuset.data.text_file import column_names, read_rows
from creuset.data.text_lines import read_lines
from creuset.errors import DataError, NotFoundError, Problem, RowsError

NEXT = "correct these places, or remove the records"
_SPACE = " \t\n\r"
_SHOWN = 200
"""Characters of a wrong record in an error."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """An object of a file.

    Args:
        values: Its values by name.
        file: The file.
        line: Where it begins, from 1; in a table its row.
        column: Likewise.
    """

    values: Mapping[str, Any]
    file: str
    line: int
    column: int = 1

    @property
    def place(self) -> str:
        """file:line, for people."""
        return f"{Path(self.file).name}:{self.line}"

    def problem(self, message: str) -> Problem:
        """What is wrong with it."""
        return Problem(file=self.file, line=self.line, column=self.column, message=message)

    def problem_shown(self, message: str) -> Problem:
        """The same, with the record as it stands in the file."""
        return replace(self.problem(message), shown=shown(self.values))


def read_records(path: Path) -> list[Record]:
    """The records of a file, one at least.

    Raises:
        NotFoundError: There is no such file.
        DataError: Another kind of file, a damaged one, one without records, or records that are no objects,
            each as file:line:column.
    """
    if path.is_dir():
        raise DataError(
            "no .txt files in this folder", where=path, expected="a file of records, or .txt files"
        )
    name = path.name.lower()
    read = next((reader for suffixes, reader in _READERS.items() if name.endswith(suffixes)), None)
    if read is None:
        raise DataError(
            "the name of this file does not say what is in it",
            where=path,
            expected="a name that ends with "
            + ", ".join((*(ending for each in _READERS for ending in each), ".txt")),
        )
    if not path.exists():
        raise NotFoundError("no such file", where=path)
    if path.stat().st_size == 0:
        raise DataError("there are no records in this file", where=path, got="0 bytes")
    problems: list[Problem] = []
    records = list(read(path, problems))
    if problems:
        raise refusal(problems)
    if not records:
        raise DataError("there are no records in this file", where=path)
    return records


def refusal(problems: list[Problem], *, next_step: str = NEXT) -> RowsError:
    """One error for all that is wrong in a file."""
    return RowsError(f"{counted(len(problems), 'wrong record')}\n    {listed(problems)}", next_step=next_step)


def shown(values: object) -> str:
    """A record for people, in one line, its middle left out where it is long."""
    text = json.dumps(values, default=str, ensure_ascii=False)
    text = text.encode("utf-8", "backslashreplace").decode()  # half a character cannot be printed
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN // 2]} [...] {text[-_SHOWN // 2 :]}"


def _json_lines(path: Path, problems: list[Problem]) -> Iterator[Record]:
    packed = path.name.lower().endswith(".gz")
    lines = read_text(path).split("\n") if packed else read_lines(path)
    _require_no_array(path, lines)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(_no_json(path, error, number, 1))
            continue
        yield from _object(path, found, number, 1, problems)


def _require_no_array(path: Path, lines: list[str]) -> None:
    """Refuses an array of objects, over several lines or in one, in a file of an object a line."""
    number = next((number for number, line in enumerate(lines, 1) if line.strip()), 0)
    first = lines[number - 1].replace(" ", "") if number else ""
    if first == "[" or first.startswith("[{"):
        raise DataError(
            f"{path}:{number}:1: this is an array of objects, not an object a line",
            next_step="give the file a name that ends with .json",
        )


def _json_array(path: Path, problems: list[Problem]) -> Iterator[Record]:
    """The elements of an array one by one, each with its place."""
    text = "\n".join(read_lines(path))
    decoder, place = JSONDecoder(), _Place(text)
    place.pass_space()
    if not place.passes("["):
        raise DataError(
            f"{path}:{place.line}:{place.column}: this is no array of objects",
            got=repr(text[place.index : place.index + 20]),
            expected="[{...}, {...}], or one object a line in a file called .jsonl",
        )
    place.pass_space()
    while not place.passes("]"):
        line, column, begin = place.line, place.column, place.index
        try:
            found, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError) as error:
            problems.append(_no_json(path, error, line, column, text[:begin]))
            return  # where the next one begins is not known
        place.go_to(end)
        yield from _object(path, found, line, column, problems)
        place.pass_space()
        if place.passes(","):
            place.pass_space()
        elif not place.sees("]"):
            message = "this is no JSON: a comma or ] is missing"
            problems.append(Problem(file=str(path), line=place.line, column=place.column, message=message))
            return
    place.pass_space()
    if place.index < len(text):
        message = "this is no JSON: something stands behind the array"
        problems.append(Problem(file=str(path), line=place.line, column=place.column, message=message))


class _Place:
    """A place in a text, as index and as line and column."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.index, self.line, self._line_begin = 0, 1, 0

    @property
    def column(self) -> int:
        return self.index - self._line_begin + 1

    def go_to(self, index: int) -> None:
        breaks = self._text.count("\n", self.index, index)
        if breaks:
            self.line += breaks
            self._line_begin = self._text.rindex("\n", self.index, index) + 1
        self.index = index

    def pass_space(self) -> None:
        index = self.index
        while index < len(self._text) and self._text[index] in _SPACE:
            index += 1
        self.go_to(index)

    def sees(self, mark: str) -> bool:
        return self._text.startswith(mark, self.index)

    def passes(self, mark: str) -> bool:
        """Whether the mark is next; then it is behind."""
        if not self.sees(mark):
            return False
        self.go_to(self.index + len(mark))
        return True


def _no_json(path: Path, error: Exception, line: int, column: int, before: str = "") -> Problem:
    """Where a text is no JSON; `before` is what stands before the part that was read."""
    if isinstance(error, json.JSONDecodeError):
        inside = error.doc.count("\n", len(before), error.pos)
        line, column = (
            line + inside,
            error.colno if inside or not before else column + error.pos - len(before),
        )
        message = f"this is no JSON: {error.msg}"
    else:
        message = f"this is no JSON: {error}"
    return Problem(file=str(path), line=line, column=column, message=message)


def _object(path: Path, found: Any, line: int, column: int, problems: list[Problem]) -> Iterator[Record]:
    if isinstance(found, dict):
        yield Record(values=found, file=str(path), line=line, column=column)
    else:
        message = f"this is no object, but {type(found).__name__}"
        problems.append(Problem(file=str(path), line=line, column=column, message=message))


@long_cells()
def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    rows = read_rows(path, read_text(path))
    return column_names(path, rows[0]), rows[1:]


def table_header(path: Path) -> list[str]:
    """The names of a table's columns, without a look at its rows.

    Raises:
        DataError: It is damaged, or empty.
        OSError: It cannot be read.
    """
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig", errors="replace") as file:
        line = next((line for line in file if line.strip()), "")
    return column_names(path, read_rows(path, line)[0])


def _table(path: Path, problems: list[Problem]) -> Iterator[Record]:
    columns, rows = _read_table(path)
    for line, cells in rows:
        if len(cells) != len(columns):
            message = f"{counted(len(cells), 'cell')} where {len(columns)} are expected"
            problems.append(Problem(file=str(path), line=line, column=1, message=message))
        else:
            yield Record(values=dict(zip(columns, cells, strict=True)), file=str(path), line=line)


def _parquet(path: Path, _problems: list[Problem]) -> Iterator[Record]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DataError(
            "Parquet files are read by pyarrow, which is not installed",
            where=path,
            next_step="pip install pyarrow, or save the table as .jsonl",
        ) from error
    try:
        rows = parquet.read_table(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise DataError("damaged: this is no Parquet file", where=path, got=str(error)[:200]) from error
    for number, row in enumerate(rows, 1):
        yield Record(values=row, file=str(path), line=number)


_READERS: dict[tuple[str, ...], Callable[[Path, list[Problem]], Iterator[Record]]] = {
    (".jsonl", ".ndjson", ".jsonl.gz"): _json_lines,
    (".json",): _json_array,
    (".csv", ".tsv", ".csv.gz", ".tsv.gz"): _table,
    (".parquet",): _parquet,
}
