import numpy as np
import pytest
from scipy.optimize import nnls

from creuset.data.log_mel import mel_filters, power_scale, softest_power, spectra, to_log_mel, to_mel_powers
from creuset.generation.griffin_lim import griffin_lim, inverse_spectra, to_powers, to_sound
from sounds import pitch, sound_form, tone

FORM = sound_form(num_mels=64)


def chirp(seed: int) -> np.ndarray:
    """Half a second of a voice-like sound: harmonics of a moving pitch, in a soft noise."""
    draws = np.random.default_rng(seed)
    times = np.arange(FORM.num_samples) / FORM.sample_rate
    phase = 2 * np.pi * np.cumsum(draws.uniform(100, 160) * (1 + 0.3 * np.sin(6 * times))) / FORM.sample_rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 12)) * np.hanning(FORM.num_samples)
    return 0.3 * voice + draws.normal(0, 1e-3, FORM.num_samples)


def error_decibel(pictures: np.ndarray, others: np.ndarray) -> float:
    """The mean distance of levels, in decibels, where either is above 60 decibels below full scale."""
    heard = np.maximum(pictures, others) > 255 * (1 - 60 / FORM.dynamic_range)
    distance = np.abs(pictures.astype(float) - others)[heard]
    return float(distance.mean()) * FORM.dynamic_range / 255


def test_the_inverse_is_exact_on_a_transform_of_sound() -> None:
    audio = np.random.default_rng(0).normal(size=(3, FORM.num_samples))
    for form in (FORM, sound_form(hop=100, num_samples=3200, window=401)):
        clips = audio[:, : form.num_samples]
        np.testing.assert_allclose(inverse_spectra(spectra(clips, form), form), clips, atol=1e-10)


def test_bands_are_met_as_well_as_by_non_negative_least_squares() -> None:
    filters = mel_filters(FORM)
    audio = np.stack([chirp(0)])
    true = power_scale(FORM) * np.abs(spectra(audio, FORM)) ** 2
    bands = true @ filters.T
    found = to_powers(bands, filters, softest=softest_power(FORM))
    assert found.min() >= 0
    relative = np.abs(found @ filters.T / np.maximum(bands, softest_power(FORM)) - 1)
    assert np.median(relative) < 0.01
    for frame in (8, 16):
        weights = 1 / np.maximum(bands[0, frame], softest_power(FORM))
        _, residual = nnls(weights[:, None] * filters, weights * bands[0, frame])
        ours = np.linalg.norm(weights * (filters @ found[0, frame] - bands[0, frame]))
        assert ours < residual + 0.3


def test_sound_goes_to_a_picture_and_back_within_a_few_decibels() -> None:
    pictures = to_log_mel(np.stack([chirp(seed) for seed in range(4)]), FORM)
    again = to_log_mel(to_sound(pictures, FORM), FORM)
    assert error_decibel(pictures, again) < 2.0


def test_momentum_and_steps_bring_the_magnitudes_nearer() -> None:
    audio = np.stack([chirp(seed) for seed in range(2)])
    magnitudes = np.abs(spectra(audio, FORM))
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, magnitudes.shape)

    def distance(num_steps: int) -> float:
        found = np.abs(spectra(griffin_lim(magnitudes, phases, FORM, num_steps), FORM))
        return float(np.linalg.norm(found - magnitudes) / np.linalg.norm(magnitudes))

    first, tenth, last = distance(0), distance(10), distance(60)
    assert last < tenth < first
    assert last < 0.12


@pytest.mark.parametrize("hertz", [200.0, 440.0, 1000.0, 2500.0])
def test_a_sine_keeps_its_pitch(hertz: float) -> None:
    audio = tone(hertz, FORM.seconds)[None]
    heard = to_sound(to_log_mel(audio, FORM), FORM)[0]
    band = np.diff(FORM.sample_rate / 2 * np.linspace(0, 1, 3)).min() / 64
    assert abs(pitch(heard) - hertz) < max(band, 0.05 * hertz)


def test_the_seed_decides_and_a_clip_does_not_depend_on_those_behind_it() -> None:
    pictures = to_log_mel(np.stack([chirp(seed) for seed in range(3)]), FORM)
    clips = to_sound(pictures, FORM, seed=1)
    assert clips.dtype == np.float32
    assert clips.shape == (3, FORM.num_samples)
    assert np.array_equal(clips[:2], to_sound(pictures[:2], FORM, seed=1))
    assert not np.array_equal(clips, to_sound(pictures, FORM, seed=2))


def test_black_is_silence_and_white_is_no_louder_than_1() -> None:
    black, white = (np.full((1, *FORM.shape), level, dtype=np.uint8) for level in (0, 255))
    assert np.abs(to_sound(black, FORM)).max() == 0
    loud = to_sound(white, FORM)
    assert np.abs(loud).max() == pytest.approx(1)
    assert to_mel_powers(white, FORM).min() == 1
