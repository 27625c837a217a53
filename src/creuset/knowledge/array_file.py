"""Arrays in one file that is mapped into memory, with a checksum over all of it.

    line 1   JSON: format, facts, arrays (name, dtype, shape, offset), crc32 of the rest; padded by spaces
    rest     the arrays, little-endian, each at a multiple of 64 bytes

What is derived from a store is kept so: a file that is not just as it was written is refused, and made anew.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from creuset.errors import CheckpointError
from creuset.files import write_atomic_with

FORMAT = 1
_ALIGNMENT = 64
_MAX_HEADER_BYTES = 1 << 20
_PIECE = 1 << 24
_DTYPES = frozenset({"<i8", "<i4", "<u8", "<u2", "<f4", "|u1"})

Arrays = Mapping[str, NDArray[Any]]


def write_arrays(path: Path, arrays: Arrays, facts: Mapping[str, Any]) -> None:
    """Puts a file in place, at once.

    Args:
        path: The file.
        arrays: By name, of whole or single-precision numbers.
        facts: What else is to be known of them; JSON.

    Raises:
        ResourceError: The disk is full; what was there stays.
    """
    placed = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    entries, offset, crc = {}, 0, 0
    for name, array in placed.items():
        entries[name] = {"dtype": array.dtype.str, "shape": list(array.shape), "offset": offset}
        padding = -array.nbytes % _ALIGNMENT
        crc = zlib.crc32(bytes(padding), zlib.crc32(_bytes_of(array), crc))
        offset += array.nbytes + padding
    header = {"format": FORMAT, "facts": dict(facts), "arrays": entries, "num_bytes": offset, "crc32": crc}
    line = json.dumps(header).encode()
    line += b" " * (-(len(line) + 1) % _ALIGNMENT) + b"\n"

    def write(file: BinaryIO) -> None:
        file.write(line)
        for array in placed.values():
            file.write(_bytes_of(array))
            file.write(bytes(-array.nbytes % _ALIGNMENT))

    write_atomic_with(path, write)


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays of a file, mapped, and its facts; what is written into them stays in memory.

    Raises:
        CheckpointError: There is no such file, or it is not as it was written.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(_MAX_HEADER_BYTES)
            header = json.loads(line)
            if header["format"] != FORMAT or not line.endswith(b"\n"):
                raise ValueError(f"format {header['format']}")
            crc, num_bytes = 0, 0
            while piece := file.read(_PIECE):
                crc = zlib.crc32(piece, crc)
                num_bytes += len(piece)
        if (crc, num_bytes) != (header["crc32"], header["num_bytes"]):
            raise ValueError("other bytes than were written")
        found = {name: _mapped(path, len(line), entry) for name, entry in header["arrays"].items()}
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            "what was derived from the store cannot be read",
            where=path,
            got=str(error)[:80],
            next_step="nothing: it is made anew",
        ) from error
    return found, header["facts"]


def _mapped(path: Path, begin: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"dtype {entry['dtype']}")
    shape = tuple(int(size) for size in entry["shape"])
    if 0 in shape:
        return np.empty(shape, entry["dtype"])
    return np.memmap(path, entry["dtype"], "c", begin + int(entry["offset"]), shape)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8).data) if array.size else memoryview(b"")
