"""The lock of a run folder: at most one process trains in it, and others can see which.

The operating system frees it when its holder dies, however it dies.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from creuset.files import disk_errors

_LOOK_SECONDS = 0.2
"""Longer than a reader of the lock ever holds it."""


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Takes the lock for the block; yields False where another process holds it."""
    with disk_errors(path):
        file = path.open("a+")
    with file:
        if not _acquire(file):
            yield False
            return
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield True
        finally:
            file.truncate(0)  # so that no process of the same number is ever taken for the holder


def holder(path: Path) -> int | None:
    """The process that holds the lock now, or None."""
    try:
        file = path.open("r")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read().strip() or 0) or None
    return None


def _acquire(file: TextIO) -> bool:
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
