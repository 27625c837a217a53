"""The metadata of a GGUF file: keys with a number, a truth value, a string, or an array of one of these.

Source: the GGUF specification (ggml, docs/gguf.md). Departures: arrays of arrays are refused, which no known
model uses; a key given twice is refused.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.errors import DataError, did_you_mean
from creuset.pretrained.gguf.cursor import FORMATS, Cursor

Value = bool | int | float | str | list[str] | NDArray[Any]

_TYPES = {
    0: "uint8",
    1: "int8",
    2: "uint16",
    3: "int16",
    4: "uint32",
    5: "int32",
    6: "float32",
    7: "bool",
    8: "string",
    9: "array",
    10: "uint64",
    11: "int64",
    12: "float64",
}
_MAX_KEYS = 100_000
_MAX_KEY_BYTES = 65_535
_MAX_STRINGS = 2**21
"""In all arrays together; the largest known vocabularies have 262,144 tokens and about 500,000 merges."""
_KEY_BYTES = 8 + 4 + 1
_STRING_BYTES = 8


class Metadata(Mapping[str, Value]):
    """The values by key, and the same checked for what a reader needs.

    Args:
        values: By key. Arrays of numbers are numpy arrays, arrays of strings are lists.
        where: The file, for errors.
    """

    def __init__(self, values: Mapping[str, Value], where: Path) -> None:
        self._values = dict(values)
        self.where = where

    def __getitem__(self, key: str) -> Value:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, key: str) -> str:
        """A string. Raises DataError: the key is missing or has another type; so do all below."""
        value = self._needed(key)
        if not isinstance(value, str):
            raise self._other(key, value, "a string")
        return value

    def whole(self, key: str) -> int:
        """A whole number from 0."""
        value = self._needed(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._other(key, value, "a whole number from 0")
        return value

    def real(self, key: str) -> float:
        """A finite number."""
        value = self._needed(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._other(key, value, "a finite number")
        return float(value)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._needed(key)
        if not isinstance(value, bool):
            raise self._other(key, value, "true or false")
        return value

    def texts(self, key: str) -> list[str]:
        """An array of strings."""
        value = self._needed(key)
        if not isinstance(value, list):
            raise self._other(key, value, "an array of strings")
        return value

    def wholes(self, key: str) -> list[int]:
        """An array of whole numbers."""
        value = self._needed(key)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
            raise self._other(key, value, "an array of whole numbers")
        return [int(number) for number in value]

    def _needed(self, key: str) -> Value:
        if key not in self._values:
            raise DataError(f'the metadata lacks "{key}"{did_you_mean(key, self._values)}', where=self.where)
        return self._values[key]

    def _other(self, key: str, value: Value, expected: str) -> DataError:
        got = f"an array of {len(value)}" if isinstance(value, list | np.ndarray) else repr(value)[:80]
        return DataError(
            f'the metadata\'s "{key}" is something else', where=self.where, got=got, expected=expected
        )


def read_metadata(cursor: Cursor, num_keys: int) -> Metadata:
    """The pairs that stand at the cursor.

    Raises:
        DataError: A key twice, an unknown type, an array of arrays, a truth value that is neither 0 nor 1,
            or more of anything than the file can hold.
    """
    values: dict[str, Value] = {}
    room = _MAX_STRINGS
    for _ in range(num_keys):
        key = cursor.string("a key of the metadata", most=_MAX_KEY_BYTES)
        if key in values:
            raise cursor.refused(f'the key "{_cut(key)}" stands there twice')
        value = _read_value(cursor, key, room)
        room -= len(value) if isinstance(value, list) else 0
        values[key] = value
    return Metadata(values, cursor.where)


def read_num_keys(cursor: Cursor) -> int:
    """How many pairs there are, checked against what the file can hold."""
    return cursor.count("keys of metadata", most=_MAX_KEYS, each=_KEY_BYTES)


def _read_value(cursor: Cursor, key: str, room: int) -> Value:
    name = f'the value of "{_cut(key)}"'
    kind = _read_type(cursor, name)
    if kind != "array":
        return _read_scalar(cursor, kind, name)
    kind = _read_type(cursor, name)
    if kind == "array":
        raise cursor.refused(f"{name} is an array of arrays, which is not read")
    if kind == "string":
        count = cursor.count(f"strings in {name}", most=room, each=_STRING_BYTES)
        return cursor.strings(count, name)
    dtype = np.dtype("u1" if kind == "bool" else FORMATS[kind])
    count = cursor.count(f"numbers in {name}", most=cursor.left, each=dtype.itemsize)
    array = np.frombuffer(cursor.take(count * dtype.itemsize, name), dtype=dtype).copy()
    if kind != "bool":
        return array
    if np.any(array > 1):
        raise cursor.refused(f"{name} holds a truth value that is neither 0 nor 1")
    return array.astype(np.bool_)


def _read_scalar(cursor: Cursor, kind: str, name: str) -> Value:
    if kind == "string":
        return cursor.string(name)
    if kind == "bool":
        value = cursor.integer("uint8", name)
        if value > 1:
            raise cursor.refused(f"{name} is a truth value that is neither 0 nor 1", got=value)
        return bool(value)
    layout = FORMATS[kind]
    (number,) = struct.unpack(layout, cursor.take(struct.calcsize(layout), name))
    assert isinstance(number, int | float)
    return number


def _read_type(cursor: Cursor, name: str) -> str:
    number = cursor.integer("uint32", f"the type of {name}")
    if number not in _TYPES:
        raise cursor.refused(
            f"{name} has an unknown type",
            got=number,
            expected=f"0 to {max(_TYPES)}: {', '.join(_TYPES.values())}",
        )
    return _TYPES[number]


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."
