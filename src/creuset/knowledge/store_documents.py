"""The documents of a store: added, replaced, removed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from creuset.errors import DataError, UsageError
from creuset.knowledge.records import Access, NewDocument, StoredDocument
from creuset.knowledge.store_interface import Removed
from creuset.knowledge.store_reading import ReadingTables, no_document
from creuset.knowledge.store_schema import PIECE


class DocumentTables(ReadingTables):
    """The part of a store that holds documents."""

    def add(self, document: NewDocument) -> StoredDocument:
        _require_whole(document)
        run = self._database.run
        with self._database.writing():
            generation = self._raise_generation()
            before = run("SELECT id, version FROM document WHERE path = ? ORDER BY version", document.path)
            if before:
                self._log_removal(generation, before[-1][0])
                run("UPDATE document SET is_current = 0 WHERE path = ? AND is_current = 1", document.path)
            number = self._insert(document, before[-1][1] + 1 if before else 1)
            for row_id, _ in before:  # who may read a document may read its older versions
                self._write_access(row_id, document.access)
            run(
                "INSERT INTO index_log SELECT CAST(? AS BIGINT), 'add', id, document_id FROM chunk "
                "WHERE document_id = ?",
                generation,
                number,
            )
        return self._by_id(number)

    def set_access(self, path: str, access: Access, metadata: Mapping[str, str]) -> StoredDocument:
        if not access:
            raise UsageError("nobody may read this document", where=path, expected="a group at least")
        with self._database.writing():
            rows = self._database.run("SELECT id, is_current FROM document WHERE path = ?", path)
            current = [row_id for row_id, is_current in rows if is_current]
            if not current:
                raise no_document(path)
            for row_id, _ in rows:
                self._write_access(row_id, access)
            self._database.run(
                "UPDATE document SET metadata = ? WHERE id = ?", json.dumps(dict(metadata)), current[0]
            )
            self._raise_generation()
        return self._by_id(current[0])

    def remove(self, path: str) -> Removed:
        run = self._database.run
        with self._database.writing():
            rows = run("SELECT id, version, sha256, is_current FROM document WHERE path = ?", path)
            if not rows:
                raise no_document(path)
            generation = self._raise_generation()
            ids = self._database.values([row[0] for row in rows])
            for row_id, _, _, is_current in rows:
                if is_current:
                    self._log_removal(generation, row_id)
            ((num_chunks,),) = run(
                f"SELECT count(*) FROM chunk WHERE {self._database.among('document_id')}", ids
            )
            self._database.run_many(
                "INSERT INTO removed VALUES (?, ?, ?, ?)",
                [(row_id, path, version, sha256) for row_id, version, sha256, _ in rows],
            )
            run(f"DELETE FROM document WHERE {self._database.among('id')}", ids)
            num_vectors = self._drop_orphans()
        self._pieces.clear()
        return Removed(path=path, num_versions=len(rows), num_chunks=int(num_chunks), num_vectors=num_vectors)

    def _insert(self, document: NewDocument, version: int) -> int:
        run, parsed = self._database.run, document.parsed
        run("INSERT INTO source (root) VALUES (?) ON CONFLICT (root) DO NOTHING", document.source)
        ((source,),) = run("SELECT id FROM source WHERE root = ?", document.source)
        ((number,),) = run(
            "INSERT INTO document (source_id, path, version, is_current, sha256, title, media_type, "
            "encoding, language, metadata, cutting, warnings, num_characters, num_pages, num_chunks, added) "
            "VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            source,
            document.path,
            version,
            document.sha256,
            parsed.title,
            parsed.media_type,
            parsed.encoding,
            document.language,
            json.dumps(dict(document.metadata)),
            document.cutting,
            json.dumps(list(parsed.warnings)),
            len(parsed.text),
            len(parsed.pages),
            len(document.chunks),
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._write_access(number, document.access)
        many = self._database.run_many
        many(
            "INSERT INTO text_piece VALUES (?, ?, ?)",
            [
                (number, place // PIECE, parsed.text[place : place + PIECE])
                for place in range(0, len(parsed.text), PIECE)
            ],
        )
        many(
            "INSERT INTO page VALUES (?, ?, ?, ?)",
            [(number, page.number, page.start, page.end) for page in parsed.pages],
        )
        many(
            "INSERT INTO chunk (document_id, char_start, char_end, page, heading, language, text_sha, "
            "num_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    number,
                    chunk.start,
                    chunk.end,
                    chunk.page,
                    chunk.heading,
                    chunk.language,
                    chunk.text_sha,
                    chunk.num_tokens,
                )
                for chunk in document.chunks
            ],
        )
        return int(number)

    def _raise_generation(self) -> int:
        ((generation,),) = self._database.run(
            "UPDATE meta SET value = value + 1 WHERE name = 'generation' RETURNING value"
        )
        return int(generation)

    def _log_removal(self, generation: int, document_id: int) -> None:
        self._database.run(
            "INSERT INTO index_log SELECT CAST(? AS BIGINT), 'remove', id, document_id FROM chunk "
            "WHERE document_id = ?",
            generation,
            document_id,
        )

    def _write_access(self, document_id: int, access: Access) -> None:
        self._database.run("DELETE FROM document_access WHERE document_id = ?", document_id)
        self._database.run_many(
            "INSERT INTO document_access VALUES (?, ?)", [(document_id, group) for group in sorted(access)]
        )

    def _drop_orphans(self) -> int:
        """Deletes vectors of texts that no chunk has; how many they were."""
        return len(
            self._database.run(
                "DELETE FROM embedding WHERE NOT EXISTS "
                "(SELECT 1 FROM chunk c WHERE c.text_sha = embedding.text_sha) RETURNING 1"
            )
        )


def _require_whole(document: NewDocument) -> None:
    """Refuses what no reader could be given back as it was.

    Raises:
        UsageError: Nobody may read it.
        DataError: A chunk is not the text at its span, or the text holds what is no character.
    """
    if not document.access:
        raise UsageError("nobody may read this document", where=document.path, expected="a group at least")
    text = document.parsed.text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError("halves of characters", where=document.path, got=f"at {error.start}") from error
    if "\0" in text or "\0" in document.path:
        raise DataError(
            "a NUL, which PostgreSQL cannot hold", where=document.path, expected="text without it"
        )
    for chunk in document.chunks:
        if text[chunk.start : chunk.end] != chunk.text:
            raise DataError(
                "a chunk that is not the text at its place", where=document.path, got=chunk.text[:40]
            )
