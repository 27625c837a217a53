"""A .npz file opened with care: what an array's header promises is checked against the file and the memory
before the array is read, and pickled content is never loaded.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from creuset.data.source import require_memory
from creuset.errors import DataError

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,  # a place in the file that cannot be
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    LookupError,
    NotImplementedError,
    RuntimeError,
)
"""What the readers of zip and .npy raise for files that are damaged or made to harm."""
_BOMB_RATIO = 200
_BOMB_BYTES = 1 << 30


def array_names(path: Path) -> list[str]:
    """The names of all arrays of the file, none of which is read.

    Raises:
        DataError: A damaged file.
    """
    with _opened(path) as archive:
        return [entry.filename.removesuffix(".npy") for entry in archive.infolist()]


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file, each checked before it is read.

    Raises:
        DataError: A damaged or hostile file; arrays of Python objects; two of one name.
        ResourceError: The arrays do not fit into memory.
    """
    with _opened(path) as archive:
        return _arrays(path, archive)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; what its readers raise for damage becomes a DataError."""
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except _DAMAGE as error:
            raise DataError(
                "cannot be read as .npz: the file is damaged, cut short or of another kind",
                where=path,
                got=error,
                next_step="save it again with np.savez_compressed",
            ) from error


def _arrays(path: Path, archive: zipfile.ZipFile) -> dict[str, NDArray[Any]]:
    entries = archive.infolist()
    expanded = sum(entry.file_size for entry in entries)
    size = path.stat().st_size
    if expanded > _BOMB_BYTES and expanded > _BOMB_RATIO * size:
        raise DataError(
            "this file expands suspiciously",
            where=path,
            got=f"{size:,} bytes that become {expanded:,}",
            expected=f"at most {_BOMB_RATIO} times its size",
            next_step="save real data of this kind with np.savez, without compression",
        )
    require_memory(path, expanded)
    arrays: dict[str, NDArray[Any]] = {}
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if name in arrays:
            raise DataError(f'two arrays are called "{name}"', where=path)
        with archive.open(entry) as member:
            _check_header(f"{path}: {name}", member, entry.file_size)
        with archive.open(entry) as member:
            arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays


def _check_header(where: str, file: IO[bytes], num_bytes: int) -> None:
    """Refuses an array whose header promises anything but what follows it."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise DataError(
            "an array in an unknown version of .npy", where=where, got=version, expected="1.0 or 2.0"
        )
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise DataError(
            "an array of Python objects",
            where=where,
            expected="numbers: creuset never loads pickled data",
            next_step="build it from equal shapes with np.stack and save it again",
        )
    promised = dtype.itemsize
    for length in shape:
        promised *= length
    held = num_bytes - file.tell()
    if promised != held:
        raise DataError(
            "an array cut short", where=where, got=f"{held:,} bytes", expected=f"{promised:,} bytes"
        )
