"""How close pictures come back from an autoencoder: mean squared error and peak signal-to-noise ratio.

Source: ITU-T J.340 (2010) for the PSNR, 10 log10(peak^2 / MSE); here of each picture, then averaged.

Legend of shapes: N samples, D values a picture.
"""

import numpy as np
from numpy.typing import ArrayLike

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray, as_pictures
from creuset.metrics.intervals import mean_estimate, within
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context

MODEL_RANGE = (-1.0, 1.0)
"""The range in which models take and give pictures."""


def squared_errors(
    pictures: ArrayLike, reconstructions: ArrayLike, *, data_range: tuple[float, float] = MODEL_RANGE
) -> FloatArray:
    """The mean over the values of each picture of (reconstruction - picture)^2, float64 (N,).

    Args:
        pictures: (N, ...) in `data_range`.
        reconstructions: The same shape and range.
        data_range: Lowest and highest value a picture can have.

    Raises:
        DataError: No pictures, unequal shapes, NaN, or values outside the range.
        UsageError: A range without width.
    """
    if not data_range[0] < data_range[1]:
        raise UsageError("not a range of values", got=data_range, expected="(low, high) with low < high")
    left = as_pictures("pictures", pictures, data_range)
    right = as_pictures("reconstructions", reconstructions, data_range)
    shapes = np.shape(pictures), np.shape(reconstructions)
    if shapes[0] != shapes[1]:
        raise DataError(
            "pictures and reconstructions of unequal shapes",
            got=f"pictures {tuple(shapes[0])}, reconstructions {tuple(shapes[1])}",
            expected="the same shape",
        )
    errors: FloatArray = np.square(right - left).mean(axis=1, dtype=np.float64)
    return errors


def picture_psnr(errors: FloatArray, *, data_range: tuple[float, float] = MODEL_RANGE) -> FloatArray:
    """10 log10(width^2 / MSE) of each picture in dB, (N,), out of its `squared_errors`, none of them 0."""
    width = data_range[1] - data_range[0]
    decibels: FloatArray = 10 * np.log10(width**2 / errors)
    return decibels


def mean_squared_error(
    pictures: ArrayLike,
    reconstructions: ArrayLike,
    *,
    data_range: tuple[float, float] = MODEL_RANGE,
    context: Context = NO_CONTEXT,
) -> Score:
    """The mean squared error a value, in squares of the range's unit, with Student's interval.

    Args and Raises: as `squared_errors`.
    """
    estimate = mean_estimate(squared_errors(pictures, reconstructions, data_range=data_range))
    return context.score(
        metric="mse",
        value=estimate.mean,
        unit="squared_values",
        better="lower",
        interval=within(estimate.interval, 0),
        n=estimate.n,
        fields={"interval": "t95", "range": _range_text(data_range)},
    )


def psnr(
    pictures: ArrayLike,
    reconstructions: ArrayLike,
    *,
    data_range: tuple[float, float] = MODEL_RANGE,
    context: Context = NO_CONTEXT,
) -> Score:
    """The mean over pictures of 10 log10(width^2 / MSE) in dB, with Student's interval over pictures.

    The width of the range is 2 for pictures in [-1, 1]. Taking 1 there, a common slip, costs 6 dB.

    Args: as `squared_errors`.

    Raises:
        DataError: As `squared_errors`, or a picture that comes back exactly, whose PSNR is infinite.
    """
    errors = squared_errors(pictures, reconstructions, data_range=data_range)
    exact = int(np.count_nonzero(errors == 0))
    if exact:
        raise DataError(
            "the PSNR is infinite",
            where="psnr",
            got=f"{exact} of {len(errors)} pictures that came back exactly",
            next_step="report the mean squared error instead",
        )
    estimate = mean_estimate(picture_psnr(errors, data_range=data_range))
    return context.score(
        metric="psnr",
        value=estimate.mean,
        unit="dB",
        better="higher",
        interval=estimate.interval,
        n=estimate.n,
        fields={"interval": "t95", "range": _range_text(data_range)},
    )


def _range_text(data_range: tuple[float, float]) -> str:
    return f"{data_range[0]:g},{data_range[1]:g}"
