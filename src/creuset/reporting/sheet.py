"""Sheets: many pictures in one PNG, on a grid, ready to stand in a document.

Legend of shapes: N pictures, H height, W width, C channels (1 grey, 2 red and green, 3 red, green and blue).

Each picture lies on a cell that is `padding` pixels larger on every side, so the cells tile the sheet exactly
and labels beside it can be spaced evenly. The padding and the cells without a picture are transparent: the
sheet takes the colour of its paper. Small pictures are enlarged by a whole number, each pixel a square.
Labels are the document's, not the picture's.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creuset.errors import UsageError

PADDING = 1
_TARGET_SIDE = 56
"""Pictures are enlarged to about this many pixels a side: digits of 28 x 28 twice, of 8 x 8 seven times."""
_GAP_SHARE = 4
"""The gap between two groups of rows is this part of a row."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A PNG with the labels of its grid.

    Args:
        png: The file's bytes.
        width: In pixels.
        height: In pixels.
        alt: What it shows, for those who cannot see it.
        row_labels: One a row of the grid, or () for none.
        column_labels: One a column, or () for none.
        row_heights: The height of each row that has a label, in pixels; () for equal ones.
    """

    png: bytes
    width: int
    height: int
    alt: str
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()
    row_heights: tuple[int, ...] = ()


def picture_sheet(
    pictures: NDArray[np.uint8],
    *,
    alt: str,
    columns: int | None = None,
    scale: int | None = None,
    padding: int = PADDING,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
) -> Sheet:
    """Pictures in rows, from left to right and from top to bottom.

    Args:
        pictures: uint8 (N, H, W, C), one at least.
        alt: What the sheet shows, for those who cannot see it.
        columns: Pictures in a row; None for about 1.6 times as many as there are rows.
        scale: How many times each picture is enlarged; None to bring small ones to about 56 pixels.
        padding: Transparent pixels around each picture; neighbours are twice as far apart.
        row_labels: One a row, or () for none.
        column_labels: One a column, or () for none.

    Raises:
        UsageError: Pictures of another type or form, none at all, or labels that do not fit the grid.
    """
    _check(pictures, alt)
    count = len(pictures)
    if columns is None:
        columns = min(count, max(round(math.sqrt(1.6 * count)), 1))
    if columns < 1:
        raise UsageError("a sheet needs a column", where=alt, got=columns, expected="1 or more")
    rows = [list(pictures[start : start + columns]) for start in range(0, count, columns)]
    return _sheet(rows, columns, pictures.shape[1:], scale, padding, alt, row_labels, column_labels)


def comparison_sheet(
    kinds: Mapping[str, NDArray[np.uint8]],
    *,
    alt: str,
    columns: int = 10,
    scale: int | None = None,
    padding: int = PADDING,
) -> Sheet:
    """Pictures of several kinds below each other: original, corrupted, reconstruction; a row of each.

    Args:
        kinds: For each kind its pictures, uint8 (N, H, W, C), the same number and form in all. Where N is
            beyond `columns`, the rows are repeated for the next ones, after a gap.
        alt: What the sheet shows, for those who cannot see it.
        columns: Pictures in a row.
        scale: How many times each picture is enlarged; None to bring small ones to about 56 pixels.
        padding: Transparent pixels around each picture; neighbours are twice as far apart.

    Raises:
        UsageError: No kinds, kinds that differ in number or form, or no `columns`.
    """
    forms = {name: pictures.shape for name, pictures in kinds.items()}
    if len(set(forms.values())) != 1:
        raise UsageError("kinds of one form are compared", where=alt, got=forms, expected="one shape for all")
    if columns < 1:
        raise UsageError("a sheet needs a column", where=alt, got=columns, expected="1 or more")
    for pictures in kinds.values():
        _check(pictures, alt)
    count, *form = next(iter(forms.values()))
    columns = min(columns, count)
    rows: list[list[NDArray[np.uint8]]] = []
    labels: list[str] = []
    for start in range(0, count, columns):
        if start:
            rows.append([])
            labels.append("")
        for name, pictures in kinds.items():
            rows.append(list(pictures[start : start + columns]))
            labels.append(name)
    return _sheet(rows, columns, tuple(form), scale, padding, alt, labels, ())


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """A file as an address that needs no request."""
    return f"data:{kind};base64," + base64.b64encode(content).decode("ascii")


def _sheet(
    rows: Sequence[Sequence[NDArray[np.uint8]]],
    columns: int,
    form: tuple[int, ...],
    scale: int | None,
    padding: int,
    alt: str,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
) -> Sheet:
    height, width, channels = form
    if scale is None:
        scale = max(_TARGET_SIDE // max(height, width), 1)
    if scale < 1 or padding < 0:
        raise UsageError("scale is 1 or more, padding 0 or more", where=alt, got=f"{scale} and {padding}")
    for kind, labels, size in (("row", row_labels, len(rows)), ("column", column_labels, columns)):
        if len(labels) not in (0, size):
            raise UsageError(
                f"each {kind} needs a label, or none has one", where=alt, got=labels, expected=size
            )
    cell_height, cell_width = scale * height + 2 * padding, scale * width + 2 * padding
    heights = [cell_height if row else cell_height // _GAP_SHARE for row in rows]
    tops = [0, *accumulate(heights)]
    shown = channels if channels == 1 else 3  # of red and green alone, blue stays 0
    canvas = np.zeros((tops[-1], columns * cell_width, shown + 1), dtype=np.uint8)
    for row, row_top in zip(rows, tops, strict=False):
        for j, picture in enumerate(row):
            top, left = row_top + padding, j * cell_width + padding
            cell = canvas[top : top + scale * height, left : left + scale * width]
            cell[..., :channels] = picture.repeat(scale, axis=0).repeat(scale, axis=1)
            cell[..., shown] = 255
    return Sheet(
        png=_png(canvas),
        width=canvas.shape[1],
        height=canvas.shape[0],
        alt=alt,
        row_labels=tuple(row_labels),
        column_labels=tuple(column_labels),
        row_heights=tuple(heights),
    )


def _png(canvas: NDArray[np.uint8]) -> bytes:
    """(H, W, 2) grey with opacity or (H, W, 4) colour with opacity, as a PNG without any metadata."""
    buffer = io.BytesIO()
    Image.fromarray(canvas, "LA" if canvas.shape[2] == 2 else "RGBA").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _check(pictures: NDArray[Any], alt: str) -> None:
    right_form = pictures.ndim == 4 and pictures.shape[3] in (1, 2, 3) and pictures.size > 0
    if pictures.dtype != np.uint8 or not right_form:
        raise UsageError(
            "these are no pictures for a sheet",
            where=alt,
            got=f"{pictures.dtype} {pictures.shape}",
            expected="uint8 (N, H, W, C) with one picture or more and 1, 2 or 3 channels",
        )
