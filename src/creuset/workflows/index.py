"""`creuset.Index`: documents of one's own, searched and asked.

index = creuset.Index("manual")
index.add("docs/", access="public")
index.search("How is the boiler filled?", k=5, access={"public"})
index.ask("How is the boiler filled?", model="smollm2-135m", access={"public"})
"""

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from creuset.errors import NotFoundError, UsageError
from creuset.files import size_of_folder
from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.answer_records import AnswerRecord, Mode
from creuset.knowledge.fingerprints import Fingerprints
from creuset.knowledge.lexical import LexicalIndex
from creuset.knowledge.parser_process import Limits
from creuset.knowledge.records import Filter, Hit, StoredDocument
from creuset.knowledge.retriever import Retriever, RetrieverSettings
from creuset.knowledge.store_interface import KnowledgeStore, Removed
from creuset.knowledge.vectors import VectorIndex
from creuset.pretrained.sentence_embedder import SentenceEmbedder
from creuset.progress import Progress, Silent
from creuset.workflows.answer_model import sha256_of_model
from creuset.workflows.index_embedder import OpenEmbedder, open_index_embedder
from creuset.workflows.index_opening import (
    Opened,
    as_access,
    chosen_precision,
    create_store,
    open_store,
    stamps,
    without_password,
)
from creuset.workflows.index_settings import (
    DEFAULT_EMBEDDER,
    IndexSettings,
    has_index,
    index_folder,
    read_settings,
    write_settings,
    writer_lock,
)
from creuset.workflows.ingestion import Ingester, Ingestion, IngestionReport
from creuset.workflows.tuned_model import open_chat_engine

if TYPE_CHECKING:
    from creuset.workflows.asking import Answer

LEXICAL, VECTORS = "lexical", "vectors"
REMOVED = "removed.json"


class Index:
    """An index of the workspace by name; it is made by the first `add`.

    Several processes may read it while one changes it. Use it in a `with`, or call `close`.

    Args:
        name: Of the folder indexes/NAME.

    Raises:
        UsageError: No name for a folder.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = index_folder(name)
        self._opened: Opened | None = None
        self._embedder: OpenEmbedder | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes its files; the next call opens them again."""
        if self._opened is not None:
            self._opened.store.close()
        self._opened = None

    @property
    def settings(self) -> IndexSettings:
        """What it was made with. NotFoundError: there is no such index."""
        return read_settings(self.name)

    @property
    def store(self) -> KnowledgeStore:
        """Its store, opened."""
        return self._open().store

    def create(
        self,
        *,
        embedder: str = DEFAULT_EMBEDDER,
        precision: str = "auto",
        max_tokens: int = 256,
        postgres: str = "",
        progress: Progress | None = None,
    ) -> IndexSettings:
        """Makes an empty index.

        Args:
            embedder: A name of a text embedder, a folder, or run:ID; "" to search by words alone.
            precision: float32, bfloat16, or auto: bfloat16 where this processor gains by it.
            max_tokens: Of a chunk; at most what the embedder reads.
            postgres: A PostgreSQL server to hold the store, without a password; "" for one SQLite file.
            progress: Who watches.

        Raises:
            UsageError: It is there already, or a setting out of range.
            NotFoundError, BlockedError: There is no such embedder on this machine.
        """
        if has_index(self.name):
            raise UsageError("this index is there already", where=self.name)
        chosen = chosen_precision(embedder, precision)
        settings = IndexSettings(
            embedder=embedder, precision=chosen, max_tokens=max_tokens, postgres=without_password(postgres)
        )
        opened = open_index_embedder(embedder, chosen, progress) if embedder else None
        if opened is not None and max_tokens > opened.embedder.max_tokens:
            raise UsageError(
                "longer than the embedder reads",
                where="max_tokens",
                got=max_tokens,
                expected=f"at most {opened.embedder.max_tokens}",
            )
        with writer_lock(self.folder):
            with create_store(self.folder, self.name, settings) as store:
                if opened is not None:
                    store.activate(store.space_id(opened.space))
            write_settings(self.folder, settings)
        return settings

    def add(
        self,
        *roots: str | os.PathLike[str],
        access: str | Collection[str],
        metadata: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        prune: bool = False,
        progress: Progress | None = None,
    ) -> IngestionReport:
        """Takes folders and files in; what is there already and has not changed is left as it is.

        Args:
            roots: Folders and files. A document's name is its path inside the folder that was added.
            access: Who may read them: a group, or several.
            metadata: What is known of all of them, and may be filtered on.
            limits: Of parsing one file.
            prune: Remove documents of these folders whose files are gone.
            progress: Who watches.

        Raises:
            NotFoundError: There is no such folder or file; nothing was taken in.
            UsageError: Another process is changing the index.
            ResourceError: The disk is full; what was stored before is kept.
        """
        places = tuple(Path(root) for root in roots)
        for place in places:
            if not place.exists():
                raise NotFoundError("no such file or folder", where=place)
        plan = Ingestion(
            roots=places,
            access=as_access(access),
            metadata={} if metadata is None else metadata,
            limits=Limits() if limits is None else limits,
            prune=prune,
            max_tokens=self.settings.max_tokens if has_index(self.name) else 256,
        )
        if not has_index(self.name):
            self.create(progress=progress)
        watcher = Silent() if progress is None else progress
        with writer_lock(self.folder):
            store = self.store
            embedder = self._open_embedder(watcher)
            if prune:
                self._remember_gone(plan)
            report = Ingester(
                store,
                plan,
                embedder=None if embedder is None else embedder.embedder,
                space_id=None if embedder is None else store.space_id(embedder.space),
                progress=watcher,
            ).run()
            self._catch_up()
        return report

    def search(
        self, question: str, *, k: int = 5, access: str | Collection[str], where: Filter | None = None
    ) -> list[Hit]:
        """The chunks that say most about a question, the best first.

        Args:
            question: In French or English.
            k: How many at most, from 1.
            access: Who asks: what none of these groups may read is not there.
            where: Which documents; None for all.

        Raises:
            NotFoundError: There is no such index.
            UsageError: An empty question, or no number of hits.
        """
        return self.retriever().search(
            question, k, access=as_access(access), where=Filter() if where is None else where
        )

    def retriever(self, settings: RetrieverSettings | None = None) -> Retriever:
        """What searches it, as its settings say or otherwise."""
        opened = self._open()
        embedder = self._open_embedder(Silent())
        chosen = self.settings.search
        return Retriever(
            opened.store,
            opened.lexical,
            opened.vectors,
            None if embedder is None else embedder.embedder,
            RetrieverSettings(**chosen.model_dump()) if settings is None else settings,
        )

    def ask(
        self,
        question: str,
        *,
        access: str | Collection[str],
        model: str | None = None,
        mode: Mode = "strict",
        seed: int = 0,
        where: Filter | None = None,
        conversation: Sequence[tuple[str, str]] = (),
    ) -> "Answer":
        """The answer to a question, each sentence proved by a quote at its place; or that the sources do not
        say.

        Args:
            question: In French or English.
            access: Who asks.
            model: Writes answers: a name, a GGUF file, a run; None to take sentences of the documents.
            mode: Sentences that nothing supports are withheld ("strict"), marked ("mark"), or shown ("free").
            seed: Decides what is drawn.
            where: Which documents; None for all.
            conversation: The turns before, (role, content) each.

        Raises:
            NotFoundError: There is no such index or model.
            UsageError: An empty question, or a model that cannot write answers.
        """
        from creuset.workflows.asking import answer_settings, ask

        chosen = replace(answer_settings(self), mode=mode, seed=seed)
        shared: dict[str, Any] = {"settings": chosen, "where": where, "conversation": conversation}
        if model is None:
            return ask(self, question, access=as_access(access), engine=None, **shared)
        with open_chat_engine(model) as engine:
            return ask(
                self,
                question,
                access=as_access(access),
                engine=engine,
                sha256=sha256_of_model(model),
                **shared,
            )

    def lexical(self) -> LexicalIndex:
        """Its index of words, up to date."""
        return self._open().lexical

    def embedder(self) -> SentenceEmbedder | None:
        """What makes its vectors; None where it is searched by words alone."""
        opened = self._open_embedder(Silent())
        return None if opened is None else opened.embedder

    def documents(self, access: str | Collection[str], where: Filter | None = None) -> list[StoredDocument]:
        """The documents that `access` may read, by name."""
        return self.store.documents(as_access(access), Filter() if where is None else where)

    def remove(self, *paths: str) -> list[Removed]:
        """Takes documents away, with all versions: nothing of them is found from then on.

        Until the next `purge` keyed hashes of them are kept, by which it finds copies in other files.

        Raises:
            NotFoundError: There is no such document; none was removed.
        """
        with writer_lock(self.folder):
            known = {document.path: document for document in self.store.all_documents()}
            for path in paths:
                if path not in known:
                    raise NotFoundError(
                        "no such document in this index",
                        where=path,
                        next_step=f"creuset index list {self.name}",
                    )
            self._remember([known[path] for path in paths])
            removed = [self.store.remove(path) for path in dict.fromkeys(paths)]
            self._catch_up()
        return removed

    def rebuild(self) -> None:
        """Makes all that is derived from the store anew. The caller holds the lock."""
        opened = self._open()
        opened.lexical.rebuild()
        if opened.vectors is not None:
            opened.vectors.rebuild()

    def verify(self) -> list[str]:
        """What is wrong with the store, and where what is derived from it says otherwise; [] for nothing."""
        opened = self._open()
        wrong = opened.store.check()
        held = np.array([chunk.id for chunk in opened.store.current_chunks()], np.int64)
        for what, derived in (("words", opened.lexical), ("vectors", opened.vectors)):
            if derived is not None and not np.array_equal(np.sort(derived.chunk_ids()), held):
                wrong.append(f"the index of {what} holds other chunks than the store")
        return wrong

    def summary(self) -> dict[str, str | int | dict[str, object]]:
        """What it holds, and with what settings."""
        store, settings = self.store, self.settings
        documents = store.all_documents()
        jobs = store.jobs()
        return {
            "index": self.name,
            "folder": str(self.folder),
            "documents": len(documents),
            "chunks": sum(document.num_chunks for document in documents),
            "generation": store.generation,
            "bytes": size_of_folder(self.folder),
            "last job": "none" if not jobs else (jobs[-1].finished or "did not come to its end"),
            "settings": settings.model_dump(),
        }

    def answer(self, id: int, access: str | Collection[str]) -> AnswerRecord:
        """An answer that was given before. NotFoundError: there is none, or it was purged, and when."""
        return self.store.answer(id, as_access(access))

    def wait_for_change(self, roots: Sequence[Path], interval: float = 2.0) -> None:
        """Returns when a file of these folders is new, changed or gone; looks every `interval` seconds."""
        before = stamps(roots)
        clock = threading.Event()
        while stamps(roots) == before:
            clock.wait(interval)

    def _remember(self, documents: Sequence[StoredDocument]) -> None:
        """Keeps what the documents' texts are recognised by, before they go."""
        texts = [
            self.store.text(document.id, 0, document.num_characters, document.access)
            for document in documents
        ]
        found = Fingerprints.load(self.folder / REMOVED).with_texts(texts)
        found.save(self.folder / REMOVED)

    def _remember_gone(self, plan: Ingestion) -> None:
        """As `_remember`, of documents whose files are gone."""
        roots = {str(root.resolve()): root for root in plan.roots}
        gone = [
            document
            for document in self.store.all_documents()
            if document.source in roots and not (Path(document.source) / document.path).exists()
        ]
        if gone:
            self._remember(gone)

    def _open(self) -> Opened:
        if self._opened is None:
            settings = self.settings
            store = open_store(self.folder, self.name, settings)
            space = store.active_space
            self._opened = Opened(
                store=store,
                lexical=LexicalIndex.open(self.folder / LEXICAL, store, Analyzer()),
                vectors=None if space is None else VectorIndex.open(self.folder / VECTORS, store, space),
            )
        return self._opened

    def _open_embedder(self, progress: Progress) -> OpenEmbedder | None:
        settings = self.settings
        if self._embedder is None and settings.embedder:
            self._embedder = open_index_embedder(settings.embedder, settings.precision, progress)
        return self._embedder

    def _catch_up(self) -> None:
        opened = self._open()
        opened.lexical.catch_up()
        if opened.vectors is not None:
            opened.vectors.catch_up()
