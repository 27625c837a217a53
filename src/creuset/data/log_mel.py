"""Sound as log-mel pictures: the short-time Fourier transform, bands of the mel scale, decibels as levels.

    power[k, t] = 4 |sum_n w[n] x[t hop + n] exp(-2 pi i k n / W)|^2 / (W sum w^2)
    level[m, t] = 255 (1 + 10 log10(sum_k filter[m, k] power[k, t]) / dynamic_range), cut to 0..255

A sine of amplitude 1 has a power of 1, 0 decibels, summed over the bins around its frequency, whatever the
window. The picture has its lowest band in the bottom row and its first moment in the left column.

Column t looks at the `window` samples around the middle of its `hop` samples, zeros where the clip has ended:
so a clip of T samples has exactly T / hop columns, and no sample is left without one.

The mel scale is Slaney's (Auditory Toolbox, 1998): linear up to 1,000 hertz, logarithmic above. The bands are
triangles whose feet are their neighbours' tops, from 0 hertz to half the sample rate, each 1 at its top.
Departure: Slaney divides each triangle by its width; without that, high bands are as bright as low ones.

Legend of shapes: N clips, T samples, W window, K bins (W // 2 + 1), M bands, F frames (columns).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from creuset.data.spec import SoundForm
from creuset.errors import UsageError

FloatArray = NDArray[np.float64]

_LINEAR_UP_TO = 1000.0
_HERTZ_PER_MEL = 200 / 3
_LOG_STEP = math.log(6.4) / 27
"""Slaney's scale: 15 mels up to 1,000 hertz, and 27 more up to 6,400."""
_WHITE = 255
_CHUNK = 64
"""Clips transformed at once: some 30 MB."""


def hertz_to_mel(hertz: FloatArray) -> FloatArray:
    """Slaney's scale: hertz / 66.7 up to 1,000 hertz, 15 + 27 log(hertz / 1000) / log(6.4) above."""
    above = 15 + np.log(np.maximum(hertz, _LINEAR_UP_TO) / _LINEAR_UP_TO) / _LOG_STEP
    return np.where(hertz < _LINEAR_UP_TO, hertz / _HERTZ_PER_MEL, above)


def mel_to_hertz(mel: FloatArray) -> FloatArray:
    """The inverse of `hertz_to_mel`."""
    above = _LINEAR_UP_TO * np.exp(_LOG_STEP * (np.maximum(mel, 15) - 15))
    return np.where(mel < 15, mel * _HERTZ_PER_MEL, above)


def mel_filters(form: SoundForm) -> FloatArray:
    """How much each bin adds to each band, in [0, 1], (M, K); the lowest band first.

    Raises:
        UsageError: A band that lies between two bins and hears nothing.
    """
    highest = form.sample_rate / 2
    edges = mel_to_hertz(np.linspace(0, hertz_to_mel(np.array(highest)), form.num_mels + 2))
    bins = np.linspace(0, highest, form.window // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    deaf = int((filters.max(axis=1) == 0).sum())
    if deaf:
        raise UsageError(
            "bands so narrow that they lie between the frequencies of the transform",
            where="data.audio.num_mels",
            got=f"{form.num_mels} bands on {len(bins)} frequencies, {deaf} of them without any",
            expected="each band with a frequency",
            next_step="lower data.audio.num_mels, or raise data.audio.window",
        )
    return filters


def hann(form: SoundForm) -> FloatArray:
    """The window, (W,): 0.5 - 0.5 cos(2 pi n / W)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(form.window) / form.window)


def spectra(audio: NDArray[np.floating], form: SoundForm) -> NDArray[np.complex128]:
    """The short-time Fourier transform of clips (N, T), complex (N, F, K), not scaled."""
    before = (form.window - form.hop) // 2
    behind = form.window - form.hop - before
    padded = np.pad(audio, ((0, 0), (before, behind)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, form.window, axis=1)[:, :: form.hop]
    found: NDArray[np.complex128] = fft.rfft(frames * hann(form), axis=-1)
    return found


def power_scale(form: SoundForm) -> float:
    """What |spectra|^2 is multiplied by, so that a sine of amplitude 1 has a power of 1 in all."""
    return 4 / (form.window * float((hann(form) ** 2).sum()))


def softest_power(form: SoundForm) -> float:
    """The power of level 0."""
    return float(10 ** (-form.dynamic_range / 10))


def to_log_mel(audio: NDArray[np.floating], form: SoundForm) -> NDArray[np.uint8]:
    """Clips as pictures.

    Args:
        audio: (N, form.num_samples), in [-1, 1].
        form: How.

    Returns:
        uint8 (N, 1, M, F) in 0..255, the lowest band in the last row.

    Raises:
        UsageError: Bands that hear nothing (`mel_filters`).
    """
    filters = mel_filters(form)
    pictures = np.empty((len(audio), *form.shape), dtype=np.uint8)
    for start in range(0, len(audio), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        powers = power_scale(form) * np.abs(spectra(audio[chunk].astype(np.float64), form)) ** 2  # (N, F, K)
        pictures[chunk, 0] = to_levels(powers @ filters.T, form).transpose(0, 2, 1)[:, ::-1]
    return pictures


def to_levels(mel_powers: FloatArray, form: SoundForm) -> NDArray[np.uint8]:
    """Powers of bands as levels 0..255, any shape; what is softer than the range is 0."""
    decibels = 10 * np.log10(np.maximum(mel_powers, softest_power(form)))
    levels = np.rint(_WHITE * (1 + decibels / form.dynamic_range))
    return np.clip(levels, 0, _WHITE).astype(np.uint8)


def to_mel_powers(pictures: NDArray[np.uint8], form: SoundForm) -> FloatArray:
    """The powers that pictures (N, 1, M, F) stand for, (N, F, M), the lowest band first.

    Level 0 is silence: the power 0.
    """
    levels = pictures[:, 0, ::-1].transpose(0, 2, 1).astype(np.float64)
    decibels = form.dynamic_range * (levels / _WHITE - 1)
    return np.where(levels > 0, 10 ** (decibels / 10), 0.0)
