"""Clips to be heard: one behind the other in a file, each in its own, or in a report beside its picture."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.dataset import Dataset
from creuset.data.spec import SoundForm
from creuset.data.wav import wav_bytes
from creuset.generation.pictures import Pictures, to_pictures
from creuset.models.base import Model
from creuset.reporting.blocks import Clip, Sounds
from creuset.reporting.sheet import picture_sheet
from creuset.workflows.load import Loaded

_PAUSE_SECONDS = 0.25
"""Between two clips of a file: long enough to tell them apart, also where they end softly."""
_NUMBER = re.compile(r"%(0\d)?d")
"""Where a file's name has the number of its clip, as printf writes it."""
_NUM_DRAWN, _NUM_HELD_OUT, _MOST_CLASSES = 8, 4, 10
"""Clips of a report: a few, since it holds each of them whole."""
_AUDIBLE = 0.01
"""What is softer than this share of full scale at a clip's end, a report leaves out."""
_FADE_SECONDS = 0.05
"""What it keeps of it."""
_SCALE = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """Clips that go into one file, one behind the other with pauses between them, or each into its own.

    Args:
        clips: (N, T) in [-1, 1].
        form: Their sample rate.
    """

    clips: NDArray[np.float32]
    form: SoundForm

    def files(self, out: Path, comment: Callable[[int | None], str]) -> dict[Path, bytes]:
        """WAV files by their paths.

        Args:
            out: The path. Where its name has a place for a number (seven-%02d.wav), a file a clip, from 1 on.
            comment: What is written inside, by the number of the clip; None where all are in one file.
        """
        place = _NUMBER.search(out.name)
        if place is None:
            return {out: self._one_file(comment(None))}
        before, behind = out.name[: place.start()], out.name[place.end() :]
        return {
            out.with_name(f"{before}{place[0] % number}{behind}"): wav_bytes(
                clip, self.form.sample_rate, comment=comment(number)
            )
            for number, clip in enumerate(self.clips, start=1)
        }

    def _one_file(self, comment: str) -> bytes:
        pause = np.zeros(round(_PAUSE_SECONDS * self.form.sample_rate), dtype=np.float32)
        parts = [part for clip in self.clips for part in (pause, clip)][1:]
        return wav_bytes(np.concatenate(parts), self.form.sample_rate, comment=comment)


def sound_blocks(loaded: Loaded, dataset: Dataset, seed: int = 0) -> list[Sounds]:
    """What a model of sound draws, and held-out clips beside what it makes of them; nothing of pictures.

    A model that is asked for a class draws one clip of each, and the held-out ones are of the same classes.
    """
    if loaded.shown_spec.sound is None:
        return []
    blocks = []
    by_class = isinstance(loaded.model, Model) and loaded.model.condition == "class"
    if "samples" in loaded.family.traits:
        blocks.append(_of_each_class(loaded, seed) if by_class else _samples(loaded, seed))
    dataset = dataset.shown
    split = "test" if "test" in dataset.splits else "validation"
    part = dataset.split(split)
    num = _MOST_CLASSES if by_class else _NUM_HELD_OUT
    shown = torch.arange(min(num, part.num_samples)) if part.labels is None else _varied(part.labels, num)
    originals = to_pictures(dataset.batch(split, shown)["images"])
    names = [
        f"clip {number + 1}" if part.labels is None else loaded.spec.class_names[int(part.labels[number])]
        for number in shown.tolist()
    ]
    if "classifies" in loaded.family.traits:
        guesses = loaded.predict(originals)
        names = [f"{name}, taken for {guess}" for name, guess in zip(names, guesses, strict=True)]
    caption = f"{len(shown)} clips of the {split} split, the first ones"
    caption += "" if part.labels is None else " of the classes in turn"
    caption += ", each back to sound from its picture alone"
    clips = _clips(loaded, originals, names, seed)
    if "encodes" in loaded.family.traits:
        rebuilt = loaded.reconstruct(originals)
        clips += _clips(loaded, rebuilt, [f"{name}, reconstructed" for name in names], seed)
        caption += ", then what the model makes of them"
    return [*blocks, Sounds(clips=clips, caption=f"{caption}.")]


def _samples(loaded: Loaded, seed: int) -> Sounds:
    drawn = loaded.draw_pictures(_NUM_DRAWN, seed=seed)
    clips = _clips(loaded, drawn, [f"sample {number}" for number in range(1, _NUM_DRAWN + 1)], seed)
    return Sounds(clips=clips, caption=f"{_NUM_DRAWN} samples, seed {seed}, none left out.")


def _of_each_class(loaded: Loaded, seed: int) -> Sounds:
    """One clip of each of the first classes."""
    names = loaded.spec.class_names[:_MOST_CLASSES]
    drawn = np.concatenate([loaded.draw_pictures(1, seed=seed, label=name) for name in names])
    clips = _clips(loaded, drawn, [f"asked for {name}" for name in names], seed)
    return Sounds(clips=clips, caption=f"A sample of each class that can be asked for, all of seed {seed}.")


def _varied(labels: torch.Tensor, num: int) -> torch.Tensor:
    """Places of `num` labels at most, int64: the first of each class, in their order, then the next ones."""
    seen: dict[int, int] = {}
    turns = []
    for place, label in enumerate(labels.tolist()):
        seen[label] = seen.get(label, -1) + 1
        turns.append((seen[label], label, place))
    return torch.tensor([place for _, _, place in sorted(turns)[:num]])


def _clips(loaded: Loaded, pictures: Pictures, names: Sequence[str], seed: int) -> list[Clip]:
    form = loaded.shown_spec.sound
    assert form is not None
    heard = loaded.to_sound(pictures, seed=seed)
    return [
        Clip(
            name=name,
            wav=wav_bytes(_without_end(clip, form), form.sample_rate),
            picture=picture_sheet(picture[None], alt=f"log-mel picture of {name}", scale=_SCALE, padding=0),
        )
        for name, picture, clip in zip(names, pictures, heard, strict=True)
    ]


def _without_end(clip: NDArray[np.float32], form: SoundForm) -> NDArray[np.float32]:
    """A clip without the silence at its end."""
    audible = np.flatnonzero(np.abs(clip) > _AUDIBLE)
    last = int(audible[-1]) if len(audible) else 0
    return clip[: last + round(_FADE_SECONDS * form.sample_rate)]
