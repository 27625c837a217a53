"""Writing files so that nothing is lost: temporary file or folder, fsync, rename."""

import errno
import hashlib
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from creuset.errors import CreusetError, ResourceError, UsageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BROKEN = {errno.EIO, errno.ENXIO, errno.ESTALE}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.ENOTDIR, errno.EEXIST}
_NO_SUCH_PLACE = {errno.ENAMETOOLONG, errno.EISDIR, errno.ENOENT, errno.ELOOP}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns a full or forbidden disk, or an impossible path, into an error that names `path`.

    Raises:
        ResourceError: The disk is full; what was saved before is kept.
        UsageError: The path may not be written, or there can be no such file or folder.
        CreusetError: The disk failed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ResourceError(
                "the disk is full: this was not written, what was saved before is kept",
                where=path,
                got=error.strerror,
                next_step="free some space, then go on from what was saved",
            ) from error
        if error.errno in _FORBIDDEN | _NO_SUCH_PLACE:
            raise UsageError("cannot be written", where=path, got=error.strerror) from error
        if error.errno in _IN_THE_WAY:
            raise UsageError(
                "cannot be written: something else is in the way",
                where=path,
                got=f"{error.filename or path}: {error.strerror}",
                expected="a path on which all but the last name are folders",
            ) from error
        if error.errno in _BROKEN:
            raise CreusetError(
                "the disk failed: this was not written", where=path, got=error.strerror
            ) from error
        raise


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes the bytes of `path` survive a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_atomic(path: Path, data: bytes | str) -> None:
    """Writes the whole file or nothing: readers see the old bytes or the new ones.

    Raises:
        ResourceError: The disk is full; the old file is as it was.
        UsageError: The folder may not be written to.
    """
    content = data.encode() if isinstance(data, str) else data
    write_atomic_with(path, lambda file: file.write(content))


def write_atomic_with(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """As `write_atomic`, for what writes itself into an open file and need not be in memory twice."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends without an error.

    Every file in it is fsynced before the rename. `path` must not exist.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
        try:
            temporary.chmod(0o755)
            yield temporary
            folders = [temporary]
            for item in temporary.rglob("*"):
                if item.is_dir():
                    folders.append(item)
                else:
                    sync_file(item)
            for folder in folders:
                sync_folder(folder)
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(path.parent)


def remove_leftovers(folder: Path, *, older_than: float = 0.0) -> None:
    """Removes the temporary files and folders that a killed process left in `folder`.

    Args:
        folder: Where they are looked for; may not exist.
        older_than: Seconds since their last change, where other processes may be writing there.
    """
    latest = time.time() - older_than
    for item in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):  # its owner may be quicker
            if older_than and item.lstat().st_mtime > latest:
                continue
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()


def remove_folder(path: Path) -> None:
    """Removes a folder so that nobody finds half of it: it is gone at once, then deleted.

    Raises:
        UsageError: It is a symbolic link; the link and what it names are as they were.
    """
    if path.is_symlink():
        target = path.resolve()
        raise UsageError(
            "a symbolic link, not the folder itself: nothing was removed",
            where=path,
            got=f"a link to {target}",
            next_step=f"rm {shlex.quote(str(path))} for the link alone; or name the folder, {target}",
        )
    doomed = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.rename(doomed)
    shutil.rmtree(doomed)


def size_of_folder(folder: Path) -> int:
    """Bytes of the files below `folder`; what other processes take away meanwhile is not counted.

    (Path.rglob raises there.)
    """
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += Path(place, name).lstat().st_size
    return size


def sha256_of(path: Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_export(place: Path) -> str:
    """Of a file; of a folder with one file of weights, of that; of several, of sha256sum's list of them."""
    if not place.is_dir():
        return sha256_of(place)
    shards = sorted([*place.glob("*.safetensors"), *place.glob("model.onnx*")])
    if len(shards) == 1:
        return sha256_of(shards[0])
    told = "".join(f"{sha256_of(shard)}  {shard.name}\n" for shard in shards)
    return hashlib.sha256(told.encode()).hexdigest()
