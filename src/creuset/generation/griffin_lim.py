"""Sound from log-mel pictures: bands back to frequencies, then a phase that fits them.

Bands to frequencies: the powers S >= 0 with the least sum over m of ((filters S)_m / M_m - 1)^2, by Lee and
Seung's multiplicative updates (2001, "Algorithms for Non-negative Matrix Factorization", theorem 1).
Departure: errors are relative to each band, so that soft bands count like loud ones.

Phase: fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013, "A fast Griffin-Lim algorithm", algorithm 2):

    t[n] = STFT(inverse STFT(magnitude exp(i phase of c[n - 1])))
    c[n] = t[n] + momentum (t[n] - t[n - 1])

from random phases. The inverse is that of least squares (Griffin & Lim 1984, equation 6).

Legend of shapes: N clips, T samples, W window, K bins, M bands, F frames (columns).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from creuset.data.log_mel import hann, mel_filters, power_scale, softest_power, spectra, to_mel_powers
from creuset.data.spec import SoundForm
from creuset.device import derive_seed

FloatArray = NDArray[np.float64]

_NUM_UPDATES = 100
"""Of the powers; then bands are met to a few hundredths of a decibel."""
_NUM_STEPS = 60
"""Of the phase; from there on the error falls by less than a tenth of a decibel for as many again."""
_MOMENTUM = 0.99
"""The value that Perraudin et al. advise."""
_CHUNK = 32
"""Clips at once, which bounds the memory: some 50 MB for a second of 8,000 samples."""
_TINY = 1e-12
"""Keeps a quotient finite where there is nothing."""


def to_sound(pictures: NDArray[np.uint8], form: SoundForm, *, seed: int = 0) -> NDArray[np.float32]:
    """The clips that log-mel pictures stand for.

    A clip depends on its picture, its place and the seed alone. One that would be louder than 1 is made
    softer as a whole.

    Args:
        pictures: uint8 (N, 1, M, F) in 0..255, as `to_log_mel` makes them.
        form: How they stand for sound.
        seed: Decides the phases that the search begins with.

    Returns:
        float32 (N, form.num_samples) in [-1, 1].
    """
    audio = np.empty((len(pictures), form.num_samples), dtype=np.float32)
    filters = mel_filters(form)
    for start in range(0, len(pictures), _CHUNK):
        places = range(start, min(start + _CHUNK, len(pictures)))
        mel_powers = to_mel_powers(pictures[places.start : places.stop], form)
        powers = to_powers(mel_powers, filters, softest=softest_power(form))
        phases = np.stack([_random_phases(powers.shape[1:], seed, place) for place in places])
        found = griffin_lim(np.sqrt(powers / power_scale(form)), phases, form)
        audio[places.start : places.stop] = found / np.maximum(1, np.abs(found).max(axis=1, keepdims=True))
    return audio


def to_powers(
    mel_powers: FloatArray, filters: FloatArray, *, softest: float, num_updates: int = _NUM_UPDATES
) -> FloatArray:
    """Powers of frequencies whose bands are those given, (N, F, K), none below 0.

    Args:
        mel_powers: Powers of bands, (N, F, M), none below 0.
        filters: How much each frequency adds to each band, (M, K).
        softest: Of softer bands the error is relative to this power.
        num_updates: Updates, each of which lowers the error.
    """
    weights = 1 / np.maximum(mel_powers, softest) ** 2
    aim = (weights * mel_powers) @ filters
    powers: FloatArray = mel_powers @ (filters / filters.sum(axis=1, keepdims=True))
    for _ in range(num_updates):
        powers *= aim / np.maximum((weights * (powers @ filters.T)) @ filters, _TINY)
    return powers


def griffin_lim(
    magnitudes: FloatArray, phases: FloatArray, form: SoundForm, num_steps: int = _NUM_STEPS
) -> FloatArray:
    """Clips whose short-time Fourier transforms are near to these magnitudes, (N, form.num_samples).

    Args:
        magnitudes: Of `spectra`, (N, F, K).
        phases: In radians, to begin with, (N, F, K).
        form: Window, hop and length.
        num_steps: Steps of the search.
    """
    ahead = magnitudes * np.exp(1j * phases)
    before: NDArray[np.complex128] | None = None
    for _ in range(num_steps):
        consistent = spectra(inverse_spectra(_with_magnitudes(ahead, magnitudes), form), form)
        ahead = consistent if before is None else consistent + _MOMENTUM * (consistent - before)
        before = consistent
    return inverse_spectra(_with_magnitudes(ahead, magnitudes), form)


def inverse_spectra(transform: NDArray[np.complex128], form: SoundForm) -> FloatArray:
    """The clips (N, T) whose `spectra` are nearest to these (N, F, K), by least squares."""
    window = hann(form)
    frames = fft.irfft(transform, n=form.window, axis=-1) * window  # (N, F, W)
    length = form.num_samples + form.window - form.hop
    total, weight = np.zeros((len(transform), length)), np.zeros(length)
    for frame in range(form.num_frames):
        place = slice(frame * form.hop, frame * form.hop + form.window)
        total[:, place] += frames[:, frame]
        weight[place] += window**2
    before = (form.window - form.hop) // 2
    inside = slice(before, before + form.num_samples)
    return total[:, inside] / weight[inside]


def _with_magnitudes(transform: NDArray[np.complex128], magnitudes: FloatArray) -> NDArray[np.complex128]:
    """The phases of `transform` with other magnitudes."""
    return magnitudes * transform / np.maximum(np.abs(transform), _TINY)


def _random_phases(shape: tuple[int, ...], seed: int, place: int) -> FloatArray:
    """Phases (F, K) in [0, 2 pi) of the clip at a place."""
    return 2 * np.pi * np.random.default_rng(derive_seed(seed, "phases", place)).random(shape)
