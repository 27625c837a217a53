"""The header of a safetensors file, read as hostile: JSON that says where each tensor's bytes lie.

Source: the safetensors format (huggingface/safetensors, README, "Format"). A file is a little-endian u64, the
header's length; the header; the data. The header is one JSON object,

    {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}

with offsets counted from the end of the header, and may hold "__metadata__", strings by strings.

The header is taken apart entry by entry by a grammar of its own, since a general JSON parser would build
whatever nested lists a file claims before the first of them could be checked. Departures from the format's
own reader, which takes the last of two tensors of one name and ignores fields that it does not know: both are
refused here.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.errors import DataError

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""
MAX_TENSORS = 100_000
"""More than any known model has in one file; keeps what is built from a hostile header small."""
_MAX_METADATA = 10_000
_MAX_AXES = 16
_LARGEST = 2**62
"""A tensor's size with its empty axes left out stays below this, or torch's own arithmetic would overflow."""
_METADATA = "__metadata__"

DTYPE_BYTES = {
    "F64": 8,
    "I64": 8,
    "F32": 4,
    "I32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Bytes of a number of each type that is read."""

_NAME = re.compile(r'\s*("(?:[^"\\\x00-\x1f]|\\.){0,512}")\s*:\s*')
_ENTRY = re.compile(r"(\{[^{}]{0,1000}\})\s*([,}])")
_TEXT = r'("[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+")'
_PAIR = re.compile(rf"\s*{_TEXT}\s*:\s*{_TEXT}\s*([,}}])")
_NO_PAIRS = re.compile(r"\{\s*\}")
_AFTER_METADATA = re.compile(r"\s*([,}])")
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where one tensor lies.

    Args:
        dtype: Its type in the format's words, a key of `DTYPE_BYTES`.
        shape: Its shape.
        start: Its first byte, counted from the beginning of the data.
        end: One past its last byte.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the header says: entries by name, in the header's order, and the metadata."""

    entries: dict[str, Entry]
    metadata: dict[str, str]


def parse_header(text: bytes, data_bytes: int, where: Path) -> Header:
    """The checked header.

    Args:
        text: Its bytes.
        data_bytes: How many bytes of data follow it; the tensors must cover them without gap or overlap.
        where: The file, for errors.

    Raises:
        DataError: Anything else than the format, with the tensor's name and the numbers.
    """
    try:
        header = _Parser(text.decode("utf-8"), where).header()
    except UnicodeDecodeError as error:
        raise _refused(where, "the header is not UTF-8", got=f"byte {error.start}: {error.reason}") from error
    _require_cover(header.entries, data_bytes, where)
    return header


def unique_pairs(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An `object_pairs_hook` for json that refuses a key given twice with a ValueError."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands there twice")
        found[key] = value
    return found


class _Parser:
    def __init__(self, text: str, where: Path) -> None:
        self.text = text
        self.where = where
        self.entries: dict[str, Entry] = {}
        self.metadata: dict[str, str] | None = None

    def header(self) -> Header:
        if not self.text.startswith("{"):
            raise self._unreadable(0, "an opening brace")
        position, more = 1, "," if not _NO_PAIRS.match(self.text) else "}"
        if more == "}":
            position = self.text.index("}") + 1
        while more == ",":
            position, more = self._item(position)
        if self.text[position:].strip(" "):
            raise self._unreadable(position, "nothing but spaces behind the header's end")
        return Header(entries=self.entries, metadata=self.metadata or {})

    def _item(self, position: int) -> tuple[int, str]:
        """Reads one name with its value; returns the position behind it, and what stands there."""
        found = _NAME.match(self.text, position)
        if found is None:
            raise self._unreadable(position, "a tensor's name of at most 512 characters")
        name = self._string(found[1], position)
        if name == _METADATA:
            return self._read_metadata(found.end())
        value = _ENTRY.match(self.text, found.end())
        if value is None:
            raise self._unreadable(found.end(), "an object with dtype, shape and data_offsets", name)
        if name in self.entries:
            raise self._wrong("two tensors have one name", name)
        if len(self.entries) >= MAX_TENSORS:
            raise self._wrong("too many tensors", name, f"more than {MAX_TENSORS:,}")
        self.entries[name] = self._entry(name, value[1])
        return value.end(), value[2]

    def _entry(self, name: str, text: str) -> Entry:
        try:
            value = json.loads(text, object_pairs_hook=unique_pairs)
        except (ValueError, RecursionError) as error:
            raise self._wrong("this entry of the header cannot be read", name, error) from error
        if value.keys() != {"dtype", "shape", "data_offsets"}:
            raise self._wrong(
                "an entry of other fields", name, ", ".join(value), "dtype, shape and data_offsets"
            )
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
            raise self._wrong("a type of numbers that is not read", name, dtype, ", ".join(DTYPE_BYTES))
        if not _are_counts(shape) or len(shape) > _MAX_AXES:
            raise self._wrong("no shape", name, shape, f"at most {_MAX_AXES} whole numbers from 0")
        if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise self._wrong("no range of bytes", name, offsets, "two whole numbers, the smaller one first")
        width = DTYPE_BYTES[dtype]
        if width * math.prod(max(length, 1) for length in shape) > _LARGEST:
            raise self._wrong("a shape beyond any memory", name, shape)
        num_bytes = width * math.prod(shape)
        if offsets[1] - offsets[0] != num_bytes:
            raise self._wrong(
                "the size does not fit the shape",
                name,
                f"{offsets[1] - offsets[0]} bytes, from {offsets[0]} to {offsets[1]}",
                f"{num_bytes} bytes for {dtype} {shape}",
            )
        return Entry(dtype=dtype, shape=tuple(shape), start=offsets[0], end=offsets[1])

    def _read_metadata(self, position: int) -> tuple[int, str]:
        if self.metadata is not None:
            raise _refused(self.where, "the metadata stands there twice")
        self.metadata = {}
        empty = _NO_PAIRS.match(self.text, position)
        if empty is not None:
            position = empty.end()
        elif not self.text.startswith("{", position):
            raise self._unreadable(position, "an object of strings", _METADATA)
        else:
            position, more = position + 1, ","
            while more == ",":
                position, more = self._read_pair(self.metadata, position)
        behind = _AFTER_METADATA.match(self.text, position)
        if behind is None:
            raise self._unreadable(position, "a comma or a closing brace", _METADATA)
        return behind.end(), behind[1]

    def _read_pair(self, metadata: dict[str, str], position: int) -> tuple[int, str]:
        pair = _PAIR.match(self.text, position)
        if pair is None:
            raise self._unreadable(position, "a string with a string for its value", _METADATA)
        key = self._string(pair[1], position)
        if key in metadata:
            raise _refused(self.where, "a key of the metadata stands there twice", got=_cut(key))
        if len(metadata) >= _MAX_METADATA:
            raise _refused(self.where, "too much metadata", got=f"more than {_MAX_METADATA:,} keys")
        metadata[key] = self._string(pair[2], position)
        return pair.end(), pair[3]

    def _string(self, quoted: str, position: int) -> str:
        try:
            found = json.loads(quoted)
        except ValueError as error:
            raise self._unreadable(position, "a JSON string") from error
        assert isinstance(found, str)
        return found

    def _unreadable(self, position: int, expected: str, name: str | None = None) -> DataError:
        place = f"character {position}: {self.text[position : position + _SHOWN]!r}"
        of = "" if name is None else f" at {_cut(name)}"
        return _refused(
            self.where, f"the header is not that of a safetensors file{of}", got=place, expected=expected
        )

    def _wrong(self, message: str, name: str, got: object = None, expected: object = None) -> DataError:
        shown = None if got is None else _cut(str(got))
        return _refused(self.where, f"tensor {_cut(name)}: {message}", got=shown, expected=expected)


def _require_cover(entries: dict[str, Entry], data_bytes: int, where: Path) -> None:
    """The tensors follow each other without gap or overlap, and end where the file ends."""
    position, before = 0, "the header"
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != position:
            word = "overlaps" if entry.start < position else "leaves a gap behind"
            raise _refused(
                where,
                f"tensor {_cut(name)} {word} {before}",
                got=f"bytes {entry.start} to {entry.end} of the data",
                expected=f"a start at {position}",
            )
        if entry.end > data_bytes:
            raise _refused(
                where,
                f"tensor {_cut(name)} ends behind the end of the file: it was cut short, or is no such file",
                got=f"bytes {entry.start} to {entry.end} of the data",
                expected=f"at most {data_bytes}",
            )
        position, before = entry.end, f"tensor {_cut(name)}"
    if position != data_bytes:
        raise _refused(
            where, "bytes behind the last tensor", got=f"{data_bytes} bytes of data", expected=position
        )


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _refused(where: Path, message: str, *, got: object = None, expected: object = None) -> DataError:
    return DataError(message, where=where, got=got, expected=expected)
