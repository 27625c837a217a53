"""A store checked, and purged of what was removed or replaced."""

import hashlib
import json
from typing import Self

from creuset.knowledge.records import searched_text
from creuset.knowledge.store_answers import AnswerTables, now
from creuset.knowledge.store_interface import PurgedDocument, Receipt

_CHECKED = 2048


class SqlStore(AnswerTables):
    """A knowledge store on a database (see store_interface.py, whose words are those of these methods)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def purgeable_texts(self) -> list[str]:
        rows = self._database.run("SELECT id, num_characters FROM document WHERE is_current = 0 ORDER BY id")
        return [self._text(row_id, 0, length) for row_id, length in rows]

    def purge(self, details: str) -> Receipt:
        run, among, values = self._database.run, self._database.among, self._database.values
        with self._database.writing():
            gone = run("SELECT document_id, path, version, sha256 FROM removed ORDER BY document_id")
            old = run("SELECT id, path, version, sha256 FROM document WHERE is_current = 0 ORDER BY id")
            ids = values([row[0] for row in (*gone, *old)])
            answers = run(
                f"SELECT DISTINCT answer_id FROM answer_document WHERE {among('document_id')} "
                "ORDER BY answer_id",
                ids,
            )
            answer_ids = [row[0] for row in answers]
            documents = tuple(
                PurgedDocument(path=path, version=version, sha256=sha256)
                for _, path, version, sha256 in (*gone, *old)
            )
            time = now()
            told = [[each.path, each.version, each.sha256] for each in documents]
            ((number,),) = run(
                "INSERT INTO receipt (time, documents, answers, details) VALUES (?, ?, ?, ?) RETURNING id",
                time,
                json.dumps(told),
                json.dumps(answer_ids),
                details,
            )
            run(f"DELETE FROM answer WHERE {among('id')}", values(answer_ids))
            self._database.run_many(
                "INSERT INTO purged_answer VALUES (?, ?)", [(answer, number) for answer in answer_ids]
            )
            run(f"DELETE FROM document WHERE {among('id')}", ids)
            run("DELETE FROM removed")
            self._drop_orphans()
            run("DELETE FROM index_log")
            # what was derived before may hold purged words: all of it is older than this
            generation = self._raise_generation()
            run("UPDATE meta SET value = ? WHERE name = 'oldest_generation'", generation)
        self._pieces.clear()
        self._database.write_anew()
        return Receipt(
            id=int(number), time=time, documents=documents, answers=tuple(answer_ids), details=details
        )

    def receipts(self) -> list[Receipt]:
        rows = self._database.run("SELECT id, time, documents, answers, details FROM receipt ORDER BY id")
        return [
            Receipt(
                id=row[0],
                time=row[1],
                documents=tuple(
                    PurgedDocument(path=path, version=version, sha256=sha256)
                    for path, version, sha256 in json.loads(row[2])
                ),
                answers=tuple(json.loads(row[3])),
                details=row[4],
            )
            for row in rows
        ]

    def check(self) -> list[str]:
        wrong = self._database.damage()
        return wrong or [*self._wrong_spans(), *self._wrong_chunks(), *self._wrong_vectors()]

    def _wrong_spans(self) -> list[str]:
        run, wrong = self._database.run, []
        for row_id, path, version, length in run("SELECT id, path, version, num_characters FROM document"):
            pieces = run("SELECT number, piece FROM text_piece WHERE document_id = ? ORDER BY number", row_id)
            held = sum(len(piece) for _, piece in pieces)
            if held != length or [number for number, _ in pieces] != list(range(len(pieces))):
                wrong.append(f"{path}, version {version}: {held:,} characters in place of {length:,}")
            pages = run("SELECT char_start, char_end FROM page WHERE document_id = ? ORDER BY number", row_id)
            ends = [0, *(end for _, end in pages)]
            if any(not ends[n] <= start <= end <= length for n, (start, end) in enumerate(pages)):
                wrong.append(f"{path}, version {version}: pages out of order")
        return wrong

    def _wrong_chunks(self) -> list[str]:
        wrong = []
        rows = self._database.run(
            "SELECT c.id, c.document_id, c.char_start, c.char_end, c.heading, c.text_sha FROM chunk c "
            "ORDER BY c.id"
        )
        for row_id, document, start, end, heading, sha in rows:
            text = searched_text(heading, self._text(document, start, end))
            if hashlib.sha256(text.encode()).hexdigest() != sha:
                wrong.append(f"chunk {row_id} is not the text at its place")
        return wrong

    def _wrong_vectors(self) -> list[str]:
        space = self.active_space
        missing = {} if space is None else self.missing_texts(space, 1_000_000)
        return [f"{len(missing):,} texts have no vector in the space that is searched"] if missing else []
