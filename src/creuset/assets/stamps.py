"""Whether files have their pinned hashes, without reading them anew each time.

A stamp in the cache holds the size and time of change of each file that was once verified. While they stay
the same, so does the file; `thorough` reads every byte all the same.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from creuset.assets.places import cache_folder, read_json, write_json
from creuset.errors import BlockedError, CreusetError
from creuset.files import sha256_of

STAMP_FORMAT = 1


def problems_of(name: str, folder: Path, pins: Mapping[str, str], *, thorough: bool) -> list[str]:
    """What is wrong with the files of `folder`; nothing if each has its pinned hash.

    Args:
        name: Under which the stamp is kept.
        folder: Where the files are.
        pins: File name -> sha256.
        thorough: Read every byte, even of files that a stamp says have not changed since they were verified.
    """
    known = {} if thorough else _read_stamp(name)
    stamp: dict[str, Any] = {}
    problems = []
    for file_name, sha256 in pins.items():
        file = folder / file_name
        if not file.is_file():
            problems.append(f"{file_name} is missing")
            continue
        stamp[str(file)] = facts = _facts(file, sha256)  # before hashing: a later change is then seen
        if known.get(str(file)) != facts and (found := sha256_of(file)) != sha256:
            problems.append(f"{file_name} has sha256 {found}, pinned is {sha256}")
    if problems:
        with contextlib.suppress(OSError):  # a cache that is read only
            stamp_file(name).unlink(missing_ok=True)
    elif stamp != known:
        _write_stamp(name, stamp)
    return problems


def check(name: str, folder: Path, pins: Mapping[str, str]) -> None:
    """The check on first use.

    Raises:
        BlockedError: A file is missing or does not have its pinned hash.
    """
    problems = problems_of(name, folder, pins, thorough=False)
    if problems:
        raise BlockedError(
            "; ".join(problems), where=f"{name} in {folder}", next_step=f"creuset models pull {name}"
        )


def stamp_file(name: str) -> Path:
    """Where the stamp of a name is kept."""
    return cache_folder() / "verified" / f"{name}.json"


def stamp_all(name: str, folder: Path, pins: Mapping[str, str]) -> None:
    """Note that these files have just been verified."""
    _write_stamp(name, {str(folder / file): _facts(folder / file, sha256) for file, sha256 in pins.items()})


def _facts(file: Path, sha256: str) -> dict[str, Any]:
    status = file.stat()
    return {"num_bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256}


def _read_stamp(name: str) -> dict[str, Any]:
    try:
        files = read_json(stamp_file(name), STAMP_FORMAT).get("files")
    except CreusetError:
        return {}  # without a stamp everything is hashed
    return files if isinstance(files, dict) else {}


def _write_stamp(name: str, stamp: Mapping[str, Any]) -> None:
    with contextlib.suppress(CreusetError, OSError):  # a home that is read only: hashed at each use instead
        write_json(stamp_file(name), {"format": STAMP_FORMAT, "files": stamp})
