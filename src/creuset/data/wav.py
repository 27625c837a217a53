"""One WAV file as an array, and an array as a WAV file.

Read without loss: PCM of 8 (unsigned), 16, 24 and 32 bits, floats of 32 and 64, any number of channels, which
are averaged to one. Refused, with the reason: other encodings, files cut short, files without a sample. What
a header promises is checked before it is read.

    RIFF length WAVE, then chunks: 4 letters, uint32 length, content, one zero where the length is odd
    fmt    uint16 encoding, channels; uint32 sample rate, bytes a second; uint16 bytes a frame, bits a sample
    data   frames: a sample of each channel, one behind the other, little-endian

Source: Microsoft & IBM 1991, "Multimedia Programming Interface and Data Specifications 1.0"; encoding 0xFFFE:
Microsoft, "Multiple Channel Audio Data and WAVE Files", whose sub-format holds the true encoding.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from creuset.errors import DataError

SUFFIX = ".wav"

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_ENCODINGS = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "ADPCM", 80: "MPEG", 85: "MP3"}
"""Encodings that are not read, by name."""
_DTYPES = {(_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 32): "<i4", (_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"}
RATES = range(1_000, 1_000_001)
"""Sample rates in hertz that a recording can have."""
_LARGEST = 2**15 - 1


class UnreadableSoundError(DataError):
    """A WAV file that cannot be read without loss."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """What a WAV file holds.

    Args:
        samples: The mean of its channels, (T,); in [-1, 1] but for floats that are louder, or not finite.
        sample_rate: Samples in a second.
        num_channels: How many there were.
    """

    samples: NDArray[np.float64]
    sample_rate: int
    num_channels: int = 1


@dataclass(frozen=True, kw_only=True)
class _Format:
    encoding: int
    num_channels: int
    sample_rate: int
    num_bits: int


def read_wav(path: Path) -> Recording:
    """The recording in a WAV file.

    Raises:
        UnreadableSoundError: Something of it would be lost, or it is damaged; the message is the reason.
    """
    try:
        with path.open("rb") as file:
            form, content = _chunks(file, path.stat().st_size)
    except (OSError, struct.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "is cut short"
        raise UnreadableSoundError(reason) from error
    values = _values(content, form)
    frame = form.num_channels
    if len(values) < frame:
        raise UnreadableSoundError("holds no sample")
    if len(values) % frame:
        raise UnreadableSoundError("ends within a frame")
    samples: NDArray[np.float64] = values.reshape(-1, frame).mean(axis=1, dtype=np.float64)
    return Recording(samples=samples, sample_rate=form.sample_rate, num_channels=frame)


def wav_bytes(samples: NDArray[np.floating], sample_rate: int, *, comment: str = "") -> bytes:
    """A WAV file of one channel, 16 bits a sample.

    Args:
        samples: (T,) in [-1, 1]; what is beyond is cut.
        sample_rate: Samples in a second.
        comment: Kept in the file beside the sound, where players show it; none where empty.
    """
    levels = np.rint(np.clip(samples, -1, 1).astype(np.float64) * _LARGEST).astype("<i2")
    form = struct.pack("<HHIIHH", _PCM, 1, sample_rate, 2 * sample_rate, 2, 16)
    chunks = _chunk(b"fmt ", form)
    if comment:
        chunks += _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", comment.encode() + b"\0"))
    chunks += _chunk(b"data", levels.tobytes())
    return _chunk(b"RIFF", b"WAVE" + chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _chunks(file: IO[bytes], size: int) -> tuple[_Format, bytes]:
    """The form and the samples of a file of `size` bytes; chunks of other names are passed over."""
    head = file.read(12)
    if not head:
        raise UnreadableSoundError("is empty")
    if head[:4] in (b"RIFX", b"RF64"):
        raise UnreadableSoundError(f"is of the kind {head[:4].decode()}, not RIFF")
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise UnreadableSoundError("is no WAV file by its beginning")
    form: _Format | None = None
    while header := file.read(8):
        name, length = struct.unpack("<4sI", header)
        left = size - file.tell()
        if name == b"data":
            if form is None:
                raise UnreadableSoundError("says nothing of its form before its samples")
            if length > left:
                raise UnreadableSoundError(f"is cut short: {left:,} of {length:,} bytes of sound are there")
            return form, file.read(length)
        if length > left:
            break
        if name == b"fmt ":
            form = _format(file.read(length))
            file.seek(length % 2, 1)
        else:
            file.seek(length + length % 2, 1)
    raise UnreadableSoundError("is cut short: its samples are not there")


def _format(content: bytes) -> _Format:
    encoding, num_channels, sample_rate, _, frame_bytes, num_bits = struct.unpack_from("<HHIIHH", content)
    if encoding == _EXTENSIBLE:
        (encoding,) = struct.unpack_from("<H", content, 24)
    if encoding not in (_PCM, _FLOAT):
        name = _ENCODINGS.get(encoding, f"encoding {encoding}")
        raise UnreadableSoundError(f"holds {name}, neither PCM nor floats")
    if (encoding, num_bits) != (_PCM, 24) and (encoding, num_bits) not in _DTYPES:
        kind = "PCM" if encoding == _PCM else "floats"
        raise UnreadableSoundError(f"holds {kind} of {num_bits} bits")
    if num_channels < 1 or frame_bytes != num_channels * num_bits // 8:
        raise UnreadableSoundError(f"promises {num_channels} channels in frames of {frame_bytes} bytes")
    if sample_rate not in RATES:
        raise UnreadableSoundError(f"promises {sample_rate:,} samples a second")
    return _Format(encoding=encoding, num_channels=num_channels, sample_rate=sample_rate, num_bits=num_bits)


def _values(content: bytes, form: _Format) -> NDArray[np.floating]:
    """All numbers of a file, whole ones scaled to [-1, 1)."""
    num_bytes = form.num_bits // 8
    if len(content) % num_bytes:
        raise UnreadableSoundError("ends within a sample")
    if (form.encoding, form.num_bits) == (_PCM, 24):
        padded = np.zeros((len(content) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(content, dtype=np.uint8).reshape(-1, 3)
        return padded.view("<i4")[:, 0] / 2.0**31
    stored = np.frombuffer(content, dtype=_DTYPES[form.encoding, form.num_bits])
    if form.encoding == _FLOAT:
        return stored
    if form.num_bits == 8:
        return (stored.astype(np.float32) - 128) / np.float32(128)
    return stored / 2.0 ** (form.num_bits - 1)
