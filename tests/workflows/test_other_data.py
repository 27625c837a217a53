from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creuset.data.dataset import Dataset
from creuset.data.spec import DataSpec
from creuset.errors import DataError, NotFoundError
from creuset.progress import Silent
from creuset.recipe.sections import DataConfig
from creuset.workflows.other_data import EVERYTHING, load_other

SPEC = DataSpec(kind="images", shape=(1, 8, 8), num_levels=256, class_names=("b", "a"), class_counts=(5, 5))
OWN = DataConfig(source="unused", label_column="kind", image_size=None)


def load(source: Path, spec: DataSpec = SPEC) -> Dataset:
    return load_other(str(source), OWN, spec, Silent())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, levels in (("a", (10, 20, 30)), ("b", (40, 50))):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for level in levels:
            Image.fromarray(np.full((8, 8), level, np.uint8)).save(
                tmp_path / "pictures" / name / f"{level}.png"
            )
    return tmp_path / "pictures"


def test_a_source_without_splits_is_one_split(folder: Path) -> None:
    found = load(folder)
    assert found.splits.keys() == {EVERYTHING}
    part = found.splits[EVERYTHING]
    assert part.labels is not None
    # labels are places in the model's classes, whose order is another
    levels = {
        int(picture[0, 0, 0]): int(label) for picture, label in zip(part.inputs, part.labels, strict=True)
    }
    assert levels == {10: 1, 20: 1, 30: 1, 40: 0, 50: 0}
    assert found.spec == SPEC


def test_one_picture_is_enough(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (folder / "a" / "10.png").rename(tmp_path / "one" / "10.png")
    unlabelled = DataSpec(kind="images", shape=(1, 8, 8), num_levels=256)
    assert load(tmp_path / "one", unlabelled).splits[EVERYTHING].num_samples == 1


def test_the_order_is_that_of_the_content(folder: Path, tmp_path: Path) -> None:
    first = load(folder)
    for number, file in enumerate(sorted(folder.glob("*/*.png"), reverse=True)):
        file.rename(file.with_name(f"{number}.png"))
    assert load(folder).content_hash == first.content_hash


def test_splits_of_the_source_are_kept(tmp_path: Path) -> None:
    images = np.arange(6 * 64, dtype=np.uint8).reshape(6, 8, 8)
    np.savez(tmp_path / "a.npz", train_images=images[:4], test_images=images[4:])
    found = load(tmp_path / "a.npz", DataSpec(kind="images", shape=(1, 8, 8), num_levels=256))
    assert {name: split.num_samples for name, split in found.splits.items()} == {"train": 4, "test": 2}


def test_a_table_is_read_by_the_columns_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,kind\n1.5,b\n2.5,a\n3.5,a\n4.5,b\n")
    spec = DataSpec(
        kind="table",
        shape=(1,),
        num_levels=0,
        class_names=("a", "b"),
        feature_names=("x",),
        feature_mean=(3.0,),
        feature_std=(2.0,),
    )
    found = load(tmp_path / "a.csv", spec)
    assert sorted(found.splits[EVERYTHING].inputs[:, 0].tolist()) == [1.5, 2.5, 3.5, 4.5]
    assert found.spec.feature_mean == (3.0,)  # the run's, not this file's


def test_one_class_is_enough_to_look_at(folder: Path) -> None:
    for file in (folder / "a").iterdir():
        file.unlink()
    (folder / "a").rmdir()
    part = load(folder).splits[EVERYTHING]
    assert part.labels is not None
    assert part.labels.tolist() == [0, 0]  # b is the model's first class
    (folder / "b" / "40.png").unlink()
    assert load(folder).splits[EVERYTHING].num_samples == 1


def test_a_class_may_lack_a_training_part(tmp_path: Path) -> None:
    images = np.arange(6 * 64, dtype=np.uint8).reshape(6, 8, 8)
    np.savez(
        tmp_path / "a.npz",
        train_images=images[:3],
        train_labels=np.zeros(3, dtype=np.int64),
        test_images=images[3:],
        test_labels=np.ones(3, dtype=np.int64),
        class_names=np.array(["a", "b"]),
    )
    found = load(tmp_path / "a.npz")
    labels = {name: split.labels for name, split in found.splits.items()}
    assert {name: None if given is None else given.tolist() for name, given in labels.items()} == {
        "train": [1, 1, 1],
        "test": [0, 0, 0],
    }


def test_an_unknown_class_is_refused(folder: Path) -> None:
    spec = DataSpec(kind="images", shape=(1, 8, 8), num_levels=256, class_names=("a", "c"))
    with pytest.raises(DataError, match="classes that the model does not know") as caught:
        load(folder, spec)
    assert caught.value.got == "b"


def test_no_such_source() -> None:
    with pytest.raises(NotFoundError):
        load(Path("nowhere-to-be-found"))
