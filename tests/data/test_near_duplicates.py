import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from creuset.data.dataset import Dataset
from creuset.data.near_duplicates import near_duplicates, num_pairs
from sounds import tone_folder

Load = Callable[..., Dataset]


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    """Real handwritten digits, enlarged to 32 x 32: smooth, as photographs are."""
    from sklearn.datasets import load_digits

    small = (load_digits().images[:120] * 15.9).astype(np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(d).resize((32, 32), Image.Resampling.BICUBIC)) for d in small]
    )


def as_jpeg(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))


def darker(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (picture * 0.8 + 20).astype(np.uint8)


def resized(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    return np.asarray(
        image.resize((64, 64), Image.Resampling.BICUBIC).resize((32, 32), Image.Resampling.BICUBIC)
    )


def noisy(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [as_jpeg, darker, resized, noisy])
@pytest.mark.parametrize("colour", [False, True])
def test_changed_copies_are_found_and_named(
    tmp_path: Path, digits: NDArray[np.uint8], load: Load, change: Any, colour: bool
) -> None:
    train, test = digits[:100], digits[100:].copy()
    test[:3] = [change(picture) for picture in train[[5, 50, 95]]]
    if colour:
        train, test = (np.repeat(part[..., None], 3, axis=3) for part in (train, test))
    path = tmp_path / "data.npz"
    np.savez(path, train_images=train, test_images=test)
    dataset = load(path, validation_share=0.01)
    found = {(pair.split, pair.other): pair for pair in near_duplicates(dataset)}
    assert set(found) == {("validation", "train"), ("test", "train"), ("test", "validation")}
    near = [found["test", "train"], found["test", "validation"]]
    assert sum(pair.count for pair in near) == 3
    assert found["validation", "train"].count == 0
    pairs = {(example.name, example.like) for pair in near for example in pair.examples}
    assert pairs == {(f"test_images[{i}]", f"train_images[{j}]") for i, j in enumerate((5, 50, 95))}
    assert all(0.996 <= example.correlation <= 1 for pair in near for example in pair.examples)


def test_blank_pictures_are_not_called_alike(tmp_path: Path, load: Load) -> None:
    blank = np.zeros((40, 8, 8), dtype=np.uint8)
    blank[np.arange(40), np.arange(40) // 8, np.arange(40) % 8] = 1  # all different, all blank to the eye
    np.savez(tmp_path / "data.npz", train_images=blank)
    assert [pair.count for pair in near_duplicates(load(tmp_path / "data.npz"))] == [0, 0, 0]


def test_many_pictures_agree_with_one_product(tmp_path: Path, load: Load, monkeypatch: Any) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    copies = np.clip(pictures[:9].astype(int) + 1, 0, 255).astype(np.uint8)
    np.savez(tmp_path / "data.npz", train_images=pictures, test_images=copies)
    dataset = load(tmp_path / "data.npz", validation_share=0.1)
    whole = near_duplicates(dataset)
    monkeypatch.setattr("creuset.data.near_duplicates._BLOCK", 7)
    monkeypatch.setattr("creuset.data.near_duplicates._ROWS", 5)
    assert near_duplicates(dataset) == whole
    assert sum(pair.count for pair in whole) == 9


@pytest.mark.parametrize("noise", [0.0, 3.0, 6.0, 12.0])
def test_few_numbers_miss_no_near_duplicate(tmp_path: Path, load: Load, noise: float) -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (300, 14, 14), dtype=np.uint8)
    test = np.clip(train[:200] + rng.normal(1, noise, (200, 14, 14)), 0, 255).astype(np.uint8)
    np.savez(tmp_path / "data.npz", train_images=train, test_images=test)
    dataset = load(tmp_path / "data.npz", validation_share=0.01)
    rows = {
        name: split.inputs.double().flatten(1).numpy()
        - split.inputs.double().flatten(1).numpy().mean(1)[:, None]
        for name, split in dataset.splits.items()
    }
    units = {name: part / np.linalg.norm(part, axis=1)[:, None] for name, part in rows.items()}
    for pair in near_duplicates(dataset):
        correlations = units[pair.split] @ units[pair.other].T
        assert pair.count == (correlations.max(axis=1).round(4) >= 0.996).sum()
    assert num_pairs(dataset) == sum(
        dataset.splits[a].num_samples * dataset.splits[b].num_samples
        for a, b in (("validation", "train"), ("test", "train"), ("test", "validation"))
    )


def test_tables_are_not_compared(tmp_path: Path, load: Load) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(f"{i},{i * i}" for i in range(30)))
    assert near_duplicates(load(tmp_path / "t.csv")) == []
    assert num_pairs(load(tmp_path / "t.csv")) == 0


def test_sound_is_not_compared(tmp_path: Path, load: Load) -> None:
    dataset = load(tone_folder(tmp_path))
    assert near_duplicates(dataset) == []
    assert num_pairs(dataset) == 0
