from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from creuset.data.log_mel import (
    hann,
    hertz_to_mel,
    mel_filters,
    mel_to_hertz,
    power_scale,
    spectra,
    to_levels,
    to_log_mel,
    to_mel_powers,
)
from creuset.errors import UsageError
from sounds import sound_form, tone

FORM = sound_form()


def noise(num: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (num, FORM.num_samples))


@pytest.mark.parametrize("form", [FORM, sound_form(hop=100, num_samples=3200, window=401)])
def test_the_transform_is_that_of_scipy(form: object) -> None:
    assert isinstance(form, type(FORM))
    audio = noise(2)[:, : form.num_samples]
    before = (form.window - form.hop) // 2
    padded = np.pad(audio, ((0, 0), (before, form.window - form.hop - before)))
    window = signal.get_window("hann", form.window)
    assert np.allclose(hann(form), window)
    _, _, expected = signal.stft(
        padded,
        window=window,
        nperseg=form.window,
        noverlap=form.window - form.hop,
        boundary=None,
        padded=False,
    )
    np.testing.assert_allclose(
        spectra(audio, form), expected.transpose(0, 2, 1) * window.sum(), rtol=0, atol=1e-10
    )


def test_the_bands_are_those_of_transformers() -> None:
    theirs = pytest.importorskip("transformers.audio_utils")
    for form in (FORM, sound_form(num_mels=40, sample_rate=16_000, window=800)):
        expected = theirs.mel_filter_bank(
            num_frequency_bins=form.window // 2 + 1,
            num_mel_filters=form.num_mels,
            min_frequency=0,
            max_frequency=form.sample_rate / 2,
            sampling_rate=form.sample_rate,
            norm=None,
            mel_scale="slaney",
        )
        np.testing.assert_allclose(mel_filters(form), expected.T, atol=1e-9)


def test_the_scale_is_linear_then_logarithmic_and_goes_back() -> None:
    hertz = np.array([0.0, 500, 1000, 6400, 20_000])
    assert hertz_to_mel(hertz)[:4] == pytest.approx([0, 7.5, 15, 42])
    assert mel_to_hertz(hertz_to_mel(hertz)) == pytest.approx(hertz)


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 1234.5, 3000.0])
@pytest.mark.parametrize("window", [256, 512])
def test_a_sine_of_amplitude_1_has_a_power_of_1(hertz: float, window: int) -> None:
    form = replace(FORM, window=window)
    powers = power_scale(form) * np.abs(spectra(tone(hertz, 0.512, amplitude=1.0)[None], form)) ** 2
    inside = powers[0, 4:-4].sum(axis=1)
    assert inside == pytest.approx(np.ones_like(inside), abs=0.02)


def test_a_sine_is_bright_in_its_row_alone() -> None:
    picture = to_log_mel(tone(1000, 0.512, amplitude=1.0)[None], FORM)[0, 0]
    edges = mel_to_hertz(np.linspace(0, hertz_to_mel(np.array(4000.0)), FORM.num_mels + 2))
    band = int(np.argmin(np.abs(edges[1:-1] - 1000)))
    rows = picture[:, 8:-8].mean(axis=1)
    assert int(rows.argmax()) == FORM.num_mels - 1 - band  # the lowest band in the last row
    assert rows.max() > 245
    assert np.abs(np.arange(32) - rows.argmax())[rows > 200].max() <= 2


def test_decibels_become_levels_and_go_back() -> None:
    decibels = np.array([3.0, 0, -20, -40, -79.9, -80, -200])
    levels = to_levels(10 ** (decibels / 10), FORM)
    assert levels.tolist() == [255, 255, 191, 128, 0, 0, 0]
    pictures = np.random.default_rng(0).integers(0, 256, (3, *FORM.shape), dtype=np.uint8)
    again = to_levels(to_mel_powers(pictures, FORM), FORM).transpose(0, 2, 1)[:, None, ::-1]
    assert np.array_equal(again, pictures)
    assert to_mel_powers(np.zeros((1, *FORM.shape), dtype=np.uint8), FORM).max() == 0


def test_each_clip_has_its_picture_whatever_stands_beside_it() -> None:
    audio = noise(70)
    together = to_log_mel(audio, FORM)
    assert together.shape == (70, 1, 32, 32)
    assert together.dtype == np.uint8
    assert np.array_equal(together[[3, 66]], to_log_mel(audio[[3, 66]], FORM))


@pytest.mark.parametrize("place", [0, 1, FORM.num_samples // 2, FORM.num_samples - 1])
def test_no_sample_is_without_a_column(place: int) -> None:
    click = np.zeros((1, FORM.num_samples))
    click[0, place] = 1
    picture = to_log_mel(click, FORM)[0, 0]
    assert picture[:, place // FORM.hop].max() > 0


def test_bands_without_a_frequency_are_refused() -> None:
    with pytest.raises(UsageError, match=r"data\.audio\.num_mels: bands so narrow .*\n.*90 bands on 33"):
        mel_filters(sound_form(num_mels=90, window=64, hop=16))
