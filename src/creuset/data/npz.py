"""Arrays in a .npz file: pictures or table rows, with the splits that the file has.

    train_images       (N, H, W) grey, (N, H, W, 3) or (N, 3, H, W) colour; whole numbers in 0..255
    train_features     (N, F) numbers, instead of train_images: a table
    train_labels       (N,) whole numbers; left out for data without classes
    validation_*, test_*   the same, where the file has such splits
    class_names, feature_names   texts; num_levels   how many values a pixel can take, if not 256

Pickled content is never loaded. What an array's header promises is checked against the file and the memory
before the array is read.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from creuset.data.arrays import as_features, as_pictures, dark_note
from creuset.data.dataset import Dataset
from creuset.data.source import (
    SPLITS,
    Part,
    Source,
    check_classes,
    class_order,
    counted,
    require_memory,
)
from creuset.errors import DataError, did_you_mean
from creuset.files import write_atomic

_KINDS = ("images", "features", "labels")
_KEYS = (
    *(f"{split}_{kind}" for split in SPLITS for kind in _KINDS),
    "class_names",
    "feature_names",
    "num_levels",
)
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,  # a place in the file that cannot be
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    LookupError,
    NotImplementedError,
    RuntimeError,
)
"""What the readers of zip and .npy raise for files that are damaged or made to harm."""
_BOMB_RATIO = 200
_BOMB_BYTES = 1 << 30


def read_npz(path: Path) -> Source:
    """The arrays of a .npz file, by the rules at the head of this file.

    Raises:
        DataError: A damaged or hostile file; a missing or unknown name; arrays of a wrong type, form or
            range, or out of step.
        ResourceError: The arrays do not fit into memory.
    """
    arrays = _load(path)
    _check_keys(path, arrays)
    kind: Literal["images", "table"] = "images" if "train_images" in arrays else "table"
    name = "images" if kind == "images" else "features"
    num_levels = _number_of_levels(path, arrays) if kind == "images" else 0
    inputs = {split: arrays[f"{split}_{name}"] for split in SPLITS if f"{split}_{name}" in arrays}
    if kind == "images":
        inputs = {
            split: as_pictures(f"{path}: {split}_images", array, num_levels)
            for split, array in inputs.items()
        }
    else:
        inputs = {split: as_features(f"{path}: {split}_features", array) for split, array in inputs.items()}
    _check_forms(path, inputs)
    class_names, labels = _labels(path, arrays, inputs)
    parts = {
        split: Part(
            inputs=array,
            labels=labels.get(split),
            names=tuple(f"{split}_{name}[{row}]" for row in range(len(array))),
        )
        for split, array in inputs.items()
    }
    return Source(
        origin=f"{path.name}: .npz of {'pictures' if kind == 'images' else 'table rows'}",
        kind=kind,
        num_levels=num_levels,
        parts=parts,
        class_names=class_names,
        feature_names=_feature_names(path, arrays, inputs["train"]) if kind == "table" else (),
        notes=dark_note(inputs["train"]) if num_levels == 256 else (),
    )


def write_npz(dataset: Dataset, path: Path) -> None:
    """The data set as a .npz that `read_npz` reads back into the same splits, whole or not at all."""
    name = "images" if dataset.spec.kind == "images" else "features"
    arrays: dict[str, NDArray[Any]] = {}
    for split, part in dataset.splits.items():
        inputs = part.inputs.numpy()
        if name == "images":
            inputs = inputs[:, 0] if inputs.shape[1] == 1 else inputs.transpose(0, 2, 3, 1)
        arrays[f"{split}_{name}"] = inputs
        if part.labels is not None:
            arrays[f"{split}_labels"] = part.labels.numpy()
    if dataset.spec.class_names:
        arrays["class_names"] = np.array(dataset.spec.class_names, dtype=np.str_)
    if dataset.spec.feature_names:
        arrays["feature_names"] = np.array(dataset.spec.feature_names, dtype=np.str_)
    if dataset.spec.kind == "images":
        arrays["num_levels"] = np.array(dataset.spec.num_levels)
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_atomic(path, content.getvalue())


def _load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file, each checked before it is read."""
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _arrays(path, archive)
        except _DAMAGE as error:
            raise DataError(
                "cannot be read as .npz: the file is damaged, cut short or of another kind",
                where=path,
                got=error,
                next_step="save it again with np.savez_compressed",
            ) from error


def _arrays(path: Path, archive: zipfile.ZipFile) -> dict[str, NDArray[Any]]:
    entries = archive.infolist()
    expanded = sum(entry.file_size for entry in entries)
    size = path.stat().st_size
    if expanded > _BOMB_BYTES and expanded > _BOMB_RATIO * size:
        raise DataError(
            "this file expands suspiciously",
            where=path,
            got=f"{size:,} bytes that become {expanded:,}",
            expected=f"at most {_BOMB_RATIO} times its size",
            next_step="save real data of this kind with np.savez, without compression",
        )
    require_memory(path, expanded)
    arrays: dict[str, NDArray[Any]] = {}
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if name in arrays:
            raise DataError(f'two arrays are called "{name}"', where=path)
        with archive.open(entry) as member:
            _check_header(f"{path}: {name}", member, entry.file_size)
        with archive.open(entry) as member:
            arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays


def _check_header(where: str, file: IO[bytes], num_bytes: int) -> None:
    """Refuses an array whose header promises anything but what follows it."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise DataError(
            "an array in an unknown version of .npy", where=where, got=version, expected="1.0 or 2.0"
        )
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise DataError(
            "an array of Python objects",
            where=where,
            expected="numbers: creuset never loads pickled data",
            next_step="build it from equal shapes with np.stack and save it again",
        )
    promised = dtype.itemsize
    for length in shape:
        promised *= length
    held = num_bytes - file.tell()
    if promised != held:
        raise DataError(
            "an array cut short", where=where, got=f"{held:,} bytes", expected=f"{promised:,} bytes"
        )


def _check_keys(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    there = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no arrays"
    if ("train_images" in arrays) == ("train_features" in arrays):
        missing = "train_images" not in arrays
        raise DataError(
            "there is no train_images" if missing else "there are both train_images and train_features",
            where=path,
            got=there,
            expected="train_images (pictures) or train_features (table rows); train_labels, test_images, "
            "test_labels where there are any",
            next_step="rename: np.savez(file, train_images=x, train_labels=y)" if missing else None,
        )
    unknown = [name for name in arrays if name not in _KEYS]
    if unknown:
        raise DataError(
            f'unknown array "{unknown[0]}"{did_you_mean(unknown[0], _KEYS)}',
            where=path,
            next_step="rename it, or save the file without it",
        )
    wrong = "features" if "train_images" in arrays else "images"
    for split in SPLITS:
        name = "images" if wrong == "features" else "features"
        if f"{split}_{wrong}" in arrays:
            raise DataError(f"{split}_{wrong} beside train_{name}", where=path, expected="one kind of data")
        labelled, has_labels = "train_labels" in arrays, f"{split}_labels" in arrays
        if (f"{split}_{name}" in arrays and labelled != has_labels) or (
            has_labels and f"{split}_{name}" not in arrays
        ):
            raise DataError(
                "some arrays have no counterpart",
                where=path,
                got=there,
                expected=f"labels for each of the {name}, or none at all",
            )


def _number_of_levels(path: Path, arrays: Mapping[str, NDArray[Any]]) -> int:
    if "num_levels" not in arrays:
        return 256
    array = arrays["num_levels"]
    if array.dtype.kind not in "iu" or array.size != 1 or not 2 <= array.item() <= 256:
        raise DataError("wrong num_levels", where=path, got=array, expected="one whole number in 2..256")
    return int(array.item())


def _check_forms(path: Path, inputs: Mapping[str, NDArray[Any]]) -> None:
    forms = {split: array.shape[1:] for split, array in inputs.items()}
    if len(set(forms.values())) > 1:
        raise DataError(
            "the splits hold samples of different forms",
            where=path,
            got=", ".join(f"{split} {form}" for split, form in forms.items()),
            expected="one form",
        )


def _labels(
    path: Path, arrays: Mapping[str, NDArray[Any]], inputs: Mapping[str, NDArray[Any]]
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Class names and labels as places in them; checks that labels and inputs are in step."""
    given = {split: arrays[f"{split}_labels"] for split in inputs if f"{split}_labels" in arrays}
    for split, array in given.items():
        where = f"{path}: {split}_labels"
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise DataError(
                "labels of a wrong type or shape",
                where=where,
                got=f"{array.dtype} {array.shape}",
                expected=f"whole numbers ({len(inputs[split])},)",
                next_step="save labels[:, 0]" if array.ndim == 2 and array.shape[1] == 1 else None,
            )
        if len(array) != len(inputs[split]):
            raise DataError(
                "labels out of step with the samples",
                where=where,
                got=counted(len(array), "label"),
                expected=counted(len(inputs[split]), "label"),
            )
    if not given:
        return (), {}
    values = np.unique(np.concatenate([array.astype(np.int64) for array in given.values()]))
    if "class_names" in arrays:
        class_names = tuple(str(name) for name in arrays["class_names"].reshape(-1))
        if values[0] < 0 or values[-1] >= len(class_names) or len(set(class_names)) < len(class_names):
            raise DataError(
                "class_names that do not fit the labels",
                where=path,
                got=f"{counted(len(class_names), 'name')}, labels from {values[0]} to {values[-1]}",
                expected="one different name for each label, which count from 0",
            )
        labels = {split: array.astype(np.int64) for split, array in given.items()}
    else:
        class_names = class_order(str(value) for value in values)
        labels = {split: np.searchsorted(values, array).astype(np.int64) for split, array in given.items()}
    check_classes(path, class_names, labels)
    return class_names, labels


def _feature_names(path: Path, arrays: Mapping[str, NDArray[Any]], features: NDArray[Any]) -> tuple[str, ...]:
    if "feature_names" not in arrays:
        return tuple(str(column) for column in range(1, features.shape[1] + 1))
    names = tuple(str(name) for name in arrays["feature_names"].reshape(-1))
    if len(names) != features.shape[1]:
        raise DataError(
            "feature_names that do not fit the columns",
            where=path,
            got=counted(len(names), "name"),
            expected=counted(features.shape[1], "name"),
        )
    return names
