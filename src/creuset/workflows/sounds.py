"""Clips that are to be heard: one behind the other in a WAV file, or in a report beside their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.dataset import Dataset
from creuset.data.spec import SoundForm
from creuset.data.wav import wav_bytes
from creuset.generation.pictures import Pictures, to_pictures
from creuset.reporting.blocks import Clip, Sounds
from creuset.reporting.sheet import picture_sheet
from creuset.workflows.load import Loaded

_PAUSE_SECONDS = 0.25
"""Between two clips of a file: long enough to tell them apart, also where they end softly."""
_NUM_DRAWN, _NUM_HELD_OUT = 8, 4
"""Clips of a report: a few, since it holds each of them whole."""
_AUDIBLE = 0.01
"""What is softer than this share of full scale at a clip's end, a report leaves out."""
_FADE_SECONDS = 0.05
"""What it keeps of it."""
_SCALE = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """Clips one behind the other, with pauses between them.

    Args:
        clips: (N, T) in [-1, 1].
        form: Their sample rate.
    """

    clips: NDArray[np.float32]
    form: SoundForm

    def file(self, comment: str) -> bytes:
        """A WAV file with `comment` inside."""
        pause = np.zeros(round(_PAUSE_SECONDS * self.form.sample_rate), dtype=np.float32)
        parts = [part for clip in self.clips for part in (pause, clip)][1:]
        return wav_bytes(np.concatenate(parts), self.form.sample_rate, comment=comment)


def sound_blocks(loaded: Loaded, dataset: Dataset, seed: int = 0) -> list[Sounds]:
    """What a model of sound draws, and held-out clips beside what it makes of them; nothing of pictures."""
    if loaded.shown_spec.sound is None:
        return []
    blocks = []
    if "samples" in loaded.family.traits:
        drawn = loaded.draw_pictures(_NUM_DRAWN, seed=seed)
        clips = _clips(loaded, drawn, [f"sample {number}" for number in range(1, _NUM_DRAWN + 1)], seed)
        blocks.append(Sounds(clips=clips, caption=f"{_NUM_DRAWN} samples, seed {seed}, none left out."))
    dataset = dataset.shown
    split = "test" if "test" in dataset.splits else "validation"
    part = dataset.split(split)
    shown = torch.arange(min(_NUM_HELD_OUT, part.num_samples))
    originals = to_pictures(dataset.batch(split, shown)["images"])
    names = [
        f"clip {number + 1}" if part.labels is None else loaded.spec.class_names[int(part.labels[number])]
        for number in shown.tolist()
    ]
    if "classifies" in loaded.family.traits:
        guesses = loaded.predict(originals)
        names = [f"{name}, taken for {guess}" for name, guess in zip(names, guesses, strict=True)]
    caption = f"The first {len(shown)} clips of the {split} split, each back to sound from its picture alone"
    clips = _clips(loaded, originals, names, seed)
    if "encodes" in loaded.family.traits:
        rebuilt = loaded.reconstruct(originals)
        clips += _clips(loaded, rebuilt, [f"{name}, reconstructed" for name in names], seed)
        caption += ", then what the model makes of them"
    return [*blocks, Sounds(clips=clips, caption=f"{caption}.")]


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
