"""Weights in safetensors files: one file, or a folder of one or several (shards), read strictly and written.

Source: the safetensors format; the folders of Hugging Face's transformers: model.safetensors, or
model-00001-of-00003.safetensors and so on with model.safetensors.index.json, whose "weight_map" names the
file of each tensor. The header is checked in `safetensors_header`; nothing here runs what a file says.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from creuset.data.bounded_json import parse_bounded
from creuset.data.tokenizer_files import read_limited
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.files import write_atomic, write_atomic_with
from creuset.pretrained.mapped_file import map_file
from creuset.pretrained.safetensors_header import (
    DTYPE_BYTES,
    MAX_HEADER_BYTES,
    Entry,
    parse_header,
    unique_pairs,
)

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_MAX_INDEX_BYTES = 50_000_000
"""The largest known, of a model of 163 shards, has 9 MB."""
_LENGTH_BYTES = 8
_SHARD_BYTES = 5_000_000_000
"""The size at which transformers begins a new file."""
_EVEN = 8
"""The data begin at a multiple of this, so that any type of number lies where a processor likes it."""

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Tensors out of files.

    Args:
        tensors: By name. They lie in mapped memory: bytes are read when they are first looked at, and a
            change in place leaves the file as it is.
        metadata: Strings that the first file's header holds, such as {"format": "pt"}.
        paths: The files.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    paths: tuple[Path, ...]


def read_safetensors(path: Path) -> Weights:
    """The tensors of one safetensors file, without reading them yet.

    Raises:
        NotFoundError: There is no such file.
        DataError: A header longer than 100 MB or than the file, one that is not the format's, a name given
            twice, a type that is not read, sizes that do not fit the shapes, bytes that overlap, are left
            out or lie behind the end.
    """
    memory = map_file(path)
    if len(memory) < _LENGTH_BYTES:
        raise DataError(
            "too short for a safetensors file", where=path, got=f"{len(memory)} bytes", expected="at least 8"
        )
    (length,) = struct.unpack_from("<Q", memory)
    room = min(MAX_HEADER_BYTES, len(memory) - _LENGTH_BYTES)
    if length > room:
        raise DataError(
            "the header is longer than it can be: the file was cut short, or is no safetensors file",
            where=path,
            got=f"{length:,} bytes",
            expected=f"at most {room:,}, of a file of {len(memory):,} bytes",
        )
    begin = _LENGTH_BYTES + length
    header = parse_header(memory[_LENGTH_BYTES:begin], len(memory) - begin, path)
    view = memoryview(memory)
    tensors = {name: _tensor(view, begin, entry) for name, entry in header.entries.items()}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.bool and bool((tensor.view(torch.uint8) > 1).any()):
            raise DataError(f"tensor {name}: a truth value is neither 0 nor 1", where=path)
    return Weights(tensors=tensors, metadata=header.metadata, paths=(path,))


def read_weights(folder: Path) -> Weights:
    """The tensors of a model's folder: model.safetensors, or the shards that the index names.

    Raises:
        NotFoundError: The folder holds neither, or lacks a file that the index names.
        DataError: It holds both; an index that cannot be read, that names files elsewhere, a tensor that its
            file lacks, or lacks a tensor that a file has; or one of the reasons of `read_safetensors`.
    """
    single, index = folder / SINGLE, folder / INDEX
    if single.is_file() and index.is_file():
        raise DataError(
            "two sets of weights in one folder",
            where=folder,
            got=f"{SINGLE} and {INDEX}",
            expected="one of them",
            next_step="move the one that is not meant out of the folder",
        )
    if single.is_file():
        return read_safetensors(single)
    if not index.is_file():
        raise NotFoundError("no weights in this folder", where=folder, expected=f"{SINGLE} or {INDEX}")
    weight_map = _read_index(index)
    tensors: dict[str, Tensor] = {}
    shards = []
    for file in sorted(set(weight_map.values())):
        wanted = {name for name, place in weight_map.items() if place == file}
        shard = read_safetensors(folder / file)
        _require_same(wanted, shard.tensors.keys(), index, file)
        tensors.update(shard.tensors)
        shards.append(shard)
    paths = tuple(path for shard in shards for path in shard.paths)
    return Weights(tensors=tensors, metadata=shards[0].metadata, paths=paths)


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes one safetensors file, complete or not at all.

    Raises:
        DataError: A tensor of a type that the format's readers here do not read.
        ResourceError: The disk is full; what was there before is as it was.
    """
    # wide numbers first, as the format's own writer does: then each one lies at a multiple of its width
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    write_atomic_with(path, lambda file: _write(file, {name: tensors[name] for name in names}, metadata))


def write_weights(
    folder: Path, tensors: Mapping[str, Tensor], *, max_shard_bytes: int = _SHARD_BYTES
) -> tuple[Path, ...]:
    """Writes a model's weights as transformers reads them; returns the files of tensors.

    Each file is complete or not there, and the index comes last. For a whole model folder that is complete
    or not there, call it within `creuset.files.atomic_folder`. Tensors that share memory are written once
    each: leave out a tied head before.

    Args:
        folder: Where the files go; it must not hold weights yet.
        tensors: By name.
        max_shard_bytes: The most bytes of tensors in one file; one tensor alone may have more.

    Raises:
        UsageError: The folder holds weights, or the size is not positive.
        DataError: No tensors, or one of a type that is not read.
        ResourceError: The disk is full.
    """
    if max_shard_bytes < 1:
        raise UsageError("a shard holds at least a byte", got=max_shard_bytes, expected="1 or more")
    if not tensors:
        raise DataError("there are no tensors to write", where=folder)
    for name in (SINGLE, INDEX):
        if (folder / name).exists():
            raise UsageError(
                "this folder holds weights already", where=folder / name, next_step="take a new folder"
            )
    shards = _split(tensors, max_shard_bytes)
    if len(shards) == 1:
        write_safetensors(folder / SINGLE, tensors, {"format": "pt"})
        return (folder / SINGLE,)
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / file, {name: tensors[name] for name in names}, {"format": "pt"})
        weight_map.update(dict.fromkeys(names, file))
    total = sum(tensor.nbytes for tensor in tensors.values())
    document = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    write_atomic(folder / INDEX, json.dumps(document, indent=2) + "\n")
    return tuple(folder / file for file in sorted(set(weight_map.values())))


def _tensor(view: memoryview, begin: int, entry: Entry) -> Tensor:
    dtype = _DTYPES[entry.dtype]
    if entry.start == entry.end:
        return torch.empty(entry.shape, dtype=dtype)
    start, width = begin + entry.start, DTYPE_BYTES[entry.dtype]
    if start % width == 0:
        count = (entry.end - entry.start) // width
        return torch.frombuffer(view, dtype=dtype, count=count, offset=start).reshape(entry.shape)
    copied = bytearray(view[start : begin + entry.end])  # numbers across their natural places
    return torch.frombuffer(copied, dtype=dtype).reshape(entry.shape)


def _read_index(path: Path) -> dict[str, str]:
    document = parse_bounded(read_limited(path, _MAX_INDEX_BYTES), path, pairs_hook=unique_pairs)
    weight_map: Any = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise DataError("an index without a weight_map", where=path, expected='{"weight_map": {NAME: FILE}}')
    for name, file in weight_map.items():
        plain = isinstance(file, str) and file == Path(file).name and file.endswith(".safetensors")
        if not plain or "\\" in file or "\0" in file:
            raise DataError(
                f"tensor {name}: not the name of a file in this folder",
                where=path,
                got=repr(file),
                expected="a name that ends in .safetensors, without a folder",
            )
    return weight_map


def _require_same(wanted: set[str], found: AbstractSet[str], index: Path, file: str) -> None:
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    if missing or extra:
        findings = [f"missing: {_some(missing)}"] if missing else []
        findings += [f"not in the index: {_some(extra)}"] if extra else []
        raise DataError(
            f"{file} holds other tensors than the index says",
            where=index,
            got="; ".join(findings),
            expected=f"the {len(wanted)} that its weight_map gives to this file",
        )


def _some(names: Sequence[str], count: int = 3) -> str:
    shown = ", ".join(names[:count])
    return shown if len(names) <= count else f"{shown} and {len(names) - count} more"


def _split(tensors: Mapping[str, Tensor], max_bytes: int) -> list[list[str]]:
    """Names in their order, cut where the next tensor would not fit."""
    shards: list[list[str]] = [[]]
    room = max_bytes
    for name, tensor in tensors.items():
        if shards[-1] and tensor.nbytes > room:
            shards.append([])
            room = max_bytes
        shards[-1].append(name)
        room -= tensor.nbytes
    return shards


def _write(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    names = {dtype: name for name, dtype in _DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    position = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in names or name == "__metadata__":
            raise DataError(
                f"tensor {name} cannot be written", got=tensor.dtype, expected=", ".join(map(str, names))
            )
        end = position + tensor.nbytes
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _EVEN)
    file.write(struct.pack("<Q", len(text)) + text)
    for tensor in tensors.values():
        file.write(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
