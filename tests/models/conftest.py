"""Digits and their form, for the tests of families."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from creuset.data.spec import DataSpec


@pytest.fixture(autouse=True)
def one_thread_and_a_seed() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> dict[str, Tensor]:
    """scikit-learn's digits as a batch: images (1797, 1, 8, 8) with 17 levels in [-1, 1], and labels."""
    data = load_digits()
    images = torch.from_numpy(data.images).float()[:, None] / 8 - 1
    return {"images": images, "labels": torch.from_numpy(data.target).long()}


@pytest.fixture(scope="session")
def digit_spec(digits: dict[str, Tensor]) -> DataSpec:
    return DataSpec(
        kind="images",
        shape=(1, 8, 8),
        num_levels=17,
        class_names=tuple("0123456789"),
        class_counts=tuple(int(count) for count in np.bincount(digits["labels"].numpy())),
    )
