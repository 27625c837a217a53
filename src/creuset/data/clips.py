"""Recordings as clips of one length, rate and loudness, and these as log-mel pictures.

What is done to a recording, in this order, and counted: channels averaged, cut to data.audio.seconds,
resampled, filled up with zeros behind, scaled to a peak of 1.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from creuset.data.log_mel import to_log_mel
from creuset.data.source import Skipped, counted
from creuset.data.spec import SoundForm
from creuset.data.wav import Recording, UnreadableSoundError
from creuset.errors import DataError
from creuset.progress import Progress
from creuset.recipe.audio import AudioConfig

_CHUNK = 256
"""Clips in memory as sound at once."""
SILENT = 2.0**-15
"""The smallest step of 16 bits: what is nowhere louder is no sound."""


@dataclass(kw_only=True)
class ClipCounts:
    """What was done to clips: how many there were of each rate that is not the form's, and so on."""

    rates: Counter[int] = field(default_factory=Counter)
    num_mixed: int = 0
    num_cut: int = 0
    num_filled: int = 0

    def add(self, recording: Recording, form: SoundForm) -> None:
        """Counts a recording that became a clip."""
        if recording.sample_rate != form.sample_rate:
            self.rates[recording.sample_rate] += 1
        length = len(recording.samples) * form.sample_rate
        wanted = form.num_samples * recording.sample_rate
        self.num_mixed += recording.num_channels > 1
        self.num_cut += length > wanted
        self.num_filled += length < wanted

    def notes(self, form: SoundForm) -> tuple[str, ...]:
        """Remarks on what was done, none on what was not."""
        found = []
        if self.rates:
            rates = ", ".join(f"{rate:,}" for rate in sorted(self.rates))
            clips = counted(self.rates.total(), "clip")
            found.append(f"{clips} resampled to {form.sample_rate:,} samples a second, from {rates}")
        if self.num_mixed:
            found.append(f"the channels of {counted(self.num_mixed, 'clip')} averaged to one")
        if self.num_cut:
            found.append(f"{counted(self.num_cut, 'clip')} longer than {form.seconds:g} seconds, cut there")
        if self.num_filled:
            clips = counted(self.num_filled, "clip")
            found.append(f"{clips} shorter than {form.seconds:g} seconds, filled up with silence")
        return tuple(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnClips:
    """Clips as pictures.

    Args:
        pictures: uint8 (N, 1, bands, frames), in the order of the recordings that could be used.
        skipped: The others, with the reasons.
        counts: What was done to them.
    """

    pictures: NDArray[np.uint8]
    skipped: tuple[Skipped, ...]
    counts: ClipCounts


def sound_form(config: AudioConfig) -> SoundForm:
    """How clips become pictures by a recipe's `data.audio`: the length in whole hops, rounded up."""
    num_frames = math.ceil(round(config.seconds * config.sample_rate / config.hop, 6))
    return SoundForm(
        sample_rate=config.sample_rate,
        num_samples=num_frames * config.hop,
        hop=config.hop,
        window=config.window,
        num_mels=config.num_mels,
        dynamic_range=config.dynamic_range,
        normalise=config.normalise,
    )


def draw_clips(
    recordings: Iterable[tuple[str, Recording | str]],
    num_recordings: int,
    form: SoundForm,
    progress: Progress,
) -> DrawnClips:
    """Log-mel pictures of recordings; those that cannot be used are named.

    Args:
        recordings: For each its name and what was read, or why it could not be.
        num_recordings: How many there are.
        form: How a clip becomes a picture.
        progress: Counts clips.

    Raises:
        UsageError: Bands that hear nothing (`mel_filters`).
    """
    parts: list[NDArray[np.uint8]] = [to_log_mel(np.empty((0, form.num_samples), dtype=np.float32), form)]
    waiting: list[NDArray[np.float32]] = []
    skipped: list[Skipped] = []
    counts = ClipCounts()
    progress.start("reading sound", num_recordings, "clips")
    try:
        for number, (name, found) in enumerate(recordings, start=1):
            outcome = found if isinstance(found, str) else _try_to_fit(found, form, counts)
            if isinstance(outcome, str):
                skipped.append(Skipped(file=name, reason=outcome))
            else:
                waiting.append(outcome)
            if len(waiting) == _CHUNK:
                parts.append(to_log_mel(np.stack(waiting), form))
                waiting = []
                progress.advance(number)
    finally:
        progress.finish()
    if waiting:
        parts.append(to_log_mel(np.stack(waiting), form))
    return DrawnClips(pictures=np.concatenate(parts), skipped=tuple(skipped), counts=counts)


def _try_to_fit(recording: Recording, form: SoundForm, counts: ClipCounts) -> NDArray[np.float32] | str:
    """The clip of a recording, which is counted, or why there is none."""
    try:
        clip = fit_clip(recording.samples, recording.sample_rate, form)
    except UnreadableSoundError as error:
        return error.message
    counts.add(recording, form)
    return clip


def fit_clip(samples: NDArray[np.floating], sample_rate: int, form: SoundForm) -> NDArray[np.float32]:
    """A clip in the length, rate and loudness of `form`, float32 (form.num_samples,).

    Args:
        samples: One channel, (T,).
        sample_rate: Of these samples.
        form: What the clip should be like.

    Raises:
        UnreadableSoundError: No sample, silence alone, or a value that is not finite.
    """
    if not len(samples):
        raise UnreadableSoundError("holds no sample")
    finite = np.isfinite(samples)
    if not finite.all():
        place = int(np.flatnonzero(~finite)[0])
        raise UnreadableSoundError(f"holds a value that is no finite number, at sample {place:,}")
    kept = samples[: math.ceil(form.num_samples * sample_rate / form.sample_rate)].astype(np.float64)
    if sample_rate != form.sample_rate:
        common = math.gcd(sample_rate, form.sample_rate)
        kept = resample_poly(kept, form.sample_rate // common, sample_rate // common)
    clip = np.zeros(form.num_samples)
    clip[: min(len(kept), form.num_samples)] = kept[: form.num_samples]
    peak = float(np.abs(clip).max())
    if peak <= SILENT:
        if np.abs(samples).max() <= SILENT:
            raise UnreadableSoundError("holds silence alone")
        highest = f"{form.sample_rate / 2:,g} hertz"
        raise UnreadableSoundError(f"is silent in its first {form.seconds:g} seconds below {highest}")
    return (clip / peak if form.normalise else clip).astype(np.float32)


def clips_as_pictures(clips: NDArray[np.floating], form: SoundForm) -> NDArray[np.uint8]:
    """Clips of the form's rate and any length as log-mel pictures, uint8 (N, 1, bands, frames).

    Args:
        clips: (N, T), one at least.
        form: How a clip becomes a picture.

    Raises:
        DataError: A clip without a sample, of silence alone, or with a value that is not finite.
    """
    fitted = []
    for number, clip in enumerate(clips):
        try:
            fitted.append(fit_clip(clip, form.sample_rate, form))
        except UnreadableSoundError as error:
            raise DataError(
                "a clip that cannot be used", where=f"clip {number}", got=error.message
            ) from error
    return to_log_mel(np.stack(fitted), form)
