from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.progress import Silent
from creuset.recipe.sections import AugmentationConfig, DataConfig

Load = Callable[..., Dataset]
Pictures = Callable[..., Any]


def table(path: Path, rows: int = 40) -> Path:
    lines = [f"{i},{i * i},{'ab'[i % 2]}" for i in range(rows)]
    path.write_text("x,y,label\n" + "\n".join(lines))
    return path


def test_a_path_goes_before_a_name(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load("digits").report.origin.startswith("digits: scikit-learn")
    (tmp_path / "digits").mkdir()
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (10, 4, 4), dtype=np.uint8)):
        Image.fromarray(picture).save(tmp_path / "digits" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    assert load("digits").report.origin == "digits: folder of pictures, without classes"


def test_other_names_are_resolved(tmp_path: Path, load: Load) -> None:
    path = table(tmp_path / "t.csv")
    assert load("my-table", known={"my-table": path}).spec.kind == "table"
    with pytest.raises(NotFoundError, match=r'"missing\.npz" is not there'):
        load("missing.npz")


def test_the_home_folder_is_expanded(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path / "t.csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load("~/t.csv").spec.kind == "table"


def test_the_asset_is_known_by_its_file(tmp_path: Path, load: Load) -> None:
    import gzip

    rows = np.random.default_rng(0).integers(0, 256, (40, 784))
    lines = [",".join(map(str, [*row, i % 4])) for i, row in enumerate(rows)]
    (tmp_path / "mnist_5k.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    dataset = load("mnist-5k", known={"mnist-5k": tmp_path})
    assert dataset.spec.shape == (1, 28, 28)
    assert dataset.spec.class_names == ("0", "1", "2", "3")
    assert dataset.report.num_samples == {"train": 32, "validation": 4, "test": 4}
    assert dataset.report.notes == ()
    for name in ("asset.json", "more.csv"):  # the first is the store's
        (tmp_path / name).touch()
    again = load("mnist-5k", known={"mnist-5k": tmp_path})
    assert again.report.notes == ("1 other file of the folder not read: more.csv",)


def test_classes_are_refused_that_nothing_can_be_learned_from(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "t.csv"
    for text, expected in (
        ("a,label\n1,x\n2,x\n", 'one class only\n  got: each sample is labelled "x"'),
        (
            "a,target\n1,0.5\n2,0.7\n3,0.9\n",
            "too many classes for so few samples\n  got: 3 classes for 3 samples",
        ),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=expected) as raised:
            load(path)
        assert str(raised.value).startswith(f"{path}: there ")
    path.write_text("review,label\nx,a\ny,a\n")
    with pytest.raises(DataError, match='one class only\n  got: each sample is labelled "a"'):
        load(path, text_column="review")
    images = np.arange(160, dtype=np.uint8).reshape(8, 4, 5)
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=np.zeros(8, dtype=np.int64))
    with pytest.raises(DataError, match='one class only\n  got: each sample is labelled "0"'):
        load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "data of an unknown kind"),
        ("a.png", "next: give the folder of the pictures"),
        ("a.npy", "save it with np.savez_compressed"),
        ("a.parquet", "expected: a folder of pictures, .npz, .csv, .tsv, or IDX"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, load: Load, name: str, expected: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError) as raised:
        load(tmp_path / name)
    assert expected in str(raised.value)


def test_no_source_is_not_the_current_folder(load: Load) -> None:
    with pytest.raises(UsageError, match=r"data\.source: no source is named"):
        load("")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"image_size": (8, 8)}, r"data\.image_size: a setting without effect: it is for CSV files"),
        ({"label_column": "x"}, r"data\.label_column: a setting without effect: it is for CSV files"),
        ({"unreadable": "skip"}, r"data\.unreadable: a setting without effect: it is for picture files"),
        (
            {"limit": 1438},
            r"data\.limit: the limit is above what there is\n  got: 1438\n  expected: at most 1437",
        ),
        ({"limit": 9}, "classes of which no training sample is left"),
    ],
)
def test_settings_that_cannot_be_are_refused(load: Load, settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load("digits", **settings)


@pytest.mark.parametrize("kind", ["npz", "csv", "idx", "idx folder"])
def test_only_a_folder_of_pictures_holds_unreadable_ones(tmp_path: Path, load: Load, kind: str) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", train_images=pictures)
    (tmp_path / "a.csv").write_text("a,b\n" + "\n".join(f"{i},{i * i}" for i in range(30)))
    (tmp_path / "idx").mkdir()
    header = b"\0\0\x08\x03" + np.array(pictures.shape, dtype=">u4").tobytes()
    file = tmp_path / "idx" / "train-images-idx3-ubyte"
    file.write_bytes(header + pictures.tobytes())
    source = {"npz": tmp_path / "a.npz", "csv": tmp_path / "a.csv", "idx": file, "idx folder": file.parent}[
        kind
    ]
    assert load(source).splits
    with pytest.raises(
        UsageError, match=r"data\.unreadable: a setting without effect: it is for picture files"
    ):
        load(source, unreadable="skip")


@pytest.mark.parametrize(("split", "other"), [("test", "validation"), ("validation", "test")])
def test_a_share_is_for_a_split_that_is_cut(tmp_path: Path, load: Load, split: str, other: str) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    path = tmp_path / "own.npz"
    np.savez(path, **{"train_images": pictures[:40], f"{split}_images": pictures[40:]})
    assert load(path, **{f"{other}_share": 0.25}).splits[other].num_samples == 10
    with pytest.raises(
        UsageError, match=rf"data\.{split}_share: .* the source has a {split} split of its own\n  got: 0\.2\n"
    ):
        load(path, **{f"{split}_share": 0.2})


def test_tables_are_not_augmented(tmp_path: Path, load: Load) -> None:
    with pytest.raises(UsageError, match=r"data\.augmentation: a setting without effect"):
        load(table(tmp_path / "t.csv"), augmentation=AugmentationConfig(flip=True))


def test_a_limit_takes_of_each_class_its_share(load: Load) -> None:
    whole, limited = load("digits"), load("digits", limit=100)
    assert limited.report.num_samples == {"train": 100, "validation": 180, "test": 180}
    assert set(limited.spec.class_counts) == {10}
    assert set(limited.splits["train"].names) < set(whole.splits["train"].names)
    assert limited.splits["test"].names == whole.splits["test"].names
    assert limited.content_hash != whole.content_hash


def test_without_a_test_share_there_is_no_test_split(load: Load) -> None:
    dataset = load("digits", test_share=0.0)
    assert dataset.report.num_samples == {"train": 1617, "validation": 180}
    with pytest.raises(DataError, match='this data has no "test" split') as raised:
        dataset.batch("test", torch.arange(1))
    assert "expected: train, validation" in str(raised.value)


def test_splits_never_share_a_sample_and_lie_in_the_order_of_hashes(load: Load) -> None:
    dataset = load("digits")
    hashes = [tuple(row) for split in dataset.splits.values() for row in split.hashes.tolist()]
    assert len(set(hashes)) == 1797
    for split in dataset.splits.values():
        rows = [tuple(row) for row in split.hashes.tolist()]
        assert rows == sorted(rows)


def test_the_seed_decides_the_splits(load: Load) -> None:
    assert load("digits").content_hash == load("digits").content_hash
    assert load("digits", seed=1).content_hash != load("digits").content_hash


def straddling(path: Path, pictures: Pictures) -> Path:
    """Twelve for training, of which one is also in the validation split and two in the test split."""
    images = pictures(20)
    images[3], images[5] = images[16], images[17]
    images[7] = images[12]
    np.savez(
        path,
        train_images=images[:12],
        train_labels=np.arange(12) % 2,
        validation_images=images[12:16],
        validation_labels=np.arange(4) % 2,
        test_images=images[16:],
        test_labels=np.arange(4) % 2,
    )
    return path


def test_a_sample_in_two_own_splits_leaves_train_and_is_reported(
    tmp_path: Path, pictures: Pictures, load: Load
) -> None:
    report = load(straddling(tmp_path / "a.npz", pictures)).report
    assert report.num_samples == {"train": 9, "validation": 4, "test": 4}
    assert report.duplicates_removed == {"train": 3}
    assert report.duplicate_examples == ("train_images[3]", "train_images[5]", "train_images[7]")
    assert report.remarks() == ("3 samples removed from train, because another split holds the same",)


def test_remarks_are_said_while_loading(tmp_path: Path, pictures: Pictures) -> None:
    said = []

    class Listen(Silent):
        def say(self, message: str) -> None:
            said.append(message)

    path = straddling(tmp_path / "a.npz", pictures)
    load_data(DataConfig(source=str(path)), seed=0, resolve=Path, progress=Listen())
    assert said == ["data: 3 samples removed from train, because another split holds the same"]


def test_equal_splits_are_refused(tmp_path: Path, pictures: Pictures, load: Load) -> None:
    np.savez(tmp_path / "a.npz", train_images=pictures(5), test_images=pictures(5))
    with pytest.raises(DataError, match="each sample of the train split is in another split as well"):
        load(tmp_path / "a.npz")


def test_a_class_lost_to_the_test_split_is_refused(tmp_path: Path, pictures: Pictures, load: Load) -> None:
    images = pictures(12)
    np.savez(
        tmp_path / "a.npz",
        train_images=images[:10],
        train_labels=np.array([0] * 9 + [1]),
        test_images=images[9:],
        test_labels=np.array([1, 0, 0]),
    )
    with pytest.raises(DataError, match="classes of which no training sample is left\n  got: 1"):
        load(tmp_path / "a.npz")


def test_copies_stay_together_and_are_counted(tmp_path: Path, pictures: Pictures, load: Load) -> None:
    images = pictures(40)
    images[30:] = images[:10]
    labels = np.arange(40) % 2
    labels[30:33] = 1 - labels[:3]
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=labels)
    dataset = load(tmp_path / "a.npz", validation_share=0.2, test_share=0.2)
    assert sum(dataset.report.duplicates_within.values()) == 10
    assert dataset.report.label_conflicts == 6
    assert len(dataset.report.conflict_examples) == 5
    assert "6 samples equal to another one with another label" in dataset.report.remarks()[0]
    seen = [{tuple(row) for row in split.hashes.tolist()} for split in dataset.splits.values()]
    assert sum(len(one) for one in seen) == 30


def test_table_columns_are_standardised_by_training_statistics(tmp_path: Path, load: Load) -> None:
    dataset = load(table(tmp_path / "t.csv"))
    train = dataset.splits["train"]
    everything = dataset.batch("train", torch.arange(train.num_samples))["features"]
    assert torch.allclose(everything.mean(dim=0), torch.zeros(2), atol=1e-6)
    assert torch.allclose(everything.std(dim=0, correction=0), torch.ones(2), atol=1e-6)
    raw = dataset.splits["test"].inputs.double().numpy()
    mean, std = train.inputs.double().numpy().mean(axis=0), train.inputs.double().numpy().std(axis=0)
    batch = dataset.batch("test", torch.arange(len(raw)))
    assert np.allclose(batch["features"], (raw - mean) / std, atol=1e-5)
    assert set(batch) == {"features", "labels"}
    assert dataset.spec.feature_mean == pytest.approx(mean)
    assert dataset.spec.feature_std == pytest.approx(std)


@pytest.mark.shared
def test_mnist_keeps_its_test_split_and_loads_fast(shared_data: Path, load: Load) -> None:
    import time

    begin = time.perf_counter()
    dataset = load(shared_data / "mnist.npz")
    seconds = time.perf_counter() - begin
    assert seconds < 8  # 0.8 s alone on the machine; the tests share it
    assert dataset.report.own_splits == ("test",)
    assert dataset.report.num_samples == {"train": 54000, "validation": 6000, "test": 10000}
    assert dataset.report.class_counts["test"] == (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    assert dataset.report.duplicates_within == {}
    assert dataset.report.duplicates_removed == {}
    with np.load(shared_data / "mnist.npz") as arrays:
        for name in ("test", "train"):
            split = dataset.splits[name]
            for place in (0, 17, split.num_samples - 1):
                row = int(split.names[place].removeprefix(f"{name}_images[").removesuffix("]"))
                assert np.array_equal(split.inputs[place, 0], arrays[f"{name}_images"][row])
                assert split.labels[place] == arrays[f"{name}_labels"][row]
