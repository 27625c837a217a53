"""Arrays as they come, checked and brought to the two stored forms: uint8 pictures and float32 rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.errors import DataError

_NUMBERS = "biuf"
"""numpy's letters for truth values, whole numbers and floating-point numbers."""


def as_pictures(where: str, array: NDArray[Any], num_levels: int) -> NDArray[np.uint8]:
    """Pictures in any of the accepted forms as uint8 (N, C, H, W).

    Raises:
        DataError: Another form, or values that are no whole numbers in [0, num_levels).
    """
    if array.dtype.kind not in _NUMBERS:
        raise DataError("pictures of a wrong type", where=where, got=array.dtype, expected="uint8")
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in (1, 3) and array.shape[1] not in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    elif not (array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] not in (1, 3)):
        raise DataError(
            "pictures of a wrong shape",
            where=where,
            got=array.shape,
            expected="(N, height, width) for grey, (N, height, width, 3) or (N, 3, height, width) for colour",
        )
    if 0 in array.shape:
        raise DataError("pictures without pixels", where=where, got=array.shape)
    return np.ascontiguousarray(_as_levels(where, array, num_levels))


def as_features(where: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """Table rows as float32 (N, F).

    Raises:
        DataError: Another form or type, or a value that is missing or infinite.
    """
    if array.dtype.kind not in _NUMBERS or array.ndim != 2 or 0 in array.shape:
        raise DataError(
            "table rows of a wrong type or shape",
            where=where,
            got=f"{array.dtype} {array.shape}",
            expected="numbers (rows, columns)",
        )
    features = array.astype(np.float32)
    if not np.isfinite(features).all():
        row, column = np.argwhere(~np.isfinite(features))[0]
        raise DataError(
            "a value that is missing or infinite",
            where=f"{where}[{row}, {column}]",
            got=array[row, column],
            expected="finite numbers",
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


def _as_levels(where: str, array: NDArray[Any], num_levels: int) -> NDArray[np.uint8]:
    low, high = array.min(), array.max()
    if array.dtype == np.uint8 and high < num_levels:
        return array
    if not (low >= 0 and high < num_levels):  # also where one of them is NaN
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
