"""Files into an index: found, parsed, cut, embedded and stored, one document a transaction.

    walk -> hash -> (unchanged?) -> parse in a process of its own -> cut -> embed, by length -> store

A job that is killed loses the documents that were not stored yet, and goes on with them when it is started
again: what is stored already is unchanged. Texts that have a vector in the space already, of any document,
    are embedded again.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from creuset.files import sha256_of
from creuset.knowledge.chunking import ChunkSettings, cut_document
from creuset.knowledge.folder_walk import FoundFile, Skipped, walk
from creuset.knowledge.language import detect_language
from creuset.knowledge.parser_process import Limits, ParseFailure, ParserProcess
from creuset.knowledge.records import Access, NewDocument, ParsedDocument, StoredDocument
from creuset.knowledge.store_interface import FileReport, FileStatus, KnowledgeStore
from creuset.pretrained.sentence_embedder import SentenceEmbedder
from creuset.progress import Progress

CUTTING = "1"
"""The version of parsing and cutting: another one makes new versions of all documents."""
WINDOW_CHUNKS = 1024
"""Chunks that are embedded together, by length; and what a kill costs at most, beside one document."""
_LANGUAGE_CHARACTERS = 20_000
"""Of a document that are looked at to tell its language."""


@dataclass(frozen=True, kw_only=True)
class Ingestion:
    """What is to be taken into an index, and how.

    Args:
        roots: Folders and files.
        access: Who may read it.
        metadata: What is known of all of it, and may be filtered on.
        max_tokens: Of a chunk.
        limits: Of parsing a file.
        prune: Documents of these folders whose files are no longer there are removed.
    """

    roots: tuple[Path, ...]
    access: Access
    metadata: Mapping[str, str] = field(default_factory=dict)
    max_tokens: int = 256
    limits: Limits = field(default_factory=Limits)
    prune: bool = False


@dataclass(frozen=True, kw_only=True)
class IngestionReport:
    """What became of an ingestion.

    Args:
        job: Its number in the store.
        files: Each file's report, in the order in which they were done.
        missing: Documents whose files are no longer there, and that were kept.
        num_pages: That were read.
        num_chunks: Of documents that were stored.
        num_embedded: Texts that had no vector before.
        seconds: That it took.
    """

    job: int
    files: tuple[FileReport, ...]
    missing: tuple[str, ...]
    num_pages: int
    num_chunks: int
    num_embedded: int
    seconds: float

    def count(self, status: FileStatus) -> int:
        """How many files ended so."""
        return sum(report.status == status for report in self.files)


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """A document that waits for its vectors."""

    document: NewDocument
    status: FileStatus
    seconds: float


class Ingester:
    """Takes files into one store. The caller holds the index's lock.

    Args:
        store: The store.
        plan: What is to be taken in.
        embedder: Makes vectors; None for a store without any.
        space_id: Their space; None likewise.
        progress: Who watches.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        plan: Ingestion,
        *,
        embedder: SentenceEmbedder | None,
        space_id: int | None,
        progress: Progress,
    ) -> None:
        self._store, self._plan = store, plan
        self._embedder, self._space_id = embedder, space_id
        self._progress = progress
        self._count = _counter(embedder)
        self._reports: list[FileReport] = []
        self._num_embedded = 0
        self._settings = ChunkSettings(max_tokens=plan.max_tokens)
        self._cutting = json.dumps({"version": CUTTING, "max_tokens": plan.max_tokens})

    def run(self) -> IngestionReport:
        """Takes everything in.

        Raises:
            UsageError: Nothing to take in is there, or a name is taken by another folder.
            ResourceError: The disk is full; what was stored before is kept.
        """
        begin = time.monotonic()
        found = list(walk(self._plan.roots))
        known = {document.path: document for document in self._store.all_documents()}
        settings = {
            "roots": [str(root) for root in self._plan.roots],
            "access": sorted(self._plan.access),
            "metadata": dict(self._plan.metadata),
            "max_tokens": self._plan.max_tokens,
        }
        job = self._store.start_job(json.dumps(settings))
        self._progress.start("files", len(found), "files")
        done = 0
        for window in self._windows(job, found, known):
            self._store_window(job, window)
            done = len(self._reports)
            self._progress.advance(done, {"pages/s": self._num_pages() / (time.monotonic() - begin)})
        missing = self._prune(job, found, known)
        self._store.finish_job(job)
        self._progress.finish()
        return IngestionReport(
            job=job,
            files=tuple(self._reports),
            missing=missing,
            num_pages=self._num_pages(),
            num_chunks=sum(report.num_chunks for report in self._reports),
            num_embedded=self._num_embedded,
            seconds=time.monotonic() - begin,
        )

    def _num_pages(self) -> int:
        return sum(report.num_pages for report in self._reports)

    def _report(self, job: int, report: FileReport) -> None:
        self._store.report_file(job, report)
        self._reports.append(report)

    def _windows(
        self, job: int, found: Sequence[FoundFile | Skipped], known: Mapping[str, StoredDocument]
    ) -> Iterator[list[_Cut]]:
        """Documents that are new or changed, as many at once as are embedded together."""
        window: list[_Cut] = []
        for item, seconds, parsed in self._parsed(job, found, known):
            if isinstance(parsed, ParseFailure):
                self._report(
                    job,
                    FileReport(
                        path=item.path,
                        status="failed",
                        reason=parsed.reason,
                        seconds=seconds,
                    ),
                )
                continue
            window.append(self._cut(item, seconds, parsed, known.get(item.path)))
            if sum(len(cut.document.chunks) for cut in window) >= WINDOW_CHUNKS:
                yield window
                window = []
        yield window

    def _parsed(
        self, job: int, found: Sequence[FoundFile | Skipped], known: Mapping[str, StoredDocument]
    ) -> Iterator[tuple["_Hashed", float, ParsedDocument | ParseFailure]]:
        """Files that have to be read, parsed: the next one while this one is cut and embedded."""
        waiting: list[tuple[_Hashed, Future[tuple[float, ParsedDocument | ParseFailure]]]] = []
        with ParserProcess(self._plan.limits) as parser, ThreadPoolExecutor(1) as pool:
            for item in found:
                hashed = self._hashed(job, item, known)
                if hashed is None:
                    continue
                waiting.append((hashed, pool.submit(_timed, parser, hashed.file)))
                if len(waiting) > _AHEAD:
                    first, parsed = waiting.pop(0)
                    yield (first, *parsed.result())
            for first, parsed in waiting:
                yield (first, *parsed.result())

    def _hashed(
        self, job: int, item: FoundFile | Skipped, known: Mapping[str, StoredDocument]
    ) -> "_Hashed | None":
        """A file that has to be read; None where it is skipped or unchanged, which is reported."""
        if isinstance(item, Skipped):
            self._report(job, FileReport(path=item.path, status="skipped", reason=item.reason))
            return None
        before = known.get(item.path)
        if before is not None and before.source != str(item.source):
            reason = f"a document of {before.source} has this name; remove it first: creuset index rm"
            self._report(job, FileReport(path=item.path, status="failed", reason=reason))
            return None
        try:
            sha256 = sha256_of(item.absolute)
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            self._report(job, FileReport(path=item.path, status="failed", reason=reason))
            return None
        if before is not None and (before.sha256, before.cutting) == (sha256, self._cutting):
            if (before.access, dict(before.metadata)) != (self._plan.access, dict(self._plan.metadata)):
                self._store.set_access(item.path, self._plan.access, self._plan.metadata)
                changed = "who may read it, or what is known of it, was changed"
                self._report(job, FileReport(path=item.path, status="changed", reason=changed))
            else:
                self._report(job, FileReport(path=item.path, status="unchanged"))
            return None
        return _Hashed(path=item.path, source=str(item.source), file=item.absolute, sha256=sha256)

    def _cut(
        self, item: "_Hashed", seconds: float, parsed: ParsedDocument, before: StoredDocument | None
    ) -> _Cut:
        begin = time.monotonic()
        document = NewDocument(
            source=item.source,
            path=item.path,
            sha256=item.sha256,
            parsed=parsed,
            chunks=tuple(cut_document(parsed, self._settings, self._count)),
            access=self._plan.access,
            language=detect_language(parsed.text[:_LANGUAGE_CHARACTERS]),
            metadata=self._plan.metadata,
            cutting=self._cutting,
        )
        return _Cut(
            document=document,
            status="added" if before is None else "changed",
            seconds=seconds + time.monotonic() - begin,
        )

    def _store_window(self, job: int, window: Sequence[_Cut]) -> None:
        """Embeds what has no vector yet, then stores the documents: none is there without its vectors."""
        texts = {
            chunk.text_sha: (chunk.num_tokens, chunk.searched_text)
            for cut in window
            for chunk in cut.document.chunks
        }
        if self._embedder is not None and self._space_id is not None:
            known = self._store.known_shas(self._space_id, list(texts))
            self._embed({sha: text for sha, text in texts.items() if sha not in known})
        for cut in window:
            parsed = cut.document.parsed
            self._store.add(cut.document)
            self._report(
                job,
                FileReport(
                    path=cut.document.path,
                    status=cut.status,
                    reason="; ".join(parsed.warnings),
                    num_pages=max(1, len(parsed.pages)),
                    num_chunks=len(cut.document.chunks),
                    seconds=cut.seconds,
                ),
            )

    def _embed(self, texts: Mapping[str, tuple[int, str]]) -> None:
        assert self._embedder is not None
        assert self._space_id is not None
        if not texts:
            return
        by_length = sorted(texts, key=lambda sha: (texts[sha][0], sha))
        vectors = self._embedder.embed(
            [texts[sha][1] for sha in by_length], truncate=self._embedder.max_tokens
        )
        self._store.put_vectors(self._space_id, by_length, np.ascontiguousarray(vectors))
        self._num_embedded += len(by_length)

    def _prune(
        self, job: int, found: Sequence[FoundFile | Skipped], known: Mapping[str, StoredDocument]
    ) -> tuple[str, ...]:
        """Removes documents whose files are gone, or names them."""
        there = {item.path for item in found}
        sources = {str(root.resolve()) for root in self._plan.roots}
        gone = sorted(
            path for path, document in known.items() if document.source in sources and path not in there
        )
        if not self._plan.prune:
            return tuple(gone)
        for path in gone:
            self._store.remove(path)
            self._report(job, FileReport(path=path, status="removed", reason="its file is gone"))
        return ()


@dataclass(frozen=True, kw_only=True)
class _Hashed:
    """A file that has to be read."""

    path: str
    source: str
    file: Path
    sha256: str


def _timed(parser: ParserProcess, file: Path) -> tuple[float, ParsedDocument | ParseFailure]:
    """What a file is parsed to, and the seconds that it took."""
    begin = time.monotonic()
    parsed = parser.parse(file)
    return time.monotonic() - begin, parsed


_AHEAD = 16
"""Files that are parsed while others are cut and embedded."""


def _counter(embedder: SentenceEmbedder | None) -> Callable[[Sequence[str]], list[int]]:
    """Counts the tokens of texts as the embedder does, with those around a text; without one, words."""
    if embedder is None:
        return lambda texts: [len(text.split()) for text in texts]
    tokenizer = embedder.tokenizer
    return lambda texts: [len(ids) for ids in tokenizer.encode_batch(list(texts), add_special=True)]
