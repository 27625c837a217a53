"""Sound in a .npz file, each clip a log-mel picture (clips.py).

    train_audio      (N, T) floats in [-1, 1], or whole numbers of 16 or 32 bits; validation_audio, test_audio
    train_labels     (N,) whole numbers, and so on; left out for sound without classes; class_names texts
    sample_rate      one whole number; where it is missing data.audio.sample_rate is taken

    samples          or all clips one behind the other, (S,), with
    offsets          (N + 1,): clip i is samples[offsets[i]:offsets[i + 1]]
    labels           (N,) whole numbers; left out for sound without classes
    indices          (N,) the recording's number: by it there may be a test split (audio.py)
    speakers         (N,); passed over

The file that `creuset generate` writes is taken too: its `audio`, beside the pictures and their record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.data.audio import NUM_TEST, TEST_NOTE, is_own_test
from creuset.data.clips import draw_clips, sound_form
from creuset.data.npz import read_labels
from creuset.data.npz_file import array_names, load_arrays
from creuset.data.source import SPLITS, Part, Source, counted, listed
from creuset.data.wav import RATES, Recording
from creuset.errors import DataError, did_you_mean
from creuset.progress import Progress
from creuset.recipe.audio import AudioConfig

Arrays = Mapping[str, NDArray[Any]]

_AUDIO = tuple(f"{split}_audio" for split in SPLITS)
_LABELS = tuple(f"{split}_labels" for split in SPLITS)
_OF_ALL = ("class_names", "sample_rate")
_KEYS = (*_AUDIO, *_LABELS, *_OF_ALL)
_KEYS_END_TO_END = ("samples", "offsets", "labels", "indices", "speakers", *_OF_ALL)
_TYPES = ("int16", "int32", "float32", "float64")


@dataclass(frozen=True, kw_only=True)
class _Held:
    """What a file holds, by splits.

    Args:
        clips: The clips of each split, each (T,).
        names: What they are called.
        arrays: Labels as `read_labels` takes them, and `class_names`.
        notes: What is worth saying.
    """

    clips: Mapping[str, list[NDArray[Any]]]
    names: Mapping[str, list[str]]
    arrays: Arrays
    notes: tuple[str, ...] = ()


def holds_sound(path: Path) -> bool:
    """Whether a .npz file holds sound, by the names of its arrays.

    Raises:
        DataError: A damaged file.
    """
    names = set(array_names(path))
    return bool(names & set(_AUDIO)) or {"samples", "offsets"} <= names or {"audio", "record"} <= names


def read_sound_npz(path: Path, config: AudioConfig, progress: Progress) -> Source:
    """The clips of a .npz file, by the rules at the head of this file.

    Args:
        path: The file.
        config: How sound becomes pictures.
        progress: Counts clips.

    Raises:
        DataError: A damaged or hostile file; a missing or unknown name; arrays of a wrong type or form, or
            out of step; clips without a sample, of silence alone, or not finite.
        UsageError: Bands that hear nothing.
        ResourceError: The arrays do not fit into memory.
    """
    form = sound_form(config)
    arrays = load_arrays(path)
    held = _end_to_end(path, arrays) if "samples" in arrays else _whole(path, arrays)
    class_names, labels = read_labels(path, held.arrays, held.clips)
    rate = _sample_rate(path, arrays)
    recordings = (
        (name, Recording(samples=_floats(clip), sample_rate=config.sample_rate if rate is None else rate))
        for split, clips in held.clips.items()
        for name, clip in zip(held.names[split], clips, strict=True)
    )
    drawn = draw_clips(recordings, sum(map(len, held.clips.values())), form, progress)
    if drawn.skipped:
        raise DataError(
            f"{counted(len(drawn.skipped), 'clip')} cannot be used",
            where=path,
            got=listed(drawn.skipped),
            next_step="save the file without them",
        )
    ends = np.cumsum([len(clips) for clips in held.clips.values()])
    pictures = dict(zip(held.clips, np.split(drawn.pictures, ends[:-1]), strict=True))
    unsaid = f"taken as {config.sample_rate:,} samples a second: no sample_rate"
    return Source(
        origin=f"{path.name}: .npz of sound",
        kind="images",
        num_levels=256,
        parts={
            split: Part(inputs=inputs, labels=labels.get(split), names=tuple(held.names[split]))
            for split, inputs in pictures.items()
        },
        class_names=class_names,
        notes=(*held.notes, *([unsaid] if rate is None else []), *drawn.counts.notes(form)),
        sound=form,
    )


def _whole(path: Path, arrays: Arrays) -> _Held:
    """Arrays of clips of one length."""
    if "record" in arrays:
        arrays = {"train_audio": arrays["audio"]}
    _require_keys(path, arrays, _KEYS, needed=("train_audio",))
    given = [name for name in _AUDIO if name in arrays]
    for name in given:
        _require_sound(f"{path}: {name}", arrays[name], 2, "(N, samples)")
    splits = [name.removesuffix("_audio") for name in given]
    labelled = [split for split in SPLITS if f"{split}_labels" in arrays]
    if labelled and labelled != splits:
        raise DataError(
            "some arrays have no counterpart",
            where=path,
            got=", ".join(f"{name} {array.shape}" for name, array in arrays.items()),
            expected="labels for each of the audio, or none at all",
        )
    return _Held(
        clips={split: list(arrays[f"{split}_audio"]) for split in splits},
        names={
            split: [f"{split}_audio[{row}]" for row in range(len(arrays[f"{split}_audio"]))]
            for split in splits
        },
        arrays=arrays,
    )


def _end_to_end(path: Path, arrays: Arrays) -> _Held:
    """All clips in one array, one behind the other."""
    _require_keys(path, arrays, _KEYS_END_TO_END, needed=("samples", "offsets"))
    samples, offsets = arrays["samples"], arrays["offsets"]
    _require_sound(f"{path}: samples", samples, 1, "(samples of all clips,)")
    fits = offsets.dtype.kind in "iu" and offsets.ndim == 1 and len(offsets) > 1
    if not fits or offsets[0] != 0 or offsets[-1] != len(samples) or (offsets[1:] < offsets[:-1]).any():
        raise DataError(
            "offsets that do not cut the samples into clips",
            where=f"{path}: offsets",
            got=f"{offsets.dtype} {offsets.shape}",
            expected=f"whole numbers that rise from 0 to {len(samples)}, one more than there are clips",
        )
    num = len(offsets) - 1
    for name in ("labels", "indices"):
        if name in arrays and arrays[name].shape != (num,):
            raise DataError(
                f"{name} out of step with the clips",
                where=f"{path}: {name}",
                got=arrays[name].shape,
                expected=f"({num},)",
            )
    is_test = np.zeros(num, dtype=bool)
    if "indices" in arrays:
        classes = arrays["labels"].tolist() if "labels" in arrays else [0] * num
        if is_own_test(classes, arrays["indices"].tolist()):
            is_test = arrays["indices"] < NUM_TEST
    places = {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}
    places = {split: chosen for split, chosen in places.items() if len(chosen)}
    kept = {"class_names": arrays["class_names"]} if "class_names" in arrays else {}
    if "labels" in arrays:
        kept |= {f"{split}_labels": arrays["labels"][chosen] for split, chosen in places.items()}
    return _Held(
        clips={
            split: [samples[offsets[place] : offsets[place + 1]] for place in chosen]
            for split, chosen in places.items()
        },
        names={split: [f"samples[{place}]" for place in chosen] for split, chosen in places.items()},
        arrays=kept,
        notes=(TEST_NOTE,) if "test" in places else (),
    )


def _require_keys(path: Path, arrays: Arrays, keys: tuple[str, ...], *, needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise DataError(
            f"there is no {missing[0]}",
            where=path,
            got=", ".join(f"{name} {array.shape}" for name, array in arrays.items()),
            expected="train_audio, or samples and offsets",
        )
    unknown = [name for name in arrays if name not in keys]
    if unknown:
        raise DataError(
            f'unknown array "{unknown[0]}"{did_you_mean(unknown[0], keys)}',
            where=path,
            next_step="rename it, or save the file without it",
        )


def _require_sound(where: str, array: NDArray[Any], ndim: int, expected: str) -> None:
    if array.dtype.name not in _TYPES or array.ndim != ndim or not len(array):
        raise DataError(
            "sound of a wrong type or shape",
            where=where,
            got=f"{array.dtype} {array.shape}",
            expected=f"{', '.join(_TYPES)}, {expected}",
        )


def _sample_rate(path: Path, arrays: Arrays) -> int | None:
    """The rate that the file tells; None where it tells none."""
    if "sample_rate" not in arrays:
        return None
    array = arrays["sample_rate"]
    if array.dtype.kind not in "iu" or array.size != 1 or int(array.item()) not in RATES:
        raise DataError(
            "wrong sample_rate",
            where=path,
            got=array,
            expected=f"one whole number in {RATES[0]:,}..{RATES[-1]:,}",
        )
    return int(array.item())


def _floats(clip: NDArray[Any]) -> NDArray[np.float64]:
    """Samples in [-1, 1], whole numbers as their share of the largest."""
    if clip.dtype.kind == "f":
        return clip.astype(np.float64)
    return clip / 2.0 ** (8 * clip.dtype.itemsize - 1)
