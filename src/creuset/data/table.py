"""CSV files: tables of numbers with a column of classes, or pictures as rows of pixels.

How rows and columns are told apart is described in csv_file.py. All columns but the labels are numbers.
Pictures (`image_size` given) have their pixels row by row in 0..255, for colour the three channels of a pixel
side by side.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creuset.data.arrays import as_pictures, dark_note
from creuset.data.csv_file import MISSING, NUMBER, Sheet, cell_error, cut_csv, long_cells
from creuset.data.source import Part, Source, counted, encode_labels, require_memory
from creuset.errors import DataError, Problem

_LARGEST = float(np.finfo(np.float32).max)


def read_csv(path: Path, *, label_column: str | None, image_size: tuple[int, int] | None) -> Source:
    """A CSV or TSV file, plain or compressed with gzip.

    Args:
        path: The file.
        label_column: The column with the classes; None takes one of LABEL_COLUMNS, if there is one.
        image_size: Height and width of the picture that each row holds; None for a table.

    Raises:
        DataError: A damaged file; an unknown or unclear label column; rows of different length; cells that
            are missing or no numbers, each as file:line:column (columns count from 1).
    """
    sheet = cut_csv(path, label_column)
    places = [place for place in range(len(sheet.columns)) if place != sheet.label_place]
    if not places:
        raise DataError("there are no columns besides the labels", where=path, got=", ".join(sheet.columns))
    require_memory(path, 8 * len(places) * len(sheet.rows))
    numbers = _numbers(sheet, places)
    class_names: tuple[str, ...] = ()
    labels: NDArray[np.int64] | None = None
    if sheet.label_place is not None:
        class_names, coded = encode_labels({"train": sheet.labels})
        labels = coded["train"]
    names = tuple(f"{path.name}:{line}" for line in sheet.line_numbers)
    if image_size is None:
        columns = tuple(sheet.columns[place] for place in places)
        return Source(
            origin=f"{path.name}: CSV table",
            kind="table",
            num_levels=0,
            parts={"train": Part(inputs=numbers, labels=labels, names=names)},
            class_names=class_names,
            feature_names=columns,
            notes=(*sheet.notes, *_still_columns(columns, numbers)),
        )
    pictures = _pictures(path, numbers, image_size, labelled=labels is not None)
    return Source(
        origin=f"{path.name}: CSV of pictures",
        kind="images",
        num_levels=256,
        parts={"train": Part(inputs=pictures, labels=labels, names=names)},
        class_names=class_names,
        notes=(*sheet.notes, *dark_note(pictures)),
    )


def _numbers(sheet: Sheet, places: Sequence[int]) -> NDArray[np.float64]:
    """The columns at `places`, float64 (rows, columns)."""
    try:
        numbers = np.loadtxt(
            sheet.rows,
            delimiter=sheet.delimiter,
            quotechar='"',
            comments=None,
            usecols=places,
            dtype=np.float64,
            ndmin=2,
        )
    except ValueError as error:
        raise cell_error(_problems(sheet, places)) from error
    if not (np.abs(numbers) <= _LARGEST).all():  # also where one is NaN
        raise cell_error(_problems(sheet, places))
    return numbers


@long_cells()
def _problems(sheet: Sheet, places: Sequence[int]) -> list[Problem]:
    """Every cell that is missing or no number that float32 can hold."""
    problems = []
    reader = csv.reader(sheet.rows, delimiter=sheet.delimiter, strict=True)
    for line, cells in zip(sheet.line_numbers, reader, strict=True):
        for place in places:
            cell = cells[place].strip()
            name = sheet.columns[place]
            if cell.lower() in MISSING:
                message = f'"{name}" is missing'
            elif not NUMBER.fullmatch(cell):
                message = f'"{name}" is "{cell[:40]}", not a number'
            elif abs(float(cell)) > _LARGEST:
                message = f'"{name}" is {cell}, more than a 32-bit number can hold'
            else:
                continue
            problems.append(Problem(file=str(sheet.path), line=line, column=place + 1, message=message))
    return problems


def _still_columns(columns: Sequence[str], features: NDArray[np.float64]) -> tuple[str, ...]:
    """A remark on columns with one value, from which nothing can be learned."""
    still = [
        name for name, fixed in zip(columns, (features == features[0]).all(axis=0), strict=True) if fixed
    ]
    if not still:
        return ()
    shown = ", ".join(still[:10]) + (", .." if len(still) > 10 else "")
    return (f"{counted(len(still), 'column')} with the same value in each row: {shown}",)


def _pictures(
    path: Path, numbers: NDArray[np.float64], image_size: tuple[int, int], *, labelled: bool
) -> NDArray[np.uint8]:
    height, width = image_size
    num_pixels = numbers.shape[1]
    if num_pixels == height * width:
        return as_pictures(str(path), numbers.reshape(-1, height, width), 256)
    if num_pixels == 3 * height * width:
        channels_first = numbers.reshape(-1, height, width, 3).transpose(0, 3, 1, 2)
        return as_pictures(str(path), channels_first, 256, "NCHW")
    raise DataError(
        "the rows do not hold pictures of this size",
        where=path,
        got=f"{num_pixels} columns of pixels {'beside the labels' if labelled else 'and no labels'}",
        expected=f"{height * width} (grey) or {3 * height * width} (colour) for {height} x {width}",
        next_step=_size_hint(num_pixels, labelled=labelled),
    )


def _size_hint(num_pixels: int, *, labelled: bool) -> str:
    side = round(num_pixels**0.5)
    if side * side == num_pixels:
        return f"set data.image_size: [{side}, {side}]"
    side = round((num_pixels - 1) ** 0.5)
    if side * side == num_pixels - 1 and not labelled:
        return f"set data.label_column to the column of the labels, and data.image_size: [{side}, {side}]"
    return "set data.image_size to the height and width of the pictures"
