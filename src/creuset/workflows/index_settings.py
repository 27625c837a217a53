"""What an index was made with: index.json in its folder (format 1), and the folder's files.

indexes/NAME/
    index.json          this file
    store.sqlite        the truth: documents, chunks, vectors, who may read them, answers
    lexical/, vectors/  derived from it; may be deleted at any time, and are made again
    removed.json        what removed texts are recognised by, until the next purge
    writer.lock         held by the process that changes the index
"""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from creuset.assets import workspace
from creuset.errors import CheckpointError, NotFoundError, UsageError, did_you_mean
from creuset.files import disk_errors, write_atomic

FORMAT = 1
INDEXES = "indexes"
DEFAULT_EMBEDDER = "minilm"
_FILE = "index.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SearchSettings(BaseModel):
    """How an index is searched.

    Args:
        legs: By words, by vectors, or by both.
        fusion: Of both: reciprocal ranks, or a convex sum of scores.
        weight: Of the vectors in a convex sum, in [0, 1].
        depth: Chunks that each leg gives.
        mmr_lambda: Relevance against variety, in [0, 1]; None to order by relevance alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    legs: Literal["lexical", "dense", "hybrid"] = "hybrid"
    fusion: Literal["rrf", "convex"] = "rrf"
    weight: float = Field(default=0.5, ge=0, le=1)
    depth: int = Field(default=100, ge=1, le=10_000)
    mmr_lambda: float | None = Field(default=None, ge=0, le=1)


class IndexSettings(BaseModel):
    """What an index was made with.

    Args:
        embedder: A name of a text embedder, its folder, or run:ID; "" for none: searched by words alone.
        precision: That vectors are computed in.
        max_tokens: Of a chunk, as the embedder counts them.
        search: How it is searched.
        confidence: Evidence below it is refused: the sources do not say.
        support: Sentences of answers below it are supported by nothing.
        postgres: Where the store is on a PostgreSQL server, without a password; "" for store.sqlite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    embedder: str = DEFAULT_EMBEDDER
    precision: Literal["float32", "bfloat16"] = "float32"
    max_tokens: int = Field(default=256, ge=16, le=8192)
    search: SearchSettings = SearchSettings()
    confidence: float | None = Field(default=None, ge=0, le=1)
    support: float | None = Field(default=None, ge=0, le=1)
    postgres: str = ""


def index_folder(name: str) -> Path:
    """indexes/NAME of the workspace; may not exist.

    Raises:
        UsageError: No name for a folder.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "no name for an index",
            where="--name",
            got=repr(name)[:80],
            expected="up to 64 letters, digits, -, _ and ., such as manual",
        )
    return workspace() / INDEXES / name


def index_names() -> list[str]:
    """The indexes of the workspace, sorted."""
    return sorted(file.parent.name for file in (workspace() / INDEXES).glob(f"*/{_FILE}"))


def has_index(name: str) -> bool:
    """Whether there is one of this name."""
    return (index_folder(name) / _FILE).is_file()


def write_settings(folder: Path, settings: IndexSettings) -> None:
    """Puts index.json in place, at once."""
    write_atomic(folder / _FILE, settings.model_dump_json(indent=2) + "\n")


def read_settings(name: str) -> IndexSettings:
    """What an index was made with.

    Raises:
        NotFoundError: There is none of this name.
        CheckpointError: Its file cannot be read, or a newer creuset wrote it.
    """
    path = index_folder(name) / _FILE
    if not path.is_file():
        raise NotFoundError(
            f"no such index{did_you_mean(name, index_names())}",
            where=name,
            next_step=f"creuset index build FOLDER --name {name}",
        )
    try:
        settings = IndexSettings.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CheckpointError(
            "the index's settings cannot be read",
            where=path,
            got=str(error.errors()[0]["msg"]),
            next_step="correct the file, or build the index anew",
        ) from error
    if settings.format > FORMAT:
        raise CheckpointError(
            "written by a newer creuset",
            where=path,
            got=f"format {settings.format}",
            expected=f"format {FORMAT}",
            next_step="upgrade creuset",
        )
    return settings


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Within the block no other process changes the index; reading goes on.

    Raises:
        UsageError: Another process is changing it.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "writer.lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                "another process is changing this index",
                where=folder.name,
                next_step="wait until it is done; searching and asking go on meanwhile",
            ) from error
        yield
