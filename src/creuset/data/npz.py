"""Arrays in a .npz file: pictures, table rows or texts, with the splits that the file has.

    train_images       (N, H, W) grey, (N, H, W, 3) or (N, 3, H, W) colour; whole numbers in 0..255
    train_features     (N, F) numbers, instead of train_images: a table
    train_texts        (N,) texts, instead of train_images
    train_labels       (N,) whole numbers; left out for data without classes
    validation_*, test_*   the same, where the file has such splits
    class_names, feature_names   texts; num_levels   how many values a pixel can take, if not 256
    layout             "NHWC" or "NCHW", where the shape of colour pictures does not tell their channels

The file that `creuset generate` writes is taken too: its pictures (N, H, W, C), beside their record.
How the file is opened, and what is refused there, stands in npz_file.py.
"""

import io
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from creuset.data.arrays import Layout, as_features, as_pictures, dark_note
from creuset.data.dataset import Dataset
from creuset.data.npz_file import load_arrays
from creuset.data.source import SPLITS, Part, Source, class_order, counted
from creuset.data.spec import Kind
from creuset.errors import DataError, UsageError, did_you_mean
from creuset.files import write_atomic

_KINDS: dict[str, Kind] = {"images": "images", "features": "table", "texts": "texts"}
"""Second half of an array's name -> what its samples are."""
_LARGEST_LABEL = np.iinfo(np.int64).max
_WORDS: dict[Kind, str] = {"images": "pictures", "table": "table rows", "texts": "texts"}
_KEYS = (
    *(f"{split}_{name}" for split in SPLITS for name in (*_KINDS, "labels")),
    "class_names",
    "feature_names",
    "num_levels",
    "layout",
)
_LAYOUTS: tuple[Layout, ...] = get_args(Layout)


def read_npz(path: Path) -> Source:
    """The arrays of a .npz file, by the rules at the head of this file.

    Raises:
        DataError: A damaged or hostile file; a missing or unknown name; arrays of a wrong type, form or
            range, or out of step.
        ResourceError: The arrays do not fit into memory.
    """
    arrays = load_arrays(path)
    if {"pictures", "record"} <= arrays.keys():
        arrays = {"train_images": arrays["pictures"], "layout": np.array("NHWC")}
    _check_keys(path, arrays)
    name = next(name for name in _KINDS if f"train_{name}" in arrays)
    kind = _KINDS[name]
    num_levels = _number_of_levels(path, arrays) if kind == "images" else 0
    inputs = {split: arrays[f"{split}_{name}"] for split in SPLITS if f"{split}_{name}" in arrays}
    layout = _layout(path, arrays, kind)
    if kind == "images":
        inputs = {
            split: as_pictures(f"{path}: {split}_images", array, num_levels, layout)
            for split, array in inputs.items()
        }
    elif kind == "table":
        inputs = {split: as_features(f"{path}: {split}_features", array) for split, array in inputs.items()}
    else:
        inputs = {split: _as_texts(f"{path}: {split}_texts", array) for split, array in inputs.items()}
    _check_forms(path, inputs)
    class_names, labels = read_labels(path, arrays, inputs)
    parts = {
        split: Part(
            inputs=array,
            labels=labels.get(split),
            names=tuple(f"{split}_{name}[{row}]" for row in range(len(array))),
        )
        for split, array in inputs.items()
    }
    return Source(
        origin=f"{path.name}: .npz of {_WORDS[kind]}",
        kind=kind,
        num_levels=num_levels,
        parts=parts,
        class_names=class_names,
        feature_names=_feature_names(path, arrays, inputs["train"]) if kind == "table" else (),
        notes=dark_note(inputs["train"]) if num_levels == 256 else (),
    )


def write_npz(dataset: Dataset, path: Path) -> None:
    """The data set as a .npz that `read_npz` reads back into the same splits, whole or not at all.

    Raises:
        UsageError: A corpus, whose splits are pieces of a text and no samples, or pairs of texts; or sound,
            whose clips are no longer there.
    """
    if dataset.spec.sound is not None:
        raise UsageError(
            "the splits of sound are no file of arrays: of the clips only pictures are kept",
            where=dataset.report.origin,
            expected="pictures, a table or texts of a CSV file",
            next_step="train on the sound itself: its splits follow from its content and the shares",
        )
    if dataset.spec.kind in ("corpus", "pairs"):
        what, by = ("plain text", "order") if dataset.spec.kind == "corpus" else ("pairs of texts", "content")
        raise UsageError(
            f"the splits of {what} are no file of arrays",
            where=dataset.report.origin,
            expected="pictures, a table or texts of a CSV file",
            next_step=f"train on the text itself: its splits follow from its {by} and the shares",
        )
    name = next(name for name, kind in _KINDS.items() if kind == dataset.spec.kind)
    arrays: dict[str, NDArray[Any]] = {}
    for split, part in dataset.splits.items():
        inputs = np.array(part.texts, dtype=np.str_) if part.texts else part.inputs.numpy()
        if name == "images":
            if inputs.shape[1] == 1:
                inputs = inputs[:, 0]
            else:
                inputs = inputs.transpose(0, 2, 3, 1)
                arrays["layout"] = np.array("NHWC")
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


def _check_keys(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    there = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no arrays"
    given = [f"train_{name}" for name in _KINDS if f"train_{name}" in arrays]
    if len(given) != 1:
        missing = not given
        raise DataError(
            "there is no train_images" if missing else f"there are both {' and '.join(given)}",
            where=path,
            got=there,
            expected="train_images (pictures), train_features (table rows) or train_texts; train_labels, "
            "test_images, test_labels where there are any",
            next_step="rename: np.savez(file, train_images=x, train_labels=y)" if missing else None,
        )
    unknown = [name for name in arrays if name not in _KEYS]
    if unknown:
        raise DataError(
            f'unknown array "{unknown[0]}"{did_you_mean(unknown[0], _KEYS)}',
            where=path,
            next_step="rename it, or save the file without it",
        )
    name = given[0].removeprefix("train_")
    for split in SPLITS:
        for wrong in _KINDS:
            if wrong != name and f"{split}_{wrong}" in arrays:
                raise DataError(f"{split}_{wrong} beside {given[0]}", where=path, expected="one kind of data")
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


def _layout(path: Path, arrays: Mapping[str, NDArray[Any]], kind: Kind) -> Layout | None:
    """Where the file says that its pictures hold their channels; None where it says nothing."""
    if "layout" not in arrays:
        return None
    if kind != "images":
        raise DataError(f"a layout of {_WORDS[kind]}", where=path, next_step="leave layout out")
    given = str(arrays["layout"])
    for layout in _LAYOUTS:
        if layout == given:
            return layout
    raise DataError("unknown layout", where=path, got=given, expected=" or ".join(_LAYOUTS))


def _as_texts(where: str, array: NDArray[Any]) -> NDArray[np.object_]:
    """Texts as objects (N,), white space around each taken off."""
    if array.dtype.kind != "U" or array.ndim != 1:
        raise DataError(
            "texts of a wrong type or shape",
            where=where,
            got=f"{array.dtype} {array.shape}",
            expected="texts (N,)",
            next_step="save np.array(list_of_texts, dtype=str)",
        )
    texts: NDArray[np.object_] = np.char.strip(array).astype(object)
    empty = np.flatnonzero(texts == "")
    if len(empty):
        raise DataError("an empty text", where=f"{where}[{empty[0]}]", next_step="leave it out")
    return texts


def _check_forms(path: Path, inputs: Mapping[str, NDArray[Any]]) -> None:
    forms = {split: array.shape[1:] for split, array in inputs.items()}
    if len(set(forms.values())) > 1:
        raise DataError(
            "the splits hold samples of different forms",
            where=path,
            got=", ".join(f"{split} {form}" for split, form in forms.items()),
            expected="one form",
        )


def read_labels(
    path: Path, arrays: Mapping[str, NDArray[Any]], inputs: Mapping[str, Sized]
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Class names and labels as places in them; checks that labels and inputs are in step.

    Args:
        path: The file, for errors.
        arrays: `train_labels` and so on, and `class_names`; no labels where there are no classes.
        inputs: The samples of each split.

    Raises:
        DataError: Labels of a wrong type, out of step with the samples, or beyond the names.
    """
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
        if len(array) and array.max() > _LARGEST_LABEL:
            raise DataError(
                "a label that is too large",
                where=f"{where}[{array.argmax()}]",
                got=array.max(),
                expected=f"at most {_LARGEST_LABEL}, the largest int64",
                next_step="number the classes from 0, and name them in class_names",
            )
    if not given:
        return (), {}
    whole = {split: array.astype(np.int64) for split, array in given.items()}
    values = np.unique(np.concatenate(list(whole.values())))
    if "class_names" in arrays:
        class_names = tuple(str(name) for name in arrays["class_names"].reshape(-1))
        if values[0] < 0 or values[-1] >= len(class_names) or len(set(class_names)) < len(class_names):
            raise DataError(
                "class_names that do not fit the labels",
                where=path,
                got=f"{counted(len(class_names), 'name')}, labels from {values[0]} to {values[-1]}",
                expected="one different name for each label, which count from 0",
            )
        return class_names, whole
    class_names = class_order(str(value) for value in values)
    return class_names, {split: np.searchsorted(values, array) for split, array in whole.items()}


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
