"""Folders of picture files: one folder a class, or all in one folder without classes.

    pictures/cat/1.png  pictures/dog/2.png            a class per folder
    pictures/1.png      pictures/2.png                no classes
    pictures/train/cat/1.png  pictures/test/cat/2.png own splits: train, validation (or val, valid), test

Names that begin with a dot, Thumbs.db and desktop.ini are passed over; every other file must be a picture.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from creuset.data.corpus import SUFFIX as TEXT_SUFFIX
from creuset.data.entries import visible
from creuset.data.picture import SUFFIXES, UnreadableError, read_picture
from creuset.data.source import Part, Skipped, Source, counted, encode_labels, listed, require_memory
from creuset.errors import DataError
from creuset.progress import Progress

_SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
_CHUNK = 512
"""Files handed to the threads at once: bounds the pictures that wait to be collected."""


@dataclass(frozen=True, kw_only=True)
class _File:
    path: Path
    name: str  # as people see it, from the source's root
    part: str
    class_name: str | None


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
    files = list(_survey(root))
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
    if skipped and unreadable == "refuse":
        raise DataError(
            f"{counted(len(skipped), 'file')} of {len(files):,} cannot be used",
            where=root,
            got=listed(skipped),
            next_step="repair or remove these files"
            + (", or leave them out by data.unreadable: skip in a recipe" if has_recipe else ""),
        )
    _require_content(root, files, skipped)
    return _collect(root, files, arrays, skipped)


def _survey(root: Path) -> Iterator[_File]:
    folders, files = visible(root)
    own_splits = {_SPLIT_FOLDERS.get(folder.name.lower()) for folder in folders}
    if not folders or None in own_splits or "train" not in own_splits:
        yield from _survey_part(root, root, "train")
        return
    if len(own_splits) != len(folders):
        raise DataError(
            "two folders for one split",
            where=root,
            got=", ".join(folder.name for folder in folders),
            expected="train, validation and test, each once",
        )
    yield from _beside(root, root, "train", folders, files)
    forms = set()
    for folder in folders:
        found = list(_survey_part(root, folder, _SPLIT_FOLDERS[folder.name.lower()]))
        if not found:
            raise DataError(
                "a split's folder without pictures",
                where=folder,
                next_step="add pictures, or remove the folder to have the split cut from the others",
            )
        forms.add(any(file.class_name is not None for file in found))
        yield from found
    if len(forms) > 1:
        raise DataError(
            "some splits have class folders and others have none",
            where=root,
            got=", ".join(folder.name for folder in folders),
            expected="class folders in each split, or in none",
        )


def _survey_part(root: Path, folder: Path, part: str) -> Iterator[_File]:
    """The files of one split: flat, or in class folders."""
    folders, files = visible(folder)
    yield from _beside(root, folder, part, folders, files)
    for class_folder in folders:
        deeper, files = visible(class_folder)
        if deeper:
            raise DataError(
                "folders inside a class folder",
                where=class_folder,
                got=deeper[0].name,
                expected="pictures only: one folder a class",
                next_step="move the pictures up into the class folder, or give this folder as the source",
            )
        if not files:
            raise DataError(
                "a class folder without pictures",
                where=class_folder,
                next_step="add pictures of the class, or remove the folder",
            )
        for file in files:
            yield _File(path=file, name=_shown(file, root), part=part, class_name=class_folder.name)


def _beside(
    root: Path, folder: Path, part: str, folders: Sequence[Path], files: Sequence[Path]
) -> Iterator[_File]:
    """The files that lie directly in `folder`; no pictures where there are sub-folders as well."""
    loose = [file for file in files if file.suffix.lower() in SUFFIXES]
    if folders and loose:
        raise DataError(
            "pictures lie beside folders of pictures, so their class is unclear",
            where=folder,
            got=f"{loose[0].name} beside the folder {folders[0].name}",
            expected="all pictures in class folders, or all in one folder without classes",
            next_step=f"move the {counted(len(loose), 'picture')} into a class folder",
        )
    for file in files:
        yield _File(path=file, name=_shown(file, root), part=part, class_name=None)


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _read_all(
    root: Path, files: Sequence[_File], progress: Progress
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


def _try_to_read(file: _File) -> NDArray[np.uint8] | str:
    if not file.path.is_file():
        return "is no regular file" if file.path.exists() else "is a link to nothing"
    if file.path.suffix.lower() not in SUFFIXES:
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


def _require_content(root: Path, files: Sequence[_File], skipped: Sequence[Skipped]) -> None:
    """Refuses a source, a split or a class of which nothing could be read."""
    lost_files = {item.file for item in skipped}
    read = [file for file in files if file.name not in lost_files]
    if not read:
        raise DataError("no file of this folder can be read as a picture", where=root, got=listed(skipped))
    # Loose files beside class folders are no pictures, and no loss.
    labelled = any(file.class_name is not None for file in files)
    counting = [file for file in files if not labelled or file.class_name is not None]
    lost = {(file.part, file.class_name) for file in counting}
    lost -= {(file.part, file.class_name) for file in read}
    if lost:
        raise DataError(
            "folders of which no picture can be read",
            where=root,
            got=listed(sorted(" ".join(filter(None, folder)) for folder in lost)),
            next_step="repair their pictures, or remove the folders",
        )


def _collect(
    root: Path, files: Sequence[_File], arrays: list[NDArray[np.uint8] | None], skipped: Sequence[Skipped]
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
