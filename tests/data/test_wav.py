import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from creuset.data.wav import UnreadableSoundError, read_wav, wav_bytes
from sounds import RATE, levels, tone, write_wav


def message(path: Path) -> str:
    with pytest.raises(UnreadableSoundError) as raised:
        read_wav(path)
    return raised.value.message


def pcm24(samples: np.ndarray, channels: int = 1) -> bytes:
    """A file of 24 bits by the standard library."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, 3, RATE, 0, "NONE", ""))
        file.writeframes(b"".join(int(value).to_bytes(3, "little", signed=True) for value in samples))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("num_channels", [1, 2, 3])
def test_it_reads_what_scipy_reads(tmp_path: Path, kind: type, num_channels: int) -> None:
    draws = np.random.default_rng(0)
    if issubclass(kind, np.integer):
        ends = np.iinfo(kind)
        samples = draws.integers(ends.min, ends.max, (300, num_channels), dtype=kind, endpoint=True)
    else:
        samples = draws.uniform(-1, 1, (300, num_channels)).astype(kind)
    path = write_wav(tmp_path / "a.wav", samples, rate=11_025)
    rate, expected = wavfile.read(path)
    found = read_wav(path)
    assert (found.sample_rate, found.num_channels) == (rate, num_channels)
    scaled = expected.reshape(300, num_channels).astype(np.float64)
    if kind is np.uint8:
        scaled = (scaled - 128) / 128
    elif issubclass(kind, np.integer):
        scaled = scaled / -float(np.iinfo(kind).min)
    np.testing.assert_allclose(found.samples, scaled.mean(axis=1), rtol=0, atol=1e-7)


def test_24_bits_are_read_to_the_last_one(tmp_path: Path) -> None:
    values = np.array([0, 1, -1, 2**23 - 1, -(2**23), 123_456])
    path = tmp_path / "a.wav"
    path.write_bytes(pcm24(values))
    assert np.array_equal(read_wav(path).samples, values / 2**23)


def test_an_extensible_header_names_its_encoding_further_on(tmp_path: Path) -> None:
    samples = levels(tone(440, 0.01))
    extension = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, 2 * RATE, 2, 16, 22, 16, 4)
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    chunks = b"fmt " + struct.pack("<I", 40) + extension + guid
    chunks += b"junk" + struct.pack("<I", 3) + b"abc\0"  # an odd length, and its zero
    chunks += b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes()
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    assert np.array_equal(read_wav(path).samples, samples / 2**15)


def test_what_is_written_is_read_by_others_and_by_us(tmp_path: Path) -> None:
    samples = tone(440, 0.05)
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(samples, RATE, comment='{"run": "vae", "odd": 1}'))
    rate, theirs = wavfile.read(path)
    assert rate == RATE
    assert np.array_equal(theirs, levels(samples))
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getnframes()) == (1, 2, len(samples))
    np.testing.assert_allclose(read_wav(path).samples, samples, atol=1 / 2**14)
    assert b'ICMT\x19\0\0\0{"run": "vae", "odd": 1}\0' in path.read_bytes()


def test_what_is_louder_than_1_is_cut() -> None:
    content = wav_bytes(np.array([2.0, -3.0]), RATE)
    assert content[-4:] == struct.pack("<hh", 32767, -32767)


def changed(content: bytes, place: int, *values: int) -> bytes:
    return content[:place] + struct.pack(f"<{len(values)}H", *values) + content[place + 2 * len(values) :]


WHOLE = wav_bytes(tone(440, 0.01), RATE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is no WAV file by its beginning"),
        (b"RIFX" + WHOLE[4:], "is of the kind RIFX, not RIFF"),
        (WHOLE[:100], "is cut short: 56 of 160 bytes of sound are there"),
        (WHOLE[:30], "is cut short: its samples are not there"),
        (WHOLE[:39], "is cut short"),
        (WHOLE[:12], "is cut short: its samples are not there"),
        (WHOLE[:40] + bytes(4), "holds no sample"),
        (WHOLE[:12] + WHOLE[36:], "says nothing of its form before its samples"),
        (changed(WHOLE, 20, 7), "holds mu-law, neither PCM nor floats"),
        (changed(WHOLE, 20, 99), "holds encoding 99, neither PCM nor floats"),
        (changed(WHOLE, 34, 12), "holds PCM of 12 bits"),
        (changed(WHOLE, 20, 3), "holds floats of 16 bits"),
        (changed(WHOLE, 22, 0), "promises 0 channels in frames of 2 bytes"),
        (changed(WHOLE, 22, 2), "promises 2 channels in frames of 2 bytes"),
        (changed(WHOLE, 24, 5, 0), "promises 5 samples a second"),
        (WHOLE[:40] + struct.pack("<I", 3) + bytes(3), "ends within a sample"),
        (changed(changed(WHOLE[:40], 22, 2), 32, 4) + struct.pack("<I", 6) + bytes(6), "ends within a frame"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert message(path) == reason
