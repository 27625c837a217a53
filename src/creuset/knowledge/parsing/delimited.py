"""CSV and TSV: each row with the names of its columns, so that a row that is found alone can be read."""

import csv
import io
import sys

from creuset.knowledge.parsing.reading import Bounds, Unreadable, Writer, clean, decode
from creuset.knowledge.records import ParsedDocument

_SNIFFED = 20_000
_MAX_FIELD = 1 << 24


def read(data: bytes, name: str, bounds: Bounds) -> ParsedDocument:
    """The document of a table of records.

    Raises:
        Unreadable: It is no table that Python's csv can read.
    """
    text, encoding = decode(data)
    csv.field_size_limit(min(_MAX_FIELD, sys.maxsize))
    delimiter = "\t" if name.lower().endswith(".tsv") else _delimiter(text[:_SNIFFED])
    writer = Writer(bounds)
    rows = csv.reader(io.StringIO(clean(text)), delimiter=delimiter)
    try:
        header = next((row for row in rows if any(cell.strip() for cell in row)), [])
        names = [cell.strip() or f"column {number}" for number, cell in enumerate(header, 1)]
        count = 0
        for row in rows:
            cells = zip(
                [*names, *(f"column {n}" for n in range(len(names) + 1, len(row) + 1))], row, strict=False
            )
            line = "; ".join(f"{name}: {' '.join(cell.split())}" for name, cell in cells if cell.strip())
            writer.add("table", line)
            count += bool(line)
    except csv.Error as error:
        raise Unreadable(f"no table: {error}") from error
    if not count:
        writer.add("table", "; ".join(names))
    return writer.document(media_type="text/csv", encoding=encoding)


def _delimiter(sample: str) -> str:
    """The mark between cells: the one that stands as often in most lines."""
    lines = [line for line in sample.split("\n")[:50] if line.strip()]
    counts = {mark: [line.count(mark) for line in lines] for mark in ",;\t|"}
    scores = {
        mark: sum(number == held[0] for number in held) * (held[0] > 0)
        for mark, held in counts.items()
        if held
    }
    best = max(scores, key=lambda mark: (scores[mark], mark == ","), default=",")
    return best if scores.get(best) else ","
