"""Folders of sound: WAV files, each clip a log-mel picture (clips.py).

    sounds/cat/1.wav  sounds/dog/2.wav   the layouts of folder_layout.py
    sounds/7_jackson_32.wav              one folder, all names CLASS_SPEAKER_NUMBER.wav: the first
                                         parts are the classes

Where recordings are so numbered, and each class has some below 5 and some from 5 on, those below 5 are the
test split: so it is in the Free Spoken Digit Dataset (Jackson et al. 2018), whose form this is.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from creuset.data.clips import draw_clips, sound_form
from creuset.data.entries import visible
from creuset.data.folder_layout import FilesOf, FoundFile, require_usable, survey
from creuset.data.picture import SUFFIXES as PICTURES
from creuset.data.source import Part, Source, encode_labels, require_memory
from creuset.data.wav import SUFFIX, Recording, UnreadableSoundError, read_wav
from creuset.progress import Progress
from creuset.recipe.audio import AudioConfig

CLIPS = FilesOf(suffixes=frozenset({SUFFIX}), noun="clip")
NUM_TEST = 5
"""Recordings 0 to 4 of a class are for the test, where they are numbered."""
TEST_NOTE = f"recordings numbered below {NUM_TEST} are the test split, as in the Free Spoken Digit Dataset"

_NUMBERED = re.compile(r"(?P<class_name>[^_]+)_[^_]+_(?P<number>\d+)")
_DEEPEST = 2
"""Folders of splits hold folders of classes."""


def is_sound_folder(path: Path) -> bool:
    """Whether a folder holds sound: the first clip or picture in it is a clip."""
    if not path.is_dir():
        return False
    endings = CLIPS.suffixes | PICTURES
    first = next((file for file in _files(path, _DEEPEST) if file.suffix.lower() in endings), None)
    return first is not None and CLIPS.is_one(first)


def read_sound_folder(
    root: Path,
    config: AudioConfig,
    *,
    unreadable: Literal["refuse", "skip"],
    progress: Progress,
    has_recipe: bool = True,
) -> Source:
    """All WAV files under `root`, by the rules at the head of this file.

    Args:
        root: The folder.
        config: How sound becomes pictures.
        unreadable: Whether a file that cannot be read stops the work or is left out, named and counted.
        progress: Counts clips.
        has_recipe: Whether an error may advise a setting of a recipe.

    Raises:
        DataError: An unclear layout, or files that cannot be read.
        UsageError: Bands that hear nothing.
        ResourceError: The pictures do not fit into memory.
    """
    form = sound_form(config)
    files, notes = _by_their_names(list(survey(root, CLIPS)))
    require_memory(root, len(files) * math.prod(form.shape))
    drawn = draw_clips(((file.name, _read(file)) for file in files), len(files), form, progress)
    require_usable(root, files, drawn.skipped, CLIPS, unreadable=unreadable, has_recipe=has_recipe)
    lost = {item.file for item in drawn.skipped}
    read = [file for file in files if file.name not in lost]
    places = {part: [i for i, file in enumerate(read) if file.part == part] for part in _parts(read)}
    class_names, labels = _labels(read, places)
    return Source(
        origin=f"{root.name}: folder of sound, {'with' if class_names else 'without'} classes",
        kind="images",
        num_levels=256,
        parts={
            part: Part(
                inputs=drawn.pictures[chosen],
                labels=labels.get(part),
                names=tuple(read[place].name for place in chosen),
            )
            for part, chosen in places.items()
        },
        class_names=class_names,
        skipped=drawn.skipped,
        notes=(*notes, *drawn.counts.notes(form)),
        sound=form,
    )


def is_own_test(classes: Sequence[object], numbers: Sequence[int]) -> bool:
    """Whether numbered recordings have a test split: each class has some below 5, and some from 5 on.

    Args:
        classes: The class of each.
        numbers: The number of each.
    """
    early = {name for name, number in zip(classes, numbers, strict=True) if number < NUM_TEST}
    late = {name for name, number in zip(classes, numbers, strict=True) if number >= NUM_TEST}
    return early == late == set(classes)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """The visible files of a folder, then those of its folders, `depth` folders deep."""
    folders, files = visible(folder)
    yield from files
    if depth:
        for inner in folders:
            yield from _files(inner, depth - 1)


def _read(file: FoundFile) -> Recording | str:
    """What is in a file, or why it cannot be read."""
    if not file.path.is_file():
        return "is no regular file" if file.path.exists() else "is a link to nothing"
    if not CLIPS.is_one(file.path):
        return "is no WAV file by its name"
    try:
        return read_wav(file.path)
    except UnreadableSoundError as error:
        return error.message


def _by_their_names(files: list[FoundFile]) -> tuple[list[FoundFile], tuple[str, ...]]:
    """The files with classes and splits out of their names, where these say so, and what is to be said."""
    matches = {file.path: _NUMBERED.fullmatch(file.path.stem) for file in files if CLIPS.is_one(file.path)}
    found = {path: match for path, match in matches.items() if match is not None}
    if len(found) < len(matches) or any(file.class_name is not None for file in files):
        return files, ()
    classes = {path: match["class_name"] for path, match in found.items()}
    numbers = {path: int(match["number"]) for path, match in found.items()}
    own_test = all(file.part == "train" for file in files) and is_own_test(
        list(classes.values()), list(numbers.values())
    )
    named = [
        replace(
            file,
            class_name=classes.get(file.path),
            part="test" if own_test and numbers.get(file.path, NUM_TEST) < NUM_TEST else file.part,
        )
        for file in files
    ]
    first = next(iter(classes))
    note = f"classes are the first parts of the names, such as {classes[first]} of {first.name}"
    return named, (note, *([TEST_NOTE] if own_test else []))


def _parts(files: Sequence[FoundFile]) -> list[str]:
    """The splits that files belong to, in the order of their first files."""
    return list(dict.fromkeys(file.part for file in files))


def _labels(
    files: Sequence[FoundFile], places: dict[str, list[int]]
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Class names in order and the labels of each split; none where there are no class folders."""
    if files[0].class_name is None:
        return (), {}
    return encode_labels(
        {part: [files[place].class_name or "" for place in chosen] for part, chosen in places.items()}
    )
