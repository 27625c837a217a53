"""Small sounds: tones of known pitch, and WAV files of them, written by SciPy."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from creuset.data.spec import SoundForm

RATE = 8000


def sound_form(**changes: object) -> SoundForm:
    """A form of 32 bands and 32 columns, half a second."""
    usual = {
        "sample_rate": RATE,
        "num_samples": 32 * 128,
        "hop": 128,
        "window": 512,
        "num_mels": 32,
        "dynamic_range": 80.0,
        "normalise": True,
    }
    return SoundForm(**{**usual, **changes})  # type: ignore[arg-type]


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE, amplitude: float = 0.5) -> NDArray[np.float32]:
    """A sine that begins at its phase 0."""
    times = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def levels(samples: NDArray[np.floating]) -> NDArray[np.int16]:
    """Samples in [-1, 1] as 16 bits."""
    return np.rint(samples * 32767).astype(np.int16)


def write_wav(path: Path, samples: NDArray[np.generic], rate: int = RATE) -> Path:
    """(T,) or (T, channels), of the number type that the file is to have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, samples)
    return path


def tone_folder(root: Path, num: int = 12) -> Path:
    """low/ and high/: noisy tones around 300 and 1,500 hertz, all different."""
    draws = np.random.default_rng(0)
    for name, hertz in (("low", 300.0), ("high", 1500.0)):
        for number in range(num):
            samples = tone(hertz * draws.uniform(0.8, 1.2), draws.uniform(0.2, 0.6))
            noise = draws.normal(0, 0.01, len(samples))
            write_wav(root / name / f"{number}.wav", levels(samples + noise))
    return root


def pitch(samples: NDArray[np.floating], rate: int = RATE) -> float:
    """The strongest frequency in hertz, by the whole clip's transform."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))
