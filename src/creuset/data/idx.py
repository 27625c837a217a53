"""IDX files, the format of MNIST (yann.lecun.com/exdb/mnist): plain or compressed with gzip.

    0 0 type dimensions | one big-endian uint32 a dimension | the values

A folder with the four files of MNIST has a test split of its own:

    train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte

each with or without .gz (the plain file is read where both are there), with "-" or "." before "idx". One
file of pictures is read with the labels that lie beside it under the matching name. Other files of such a
folder are not read, which is said.
"""

import gzip
import re
import zlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from creuset.data.arrays import dark_note
from creuset.data.entries import unread_note
from creuset.data.source import Part, Source, counted, require_memory
from creuset.errors import DataError, NotFoundError

_NAME = re.compile(r"(?P<stem>.*?)-?(?P<what>images|labels)(?P<idx>[-.]idx[13]-ubyte)(?P<gz>\.gz)?")
_UNSIGNED_BYTE = 8


def is_idx(path: Path) -> bool:
    """Whether a file's name is that of an IDX file of pictures or labels."""
    return _NAME.fullmatch(path.name) is not None


def read_idx_folder(folder: Path) -> Source:
    """The files of MNIST in a folder: train-*, and t10k-* or test-* as the test split where they are.

    Raises:
        DataError: Damaged files, labels out of step, or labels without their pictures.
        NotFoundError: There are no train-images.
    """
    images = {match["stem"]: path for path, match in _matches(folder) if match["what"] == "images"}
    if "train" not in images:
        raise NotFoundError(
            "IDX files, but no train-images-idx3-ubyte among them",
            where=folder,
            got=", ".join(path.name for path, _ in _matches(folder)),
            next_step="add train-images-idx3-ubyte(.gz), or give one file of pictures as the source",
        )
    splits = {"train": "train", "t10k": "test", "test": "test", "validation": "validation"}
    unknown = [path.name for stem, path in images.items() if stem not in splits]
    if unknown or {"t10k", "test"} <= set(images):
        raise DataError(
            "files whose split is unclear",
            where=folder,
            got=", ".join(path.name for path in images.values()),
            expected="train-images-*, t10k-images-* and perhaps validation-images-*",
            next_step="move the others out of the folder",
        )
    label_files = [path for path in map(_labels_beside, images.values()) if path is not None]
    _refuse_lone_labels(folder, label_files)
    source = _source(folder, {splits[stem]: path for stem, path in images.items()})
    note = unread_note(folder, [*images.values(), *label_files])
    return replace(source, notes=(*source.notes, *note))


def read_idx(path: Path) -> Source:
    """One file of pictures, and the labels beside it.

    Raises:
        DataError: It is damaged, no pictures, or out of step with its labels.
    """
    match = _NAME.fullmatch(path.name)
    if match is not None and match["what"] == "labels":
        raise DataError(
            "these are labels, not pictures",
            where=path,
            next_step="give the file of pictures; its labels are found beside it",
        )
    return _source(path, {"train": path})


def _refuse_lone_labels(folder: Path, taken: Collection[Path]) -> None:
    """Refuses a file of labels that belongs to none of the pictures."""
    for path, match in _matches(folder):
        if match["what"] == "labels" and path not in taken:
            dash = path.name[len(match["stem"]) : match.start("what")]
            missing = f"{match['stem']}{dash}images{match['idx'].replace('1', '3')}"
            raise DataError(
                f"labels without their pictures: there is no {missing}",
                where=path,
                got=", ".join(found.name for found, _ in _matches(folder)),
                expected="a file of pictures beside each file of labels",
                next_step=f"add {missing}(.gz), or move {path.name} out of the folder",
            )


def _matches(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    """The IDX files of a folder; of a file that is there plain and compressed, the plain one."""
    found: dict[str, tuple[Path, re.Match[str]]] = {}
    for path in sorted(folder.iterdir(), reverse=True):
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_file():
            found[path.name.removesuffix(".gz")] = (path, match)
    return [found[name] for name in sorted(found)]


def _source(where: Path, files: dict[str, Path]) -> Source:
    images = {split: _read(path, num_dimensions=3) for split, path in files.items()}
    label_files = {split: _labels_beside(path) for split, path in files.items()}
    notes = list(dark_note(images["train"]))
    labels: dict[str, NDArray[Any]] = {}
    for split, path in label_files.items():
        if path is None:
            notes.append(f"no labels beside {files[split].name}: the pictures are taken without classes")
            continue
        labels[split] = _read(path, num_dimensions=1)
        if len(labels[split]) != len(images[split]):
            raise DataError(
                "labels out of step with the pictures",
                where=path,
                got=counted(len(labels[split]), "label"),
                expected=f"{counted(len(images[split]), 'label')}, as {files[split].name} has pictures",
            )
    if labels and len(labels) < len(files):
        raise DataError(
            "labels for some of the splits only",
            where=where,
            got=", ".join(path.name for path in label_files.values() if path is not None),
            expected="a file of labels beside each file of pictures, or none at all",
        )
    forms = {images[split].shape[1:] for split in images}
    if len(forms) > 1:
        raise DataError("splits of different sizes", where=where, got=sorted(forms), expected="one size")
    class_names: tuple[str, ...] = ()
    coded: dict[str, NDArray[np.int64]] = {}
    if labels:
        values = np.unique(np.concatenate(list(labels.values())))
        class_names = tuple(str(value) for value in values)
        coded = {split: np.searchsorted(values, array).astype(np.int64) for split, array in labels.items()}
    parts = {
        split: Part(
            inputs=array[:, None],
            labels=coded.get(split),
            names=tuple(f"{files[split].name}[{row}]" for row in range(len(array))),
        )
        for split, array in images.items()
    }
    return Source(
        origin=f"{where.name}: IDX pictures",
        kind="images",
        num_levels=256,
        parts=parts,
        class_names=class_names,
        notes=tuple(notes),
    )


def _labels_beside(path: Path) -> Path | None:
    """The file of labels whose name matches, compressed or not."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    dash = path.name[len(match["stem"]) : match.start("what")]
    plain = f"{match['stem']}{dash}labels{match['idx'].replace('3', '1')}"
    for name in (plain, f"{plain}.gz"):
        if path.with_name(name).is_file():
            return path.with_name(name)
    return None


def _read(path: Path, *, num_dimensions: int) -> NDArray[np.uint8]:
    """The values of one file, checked against its header to the byte."""
    try:
        with path.open("rb") as plain:
            if plain.read(2) == b"\x1f\x8b":
                with gzip.open(path) as file:
                    return _values(path, file, num_dimensions)
            plain.seek(0)
            return _values(path, plain, num_dimensions)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            "cannot be decompressed: the file is damaged or cut short",
            where=path,
            got=error,
            next_step="download it again",
        ) from error


def _values(path: Path, file: IO[bytes] | gzip.GzipFile, num_dimensions: int) -> NDArray[np.uint8]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError("this is no IDX file", where=path, got=magic.hex(" "), expected="00 00 08 ..")
    if magic[2] != _UNSIGNED_BYTE or magic[3] != num_dimensions:
        raise DataError(
            "an IDX file of another kind",
            where=path,
            got=f"type 0x{magic[2]:02x}, {magic[3]} dimensions",
            expected=f"type 0x08 (unsigned bytes), {counted(num_dimensions, 'dimension')}",
        )
    header = file.read(4 * num_dimensions)
    if len(header) < 4 * num_dimensions:
        raise DataError("the file ends within its header", where=path, got=counted(len(header) + 4, "byte"))
    shape = tuple(int(length) for length in np.frombuffer(header, dtype=">u4"))
    if 0 in shape:
        raise DataError("the file holds nothing", where=path, got=shape)
    promised = 1
    for length in shape:
        promised *= length
    require_memory(path, promised)
    values = file.read(promised)
    if len(values) < promised or file.read(1):
        raise DataError(
            "the file does not end where its header says",
            where=path,
            got=f"{len(values):,} bytes of values"
            if len(values) < promised
            else f"more than {promised:,} bytes",
            expected=f"{promised:,} bytes: {' x '.join(map(str, shape))}",
            next_step="download it again",
        )
    return np.frombuffer(bytearray(values), dtype=np.uint8).reshape(shape)
