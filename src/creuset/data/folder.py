"""Folders of picture files: one folder a class, or all in one folder without classes.

    pictures/cat/1.png  pictures/dog/2.png            a class per folder
    pictures/1.png      pictures/2.png                no classes
    pictures/train/cat/1.png  pictures/test/cat/2.png own splits: train, validation (or val, valid), test

The layouts are those of folder_layout.py; every file that is not passed over there must be a picture.
"""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from creuset.data.corpus import SUFFIX as TEXT_SUFFIX
from creuset.data.folder_layout import FilesOf, FoundFile, require_usable, survey
from creuset.data.picture import SUFFIXES, UnreadableError, read_picture
from creuset.data.source import Part, Skipped, Source, counted, encode_labels, require_memory
from creuset.errors import DataError
from creuset.progress import Progress

PICTURES = FilesOf(suffixes=SUFFIXES, noun="picture")
_CHUNK = 512
"""Files handed to the threads at once: bounds the pictures that wait to be collected."""


def read_folder(
    root: Path,
    *,
    unreadable: Literal["refuse", "skip"],
    progress: Progress,
    has_recipe: bool = True,
) -> Source:
    """All pictures under `root`, by the rules at the head of this file.

    Args:
        root: The folder.
        unreadable: Whether a file that cannot be read stops the work or is left out, named and counted.
        progress: Counts pictures.
        has_recipe: Whether an error may advise a setting of a recipe.

    Raises:
        DataError: No pictures, an unclear layout, different sizes, files that cannot be read.
        ResourceError: The pictures do not fit into memory.
    """
    files = list(survey(root, PICTURES))
    if not files:
        raise DataError(
            "this folder holds no files",
            where=root,
            expected="pictures, or one folder of pictures for each class"
            + (f"; for a model of texts {TEXT_SUFFIX} files" if has_recipe else ""),
            next_step=f"put pictures there ({', '.join(sorted(SUFFIXES))})"
            + (f", or texts ({TEXT_SUFFIX})" if has_recipe else ""),
        )
    arrays, skipped = _read_all(root, files, progress)
    require_usable(root, files, skipped, PICTURES, unreadable=unreadable, has_recipe=has_recipe)
    return _collect(root, files, arrays, skipped)


def _read_all(
    root: Path, files: Sequence[FoundFile], progress: Progress
) -> tuple[list[NDArray[np.uint8] | None], list[Skipped]]:
    """Each file's picture, or None and the reason; refuses different sizes and more than memory holds."""
    arrays: list[NDArray[np.uint8] | None] = []
    skipped: list[Skipped] = []
    sizes: Counter[tuple[int, int]] = Counter()
    first_of_size: dict[tuple[int, int], str] = {}
    progress.start("reading pictures", len(files), "pictures")
    try:
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            for start in range(0, len(files), _CHUNK):
                chunk = files[start : start + _CHUNK]
                for file, outcome in zip(chunk, pool.map(_try_to_read, chunk), strict=True):
                    if isinstance(outcome, str):
                        skipped.append(Skipped(file=file.name, reason=outcome))
                        arrays.append(None)
                        continue
                    size = (outcome.shape[0], outcome.shape[1])
                    if not sizes:
                        require_memory(root, outcome.nbytes * len(files))
                    sizes[size] += 1
                    first_of_size.setdefault(size, file.name)
                    # Pictures of a second size are not kept: they are only counted for the error below.
                    arrays.append(outcome if len(sizes) == 1 else None)
                progress.advance(len(arrays))
    finally:
        progress.finish()
    if len(sizes) > 1:
        raise _mixed_sizes(root, sizes, first_of_size)
    return arrays, skipped


def _try_to_read(file: FoundFile) -> NDArray[np.uint8] | str:
    if not file.path.is_file():
        return "is no regular file" if file.path.exists() else "is a link to nothing"
    if not PICTURES.is_one(file.path):
        return "is no picture by its name"
    try:
        return read_picture(file.path)
    except UnreadableError as error:
        return error.message


def _mixed_sizes(
    root: Path, sizes: Counter[tuple[int, int]], first_of_size: dict[tuple[int, int], str]
) -> DataError:
    (common, number), (other, _) = sizes.most_common(2)
    width, height = common[1], common[0]
    return DataError(
        f"pictures of {len(sizes)} different sizes",
        where=root,
        got=f"{first_of_size[common]} is {width} x {height} (width x height, as {number:,} of "
        f"{sizes.total():,}), {first_of_size[other]} is {other[1]} x {other[0]}",
        expected="one size",
        next_step="bring all to one size in a copy of the folder, with ImageMagick for instance: "
        f"mogrify -resize {width}x{height}! FILES",
    )


def _collect(
    root: Path, files: Sequence[FoundFile], arrays: list[NDArray[np.uint8] | None], skipped: Sequence[Skipped]
) -> Source:
    """The pictures in their parts; `arrays` is emptied on the way, so that memory is not needed twice."""
    read = [index for index, array in enumerate(arrays) if array is not None]
    grey = [files[index].name for index in read if _of(arrays, index).ndim == 2]
    channels = 1 if len(grey) == len(read) else 3
    height, width = _of(arrays, read[0]).shape[:2]
    by_part: dict[str, list[int]] = {}
    for index in read:
        by_part.setdefault(files[index].part, []).append(index)

    labelled = files[read[0]].class_name is not None
    class_names: tuple[str, ...] = ()
    labels: dict[str, NDArray[np.int64]] = {}
    if labelled:
        named = {part: [files[i].class_name or "" for i in indices] for part, indices in by_part.items()}
        class_names, labels = encode_labels(named)
    parts = {}
    for part, indices in by_part.items():
        inputs = np.empty((len(indices), channels, height, width), dtype=np.uint8)
        for place, index in enumerate(indices):
            array = _of(arrays, index)
            inputs[place] = array if array.ndim == 2 else array.transpose(2, 0, 1)
            arrays[index] = None
        names = tuple(files[index].name for index in indices)
        parts[part] = Part(inputs=inputs, labels=labels.get(part), names=names)
    notes = []
    if grey and channels == 3:
        notes.append(
            f"{counted(len(grey), 'picture')} of {len(read):,} hold grey only and are taken as colour with "
            f"equal channels, such as {grey[0]}"
        )
    return Source(
        origin=f"{root.name}: folder of pictures, {'a folder a class' if labelled else 'without classes'}",
        kind="images",
        num_levels=256,
        parts=parts,
        class_names=class_names,
        skipped=tuple(skipped),
        notes=tuple(notes),
    )


def _of(arrays: Sequence[NDArray[np.uint8] | None], index: int) -> NDArray[np.uint8]:
    array = arrays[index]
    assert array is not None
    return array
