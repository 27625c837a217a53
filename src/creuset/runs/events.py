"""TensorBoard event files: the numbers of the journal for the viewer that every practitioner has.

A file is a sequence of records: the length of the data as u64, a checksum of the length, the data, a checksum
of the data. The data is an Event of TensorFlow's protocol buffers (tensorflow/core/util/event.proto):

    Event       1 wall_time double   2 step int64   3 file_version string   5 summary   7 session_log
    Summary     1 value, repeated: 1 tag string, 2 simple_value float
    SessionLog  1 status, 1 meaning START

Each record goes to the operating system at once, by the thread that records it: a killed process loses
nothing, and a full disk is met where it can be reported.
"""

import functools
import math
import socket
import struct
import time
from pathlib import Path

from creuset.files import disk_errors

_VERSION = b"brain.Event:2"
"""The first event of each file, without which TensorBoard does not read it."""
_CASTAGNOLI = 0x82F63B78
"""The polynomial of CRC-32C, its bits reversed (RFC 3720, appendix B.4)."""
_MASK = 0xA282EAD8
"""TFRecord masks checksums: rotated by 15 bits, plus this constant (tensorflow/core/lib/hash/crc32c.h)."""
_LARGEST = 3.4028234663852886e38
"""The largest float32."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Protocol buffers' wire types."""


class EventFile:
    """One new file of events.

    Args:
        folder: Where event files lie; a run has one file for each time that it was started.
        start: The first step that this file will hold. Where there are earlier files, TensorBoard drops what
            they hold of this step and of later ones.
    """

    def __init__(self, folder: Path, *, start: int) -> None:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # files are read in the order of their names, those of the same second too
            number = sum(1 for _ in folder.glob("*tfevents*"))
            name = f"events.out.tfevents.{int(time.time()):010d}.{number:04d}.{socket.gethostname()}"
            self.path = folder / name
            self._file = self.path.open("xb", buffering=0)
        self._write(_field(3, _VERSION))
        if number:
            self._write(_field(2, start) + _field(7, _field(1, 1)))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """One number of a curve; beyond what a float32 holds it becomes infinite."""
        if abs(value) > _LARGEST:
            value = math.copysign(math.inf, value)
        number = _field(1, tag.encode()) + _key(2, _FIXED32) + struct.pack("<f", value)
        self._write(_field(2, step) + _field(5, _field(1, number)))

    def close(self) -> None:
        self._file.close()

    def _write(self, event: bytes) -> None:
        data = _key(1, _FIXED64) + struct.pack("<d", time.time()) + event
        length = struct.pack("<Q", len(data))
        record = length + _checksum(length) + data + _checksum(data)
        with disk_errors(self.path):
            while record:
                record = record[self._file.write(record) :]


def _key(number: int, wire_type: int) -> bytes:
    return bytes([number << 3 | wire_type])


def _field(number: int, value: int | bytes) -> bytes:
    """A field of an Event that holds a whole number, or bytes with their length."""
    if isinstance(value, int):
        return _key(number, _VARINT) + _varint(value)
    return _key(number, _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _checksum(data: bytes) -> bytes:
    """The masked CRC-32C of a record's part."""
    table = _crc_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF)


@functools.cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)
        table.append(byte)
    return tuple(table)
