"""Files of weights as mapped memory: what is not looked at is not read."""

import mmap
from pathlib import Path

from creuset.errors import DataError, NotFoundError


def map_file(path: Path) -> mmap.mmap:
    """The bytes of a file, as memory that the operating system fills when it is looked at.

    The mapping is private: what is made of it may be changed in place, and the file stays as it is. A file
    that another program cuts short while it is mapped ends the process (SIGBUS), as with any mapping.

    Raises:
        NotFoundError: There is no such file.
        DataError: It is empty, or may not be read.
    """
    if not path.is_file():
        raise NotFoundError("there is no such file of weights", where=path)
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except ValueError as error:
        raise DataError("an empty file holds no weights", where=path, got="0 bytes") from error
    except OSError as error:
        raise DataError("this file cannot be read", where=path, got=error.strerror) from error
