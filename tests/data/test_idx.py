import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from creuset.data.dataset import Dataset
from creuset.data.idx import read_idx, read_idx_folder
from creuset.errors import CreusetError, DataError, NotFoundError, ResourceError

Load = Callable[..., Dataset]

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 5), dtype=np.uint8)
LABELS = (np.arange(20) % 2).astype(np.uint8)


def idx(array: Any) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-idx", ".idx"])
def test_the_four_files_of_mnist(tmp_path: Path, load: Load, suffix: str, mark: str) -> None:
    for stem, part in (("train", slice(0, 14)), ("t10k", slice(14, 20))):
        write(tmp_path / f"{stem}-images{mark}3-ubyte{suffix}", idx(IMAGES[part]))
        write(tmp_path / f"{stem}-labels{mark}1-ubyte{suffix}", idx(LABELS[part]))
    source = read_idx_folder(tmp_path)
    assert np.array_equal(source.parts["train"].inputs, IMAGES[:14, None])
    assert np.array_equal(source.parts["test"].inputs, IMAGES[14:, None])
    assert source.parts["test"].labels.tolist() == LABELS[14:].tolist()
    assert source.class_names == ("0", "1")
    dataset = load(tmp_path)
    assert dataset.report.own_splits == ("test",)
    assert dataset.report.num_samples == {"train": 13, "validation": 1, "test": 6}


def test_one_file_takes_the_labels_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "train-images-idx3-ubyte", idx(IMAGES))
    write(tmp_path / "train-labels-idx1-ubyte.gz", idx(LABELS))
    source = read_idx(path)
    assert source.parts["train"].labels.tolist() == LABELS.tolist()
    assert source.parts["train"].names[3] == "train-images-idx3-ubyte[3]"
    assert source.notes == ()


def test_missing_labels_are_said(tmp_path: Path) -> None:
    source = read_idx(write(tmp_path / "images-idx3-ubyte.gz", idx(IMAGES)))
    assert source.parts["train"].labels is None
    assert source.notes == ("no labels beside images-idx3-ubyte.gz: the pictures are taken without classes",)


def test_a_plain_file_goes_before_its_compressed_twin(tmp_path: Path) -> None:
    write(tmp_path / "train-images-idx3-ubyte", idx(IMAGES[:6]))
    write(tmp_path / "train-images-idx3-ubyte.gz", idx(IMAGES))
    assert len(read_idx_folder(tmp_path).parts["train"].inputs) == 6


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "this is no IDX file"),
        (b"\x89PNG....", "this is no IDX file\n  got: 89 50 4e 47"),
        (idx(IMAGES)[:7], "the file ends within its header\n  got: 7 bytes"),
        (
            idx(IMAGES)[:-5],
            "does not end where its header says\n  got: 395 bytes of values\n  expected: 400 bytes: 20 x",
        ),
        (idx(IMAGES) + b"x", "does not end where its header says\n  got: more than 400 bytes"),
        (idx(IMAGES[:0]), "the file holds nothing\n  got: (0, 4, 5)"),
        (idx(LABELS), "an IDX file of another kind\n  got: type 0x08, 1 dimensions"),
        (
            b"\0\0\x0d\x03" + idx(IMAGES)[4:],
            "got: type 0x0d, 3 dimensions\n  expected: type 0x08 (unsigned bytes)",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes, expected: str, suffix: str) -> None:
    path = write(tmp_path / f"images-idx3-ubyte{suffix}", content)
    with pytest.raises(DataError) as raised:
        read_idx(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert expected in str(raised.value)


def test_a_cut_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(IMAGES))[:-60])
    with pytest.raises(DataError, match="cannot be decompressed: the file is damaged or cut short"):
        read_idx(path)


def test_labels_out_of_step_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "images-idx3-ubyte", idx(IMAGES))
    write(tmp_path / "labels-idx1-ubyte", idx(LABELS[:19]))
    with pytest.raises(DataError, match="labels out of step with the pictures") as raised:
        read_idx(path)
    assert "got: 19 labels\n  expected: 20 labels, as images-idx3-ubyte has pictures" in str(raised.value)


def test_a_file_of_labels_is_no_source(tmp_path: Path) -> None:
    path = write(tmp_path / "train-labels-idx1-ubyte", idx(LABELS))
    with pytest.raises(DataError, match="these are labels, not pictures"):
        read_idx(path)


def test_a_folder_without_training_pictures_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "t10k-images-idx3-ubyte", idx(IMAGES))
    with pytest.raises(NotFoundError, match="no train-images-idx3-ubyte among them"):
        read_idx_folder(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_labels_without_their_pictures_are_refused(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / "train-images-idx3-ubyte", idx(IMAGES))
    write(tmp_path / "train-labels-idx1-ubyte", idx(LABELS))
    write(tmp_path / f"t10k-labels-idx1-ubyte{suffix}", idx(LABELS))
    with pytest.raises(
        DataError, match="without their pictures: there is no t10k-images-idx3-ubyte"
    ) as caught:
        read_idx_folder(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / f"t10k-labels-idx1-ubyte{suffix}"))


def test_files_of_the_folder_that_are_not_read_are_said(tmp_path: Path) -> None:
    write(tmp_path / "train-images-idx3-ubyte", idx(IMAGES))
    write(tmp_path / "train-images-idx3-ubyte.gz", idx(IMAGES))
    write(tmp_path / "train-labels-idx1-ubyte", idx(LABELS))
    assert read_idx_folder(tmp_path).notes == (
        "1 other file of the folder not read: train-images-idx3-ubyte.gz",
    )
    write(tmp_path / "more.png", b"")
    write(tmp_path / ".hidden", b"")
    (tmp_path / "raw").mkdir()
    assert read_idx_folder(tmp_path).notes == (
        "3 other files of the folder not read: raw/, more.png, train-images-idx3-ubyte.gz",
    )


def test_labels_for_one_split_only_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train-images-idx3-ubyte", idx(IMAGES))
    write(tmp_path / "train-labels-idx1-ubyte", idx(LABELS))
    write(tmp_path / "t10k-images-idx3-ubyte", idx(IMAGES))
    with pytest.raises(DataError, match="labels for some of the splits only"):
        read_idx_folder(tmp_path)


@pytest.mark.parametrize("name", ["other-images-idx3-ubyte", "test-images-idx3-ubyte"])
def test_unclear_splits_are_refused(tmp_path: Path, name: str) -> None:
    for stem in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte", name):
        write(tmp_path / stem, idx(IMAGES))
    with pytest.raises(DataError, match="files whose split is unclear"):
        read_idx_folder(tmp_path)


def test_splits_of_different_sizes_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train-images-idx3-ubyte", idx(IMAGES))
    write(tmp_path / "t10k-images-idx3-ubyte", idx(IMAGES[:, :3]))
    with pytest.raises(DataError, match="splits of different sizes"):
        read_idx_folder(tmp_path)


def test_more_than_memory_holds_is_refused(tmp_path: Path) -> None:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**15, 2**15)
    with pytest.raises(ResourceError, match="does not fit into memory"):
        read_idx(write(tmp_path / "images-idx3-ubyte.gz", header))


def test_damage_never_ends_in_another_error(tmp_path: Path) -> None:
    refused = 0
    generator = np.random.default_rng(0)
    for suffix in ("", ".gz"):
        path = write(tmp_path / f"images-idx3-ubyte{suffix}", idx(IMAGES))
        whole = path.read_bytes()
        for _ in range(150):
            content = bytearray(whole)
            content[int(generator.integers(0, min(60, len(whole))))] = int(generator.integers(0, 256))
            path.write_bytes(bytes(content))
            try:
                read_idx(path)
            except CreusetError:
                refused += 1
    assert refused > 20, "damage of so many kinds must show"
