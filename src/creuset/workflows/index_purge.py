"""Removed and replaced texts leave no byte in the store, in what is derived from it, in judgements.

    1  what was removed, and replaced by newer versions, is known by fingerprints
    2  what is derived from the store is made anew
    3  judgements of the workspace that quote those texts are taken away
    4  the store deletes versions, answers and vectors, and writes its file anew
    5  every file of the workspace and of the cache is searched

What is creuset's own must hold nothing of them: else the purge fails, and says where. A copy of the user's
own, such as the file that was removed from the index, is named and left alone. The store keeps a receipt.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from creuset.assets import cache_folder, workspace
from creuset.errors import CheckpointError
from creuset.feedback import FEEDBACK_FILE, FeedbackStore
from creuset.knowledge.fingerprints import Fingerprints
from creuset.knowledge.store_interface import Receipt
from creuset.progress import Progress
from creuset.workflows.index import REMOVED, Index
from creuset.workflows.index_settings import INDEXES, writer_lock


@dataclass(frozen=True, kw_only=True)
class Purge:
    """What a purge did.

    Args:
        receipt: As the store keeps it.
        judgements: The ids of judgements that were taken away.
        num_files: That were searched.
        copies: Files that are not creuset's and hold some of these texts; they were left alone.
        unread: Files that could not be searched, with why.
    """

    receipt: Receipt
    judgements: tuple[int, ...]
    num_files: int
    copies: tuple[str, ...]
    unread: tuple[str, ...]


def purge(index: Index, progress: Progress) -> Purge:
    """Leaves nothing of what was removed from an index, or replaced in it.

    Raises:
        CheckpointError: A file of creuset's own still holds some of these texts; it is named. What was
            removed from the store stays removed, and the purge can be run again.
        UsageError: Another process is changing the index.
    """
    with writer_lock(index.folder):
        remembered = Fingerprints.load(index.folder / REMOVED).with_texts(index.store.purgeable_texts())
        remembered.save(index.folder / REMOVED)
        judgements = _purge_feedback(remembered)
        searched = _search(remembered, own=False, progress=progress)
        details = {
            "windows": len(remembered.hashes),
            "judgements": list(judgements),
            "num_files": searched.num_files,
            "copies": searched.holding,
            "unread": searched.unread,
        }
        receipt = index.store.purge(json.dumps(details))
        index.rebuild()
        index.close()
        left = _search(remembered, own=True, progress=progress)
        if left.holding:
            raise CheckpointError(
                "files still hold some of what was removed",
                where=index.name,
                got=", ".join(left.holding[:5]),
                next_step="close what reads the index, then purge again",
            )
        (index.folder / REMOVED).unlink(missing_ok=True)
    return Purge(
        receipt=receipt,
        judgements=judgements,
        num_files=searched.num_files + left.num_files,
        copies=tuple(searched.holding),
        unread=(*searched.unread, *left.unread),
    )


def _purge_feedback(texts: Fingerprints) -> tuple[int, ...]:
    path = workspace() / FEEDBACK_FILE
    if not path.exists():
        return ()
    with FeedbackStore(path, create=False) as feedback:
        quoting = [
            judgement.id
            for judgement in feedback.all()
            if texts.count_in_texts(
                [
                    judgement.a,
                    judgement.b,
                    judgement.edit or "",
                    *(message["content"] for message in judgement.prompt),
                ]
            )
        ]
        feedback.remove(quoting)
    return tuple(quoting)


@dataclass(frozen=True, kw_only=True)
class _Searched:
    num_files: int
    holding: list[str]
    unread: list[str]


def _search(texts: Fingerprints, *, own: bool, progress: Progress) -> _Searched:
    """Files that hold some of the texts: creuset's own indexes, judgements and cache, or all others."""
    files = list(_files(own=own))
    holding, unread = [], []
    progress.start("files searched", len(files), "files")
    for number, file in enumerate(files):
        try:
            if texts.count_in(file):
                holding.append(str(file))
        except FileNotFoundError:  # a temporary file of another process
            continue
        except OSError as error:
            unread.append(f"{file}: {error.strerror}")
        progress.advance(number + 1)
    progress.finish()
    return _Searched(num_files=len(files), holding=holding, unread=unread)


def _files(*, own: bool) -> Iterator[Path]:
    """Regular files of the workspace and of the cache; links are not followed."""
    places = (workspace().resolve(), cache_folder().resolve())
    ours = (workspace().resolve() / INDEXES, cache_folder().resolve())
    seen: set[Path] = set()
    for place in places:
        for folder, _, names in os.walk(place):
            for name in sorted(names):
                file = Path(folder, name)
                is_own = any(file.is_relative_to(each) for each in ours) or name.startswith(FEEDBACK_FILE)
                if file in seen or file.name == REMOVED or is_own != own or not _is_regular(file):
                    continue
                seen.add(file)
                yield file


def _is_regular(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()
