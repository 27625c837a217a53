"""The documents of a store, read by whoever may; and for what is derived from it, changes and all chunks."""

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.errors import NotFoundError
from creuset.knowledge.database import Database, Row
from creuset.knowledge.records import Access, Change, Filter, PageSpan, StoredChunk, StoredDocument
from creuset.knowledge.store_schema import PIECE

_DOCUMENT = (
    "d.id, s.root, d.path, d.version, d.is_current, d.sha256, d.title, d.media_type, d.encoding, d.language, "
    "d.metadata, d.cutting, d.warnings, d.num_characters, d.num_pages, d.num_chunks, d.added"
)
_FROM = "FROM document d JOIN source s ON s.id = d.source_id"
_CHUNK = (
    "c.id, c.document_id, d.path, d.title, d.version, c.page, c.char_start, c.char_end, c.heading, "
    "c.language, c.text_sha"
)
_READ = 4096
_KEPT_PIECES = 4096
_KEPT_READERS = 64


class ReadingTables:
    """The part of a store that reads documents."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pieces: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._allowed: dict[tuple[int, str], NDArray[np.int64]] = {}

    @property
    def generation(self) -> int:
        return self._meta("generation")

    @property
    def oldest_generation(self) -> int:
        return self._meta("oldest_generation")

    def _meta(self, name: str) -> int:
        ((value,),) = self._database.run("SELECT value FROM meta WHERE name = ?", name)
        return int(value)

    def all_documents(self) -> list[StoredDocument]:
        return self._documents(
            self._database.run(f"SELECT {_DOCUMENT} {_FROM} WHERE d.is_current = 1 ORDER BY d.path")
        )

    def allowed_documents(self, access: Access, where: Filter) -> NDArray[np.int64]:
        generation = self.generation
        key = (generation, json.dumps([sorted(access), _as_json(where)]))
        if key not in self._allowed:
            if len(self._allowed) >= _KEPT_READERS or any(kept[0] != generation for kept in self._allowed):
                self._allowed.clear()
            sql, values = self._condition(access, where)
            rows = self._database.run(f"SELECT d.id FROM document d WHERE {sql} ORDER BY d.id", *values)
            found = np.array([row_id for (row_id,) in rows], np.int64)
            if where.metadata:
                found = self._with_metadata(found, where.metadata)
            self._allowed[key] = found
        return self._allowed[key]

    def document(self, path: str, access: Access) -> StoredDocument:
        found = self.documents(access, Filter(paths=(path,)))
        if not found:
            raise no_document(path)
        return found[0]

    def documents(self, access: Access, where: Filter) -> list[StoredDocument]:
        return self._of_ids(self.allowed_documents(access, where).tolist())

    def chunks(self, ids: Sequence[int], access: Access) -> list[StoredChunk]:
        return self._chunks_where(
            ids,
            "EXISTS (SELECT 1 FROM document_access a WHERE a.document_id = d.id AND "
            f"{self._database.among('a.reader')})",
            self._database.values(sorted(access)),
        )

    def chunks_by_id(self, ids: Sequence[int]) -> list[StoredChunk]:
        return self._chunks_where(ids, "d.is_current = 1")

    def current_chunks(self) -> Iterator[StoredChunk]:
        ids = self.current_chunk_ids()
        for begin in range(0, len(ids), _READ):
            yield from self.chunks_by_id(ids[begin : begin + _READ].tolist())

    def current_chunk_ids(self) -> NDArray[np.int64]:
        rows = self._database.run(
            "SELECT c.id FROM chunk c JOIN document d ON d.id = c.document_id "
            "WHERE d.is_current = 1 ORDER BY c.id"
        )
        return np.array([row_id for (row_id,) in rows], np.int64)

    def documents_of_chunks(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        found: dict[int, int] = {}
        for begin in range(0, len(ids), _READ):
            rows = self._database.run(
                "SELECT c.id, c.document_id FROM chunk c JOIN document d ON d.id = c.document_id "
                f"WHERE d.is_current = 1 AND {self._database.among('c.id')}",
                self._database.values(ids[begin : begin + _READ].tolist()),
            )
            found.update(rows)
        return np.array([found.get(row_id, -1) for row_id in ids.tolist()], np.int64)

    def text(self, document_id: int, start: int, end: int, access: Access) -> str:
        self._require_readable(document_id, access)
        return self._text(document_id, start, end)

    def pages(self, document_id: int, access: Access) -> tuple[PageSpan, ...]:
        self._require_readable(document_id, access)
        rows = self._database.run(
            "SELECT number, char_start, char_end FROM page WHERE document_id = ? ORDER BY number", document_id
        )
        return tuple(PageSpan(number=number, start=start, end=end) for number, start, end in rows)

    def changes_since(self, generation: int) -> list[Change]:
        rows = self._database.run(
            "SELECT generation, operation, chunk_id, document_id FROM index_log WHERE generation > ? "
            "ORDER BY generation, chunk_id",
            generation,
        )
        added = {row[2] for row in rows if row[1] == "add"}
        passing = {row[2] for row in rows if row[1] == "remove" and row[2] in added}
        return [
            Change(generation=row[0], operation=row[1], chunk_id=row[2], document_id=row[3])
            for row in rows
            if row[2] not in passing
        ]

    def _condition(self, access: Access, where: Filter) -> tuple[str, list[Any]]:
        among, values = self._database.among, self._database.values
        parts = [
            "d.is_current = 1",
            f"d.id IN (SELECT document_id FROM document_access WHERE {among('reader')})",
        ]
        given: list[Any] = [values(sorted(access))]
        if where.paths:
            parts.append(among("d.path"))
            given.append(values(list(where.paths)))
        if where.path_prefix:
            parts.append("substr(d.path, 1, ?) = ?")
            given += [len(where.path_prefix), where.path_prefix]
        if where.language:
            parts.append("d.language = ?")
            given.append(where.language)
        if where.media_type:
            parts.append("d.media_type = ?")
            given.append(where.media_type)
        return " AND ".join(parts), given

    def _with_metadata(self, ids: NDArray[np.int64], wanted: Mapping[str, str]) -> NDArray[np.int64]:
        rows = self._database.run(
            f"SELECT id, metadata FROM document WHERE {self._database.among('id')} ORDER BY id",
            self._database.values(ids.tolist()),
        )
        kept = [row_id for row_id, stored in rows if wanted.items() <= json.loads(stored).items()]
        return np.array(kept, np.int64)

    def _require_readable(self, document_id: int, access: Access) -> None:
        rows = self._database.run(
            f"SELECT 1 FROM document_access WHERE document_id = ? AND {self._database.among('reader')}",
            document_id,
            self._database.values(sorted(access)),
        )
        if not rows:
            raise NotFoundError("no such version of a document", where=document_id)

    def _by_id(self, id: int) -> StoredDocument:
        (found,) = self._of_ids([id])
        return found

    def _of_ids(self, ids: Sequence[int]) -> list[StoredDocument]:
        rows = self._database.run(
            f"SELECT {_DOCUMENT} {_FROM} WHERE {self._database.among('d.id')} ORDER BY d.path",
            self._database.values(list(ids)),
        )
        return self._documents(rows)

    def _documents(self, rows: Sequence[Row]) -> list[StoredDocument]:
        readers: dict[int, set[str]] = {}
        for row_id, reader in self._database.run(
            f"SELECT document_id, reader FROM document_access WHERE {self._database.among('document_id')}",
            self._database.values([row[0] for row in rows]),
        ):
            readers.setdefault(row_id, set()).add(reader)
        return [_document(row, frozenset(readers.get(row[0], ()))) for row in rows]

    def _chunks_where(self, ids: Sequence[int], condition: str, *values: Any) -> list[StoredChunk]:
        found: dict[int, StoredChunk] = {}
        with self._database.reading():
            rows = self._database.run(
                f"SELECT {_CHUNK} FROM chunk c JOIN document d ON d.id = c.document_id "
                f"WHERE {self._database.among('c.id')} AND {condition} ORDER BY c.id",
                self._database.values(list(ids)),
                *values,
            )
            for row in rows:
                found[row[0]] = _chunk(row, self._text(row[1], row[6], row[7]))
        return [found[row_id] for row_id in ids if row_id in found]

    def _text(self, document_id: int, start: int, end: int) -> str:
        first, last = max(0, start) // PIECE, max(0, end - 1) // PIECE
        text = "".join(self._piece(document_id, number) for number in range(first, last + 1))
        return text[max(0, start) - first * PIECE : max(0, end) - first * PIECE]

    def _piece(self, document_id: int, number: int) -> str:
        key = (document_id, number)
        if key not in self._pieces:
            rows = self._database.run(
                "SELECT piece FROM text_piece WHERE document_id = ? AND number = ?", document_id, number
            )
            if len(self._pieces) >= _KEPT_PIECES:
                self._pieces.popitem(last=False)
            self._pieces[key] = rows[0][0] if rows else ""
        return self._pieces[key]


def _document(row: Row, access: Access) -> StoredDocument:
    return StoredDocument(
        id=row[0],
        source=row[1],
        path=row[2],
        version=row[3],
        is_current=bool(row[4]),
        sha256=row[5],
        title=row[6],
        media_type=row[7],
        encoding=row[8],
        language=row[9],
        access=access,
        metadata=json.loads(row[10]),
        cutting=row[11],
        warnings=tuple(json.loads(row[12])),
        num_characters=row[13],
        num_pages=row[14],
        num_chunks=row[15],
        added=row[16],
    )


def _chunk(row: Row, text: str) -> StoredChunk:
    return StoredChunk(
        id=row[0],
        document_id=row[1],
        path=row[2],
        title=row[3],
        version=row[4],
        page=row[5],
        start=row[6],
        end=row[7],
        text=text,
        heading=row[8],
        language=row[9],
        text_sha=row[10],
    )


def _as_json(where: Filter) -> list[Any]:
    return [
        list(where.paths),
        where.path_prefix,
        where.language,
        where.media_type,
        dict(sorted(where.metadata.items())),
    ]


def no_document(path: str) -> NotFoundError:
    return NotFoundError("no such document in this index", where=path, next_step="creuset index list NAME")
