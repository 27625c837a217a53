"""The chunks of an index as JSONL, for other programs."""

import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from creuset.errors import UsageError
from creuset.files import write_atomic_with
from creuset.knowledge.records import Filter
from creuset.workflows.index import Index
from creuset.workflows.index_opening import as_access


def export_chunks(index: Index, path: Path, access: str | Collection[str] | None) -> int:
    """Writes each chunk of the current documents as a line: where it comes from, its span, its text.

    Args:
        index: The index.
        path: The file; it must not exist.
        access: Who asks: only what these groups may read; None for all.

    Returns:
        How many there are.

    Raises:
        UsageError: There is something at this place already.
        ResourceError: The disk is full; nothing is left of it.
    """
    if path.exists():
        raise UsageError("there is something at this place already", where=path, next_step="name a new file")
    store, count = index.store, 0
    allowed = None
    if access is not None:
        allowed = set(store.allowed_documents(as_access(access), Filter()).tolist())

    def write(file: BinaryIO) -> None:
        nonlocal count
        for chunk in store.current_chunks():
            if allowed is None or chunk.document_id in allowed:
                file.write(json.dumps(asdict(chunk), ensure_ascii=False).encode() + b"\n")
                count += 1

    write_atomic_with(path, write)
    return count
