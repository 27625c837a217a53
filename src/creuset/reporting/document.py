"""A Document as one HTML file that asks for nothing else: no script, no font, no request.

`render` numbers chapters, sections, figures and tables, turns each block into what the template
(report.html.j2) prints, and draws each chart twice: for a page and for a phone. `write_report` puts the file
in place at once or not at all.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from creuset.files import write_atomic
from creuset.reporting import numbers
from creuset.reporting.blocks import (
    Block,
    Cell,
    Commands,
    Document,
    Facts,
    Figure,
    Finding,
    Grid,
    GridCell,
    Passages,
    Row,
    Scores,
    Section,
    Sounds,
    Table,
    Text,
    Timing,
)
from creuset.reporting.charts import NARROW, WIDE
from creuset.reporting.score_table import column_bands, score_charts, score_columns
from creuset.reporting.sheet import Sheet, data_uri
from creuset.reporting.svg import clean, join, tag

_CODE = re.compile("`([^`\n]+)`")
View = dict[str, Any]


def render(document: Document) -> str:
    """The document as HTML; the same document gives the same text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    chapters = [
        _ChapterView(number).chapter(chapter.title, chapter.lead, chapter.blocks)
        for number, chapter in enumerate(document.chapters, start=1)
    ]
    text = environment.get_template("report.html.j2").render(
        title=document.title,
        subtitle=_inline(document.subtitle),
        facts=_facts(document.facts),
        chapters=chapters,
        colophon=_inline(document.colophon),
    )
    return text.lstrip()


def write_report(document: Document, path: Path) -> None:
    """Write the document's HTML to `path`, at once: a reader sees the old file or the whole new one.

    Raises:
        ResourceError: The disk is full.
        UsageError: The folder may not be written to.
    """
    write_atomic(path, render(document))


class _ChapterView:
    """Turns the blocks of one chapter into what the template prints; counts its figures and tables."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._figures = 0
        self._tables = 0

    def chapter(self, title: str, lead: str, blocks: Sequence[Block]) -> View:
        number = str(self._number)
        views = self._blocks(blocks, number)
        return {
            "number": number,
            "anchor": _anchor("chapter", number, title),
            "title": title,
            "lead": _paragraphs(lead),
            "blocks": views,
            "sections": [view for view in views if view["kind"] == "section"],
        }

    def _blocks(self, blocks: Sequence[Block], number: str) -> list[View]:
        views, sections = [], 0
        for block in blocks:
            if isinstance(block, Section):
                sections += 1
                views.append(self._section(block, f"{number}.{sections}"))
            else:
                views.append(self._block(block))
        return views

    def _section(self, section: Section, number: str) -> View:
        return {
            "kind": "section",
            "number": number,
            "level": min(number.count(".") + 2, 6),
            "anchor": _anchor("section", number, section.title),
            "title": section.title,
            "blocks": self._blocks(section.blocks, number),
        }

    def _block(self, block: Block) -> View:
        match block:
            case Text():
                return {"kind": "text", "paragraphs": _paragraphs(block.text)}
            case Figure():
                return self._figure(block, half=False)
            case Row():
                return {
                    "kind": "row",
                    "figures": [self._figure(figure, half=True) for figure in block.figures],
                }
            case Passages():
                return self._next_figure(block.caption) | {"kind": "passages", "texts": block.texts}
            case Sounds():
                return self._sounds(block)
            case Table():
                return self._table(block)
            case Grid():
                return self._grid(block)
            case Scores():
                return self._scores(block)
            case Commands():
                return {
                    "kind": "commands",
                    "commands": "\n".join(block.commands),
                    "caption": _inline(block.caption),
                }
            case Facts():
                return {"kind": "facts", "facts": _facts(block.facts)}
            case Finding():
                return {"kind": "finding", "tone": block.kind, "paragraphs": _paragraphs(block.text)}
            case Timing():
                return self._timing(block)
            case Section():
                raise AssertionError("a section is numbered by _blocks")
            case _:
                assert_never(block)

    def _next_figure(self, caption: str) -> View:
        self._figures += 1
        number = f"{self._number}.{self._figures}"
        anchor = f"figure-{number}".replace(".", "-")
        return {"number": number, "anchor": anchor, "caption": _inline(caption)}

    def _figure(self, figure: Figure, *, half: bool) -> View:
        view = self._next_figure(figure.caption) | {"kind": "figure"}
        if isinstance(figure.drawing, Sheet):
            return view | {"sheet": figure.drawing, "source": data_uri(figure.drawing.png)}
        return view | {"drawings": _drawings(figure.drawing, view["anchor"], half=half)}

    def _sounds(self, sounds: Sounds) -> View:
        clips = [
            {
                "name": clip.name,
                "sheet": clip.picture,
                "source": data_uri(clip.picture.png),
                "sound": data_uri(clip.wav, "audio/wav"),
            }
            for clip in sounds.clips
        ]
        return self._next_figure(sounds.caption) | {"kind": "sounds", "clips": clips}

    def _next_table(self, caption: str) -> View:
        self._tables += 1
        number = f"{self._number}.{self._tables}"
        anchor = f"table-{number}".replace(".", "-")
        return {"number": number, "anchor": anchor, "caption": _inline(caption)}

    def _table(self, table: Table) -> View:
        columns = [_column(table, index) for index in range(len(table.header))]
        return self._next_table(table.caption) | {
            "kind": "table",
            "header": [(name, table.numeric(i)) for i, name in enumerate(table.header)],
            "rows": list(zip(*columns, strict=True)),
            "note": _inline(table.note),
        }

    def _grid(self, grid: Grid) -> View:
        groups = [
            (name, [(row, [(cell, _cell_source(cell)) for cell in row.cells]) for row in rows])
            for name, rows in grid.groups.items()
        ]
        return self._next_table(grid.caption) | {
            "kind": "grid",
            "subjects": grid.subjects,
            "groups": groups,
            "note": _inline(grid.note),
        }

    def _scores(self, scores: Scores) -> View:
        columns = score_columns(scores.measured)
        view = self._next_table(scores.caption)
        charts = score_charts(scores, columns)
        names = [column.metric for column in columns]
        return view | {
            "kind": "scores",
            "bands": column_bands(columns),
            "subjects": list(dict.fromkeys(one.subject for one in scores.measured)),
            "marks": any(column.marked() for column in columns),
            "unlike": len(set(names)) < len(names),
            "charts": [
                _drawings(chart, f"{view['anchor']}-{i}", half=len(charts) > 1)
                for i, chart in enumerate(charts)
            ],
        }

    def _timing(self, timing: Timing) -> View:
        total = sum(timing.seconds.values())
        longest = max(timing.seconds.values(), default=0.0)
        return self._next_table(timing.caption) | {
            "kind": "timing",
            "rows": [
                {
                    "name": name,
                    "seconds": numbers.seconds(value),
                    "share": _share(value, total),
                    "length": f"{100 * value / longest:.1f}" if longest else "0",
                }
                for name, value in timing.seconds.items()
            ],
            "total": numbers.seconds(total),
        }


def _drawings(chart: Any, key: str, *, half: bool) -> list[tuple[str, Markup]]:
    """(CSS class, SVG) of each width that a chart is drawn in; half a page takes the narrow one only."""
    narrow = chart.svg(width=NARROW, key=f"{key}-n")
    if half:
        return [("half", narrow)]
    return [("wide", chart.svg(width=WIDE, key=f"{key}-w")), ("narrow", narrow)]


def _cell_source(cell: GridCell | None) -> str | None:
    """The address of the pictures of a cell."""
    return None if cell is None or cell.sheet is None else data_uri(cell.sheet.png)


def _column(table: Table, index: int) -> list[View]:
    """The cells of one column: text, whether it is a number, whether it is a best value."""
    cells = [row[index] for row in table.rows]
    if not table.numeric(index):
        return [{"text": _cell(cell), "numeric": False, "best": False} for cell in cells]
    values = [None if cell is None else cell for cell in cells if not isinstance(cell, str)]
    better = table.best.get(table.header[index])
    present = [value for value in values if value is not None and value == value]
    best = (max if better == "higher" else min)(present) if better and present else None
    return [
        {"text": text, "numeric": True, "best": best is not None and value == best}
        for text, value in zip(numbers.column(values), values, strict=True)
    ]


def _facts(facts: Any) -> list[tuple[str, Markup]]:
    return [(name, _inline(_cell(value))) for name, value in facts.items()]


def _cell(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else numbers.number(cell)


def _inline(text: str) -> Markup:
    """Plain text, with what stands between backticks as code."""
    pieces = _CODE.split(text)
    return join(tag("code", piece) if i % 2 else piece for i, piece in enumerate(pieces))


def _paragraphs(text: str) -> list[Markup]:
    return [_inline(part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _share(value: float, total: float) -> str:
    if total <= 0:
        return "–"
    share = 100 * value / total
    return f"{share:.0f}%" if share >= 0.5 or value == 0 else "< 1%"


def _anchor(kind: str, number: str, title: str) -> str:
    words = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-")
    return "-".join(part for part in (kind, number.replace(".", "-"), words) if part)


def _finalize(value: Any) -> Any:
    """What the template prints: plain strings without the characters that HTML cannot hold."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else clean(value)
