"""Mean squared error and PSNR by hand and by their invariances."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from creuset.errors import DataError, UsageError
from creuset.metrics.intervals import mean_estimate, within
from creuset.metrics.reconstruction import mean_squared_error, psnr, squared_errors

PICTURES = np.zeros((2, 1, 2, 2), dtype=np.float32)
BACK = PICTURES + np.array([0.5, 0.1], dtype=np.float32).reshape(2, 1, 1, 1)


def test_by_hand() -> None:
    np.testing.assert_allclose(squared_errors(PICTURES, BACK), [0.25, 0.01], rtol=1e-6)
    assert mean_squared_error(PICTURES, BACK).value == pytest.approx(0.13)
    # 10 log10(2^2 / 0.25) and 10 log10(2^2 / 0.01)
    assert psnr(PICTURES, BACK).value == pytest.approx((10 * math.log10(16) + 10 * math.log10(400)) / 2)


def test_scores() -> None:
    error, ratio = mean_squared_error(PICTURES, BACK), psnr(PICTURES, BACK)
    assert (error.unit, error.better, ratio.unit, ratio.better) == ("squared_values", "lower", "dB", "higher")
    assert error.interval == within(mean_estimate(squared_errors(PICTURES, BACK)).interval, 0)
    assert error.interval is not None
    assert error.interval[0] == 0  # of two pictures it would begin at -1.4
    assert error.signature == "mse|v:1|data:unstated|split:unstated|n:2|interval:t95|range:-1,1"


def test_psnr_does_not_depend_on_the_scale() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, size=(2, 5, 3, 8, 8))
    bytes_a, bytes_b = 127.5 * (a + 1), 127.5 * (b + 1)
    assert psnr(a, b).value == pytest.approx(psnr(bytes_a, bytes_b, data_range=(0, 255)).value)


def test_whole_numbers_do_not_wrap_around() -> None:
    a, b = np.array([[0, 10]], dtype=np.uint8), np.array([[1, 7]], dtype=np.uint8)
    assert squared_errors(a, b, data_range=(0, 255)).tolist() == [5]


def test_tensors_are_taken() -> None:
    error = mean_squared_error(torch.tensor(PICTURES), torch.tensor(BACK))
    assert error == mean_squared_error(PICTURES, BACK)


def test_a_picture_that_comes_back_exactly_has_no_psnr() -> None:
    back = BACK.copy()
    back[1] = 0
    with pytest.raises(DataError, match="PSNR is infinite\n  got: 1 of 2 pictures"):
        psnr(PICTURES, back)
    assert mean_squared_error(PICTURES, back).value == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("pictures", "reconstructions", "message"),
    [
        (
            PICTURES,
            BACK[:1],
            r"unequal shapes\n  got: pictures \(2, 1, 2, 2\), reconstructions \(1, 1, 2, 2\)",
        ),
        (PICTURES, BACK.reshape(2, 4), "unequal shapes"),
        (PICTURES[:0], BACK[:0], "pictures: nothing to measure"),
        (PICTURES, BACK * np.nan, "reconstructions: values that are not finite\n  got: 8 of 8"),
        (PICTURES, BACK + 1, "reconstructions: values outside the stated range\n  got: 1.1 to 1.5"),
    ],
)
def test_what_cannot_be_compared_is_refused(pictures: Any, reconstructions: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mean_squared_error(pictures, reconstructions)


def test_a_range_without_width_is_refused() -> None:
    with pytest.raises(UsageError, match="not a range of values"):
        psnr(PICTURES, BACK, data_range=(1, 1))
