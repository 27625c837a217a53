"""What lies in a folder of data, and what of it a reader leaves alone."""

from collections.abc import Collection
from pathlib import Path

from creuset.data.source import counted

_PASSED_OVER = frozenset({"thumbs.db", "desktop.ini"})
_MAX_NAMED = 10


def visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """The sub-folders and the other entries of a folder, sorted, without those that are passed over."""
    entries = [
        entry
        for entry in sorted(folder.iterdir())
        if not entry.name.startswith(".") and entry.name.lower() not in _PASSED_OVER
    ]
    return [entry for entry in entries if entry.is_dir()], [entry for entry in entries if not entry.is_dir()]


def unread_note(folder: Path, read: Collection[Path]) -> tuple[str, ...]:
    """A remark on the visible entries of a folder of which only the files `read` are read."""
    folders, files = visible(folder)
    names = [f"{entry.name}/" for entry in folders] + [file.name for file in files if file not in read]
    if not names:
        return ()
    shown = ", ".join(names[:_MAX_NAMED]) + (", .." if len(names) > _MAX_NAMED else "")
    return (f"{counted(len(names), 'other file')} of the folder not read: {shown}",)
