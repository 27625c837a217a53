"""The lock of a run folder: at most one process trains in it, and others can see which, on which host.

The operating system frees it when its holder dies, however it dies (flock(2)).

On a network file system it depends on the mount what other hosts see of it. Linux sends flock to an NFS
server, so that it excludes other hosts; mounted with `nolock` or `local_lock=flock`, and on some other file
systems, each host locks for itself. Nothing here can tell which it is. So the lock holds the host's name: one
that is free, but was not given back on another host, is told to whoever takes it (`not_given_back`).
"""

import errno
import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from creuset.errors import NotFoundError, UsageError
from creuset.files import disk_errors

_LOOK_SECONDS = 0.2
"""Longer than a reader of the lock ever holds it, and than its holder takes to write who it is."""
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""What a file system that has no locks answers."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a lock, or held it last.

    Args:
        process: The process's number on its host; None where it is not known.
        host: The host's name; None where it is not known.
    """

    process: int | None
    host: str | None

    @property
    def here(self) -> bool:
        """Whether it runs on this host, as far as is known."""
        return self.host in (None, socket.gethostname())

    def __str__(self) -> str:
        name = "another process" if self.process is None else f"process {self.process}"
        return name if self.here else f"{name} on {self.host}"


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Takes the lock for the block; yields False where another process holds it.

    Raises:
        NotFoundError: The folder of the lock was removed, perhaps while it was waited for.
        UsageError: The file system has no locks.
    """
    with _open(path) as file:
        if not _acquire(file, path):
            yield False
            return
        if not _is_still_at(file, path):
            # its former holder removed the folder, or somebody the file: this lock excludes nobody
            with held(path) as acquired:
                yield acquired
            return
        file.truncate(0)
        file.write(json.dumps(asdict(Holder(process=os.getpid(), host=socket.gethostname()))))
        file.flush()
        try:
            yield True
        finally:
            file.truncate(0)  # so that no process of the same number is ever taken for the holder


def holder(path: Path) -> Holder | None:
    """Who holds the lock now, or None."""
    deadline = time.monotonic() + _LOOK_SECONDS
    while True:
        try:
            file = path.open("r")
        except FileNotFoundError:
            return None
        with file:
            if not _is_taken(file):
                return None
            found = _parsed(file.read())
        if found.process is not None or time.monotonic() > deadline:
            return found
        os.sched_yield()  # it was taken a moment ago


def not_given_back(path: Path) -> Holder | None:
    """Who held the lock last and neither gave it back nor holds it now, as far as can be seen from here."""
    with suppress(FileNotFoundError), path.open("r") as file:
        text = file.read()
        if text.strip() and not _is_taken(file):
            return _parsed(text)
    return None


def ask_to_stop(path: Path, command: str) -> bool:
    """Asks the holder of the lock to checkpoint and stop; False where nobody holds it.

    Args:
        path: The lock.
        command: What asks it, for where it cannot be asked from here.

    Raises:
        UsageError: It runs where this process cannot reach it, or belongs to another user.
    """
    running = holder(path)
    if running is None:
        return False
    where, why = path.parent, f"{running} is training in this run"
    if running.process is None or not running.here:
        raise UsageError(
            f"{why}, and cannot be asked from this host",
            where=where,
            next_step=f"{command}, on the host where it runs",
        )
    try:
        os.kill(running.process, signal.SIGTERM)
    except ProcessLookupError as error:
        if holder(path) is None:
            return False  # it ended meanwhile
        raise UsageError(
            f"{why}, and cannot be seen from here",
            where=where,
            next_step=f"{command}, in the container where it runs",
        ) from error
    except PermissionError as error:
        raise UsageError(
            f"{why}, and belongs to another user",
            where=where,
            next_step=f"{command}, as the user who started it",
        ) from error
    return True


def _open(path: Path) -> TextIO:
    with disk_errors(path):
        try:
            return path.open("a+")
        except FileNotFoundError as error:
            raise NotFoundError(
                "this run was removed", where=path.parent, next_step="creuset runs list"
            ) from error


def _acquire(file: TextIO, path: Path) -> bool:
    """Takes the lock; waits a moment for a reader that only looks whether somebody holds it."""
    deadline = time.monotonic() + _LOOK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            os.sched_yield()
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
            raise UsageError(
                "this file system has no locks: two processes could train in the same run",
                where=path,
                got=error.strerror,
                expected="a local disk, or a network file system with flock",
                next_step="set CREUSET_WORKSPACE to a folder on a local disk",
            ) from error


def _is_still_at(file: TextIO, path: Path) -> bool:
    """Whether the open file is the one that the path names now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _is_taken(file: TextIO) -> bool:
    """Whether another open file holds the lock; none does where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
    return False


def _parsed(text: str) -> Holder:
    """What a lock file says of its holder."""
    try:
        document = json.loads(text)
        return Holder(process=int(document["process"]), host=str(document["host"]))
    except (ValueError, KeyError, TypeError):
        return Holder(process=None, host=None)  # not written yet, or not by this
