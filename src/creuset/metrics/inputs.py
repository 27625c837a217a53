"""What metrics accept: arrays with something in them, of the right shape, without NaN.

Arrays are NumPy's, or anything that NumPy can see as an array, such as a torch tensor on the processor.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from creuset.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CHECKED_ROWS = 4096


def as_floats(name: str, values: ArrayLike, axes: str) -> FloatArray:
    """`values` in float64, with the axes that are named, none of them empty, all finite.

    Args:
        name: What the values are called in an error.
        values: Numbers.
        axes: The axes in words, such as "samples classes"; "..." at the end stands for any further axes.

    Raises:
        DataError: Another number of axes, nothing in it, no numbers, or NaN or infinity.
    """
    return _as_finite(name, values, axes).astype(np.float64, copy=False)


def as_integers(name: str, values: ArrayLike, axes: str, *, below: int) -> NDArray[np.integer[Any]]:
    """`values` as they are: whole numbers in [0, below), with the axes that are named, none of them empty.

    Raises:
        DataError: Another number of axes, nothing in it, no whole numbers, or a number out of range.
    """
    array = _as_array(name, values, axes, kinds="iu")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= below:
        raise DataError(
            "values out of range",
            where=name,
            got=f"{low} to {high}",
            expected=f"whole numbers from 0 to {below - 1}",
        )
    return array


def as_pictures(name: str, values: ArrayLike, data_range: tuple[float, float]) -> NDArray[np.floating[Any]]:
    """`values` (samples, ...) as finite rows (samples, dimensions) within `data_range`.

    float32 stays as it is, since pictures are many; shorter floats become float32, whole numbers float64.

    Raises:
        DataError: As `as_floats`, or values more than a thousandth of the range outside it.
    """
    array = _as_finite(name, values, "samples dimensions ...")
    kept = np.result_type(array, np.float32) if array.dtype.kind == "f" else np.dtype(np.float64)
    rows: NDArray[np.floating[Any]] = array.astype(kept, copy=False).reshape(len(array), -1)
    low, high = data_range
    slack = 1e-3 * (high - low)
    if rows.min() < low - slack or rows.max() > high + slack:
        raise DataError(
            "values outside the stated range",
            where=name,
            got=f"{rows.min():.6g} to {rows.max():.6g}",
            expected=f"{low:g} to {high:g}",
            next_step="scale the pictures, or state their range",
        )
    return rows


def as_features(name: str, values: ArrayLike) -> NDArray[Any]:
    """`values` (samples, features) as they are, checked to be finite a block at a time.

    Nothing is copied: an array that is mapped from a file stays on disk. Readers turn a block of rows to
    float64 when they come to it.

    Raises:
        DataError: Another number of axes, nothing in it, no numbers, or NaN or infinity.
    """
    array = _as_array(name, values, "samples features", kinds="fiu")
    for start in range(0, len(array), _CHECKED_ROWS):
        finite = np.isfinite(array[start : start + _CHECKED_ROWS])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise DataError(
                "values that are not finite",
                where=name,
                got=f"the first at {(start + int(row), int(column))} of shape {array.shape}",
                expected="finite numbers",
            )
    return array


def require_same_width(**arrays: NDArray[Any]) -> None:
    """All arrays (samples, features) hold the same number of features.

    Raises:
        DataError: They do not.
    """
    widths = {name: array.shape[1] for name, array in arrays.items()}
    if len(set(widths.values())) > 1:
        raise DataError(
            "unequal numbers of features",
            got=", ".join(f"{name} {width}" for name, width in widths.items()),
            expected="features of one extractor",
        )


def require_same_length(**arrays: NDArray[Any]) -> None:
    """All arrays hold the same number of samples.

    Raises:
        DataError: They do not.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            "unequal numbers of samples",
            got=", ".join(f"{name} {length}" for name, length in lengths.items()),
            expected="one row a sample in each",
        )


def _as_finite(name: str, values: ArrayLike, axes: str) -> NDArray[Any]:
    array = _as_array(name, values, axes, kinds="fiu")
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        first = np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)
        raise DataError(
            "values that are not finite",
            where=name,
            got=f"{bad} of {array.size}, the first at {tuple(map(int, first))}",
            expected="finite numbers",
        )
    return array


def _as_array(name: str, values: ArrayLike, axes: str, *, kinds: str) -> NDArray[Any]:
    words = axes.split()
    open_ended = words[-1] == "..."
    num_axes = len(words) - open_ended
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            "not an array",
            where=name,
            got=str(error).splitlines()[0],
            next_step="pass numbers in rows of one length; for a torch tensor .detach().float().cpu()",
        ) from error
    if array.ndim < num_axes or (array.ndim > num_axes and not open_ended):
        raise DataError("wrong shape", where=name, got=_shape(array), expected=f"axes ({', '.join(words)})")
    if array.size == 0:
        raise DataError("nothing to measure", where=name, got=_shape(array), expected="at least one sample")
    if array.dtype.kind not in kinds:
        raise DataError(
            "wrong kind of values",
            where=name,
            got=str(array.dtype),
            expected="numbers" if "f" in kinds else "whole numbers of an integer type",
        )
    return array


def _shape(array: NDArray[Any]) -> str:
    return f"shape {array.shape}"
