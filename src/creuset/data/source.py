"""What a reader of files hands over: samples in the parts that the source itself has, not yet split."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.data.spec import Kind, SoundForm
from creuset.errors import DataError, ResourceError

SPLITS = ("train", "validation", "test")

_MAX_LISTED = 10
"""So many files or cells an error names one by one; the rest it counts."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A file that was left out, and why."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Samples that a source keeps together.

    Args:
        inputs: uint8 (N, C, H, W) for pictures, float64 (N, F) for a table, objects of str for texts (N,)
            and pairs of them (N, 2).
        labels: Each sample's place in the source's `class_names`, int64 (N,); None without labels.
        names: Where each sample comes from, for people: a file, a line, a row.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64] | None
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source as it was read.

    Args:
        origin: What it is and what it is made of, in a few words.
        kind: Pictures, a table, texts or pairs of them.
        num_levels: Values of a pixel; 0 for other data.
        parts: "train", and "validation" and "test" where the source has such splits of its own.
        sound: How the pictures stand for sound; None where they are pictures.
        class_names: The classes in the order of their labels; empty without labels.
        feature_names: A table's columns.
        skipped: Files left out because `data.unreadable` is skip.
        notes: What is legal but worth saying.
        mixture: The mixture that the samples were drawn from (`toys.py`); empty for data from elsewhere.
    """

    origin: str
    kind: Kind
    num_levels: int
    parts: Mapping[str, Part]
    sound: SoundForm | None = None
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    mixture: str = ""


def listed(items: Iterable[object]) -> str:
    """One item a line, the first ten of them, and how many more there are."""
    lines = [str(item) for item in items]
    shown = lines[:_MAX_LISTED]
    if len(lines) > _MAX_LISTED:
        shown.append(f"and {len(lines) - _MAX_LISTED:,} more")
    return "\n    ".join(shown)


def counted(number: int, noun: str) -> str:
    """`1 picture`, `2,000 pictures`."""
    if number == 1:
        return f"1 {noun}"
    plural = noun + ("es" if noun.endswith(("s", "x")) else "s")
    return f"{number:,} {plural}"


def require_memory(where: object, num_bytes: int) -> None:
    """Raises ResourceError for data that this machine's memory cannot hold twice, as splitting needs it."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if 2 * num_bytes > memory:
        raise ResourceError(
            "this data does not fit into memory",
            where=where,
            got=f"{num_bytes / 1e9:,.1f} GB once read, and as much again to split it",
            expected=f"at most {memory / 1e9:,.1f} GB, the memory of this machine",
            next_step="use fewer or smaller samples",
        )


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """The different names in order: by number where all are whole numbers, else by letter."""
    different = set(names)
    if all(_is_whole(name) for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))


def _is_whole(name: str) -> bool:
    return name.removeprefix("-").isdecimal() and name.isascii()


def encode_labels(
    labels: Mapping[str, Sequence[str]],
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Class names in order, and each part's labels as places in it."""
    class_names = class_order(name for part in labels.values() for name in part)
    place = {name: index for index, name in enumerate(class_names)}
    coded = {
        part: np.fromiter((place[name] for name in names), dtype=np.int64, count=len(names))
        for part, names in labels.items()
    }
    return class_names, coded


def check_classes(where: object, source: Source) -> None:
    """Refuses labels that nothing can be learned from; data without labels pass.

    Raises:
        DataError: There is one class only, a class is missing from the training part, or nearly each
            sample has a class of its own.
    """
    class_names = source.class_names
    labels = {name: part.labels for name, part in source.parts.items() if part.labels is not None}
    if not labels:
        return
    if len(class_names) == 1:
        raise DataError(
            "there is one class only",
            where=where,
            got=f'each sample is labelled "{class_names[0]}"',
            expected="two classes at least, or no labels",
            next_step="add the other classes, or leave the labels out to model the data without them",
        )
    num_samples = sum(len(part) for part in labels.values())
    if num_samples < 2 * len(class_names):
        raise DataError(
            "there are too many classes for so few samples",
            where=where,
            got=f"{counted(len(class_names), 'class')} for {counted(num_samples, 'sample')}",
            expected="two samples of a class at least, on average",
            next_step="check that the labels are classes, and not names or measured numbers",
        )
    counts = np.bincount(labels["train"], minlength=len(class_names))
    missing = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
    if missing:
        raise DataError(
            f"{counted(len(missing), 'class')} without a training sample",
            where=where,
            got=listed(missing),
            expected="each class in the training part",
            next_step="add training samples of it, or remove the class from the other parts",
        )
