"""Arrays that metrics refuse, each with what was found and what was expected."""

from typing import Any

import numpy as np
import pytest
import torch

from creuset.errors import DataError
from creuset.metrics.inputs import as_floats, as_integers, as_pictures, require_same_length


def test_tensors_and_lists_are_arrays() -> None:
    expected = np.array([[1.0, 2.0]])
    for values in ([[1, 2]], expected.astype(np.float32), torch.tensor([[1.0, 2.0]])):
        array = as_floats("values", values, "samples classes")
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "values: nothing to measure\n  got: shape \\(0,\\)"),
        ([[1.0]], "wrong shape\n  got: shape \\(1, 1\\)\n  expected: axes \\(samples\\)"),
        (3.0, "wrong shape\n  got: shape \\(\\)"),
        ([1.0, float("nan"), float("inf")], "not finite\n  got: 2 of 3, the first at \\(1,\\)"),
        (["a"], "wrong kind of values\n  got: <U1\n  expected: numbers"),
        ([[1.0], [1.0, 2.0]], "not an array"),
        (torch.ones(2, requires_grad=True), r"not an array(.|\n)*\.detach\(\)"),
        (torch.ones(2, dtype=torch.bfloat16), r"not an array(.|\n)*\.float\(\)"),
    ],
)
def test_floats_that_are_refused(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_floats("values", values, "samples")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 3], "labels: values out of range\n  got: 0 to 3\n  expected: whole numbers from 0 to 2"),
        ([-1, 0], "got: -1 to 0"),
        ([0.0, 1.0], "wrong kind of values\n  got: float64\n  expected: whole numbers of an integer type"),
        ([True], "wrong kind of values\n  got: bool"),
    ],
)
def test_integers_that_are_refused(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_integers("labels", values, "samples", below=3)


def test_pictures_become_rows_of_their_own_precision() -> None:
    pictures = np.zeros((2, 3, 4, 4), dtype=np.float32)
    assert as_pictures("pictures", pictures, (-1, 1)).shape == (2, 48)
    assert as_pictures("pictures", pictures, (-1, 1)).dtype == np.float32
    assert as_pictures("pictures", pictures.astype(np.float16), (-1, 1)).dtype == np.float32
    assert as_pictures("pictures", pictures.astype(np.uint8), (0, 255)).dtype == np.float64


def test_pictures_of_another_range_are_refused() -> None:
    with pytest.raises(DataError, match="outside the stated range\n  got: 0 to 255\n  expected: -1 to 1"):
        as_pictures("pictures", np.array([[0, 255]], dtype=np.uint8), (-1, 1))
    as_pictures("pictures", np.array([[1.0005]]), (-1, 1))  # rounding is no error


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="got: logits 3, labels 2"):
        require_same_length(logits=np.zeros(3), labels=np.zeros(2))
