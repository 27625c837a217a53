"""What a knowledge store does, whichever database holds it.

The store is the truth: documents, their chunks and vectors, who may read them, what was answered from them.
All that
searches is derived from it: it asks `generation` whether it is up to date, and `changes_since` for what it
missed. Each method that writes is one transaction, which raises the generation where it changes what is
found; when it has returned, what it wrote survives a kill and a power cut.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from creuset.knowledge.answer_records import AnswerRecord
from creuset.knowledge.records import (
    Access,
    Change,
    Filter,
    NewDocument,
    PageSpan,
    Space,
    StoredChunk,
    StoredDocument,
)

FileStatus = Literal["added", "changed", "unchanged", "removed", "skipped", "failed"]


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What became of a file in a job.

    Args:
        path: Its name.
        status: What became of it.
        reason: Why it was skipped or failed; warnings of a file that was read; "" for none.
        num_pages: That it has, 1 where it has no pages; 0 where it was not read.
        num_chunks: That it was cut into.
        seconds: That it took to read and cut it.
    """

    path: str
    status: FileStatus
    reason: str = ""
    num_pages: int = 0
    num_chunks: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """An ingestion: when it began and ended ("" while it runs, or where it was killed), and with what
    settings (JSON).
    """

    id: int
    started: str
    finished: str
    settings: str


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What one removal took away: versions of the document, chunks, vectors, and answers (none before a
    purge).
    """

    path: str
    num_versions: int
    num_chunks: int
    num_vectors: int


@dataclass(frozen=True, kw_only=True)
class PurgedDocument:
    """A document whose text is gone: what is kept of it."""

    path: str
    version: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """That documents were purged.

    Args:
        id: Its number.
        time: When, ISO 8601 in UTC.
        documents: That were removed, or replaced by newer versions, since the last purge.
        answers: The ids of answers that quoted them, or were made from them, and are gone.
        details: What else was searched and removed, as JSON; written by whoever purges.
    """

    id: int
    time: str
    documents: tuple[PurgedDocument, ...]
    answers: tuple[int, ...]
    details: str


class KnowledgeStore(Protocol):
    """Documents that may be searched and quoted. Every retrieval takes `access`; maintenance sees all.

    All methods raise `CheckpointError` where the store is damaged, `ResourceError` where the disk is full,
    and `UsageError` where another process has been writing for longer than the store waits.
    """

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def close(self) -> None: ...

    @property
    def generation(self) -> int:
        """Of the last transaction that changed what is found; 0 of an empty store."""

    @property
    def oldest_generation(self) -> int:
        """What `changes_since` can begin at: before it, a purge has dropped what was changed."""

    # documents, by their owner

    def add(self, document: NewDocument) -> StoredDocument:
        """Stores a document; one of this name becomes an older version, which is no longer found."""

    def set_access(self, path: str, access: Access, metadata: Mapping[str, str]) -> StoredDocument:
        """Says anew who may read a document and what is known of it, for all versions."""

    def remove(self, path: str) -> Removed:
        """Takes all versions of a document away, with the vectors that no other text has. NotFoundError: no
        such one.

        The names and SHA-256 of what was removed are remembered until the next purge, not the text.
        """

    def all_documents(self) -> list[StoredDocument]:
        """The current versions, by name."""

    # reading, by whoever may

    def allowed_documents(self, access: Access, where: Filter) -> NDArray[np.int64]:
        """Ids of the current versions that `access` may read and that pass `where`, ascending."""

    def document(self, path: str, access: Access) -> StoredDocument:
        """The current version. NotFoundError: there is none, or it may not be read: the same words for
        both.
        """

    def documents(self, access: Access, where: Filter) -> list[StoredDocument]:
        """The current versions, by name."""

    def chunks(self, ids: Sequence[int], access: Access) -> list[StoredChunk]:
        """Those of `ids` that are held and may be read, in the order of `ids`; of older versions too."""

    def text(self, document_id: int, start: int, end: int, access: Access) -> str:
        """Characters of a version of a document. NotFoundError: it is not held, or may not be read."""

    def pages(self, document_id: int, access: Access) -> tuple[PageSpan, ...]:
        """The pages of a version."""

    # what is derived from the store catches up

    def changes_since(self, generation: int) -> list[Change]:
        """Later changes of chunks, in order. A chunk added and removed since is not told."""

    def current_chunks(self) -> Iterator[StoredChunk]:
        """All chunks of current versions, by id, read in pieces."""

    def current_chunk_ids(self) -> NDArray[np.int64]:
        """The ids of all chunks of current versions, ascending."""

    def documents_of_chunks(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each chunk the version it belongs to, where that is current, else -1; int64 (N,)."""

    def chunks_by_id(self, ids: Sequence[int]) -> list[StoredChunk]:
        """For what is derived: as `chunks`, of current versions only, whoever may read them."""

    # vectors

    def spaces(self) -> dict[int, Space]:
        """All spaces by id."""

    def space_id(self, space: Space) -> int:
        """The id of a space, which is made where there is none."""

    @property
    def active_space(self) -> int | None:
        """The one that is searched; None before there is one."""

    def activate(self, space_id: int) -> None:
        """Searches in this space from now on. UsageError: texts have no vector in it, and how many."""

    def remove_space(self, space_id: int) -> None:
        """Takes a space away that is not active, with its vectors."""

    def missing_texts(self, space_id: int, limit: int) -> dict[str, str]:
        """text_sha -> text of current chunks without a vector in this space, at most `limit` of them."""

    def known_shas(self, space_id: int, shas: Sequence[str]) -> set[str]:
        """Those that have a vector."""

    def put_vectors(self, space_id: int, shas: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Stores vectors, float32 (N, dimension); those that are there stay as they are."""

    def vectors(self, space_id: int, chunk_ids: Sequence[int]) -> NDArray[np.float32]:
        """Of current chunks, float32 (N, dimension), in their order. CheckpointError: one has none."""

    # jobs

    def start_job(self, settings: str) -> int:
        """A new job; its id."""

    def report_file(self, job: int, report: FileReport) -> None:
        """Adds or replaces what became of a file."""

    def finish_job(self, job: int) -> None:
        """Says that it came to its end."""

    def jobs(self) -> list[Job]:
        """All of them, the latest last."""

    def file_reports(self, job: int) -> list[FileReport]:
        """Of a job, by name."""

    # answers

    def save_answer(self, answer: AnswerRecord) -> int:
        """Keeps an answer with its citations; its id."""

    def answer(self, id: int, access: Access) -> AnswerRecord:
        """An answer whose asker's groups are all among `access`.

        NotFoundError: there is none; where it was purged, the receipt is named.
        """

    def answers(self, access: Access) -> list[AnswerRecord]:
        """Those whose asker's groups are all among `access`, by id."""

    # purging

    def purgeable_texts(self) -> list[str]:
        """Texts that a purge must not leave anywhere: of replaced versions (removed ones are gone
        already).
        """

    def purge(self, details: str) -> Receipt:
        """Leaves no byte of removed and replaced versions in the store's files: answers made from them go
        too.

        Vectors without a text go; the file is written anew. What is derived is not touched here.
        """

    def receipts(self) -> list[Receipt]:
        """All of them, the latest last."""

    def check(self) -> list[str]:
        """What is wrong with the store, each in a sentence; [] for nothing: integrity, spans, pages,
        vectors.
        """
