"""Arrays as they come, checked and brought to the two stored forms: uint8 pictures and float64 rows."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from creuset.errors import DataError

Layout = Literal["NHWC", "NCHW"]
"""Where an array of pictures holds the channels: last, or before height and width."""

_LARGEST = float(np.finfo(np.float32).max)
_NUMBERS = "biuf"
"""numpy's letters for truth values, whole numbers and floating-point numbers."""


def as_pictures(
    where: str, array: NDArray[Any], num_levels: int, layout: Layout | None = None
) -> NDArray[np.uint8]:
    """Pictures in any of the accepted forms as uint8 (N, C, H, W).

    Args:
        where: The array, for errors.
        array: (N, H, W), (N, H, W, C) or (N, C, H, W) with one or three channels.
        num_levels: Values that a pixel can take.
        layout: Where the channels are; None tells it by the shape, and takes (N, H, W) as grey.

    Raises:
        DataError: Another form, or values that are no whole numbers in [0, num_levels).
    """
    if array.dtype.kind not in _NUMBERS:
        raise DataError("pictures of a wrong type", where=where, got=array.dtype, expected="uint8")
    _require_finite(where, array, num_levels)
    if array.ndim == 3 and layout is None:
        array = array[:, None]
    elif _layout(where, array, layout) == "NHWC":
        array = array.transpose(0, 3, 1, 2)
    if 0 in array.shape:
        raise DataError("pictures without pixels", where=where, got=array.shape)
    return np.ascontiguousarray(_as_levels(where, array, num_levels))


def _layout(where: str, array: NDArray[Any], layout: Layout | None) -> Layout:
    """Where an array holds the channels, as said or by its shape."""
    places: dict[Layout, int] = {"NHWC": 3, "NCHW": 1}
    fitting = [form for form, place in places.items() if array.ndim == 4 and array.shape[place] in (1, 3)]
    if layout is not None and layout not in fitting:
        raise DataError(
            "pictures of a wrong shape",
            where=where,
            got=array.shape,
            expected=f"one or three channels where the layout {layout} has its C",
            next_step="correct the layout, or leave it out for (N, height, width)",
        )
    if not fitting:
        raise DataError(
            "pictures of a wrong shape",
            where=where,
            got=array.shape,
            expected="(N, height, width) for grey, (N, height, width, 3) or (N, 3, height, width) for colour",
        )
    if layout is None and len(fitting) > 1:
        raise DataError(
            "pictures of an ambiguous shape: the channels could be last or come before height and width",
            where=where,
            got=array.shape,
            expected="one or three channels on one side only, or a layout",
            next_step='say it in the .npz: layout="NHWC" for channels last, layout="NCHW" for channels first',
        )
    return layout or fitting[0]


def as_features(where: str, array: NDArray[Any]) -> NDArray[np.float64]:
    """Table rows as float64 (N, F): whole numbers are exact up to 2^53.

    Raises:
        DataError: Another form or type, or a value that is missing, infinite or beyond the range of float32.
    """
    if array.dtype.kind not in _NUMBERS or array.ndim != 2 or 0 in array.shape:
        raise DataError(
            "table rows of a wrong type or shape",
            where=where,
            got=f"{array.dtype} {array.shape}",
            expected="numbers (rows, columns)",
        )
    features = array.astype(np.float64)
    usable = np.abs(features) <= _LARGEST  # also false where a value is NaN
    if not usable.all():
        row, column = np.argwhere(~usable)[0]
        raise DataError(
            "a value that is missing or infinite",
            where=f"{where}[{row}, {column}]",
            got=array[row, column],
            expected=f"finite numbers up to {_LARGEST:.4g}",
            next_step="fill in or remove the rows with missing values",
        )
    return features


def dark_note(pictures: NDArray[np.uint8]) -> tuple[str, ...]:
    """A remark where pictures of 256 levels use only the darkest few: probably scaled otherwise."""
    brightest = int(pictures.max())
    if brightest > 31:
        return ()
    return (
        f"the brightest pixel is {brightest} of 255, so these pictures are nearly black; if they have "
        f"{brightest + 1} levels, say so with num_levels={brightest + 1} in the .npz",
    )


def _require_finite(where: str, array: NDArray[Any], num_levels: int) -> None:
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array)
    if finite.all():
        return
    first = tuple(int(place) for place in np.argwhere(~finite)[0])
    num_nan = int(np.isnan(array).sum())
    num_infinite = int((~finite).sum()) - num_nan
    counts = [f"{num:,} {kind}" for num, kind in ((num_nan, "NaN"), (num_infinite, "infinite")) if num]
    raise DataError(
        "pixels that are no finite numbers",
        where=f"{where}{list(first)}",
        got=f"{' and '.join(counts)} of {array.size:,} {array.dtype} values; this is the first",
        expected=f"whole numbers in 0..{num_levels - 1}",
        next_step="leave out or make again the pictures that hold them",
    )


def _as_levels(where: str, array: NDArray[Any], num_levels: int) -> NDArray[np.uint8]:
    low, high = array.min(), array.max()
    if array.dtype == np.uint8 and high < num_levels:
        return array
    if low < 0 or high >= num_levels:
        raise DataError(
            "pixels out of range",
            where=where,
            got=f"{array.dtype} values from {low} to {high}",
            expected=f"whole numbers in 0..{num_levels - 1}",
            next_step=_scaling(float(low), float(high)),
        )
    if array.dtype.kind in "fb" and high <= 1:
        raise DataError(
            "pixels on a scale from 0 to 1",
            where=where,
            got=f"{array.dtype} values from {low} to {high}",
            expected=f"whole numbers in 0..{num_levels - 1}",
            next_step=_scaling(float(low), float(high)),
        )
    levels = array.astype(np.uint8)
    if array.dtype.kind == "f" and not np.array_equal(levels, array):
        raise DataError(
            "pixels that are no whole numbers",
            where=where,
            got=f"{array.dtype} values, such as {array[levels != array][0]}",
            expected=f"whole numbers in 0..{num_levels - 1}",
            next_step="round them: np.rint(images).astype(np.uint8)",
        )
    return levels


def _scaling(low: float, high: float) -> str:
    if low >= 0 and high <= 1:
        return "convert them: np.rint(images * 255).astype(np.uint8)"
    if low >= -1 and high <= 1:
        return "convert them: np.rint((images + 1) * 127.5).astype(np.uint8)"
    return "scale them to 0..255, round, and save them as uint8"
