"""A matrix as shades: attention weights, correlations, confusions.

Shades are 16 opacities of one colour over the paper, so that "more" is more ink on light paper and more light
on dark paper. A matrix with negative numbers takes a second colour for them, around zero. Neighbours of the
same shade in a row are one stroke, so that a 64 x 64 matrix stays a small drawing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from creuset.errors import UsageError
from creuset.reporting.charts.frame import LINE_HEIGHT, WIDE, not_drawn, note_lines
from creuset.reporting.numbers import fixed, number, significant_decimals
from creuset.reporting.svg import FONT_SIZE, coordinate, drawing, join, label, tag, text_width

NUM_SHADES = 16
"""Opacities that are told apart."""
_LARGEST_CELL, _LARGEST_HEIGHT = 44, 460
"""Of one cell, and of all rows together, in pixels: a matrix fits on a page with what stands around it."""
_NAME_SHARE = 0.3
_KEY_STEPS, _KEY_CELL = 8, 12


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatMap:
    """A matrix as shades.

    Args:
        title: What the chart shows, for those who cannot see it.
        values: (rows, columns); what is not finite stays blank, is counted and said.
        row_names: One a row, or () for none.
        column_names: One a column, or () for none.
        rows: What the rows are: "query", "true class".
        columns: What the columns are.
        measure: What a shade means, with its unit: "attention weight".
        texts: What is written into the cells, where there is room; None for the values' own numbers,
            () for nothing.

    Raises:
        UsageError: Values that are not a matrix, or another number of names or texts.
    """

    title: str
    values: NDArray[Any]
    measure: str
    row_names: Sequence[str] = ()
    column_names: Sequence[str] = ()
    rows: str = ""
    columns: str = ""
    texts: Sequence[Sequence[str]] | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or 0 in self.values.shape:
            raise UsageError("a heat map takes a matrix", where=self.title, got=self.values.shape)
        for names, size in zip((self.row_names, self.column_names), self.values.shape, strict=True):
            if len(names) not in (0, size):
                raise UsageError(
                    "each row and column needs a name, or none has one",
                    where=self.title,
                    got=f"{len(names)} names",
                    expected=f"{size} or 0",
                )
        if self.texts and (len(self.texts), len(self.texts[0])) != self.values.shape:
            raise UsageError("each cell needs a text", where=self.title, expected=self.values.shape)

    def svg(self, *, width: int = WIDE, key: str = "chart") -> Markup:
        """The drawing, `width` pixels wide; `key` makes its ids its own within a document."""
        layout = _Layout(self, width)
        body = join(
            [
                shade_strokes(layout.shades, left=layout.left, top=layout.top, cell=layout.cell),
                *_cell_texts(self, layout),
                *_names(self, layout),
                _key(self, layout),
                note_lines(layout.notes, width=width, bottom=layout.height),
            ]
        )
        return drawing(
            body, width=width, height=layout.height, key=key, title=self.title, description=self.describe()
        )

    def describe(self) -> str:
        """The matrix in words: its size, and where it is largest."""
        rows, columns = self.values.shape
        text = f"{self.measure}: {rows} rows ({self.rows}), {columns} columns ({self.columns})."
        if np.isfinite(self.values).any():
            row, column = divmod(int(np.nanargmax(_finite(self.values))), columns)
            row_name = self.row_names[row] if self.row_names else str(row + 1)
            column_name = self.column_names[column] if self.column_names else str(column + 1)
            largest = number(float(self.values[row, column]))
            text += f" Largest: {largest}, row {row_name}, column {column_name}."
        return text


def confusion_matrix(
    title: str, counts: NDArray[Any], class_names: Sequence[str], *, rows: str = "true class"
) -> HeatMap:
    """How often each class was taken for each other: shades are shares of a row, texts are counts.

    Args:
        title: What the chart shows, for those who cannot see it.
        counts: (classes, classes) whole numbers; row: the true class, column: the predicted one.
        class_names: One a class.
        rows: What the rows are.

    Raises:
        UsageError: Counts that are no square matrix, or another number of names.
    """
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise UsageError("a confusion matrix is square", where=title, got=counts.shape)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape, dtype=np.float64), where=totals > 0)
    return HeatMap(
        title=title,
        values=shares,
        measure="share of the row",
        row_names=class_names,
        column_names=class_names,
        rows=rows,
        columns="predicted class",
        texts=[["" if count == 0 else f"{count:,}" for count in row] for row in counts.tolist()],
    )


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    """The values as float64, NaN where they are not finite."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


class _Layout:
    """Where everything of one HeatMap lies at one width, and the shade of each cell."""

    def __init__(self, chart: HeatMap, width: int) -> None:
        values = _finite(chart.values)
        self.num_rows, self.num_columns = values.shape
        missing = int(np.isnan(values).sum())
        self.notes = not_drawn(missing, values.size, log=False)
        finite = values[np.isfinite(values)]
        self.high = max(float(finite.max(initial=0.0)), 0.0)
        self.low = min(float(finite.min(initial=0.0)), 0.0)
        largest = max(self.high, -self.low) or 1.0
        self.shades = np.rint(np.nan_to_num(values) / largest * NUM_SHADES).astype(int)
        self.missing = np.isnan(values)

        names = max((text_width(name) for name in chart.row_names), default=0.0)
        self.left = min(names, _NAME_SHARE * width) + (8 if chart.row_names else 1)
        across, down = (width - self.left - 1) / self.num_columns, _LARGEST_HEIGHT / self.num_rows
        self.cell: float = min(across, down, _LARGEST_CELL)
        tops = [text_width(name) for name in chart.column_names]
        self.turned = max(tops, default=0.0) > self.cell - 4
        top_names = 0.0 if not tops else min(max(tops), 90.0) if self.turned else FONT_SIZE
        self.key_top = 2
        heads = 40 if chart.rows or chart.columns else 22
        self.top = self.key_top + heads + top_names + (8 if tops else 0)
        self.bottom = self.top + self.cell * self.num_rows
        self.height = self.bottom + 4 + LINE_HEIGHT * len(self.notes)

    def stride(self) -> int:
        """Every how many names there is room for one."""
        return math.ceil((FONT_SIZE + 2) / self.cell)


def shade_strokes(shades: NDArray[np.int_], *, left: float, top: float, cell: float) -> Markup:
    """A matrix, one path a shade: a stroke of one cell's width for each run of a shade in a row.

    Args:
        shades: (rows, columns), in -NUM_SHADES..NUM_SHADES; 0 stays paper.
        left: Where its first column begins, in pixels.
        top: Where its first row begins.
        cell: The side of a cell.
    """
    num_rows, num_columns = shades.shape
    strokes: dict[int, list[str]] = {}
    for row in range(num_rows):
        column = 0
        while column < num_columns:
            shade, start = int(shades[row, column]), column
            while column < num_columns and shades[row, column] == shade:
                column += 1
            if shade:
                strokes.setdefault(shade, []).append(f"M{start} {row}.5h{column - start}")
    paths = [
        tag(
            "path",
            class_="heat" if shade > 0 else "heat negative",
            stroke_opacity=_opacity(shade),
            d="".join(strokes[shade]),
        )
        for shade in sorted(strokes)
    ]
    place = f"translate({coordinate(left)} {coordinate(top)}) scale({cell:.4f})"
    outline = tag("rect", class_="outline", width=num_columns, height=num_rows)
    return tag("g", *paths, outline, transform=place)


def _opacity(shade: int) -> str:
    return f"{abs(shade) / NUM_SHADES:.4g}"


def _cell_texts(chart: HeatMap, layout: _Layout) -> list[Markup]:
    texts = chart.texts
    if texts is None:
        decimals = significant_decimals(max(layout.high, -layout.low), 2)
        texts = [[fixed(float(value), decimals) for value in row] for row in _finite(chart.values)]
    widest = max((text_width(text) for row in texts for text in row), default=0.0)
    if not texts or widest > layout.cell - 2 or layout.cell < FONT_SIZE + 4:
        return []
    parts = []
    for row, cells in enumerate(texts):
        for column, text in enumerate(cells):
            if not text or layout.missing[row, column]:
                continue
            x = layout.left + (column + 0.5) * layout.cell
            y = layout.top + (row + 0.5) * layout.cell + 4
            dark = abs(int(layout.shades[row, column])) > 0.55 * NUM_SHADES
            parts.append(label(x, y, text, anchor="middle", kind="cell over" if dark else "cell"))
    return parts


def _names(chart: HeatMap, layout: _Layout) -> list[Markup]:
    parts = []
    for row in range(0, len(chart.row_names), layout.stride()):
        y = layout.top + (row + 0.5) * layout.cell + 4
        name = chart.row_names[row]
        parts.append(label(layout.left - 6, y, name, anchor="end", kind="tick", width=layout.left - 6))
    for column in range(0, len(chart.column_names), layout.stride()):
        x, name = layout.left + (column + 0.5) * layout.cell, chart.column_names[column]
        if layout.turned:
            parts.append(label(x + 4, layout.top - 5, name, kind="tick", width=90, turned=True))
        else:
            parts.append(label(x, layout.top - 6, name, anchor="middle", kind="tick"))
    return parts


def _key(chart: HeatMap, layout: _Layout) -> Markup:
    """What the shades mean, and above the matrix what its columns and rows are."""
    parts = [shade_key(layout.low, layout.high, chart.measure, top=layout.key_top)]
    heads = " · ".join(
        f"{kind}: {what}" for kind, what in (("rows", chart.rows), ("columns", chart.columns)) if what
    )
    if heads:
        parts.append(label(0, layout.key_top + 32, heads))
    return join(parts)


def shade_key(low: float, high: float, measure: str, *, top: float) -> Markup:
    """What the shades mean: a strip of them between their ends, 12 pixels high.

    Args:
        low: The lowest value, 0 or below.
        high: The highest one, 0 or above.
        measure: What they are, with its unit.
        top: Upper edge.
    """
    steps = range(-_KEY_STEPS if low < 0 else 0, _KEY_STEPS + 1 if high > 0 or not low else 1)
    largest = max(high, -low)
    first, last = number(-largest if low < 0 else 0.0, 3), number(largest if high > 0 else 0.0, 3)
    x = text_width(first) + 6
    cells = [
        tag(
            "rect",
            class_="heat-key" if step >= 0 else "heat-key negative",
            x=x + i * _KEY_CELL,
            y=top,
            width=_KEY_CELL,
            height=12,
            fill_opacity=f"{abs(step) / _KEY_STEPS:.4g}",
        )
        for i, step in enumerate(steps)
    ]
    end = x + len(steps) * _KEY_CELL
    return join(
        [
            label(0, top + 10, first, kind="tick"),
            *cells,
            tag("rect", class_="outline", x=x, y=top, width=end - x, height=12),
            label(end + 6, top + 10, f"{last}  {measure}", kind="tick"),
        ]
    )
