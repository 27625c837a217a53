import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from creuset.data.dataset import Dataset
from creuset.data.npz import read_npz, write_npz
from creuset.errors import CreusetError, DataError, ResourceError

Load = Callable[..., Dataset]
Pictures = Callable[..., Any]


def save(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def labels_for(number: int, num_classes: int = 2) -> Any:
    return np.arange(number) % num_classes


@pytest.mark.parametrize("form", ["grey", "channels last", "channels first", "one channel"])
def test_pictures_in_each_form(tmp_path: Path, pictures: Pictures, form: str) -> None:
    colour = form.startswith("channels")
    images = pictures(8, channels=3 if colour else 0)
    expected = images.transpose(0, 3, 1, 2) if colour else images[:, None]
    given = {"channels first": expected, "one channel": images[..., None]}.get(form, images)
    path = save(tmp_path / "a.npz", train_images=given, train_labels=labels_for(8))
    part = read_npz(path).parts["train"]
    assert np.array_equal(part.inputs, expected)
    assert part.inputs.flags.c_contiguous
    assert part.names[7] == "train_images[7]"


def test_own_splits_and_labels(tmp_path: Path, pictures: Pictures, load: Load) -> None:
    images = pictures(30)
    path = save(
        tmp_path / "a.npz",
        train_images=images[:20],
        train_labels=labels_for(20) * 5 + 2,
        validation_images=images[20:24],
        validation_labels=labels_for(4) * 5 + 2,
        test_images=images[24:],
        test_labels=labels_for(6) * 5 + 2,
    )
    dataset = load(path)
    assert dataset.spec.class_names == ("2", "7")
    assert dataset.report.own_splits == ("validation", "test")
    assert dataset.report.class_counts == {"train": (10, 10), "validation": (2, 2), "test": (3, 3)}


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64", "uint16"])
def test_whole_numbers_of_other_types_are_taken(tmp_path: Path, pictures: Pictures, dtype: str) -> None:
    images = pictures(4)
    path = save(tmp_path / "a.npz", train_images=images.astype(dtype))
    assert np.array_equal(read_npz(path).parts["train"].inputs, images[:, None])


@pytest.mark.parametrize(
    ("layout", "order"), [("NHWC", (0, 3, 1, 2)), ("NCHW", (0, 1, 2, 3)), (np.str_("NHWC"), (0, 3, 1, 2))]
)
def test_a_layout_tells_the_channels(tmp_path: Path, layout: str, order: tuple[int, ...]) -> None:
    found = read_npz(save(tmp_path / "a.npz", train_images=COLOUR, layout=layout)).parts["train"].inputs
    assert np.array_equal(found, COLOUR.transpose(order))


@pytest.mark.parametrize("size", [(3, 3), (3, 5), (5, 3), (1, 3)])
def test_narrow_colour_pictures_are_written_and_read_back(
    tmp_path: Path, pictures: Pictures, load: Load, size: tuple[int, int]
) -> None:
    images = pictures(40, height=size[0], width=size[1], channels=3)
    dataset = load(save(tmp_path / "a.npz", train_images=images, layout="NHWC"))
    write_npz(dataset, tmp_path / "splits.npz")
    again = load(tmp_path / "splits.npz")
    assert again.spec == dataset.spec
    assert again.spec.shape == (3, *size)
    assert again.content_hash == dataset.content_hash


def test_large_labels_of_several_types_are_kept_apart(tmp_path: Path) -> None:
    source = read_npz(
        save(
            tmp_path / "a.npz",
            train_images=IMAGES,
            train_labels=LABELS.astype(np.uint64) + np.uint64(2**62),
            test_images=IMAGES[:2],
            test_labels=LABELS[:2] - 7,
        )
    )
    assert source.class_names == ("-7", "-6", str(2**62), str(2**62 + 1))
    assert source.parts["train"].labels is not None
    assert source.parts["train"].labels.tolist() == (LABELS + 2).tolist()


def test_rows_that_float32_cannot_tell_apart_are_written_and_read_back(tmp_path: Path, load: Load) -> None:
    rows = 1_700_000_000 + np.arange(40)[:, None]
    dataset = load(save(tmp_path / "a.npz", train_features=rows))
    assert dataset.report.duplicates_within == {}
    write_npz(dataset, tmp_path / "splits.npz")
    again = load(tmp_path / "splits.npz")
    assert again.content_hash == dataset.content_hash
    assert (
        sorted(int(value) for part in again.splits.values() for value in part.inputs[:, 0])
        == rows[:, 0].tolist()
    )


@pytest.mark.parametrize("shape", [(6, 8, 9, 1), (6, 8, 3, 3)])
def test_what_generate_writes_is_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = save(tmp_path / "a.npz", pictures=drawn, originals=drawn, record=np.array("{}"))
    assert np.array_equal(read_npz(path).parts["train"].inputs, drawn.transpose(0, 3, 1, 2))
    with pytest.raises(DataError, match="there is no train_images"):
        read_npz(save(tmp_path / "b.npz", pictures=drawn))


def test_features_make_a_table(tmp_path: Path, load: Load) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    dataset = load(save(tmp_path / "a.npz", train_features=rows, train_labels=labels_for(40)))
    assert dataset.spec.kind == "table"
    assert dataset.spec.feature_names == ("1", "2", "3")


NAMES = ("train", "validation", "test")


@pytest.mark.parametrize("source", ["digits", "colour", "table", "flat"])
def test_written_splits_are_read_back_the_same(
    tmp_path: Path, pictures: Pictures, load: Load, source: str
) -> None:
    if source == "colour":
        source = str(
            save(tmp_path / "c.npz", train_images=pictures(50, channels=3), train_labels=labels_for(50))
        )
    elif source == "table":
        rows = [f"{i * 0.1},{i % 7},{'yes' if i % 3 else 'no'}" for i in range(60)]
        source = str(tmp_path / "t.csv")
        Path(source).write_text("width,height,label\n" + "\n".join(rows))
    elif source == "flat":
        source = str(save(tmp_path / "f.npz", train_images=pictures(50)))
    dataset = load(source, seed=3)
    write_npz(dataset, tmp_path / "splits.npz")
    again = load(tmp_path / "splits.npz", seed=99)
    assert again.content_hash == dataset.content_hash
    assert again.spec == dataset.spec
    assert again.report.own_splits == ("validation", "test")
    for name in NAMES:
        assert np.array_equal(again.splits[name].inputs, dataset.splits[name].inputs)
        if dataset.splits[name].labels is not None:
            assert np.array_equal(again.splits[name].labels, dataset.splits[name].labels)


def test_writing_leaves_no_half_file(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    dataset = load("digits")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceError, match="the disk is full"):
        write_npz(dataset, tmp_path / "splits.npz")
    assert list(tmp_path.iterdir()) == []


IMAGES = np.arange(160, dtype=np.uint8).reshape(8, 4, 5)
LABELS = labels_for(8)
COLOUR = np.arange(108, dtype=np.uint8).reshape(4, 3, 3, 3)


def with_pixel(*values: float) -> Any:
    """IMAGES as floats, with these values from the pixel [1, 2, 3] on."""
    images = IMAGES.astype(np.float64)
    images.reshape(-1)[33 : 33 + len(values)] = values
    return images


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({}, "there is no train_images\n  got: no arrays"),
        ({"x_train": IMAGES}, "there is no train_images\n  got: x_train (8, 4, 5)"),
        (
            {"train_images": IMAGES, "train_features": IMAGES},
            "there are both train_images and train_features",
        ),
        (
            {"train_images": IMAGES, "val_images": IMAGES},
            'unknown array "val_images"; did you mean "validation_images"?',
        ),
        ({"train_images": IMAGES, "ids": LABELS}, 'unknown array "ids"'),
        ({"train_images": IMAGES, "test_features": IMAGES}, "test_features beside train_images"),
        (
            {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES},
            "some arrays have no counterpart",
        ),
        ({"train_images": IMAGES, "test_labels": LABELS}, "some arrays have no counterpart"),
        (
            {"train_images": IMAGES, "train_labels": LABELS[:7]},
            "train_labels: labels out of step with the samples\n  got: 7 labels\n  expected: 8 labels",
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS[:, None]},
            "got: int64 (8, 1)\n  expected: whole numbers (8,)\n  next: save labels[:, 0]",
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS * 0.5},
            "labels of a wrong type or shape\n  got: float64",
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS.astype(np.uint64) + np.uint64(2**63)},
            "train_labels[1]: a label that is too large\n  got: 9223372036854775809\n",
        ),
        (
            {"train_images": COLOUR, "layout": "channels last"},
            "unknown layout\n  got: channels last\n  expected: NHWC or NCHW",
        ),
        (
            {"train_images": IMAGES, "layout": "NCHW"},
            "pictures of a wrong shape\n  got: (8, 4, 5)\n  expected: one or three channels where the layout",
        ),
        ({"train_features": IMAGES[0], "layout": "NCHW"}, "a layout of table rows"),
        (
            {"train_images": COLOUR},
            "train_images: pictures of an ambiguous shape: the channels could be last or come before height "
            "and width\n  got: (4, 3, 3, 3)",
        ),
        (
            {"train_images": COLOUR},
            'next: say it in the .npz: layout="NHWC" for channels last, layout="NCHW"',
        ),
        (
            {"train_images": IMAGES.astype(complex)},
            "pictures of a wrong type\n  got: complex128\n  expected: uint8",
        ),
        ({"train_images": IMAGES[0]}, "pictures of a wrong shape\n  got: (4, 5)"),
        ({"train_images": IMAGES.reshape(2, 4, 4, 5)}, "pictures of a wrong shape\n  got: (2, 4, 4, 5)"),
        ({"train_images": IMAGES[:0]}, "pictures without pixels\n  got: (0, 1, 4, 5)"),
        (
            {"train_images": IMAGES / 255},
            "pixels on a scale from 0 to 1\n  got: float64 values from 0.0 to 0.6235294117647059",
        ),
        ({"train_images": IMAGES / 255}, "np.rint(images * 255).astype(np.uint8)"),
        (
            {"train_images": IMAGES / 80 - 1.0},
            "pixels out of range\n  got: float64 values from -1.0 to 0.9875",
        ),
        ({"train_images": IMAGES / 80 - 1.0}, "np.rint((images + 1) * 127.5).astype(np.uint8)"),
        (
            {"train_images": IMAGES + 0.5},
            "pixels that are no whole numbers\n  got: float64 values, such as 0.5",
        ),
        (
            {"train_images": with_pixel(np.nan)},
            "train_images[1, 2, 3]: pixels that are no finite numbers\n  got: 1 NaN of ",
        ),
        (
            {"train_images": IMAGES, "test_images": with_pixel(np.nan, -np.inf, np.inf)},
            "test_images[1, 2, 3]: pixels that are no finite numbers\n  got: 1 NaN and 2 infinite of ",
        ),
        ({"train_images": IMAGES.astype(int) * 2}, "expected: whole numbers in 0..255"),
        ({"train_images": IMAGES > 9}, "pixels on a scale from 0 to 1\n  got: bool values"),
        ({"train_images": IMAGES, "num_levels": 17}, "expected: whole numbers in 0..16"),
        ({"train_images": IMAGES, "num_levels": 1}, "wrong num_levels"),
        (
            {"train_images": IMAGES, "test_images": IMAGES[:, 1:]},
            "samples of different forms\n  got: train (1, 4, 5)",
        ),
        ({"train_features": IMAGES}, "table rows of a wrong type or shape\n  got: uint8 (8, 4, 5)"),
        (
            {"train_features": np.array([[1.0], [np.nan]])},
            "train_features[1, 0]: a value that is missing or infinite",
        ),
        (
            {"train_features": np.array([[1.0], [1e40]])},
            "train_features[1, 0]: a value that is missing or infinite\n  got: 1e+40\n  expected: finite",
        ),
        ({"train_features": IMAGES[0], "feature_names": ["a"]}, "feature_names that do not fit the columns"),
        (
            {"train_images": IMAGES, "train_labels": LABELS, "class_names": ["a"]},
            "class_names that do not fit the labels\n  got: 1 name, labels from 0 to 1",
        ),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, arrays: dict[str, Any], expected: str) -> None:
    path = save(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError) as raised:
        read_npz(path)
    assert expected in str(raised.value)
    assert str(path) in str(raised.value)


def test_few_levels_that_are_not_declared_are_said(tmp_path: Path) -> None:
    dark = IMAGES % 16
    note = read_npz(save(tmp_path / "a.npz", train_images=dark)).notes[0]
    assert note.startswith("the brightest pixel is 15 of 255, so these pictures are nearly black")
    assert "num_levels=16" in note
    declared = read_npz(save(tmp_path / "b.npz", train_images=dark, num_levels=16))
    assert declared.notes == ()
    assert declared.num_levels == 16


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "a.npz"
    objects = np.empty(1, dtype=object)
    objects[0] = Trap()
    np.savez(path, train_images=objects)
    with pytest.raises(DataError, match="an array of Python objects") as raised:
        read_npz(path)
    assert "creuset never loads pickled data" in str(raised.value)
    assert not (tmp_path / "sprung").exists()


def archive_with(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)}
    )
    with pytest.raises(DataError, match="train_images: an array cut short"):
        read_npz(archive_with(tmp_path / "a.npz", "train_images.npy", file.getvalue() + bytes(50)))


def test_a_file_that_expands_without_bounds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("creuset.data.npz_file._BOMB_BYTES", 1 << 20)
    path = save(tmp_path / "a.npz", train_images=np.zeros((4000, 28, 28), dtype=np.uint8))
    with pytest.raises(DataError, match="this file expands suspiciously"):
        read_npz(path)


def test_more_than_memory_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.npz", train_images=IMAGES)
    monkeypatch.setattr("os.sysconf", lambda name: 10)
    with pytest.raises(ResourceError, match="does not fit into memory"):
        read_npz(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="the file is damaged, cut short or of another kind"):
        read_npz(tmp_path / "a.npz")


def test_a_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file is damaged"):
        read_npz(archive_with(tmp_path / "a.npz", "train_images.npy", b"hello"))


def test_damage_never_ends_in_another_error(tmp_path: Path) -> None:
    refused = 0
    path = save(tmp_path / "a.npz", train_images=IMAGES, train_labels=LABELS)
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for place in generator.integers(0, len(whole), 3):
            content[place] = int(generator.integers(0, 256))
        path.write_bytes(bytes(content[: int(generator.integers(1, 2 * len(whole)))]))
        try:
            read_npz(path)
        except CreusetError:
            refused += 1
    assert refused > 20, "damage of so many kinds must show"
