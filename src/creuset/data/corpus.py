"""Plain text as a source: a .txt file, or a folder of them, each file a document.

Files are read as UTF-8 (`text_lines.py`); each line of a document ends with a line feed, the last one too.
The documents of a folder come in the order of their paths, those of its sub-folders too. A document that
equals an earlier one is left out: it would stand in two splits.
"""

from pathlib import Path

import numpy as np

from creuset.data.entries import visible
from creuset.data.picture import SUFFIXES as PICTURES
from creuset.data.source import Part, Source, counted
from creuset.data.text_lines import read_lines
from creuset.errors import DataError

SUFFIX = ".txt"


def is_corpus(path: Path) -> bool:
    """Whether a path is a .txt file, or a folder that holds some and no pictures."""
    if path.is_dir():
        endings = {file.suffix.lower() for file in _files(path)}
        return SUFFIX in endings and not endings & PICTURES
    return path.is_file() and path.suffix.lower() == SUFFIX


def read_documents(path: Path) -> Source:
    """The documents at `path`.

    Raises:
        DataError: A file that is empty, or a line that is not UTF-8, as file:line.
    """
    if path.is_file():
        files, unread = [path], []
    else:
        found = _files(path)
        files = [file for file in found if file.suffix.lower() == SUFFIX]
        unread = [file for file in found if file.suffix.lower() != SUFFIX]
    texts: dict[str, str] = {}
    num_equal = 0
    for file in files:
        text = "".join(f"{line}\n" for line in read_lines(file))
        if not text.strip():
            raise DataError("this file holds white space alone", where=file, next_step="remove it")
        num_equal += text in texts
        texts.setdefault(text, file.name if file == path else str(file.relative_to(path)))
    documents = np.empty(len(texts), dtype=object)
    documents[:] = list(texts)
    notes = []
    if num_equal:
        notes.append(f"{counted(num_equal, 'document')} left out, equal to an earlier one")
    if unread:
        more = ", .." if len(unread) > 1 else ""
        notes.append(f"{counted(len(unread), 'file')} not read, no {SUFFIX}: {unread[0].name}{more}")
    return Source(
        origin=f"{path.name}: {counted(len(texts), 'document')} of plain text",
        kind="corpus",
        num_levels=0,
        parts={"train": Part(inputs=documents, labels=None, names=tuple(texts.values()))},
        notes=tuple(notes),
    )


def _files(folder: Path) -> list[Path]:
    """The visible files of a folder and of those in it, by their paths."""
    folders, files = visible(folder)
    return sorted([*files, *(file for inner in folders for file in _files(inner))])
