import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from creuset.data.dataset import Dataset
from creuset.data.named import MNIST_5K_FILE, read_digits

HOME = Path(os.environ.get("CREUSET_HOME") or Path.home() / ".local/share/creuset")
"""Read when the tests are collected: each test has a home of its own."""


def test_digits_are_scikit_learn_s() -> None:
    from sklearn.datasets import load_digits

    source, data = read_digits(), load_digits()
    part = source.parts["train"]
    assert source.num_levels == 17
    assert part.inputs.shape == (1797, 1, 8, 8)
    assert part.inputs.dtype == np.uint8
    assert np.array_equal(part.inputs[:, 0], data.images)
    assert part.labels is not None
    assert part.labels.tolist() == data.target.tolist()
    assert part.names[1796] == "digits[1796]"


@pytest.mark.starter
def test_mnist_5k_is_split_as_promised(load: Callable[..., Dataset]) -> None:
    folder = HOME / "models" / "mnist-5k"
    if not (folder / MNIST_5K_FILE).is_file():
        pytest.skip("not pulled: mnist-5k (creuset models pull starter)")
    dataset = load("mnist-5k", known={"mnist-5k": folder})
    assert dataset.spec.shape == (1, 28, 28)
    assert dataset.report.class_counts == {"train": (400,) * 10, "validation": (50,) * 10, "test": (50,) * 10}
    assert dataset.report.duplicates_within == {}
