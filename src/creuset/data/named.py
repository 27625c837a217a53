"""Data that is known by name: scikit-learn's digits, which are installed, and the asset mnist-5k."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from creuset.data.entries import unread_note
from creuset.data.source import Part, Source
from creuset.data.table import read_csv

DIGITS = "digits"
MNIST_5K_FILE = "mnist_5k.csv.gz"
"""A folder that holds a file of this name is the asset mnist-5k."""

_DIGIT_LEVELS = 17
_STORE_FILE = "asset.json"  # beside each asset of the store, about the asset and not of it


def read_digits() -> Source:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels in 17 levels (Alpaydin & Kaynak 1998)."""
    from sklearn.datasets import load_digits

    data = load_digits()
    part = Part(
        inputs=data.images.astype(np.uint8)[:, None],
        labels=data.target.astype(np.int64),
        names=tuple(f"digits[{row}]" for row in range(len(data.target))),
    )
    return Source(
        origin="digits: scikit-learn's handwritten digits",
        kind="images",
        num_levels=_DIGIT_LEVELS,
        parts={"train": part},
        class_names=tuple(str(name) for name in data.target_names),
    )


def read_mnist_5k(folder: Path) -> Source:
    """5,000 digits of MNIST, 500 of each: rows of 784 pixels and the label, without a header."""
    file = folder / MNIST_5K_FILE
    source = read_csv(file, label_column="785", image_size=(28, 28))
    notes = (*source.notes, *unread_note(folder, [file, folder / _STORE_FILE]))
    return replace(source, origin="mnist-5k: 5,000 digits of MNIST", notes=notes)
