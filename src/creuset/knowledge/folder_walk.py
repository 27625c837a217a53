"""Which files of a folder are taken in, and why others are not."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from creuset.knowledge.parsing import can_read

_LEFT_OUT = frozenset({"__pycache__", "node_modules"})
"""Folders that programs fill; hidden ones, such as .git, are left out too."""


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A file that can be taken in.

    Args:
        source: The folder, or the file itself, that was named, as an absolute path.
        path: Its name inside it, with "/" between its parts.
        absolute: Where it is.
    """

    source: Path
    path: str
    absolute: Path


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A file that is not taken in, and why."""

    path: str
    reason: str


def walk(roots: Sequence[Path]) -> Iterator[FoundFile | Skipped]:
    """The files of folders, by name, and files that are named themselves; each once.

    Hidden files and folders are left out without a word. Links to files inside the folder are followed; those
    that lead out of it are skipped, as are folders that are links.
    """
    seen: set[str] = set()
    for root in roots:
        place = root.absolute()
        found = _of_folder(place) if place.is_dir() else iter([_judged(place, place, place.name)])
        for item in found:
            if item.path not in seen:
                seen.add(item.path)
                yield item
            elif isinstance(item, FoundFile):
                yield Skipped(path=str(item.absolute), reason=f"another file is named {item.path}")


def _of_folder(root: Path) -> Iterator[FoundFile | Skipped]:
    failed: list[OSError] = []
    for folder, inner, names in os.walk(root, onerror=failed.append):
        for name in [name for name in inner if Path(folder, name).is_symlink()]:
            path = _name_of(Path(folder, name), root)
            yield Skipped(path=path, reason="a link to a folder; add that folder itself")
        inner[:] = sorted(
            name
            for name in inner
            if not name.startswith(".") and name not in _LEFT_OUT and not Path(folder, name).is_symlink()
        )
        for name in sorted(names):
            if not name.startswith("."):
                file = Path(folder, name)
                yield _judged(root, file, _name_of(file, root))
    for error in failed:
        yield Skipped(
            path=_name_of(Path(str(error.filename)), root), reason=f"cannot be read: {error.strerror}"
        )


def _judged(root: Path, file: Path, path: str) -> FoundFile | Skipped:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "backslashreplace").decode()
        return Skipped(path=shown, reason="its name is no UTF-8; rename it")
    if file.is_symlink() and root != file:
        target = Path(os.path.realpath(file))
        if not target.is_relative_to(os.path.realpath(root)):
            return Skipped(path=path, reason="a link out of the folder")
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return Skipped(path=path, reason=f"cannot be read: {error.strerror}")
    if not stat.S_ISREG(mode):
        return Skipped(path=path, reason="no file with bytes (a device, a pipe or a socket)")
    if not os.access(file, os.R_OK):
        return Skipped(path=path, reason="may not be read")
    if not can_read(path):
        return Skipped(path=path, reason=f"no reader for {file.suffix} files")
    return FoundFile(source=root, path=path, absolute=file)


def _name_of(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
