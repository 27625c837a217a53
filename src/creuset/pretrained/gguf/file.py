"""One GGUF file, read as hostile: header, metadata, where each tensor lies, and the tensors on demand.

    "GGUF", u32 version, u64 tensors, u64 keys, metadata, tensor infos, padding, data

A tensor info is its name, a u32 number of axes, their lengths (u64, the fastest axis first: the reverse of
torch's order), a u32 type and a u64 offset into the data. The data and each tensor begin at a multiple of
"general.alignment", 32 where the file does not say.

Source: the GGUF specification (ggml, docs/gguf.md), versions 2 and 3, which differ in the byte order alone.
Departures: little-endian files only; two tensors may not overlap or have one name.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.errors import DataError, did_you_mean
from creuset.pretrained.gguf.blocks import BlockType, block_type, dequantize
from creuset.pretrained.gguf.cursor import Cursor
from creuset.pretrained.gguf.metadata import Metadata, read_metadata, read_num_keys
from creuset.pretrained.mapped_file import map_file

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_TENSORS = 100_000
_MAX_NAME_BYTES = 64
"""As in llama.cpp."""
_MAX_AXES = 4
_INFO_BYTES = 8 + 4 + 8 + 4 + 8
_ALIGNMENT = 32
_MAX_ALIGNMENT = 1 << 20


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """Where one tensor lies.

    Args:
        name: Its name.
        kind: How its numbers are stored.
        shape: Its shape in torch's order.
        start: Its first byte in the file.
    """

    name: str
    kind: BlockType
    shape: tuple[int, ...]
    start: int

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) // self.kind.numbers * self.kind.num_bytes

    @property
    def end(self) -> int:
        """One past its last byte."""
        return self.start + self.num_bytes


class GgufFile:
    """A GGUF file whose structure was checked; its tensors are read when they are asked for.

    Args:
        path: The file.

    Raises:
        NotFoundError: There is no such file.
        DataError: Another format, another version, counts or lengths beyond the file's end, a type of numbers
            that is not read, tensors that overlap, lie behind the end or not at the alignment.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._view = memoryview(map_file(path))
        cursor = Cursor(self._view, path)
        self.version = _read_version(cursor)
        num_tensors = cursor.count("tensors", most=_MAX_TENSORS, each=_INFO_BYTES)
        num_keys = read_num_keys(cursor)
        self.metadata: Metadata = read_metadata(cursor, num_keys)
        self.tensors: Mapping[str, TensorInfo] = _read_infos(cursor, num_tensors, self.metadata)

    def raw(self, name: str) -> NDArray[np.uint8]:
        """The stored bytes of a tensor, uint8 (num_bytes,), in mapped memory."""
        info = self._info(name)
        return np.frombuffer(self._view, dtype=np.uint8, count=info.num_bytes, offset=info.start)

    def tensor(self, name: str) -> Tensor:
        """A tensor in float32, in torch's order of axes.

        One that is stored in float32 stays in mapped memory, any other is computed anew at each call. A
        change in place leaves the file as it is.

        Raises:
            DataError: There is no tensor of this name.
        """
        info = self._info(name)
        return torch.from_numpy(dequantize(self.raw(name), info.kind).reshape(info.shape))

    def _info(self, name: str) -> TensorInfo:
        if name not in self.tensors:
            raise DataError(f'no tensor "{name}"{did_you_mean(name, self.tensors)}', where=self.path)
        return self.tensors[name]


def _read_version(cursor: Cursor) -> int:
    magic = bytes(cursor.take(len(_MAGIC), "the first four bytes"))
    if magic != _MAGIC:
        raise DataError("no GGUF file", where=cursor.where, got=magic, expected=_MAGIC)
    version = cursor.integer("uint32", "the version")
    if version not in _VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        got = f"{swapped} in big-endian order" if swapped in _VERSIONS else version
        raise DataError(
            "a GGUF file of another version",
            where=cursor.where,
            got=got,
            expected="2 or 3, little-endian",
            next_step="convert the model again with a current converter",
        )
    return version


def _read_infos(cursor: Cursor, num_tensors: int, metadata: Metadata) -> dict[str, TensorInfo]:
    alignment = metadata.whole("general.alignment") if "general.alignment" in metadata else _ALIGNMENT
    if alignment % 8 or alignment.bit_count() != 1 or alignment > _MAX_ALIGNMENT:
        raise DataError(
            'the metadata\'s "general.alignment" is something else',
            where=cursor.where,
            got=alignment,
            expected=f"a power of two from 8 to {_MAX_ALIGNMENT}",
        )
    found: dict[str, TensorInfo] = {}
    for _ in range(num_tensors):
        info = _read_info(cursor, alignment)
        if info.name in found:
            raise cursor.refused(f"two tensors have the name {info.name}")
        found[info.name] = info
    begin = cursor.position + -cursor.position % alignment
    placed = {
        name: TensorInfo(name=name, kind=info.kind, shape=info.shape, start=begin + info.start)
        for name, info in found.items()
    }
    _require_apart(placed, len(cursor.view), cursor.where)
    return placed


def _read_info(cursor: Cursor, alignment: int) -> TensorInfo:
    """One tensor info; its start still counts from the beginning of the data."""
    name = cursor.string("a tensor's name", most=_MAX_NAME_BYTES)
    num_axes = cursor.integer("uint32", f"the number of axes of tensor {name}")
    if not 1 <= num_axes <= _MAX_AXES:
        raise cursor.refused(f"tensor {name} has {num_axes} axes", expected=f"1 to {_MAX_AXES}")
    lengths = [cursor.integer("uint64", f"the shape of tensor {name}") for _ in range(num_axes)]
    number = cursor.integer("uint32", f"the type of tensor {name}")
    kind = block_type(number, name, cursor.where)
    offset = cursor.integer("uint64", f"the offset of tensor {name}")
    shape = tuple(reversed(lengths))
    if 0 in shape or lengths[0] % kind.numbers:
        raise cursor.refused(
            f"tensor {name} has a shape that {kind.name} cannot have",
            got=list(shape),
            expected=f"lengths from 1, the last one a multiple of {kind.numbers}",
        )
    if offset % alignment:
        raise cursor.refused(
            f"tensor {name} does not lie at the alignment", got=offset, expected=f"a multiple of {alignment}"
        )
    return TensorInfo(name=name, kind=kind, shape=shape, start=offset)


def _require_apart(infos: Mapping[str, TensorInfo], file_bytes: int, where: Path) -> None:
    """No tensor ends behind the end of the file, no two overlap."""
    before: TensorInfo | None = None
    for info in sorted(infos.values(), key=lambda one: one.start):
        if before is not None and info.start < before.end:
            raise DataError(
                f"tensor {info.name} overlaps tensor {before.name}",
                where=where,
                got=f"bytes {info.start} to {info.end}",
                expected=f"a start at {before.end} or later",
            )
        if info.end > file_bytes:
            raise DataError(
                f"tensor {info.name} ends behind the end of the file: it was cut short, or is no such file",
                where=where,
                got=f"bytes {info.start} to {info.end}, {info.kind.name} {list(info.shape)}",
                expected=f"at most {file_bytes}",
            )
        before = info
