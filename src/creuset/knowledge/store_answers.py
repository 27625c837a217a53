"""Ingestions and answers of a store."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from creuset.errors import NotFoundError
from creuset.knowledge.answer_records import AnswerRecord, AnswerSentence, Citation
from creuset.knowledge.database import Row
from creuset.knowledge.records import Access
from creuset.knowledge.store_interface import FileReport, Job
from creuset.knowledge.store_vectors import VectorTables

_ANSWER = (
    "id, time, question, asked, conversation, access, generation, model, model_sha256, seed, mode, settings, "
    "origin, sentences, num_withheld, is_refused, evidence, left_out, confidence"
)


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class AnswerTables(VectorTables):
    """The part of a store that remembers what was done and what was answered."""

    def start_job(self, settings: str) -> int:
        with self._database.writing():
            ((number,),) = self._database.run(
                "INSERT INTO job (started, finished, settings) VALUES (?, '', ?) RETURNING id",
                now(),
                settings,
            )
        return int(number)

    def report_file(self, job: int, report: FileReport) -> None:
        self.report_files(job, [report])

    def report_files(self, job: int, reports: Sequence[FileReport]) -> None:
        with self._database.writing():
            self._database.run_many(
                "INSERT INTO job_file VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job_id, path) DO UPDATE SET "
                "status = excluded.status, reason = excluded.reason, num_pages = excluded.num_pages, "
                "num_chunks = excluded.num_chunks, seconds = excluded.seconds",
                [
                    (
                        job,
                        each.path,
                        each.status,
                        each.reason,
                        each.num_pages,
                        each.num_chunks,
                        each.seconds,
                    )
                    for each in reports
                ],
            )

    def finish_job(self, job: int) -> None:
        with self._database.writing():
            self._database.run("UPDATE job SET finished = ? WHERE id = ?", now(), job)

    def jobs(self) -> list[Job]:
        rows = self._database.run("SELECT id, started, finished, settings FROM job ORDER BY id")
        return [Job(id=row[0], started=row[1], finished=row[2], settings=row[3]) for row in rows]

    def file_reports(self, job: int) -> list[FileReport]:
        rows = self._database.run(
            "SELECT path, status, reason, num_pages, num_chunks, seconds FROM job_file WHERE job_id = ? "
            "ORDER BY path",
            job,
        )
        return [
            FileReport(
                path=row[0],
                status=row[1],
                reason=row[2],
                num_pages=row[3],
                num_chunks=row[4],
                seconds=row[5],
            )
            for row in rows
        ]

    def save_answer(self, answer: AnswerRecord) -> int:
        sentences = [[sentence.text, sentence.support] for sentence in answer.sentences]
        with self._database.writing():
            ((number,),) = self._database.run(
                f"INSERT INTO answer ({_ANSWER.removeprefix('id, ')}) "
                f"VALUES ({', '.join('?' * _ANSWER.count(','))}) RETURNING id",
                answer.time or now(),
                answer.question,
                answer.asked,
                json.dumps(answer.conversation),
                json.dumps(sorted(answer.access)),
                answer.generation,
                answer.model,
                answer.model_sha256,
                answer.seed,
                answer.mode,
                answer.settings,
                answer.origin,
                json.dumps(sentences),
                answer.num_withheld,
                int(answer.is_refused),
                json.dumps(answer.evidence),
                json.dumps(answer.left_out),
                answer.confidence,
            )
            self._save_proofs(int(number), answer)
        return int(number)

    def answer(self, id: int, access: Access) -> AnswerRecord:
        rows = self._database.run(f"SELECT {_ANSWER} FROM answer WHERE id = ?", id)
        found = [self._answer(row) for row in rows]
        if not found or not found[0].access <= access:
            raise self._no_answer(id)
        return found[0]

    def answers(self, access: Access) -> list[AnswerRecord]:
        rows = self._database.run(f"SELECT {_ANSWER} FROM answer ORDER BY id")
        return [self._answer(row) for row in rows if frozenset(json.loads(row[5])) <= access]

    def _save_proofs(self, id: int, answer: AnswerRecord) -> None:
        """The citations, and every version of a document that the answer could hold words of."""
        self._database.run_many(
            "INSERT INTO citation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    id,
                    place,
                    number,
                    each.chunk_id,
                    each.document_id,
                    each.path,
                    each.version,
                    each.page,
                    each.start,
                    each.end,
                    each.quote,
                    each.support,
                )
                for place, sentence in enumerate(answer.sentences)
                for number, each in enumerate(sentence.citations)
            ],
        )
        rows = self._database.run(
            f"SELECT DISTINCT document_id FROM chunk WHERE {self._database.among('id')}",
            self._database.values(list(answer.evidence)),
        )
        documents = {row[0] for row in rows}
        documents |= {each.document_id for sentence in answer.sentences for each in sentence.citations}
        self._database.run_many(
            "INSERT INTO answer_document VALUES (?, ?)",
            [(id, document) for document in sorted(documents)],
        )

    def _answer(self, row: Row) -> AnswerRecord:
        citations: dict[int, list[Citation]] = {}
        for each in self._database.run(
            "SELECT sentence, chunk_id, document_id, path, version, page, char_start, char_end, quote, "
            "support FROM citation WHERE answer_id = ? ORDER BY sentence, number",
            row[0],
        ):
            citations.setdefault(each[0], []).append(
                Citation(
                    chunk_id=each[1],
                    document_id=each[2],
                    path=each[3],
                    version=each[4],
                    page=each[5],
                    start=each[6],
                    end=each[7],
                    quote=each[8],
                    support=each[9],
                )
            )
        return AnswerRecord(
            id=row[0],
            time=row[1],
            question=row[2],
            asked=row[3],
            conversation=tuple((role, content) for role, content in json.loads(row[4])),
            access=frozenset(json.loads(row[5])),
            generation=row[6],
            model=row[7],
            model_sha256=row[8],
            seed=row[9],
            mode=row[10],
            settings=row[11],
            origin=row[12],
            sentences=tuple(
                AnswerSentence(text=text, support=support, citations=tuple(citations.get(place, ())))
                for place, (text, support) in enumerate(json.loads(row[13]))
            ),
            num_withheld=row[14],
            is_refused=bool(row[15]),
            evidence=tuple(json.loads(row[16])),
            left_out=tuple(json.loads(row[17])),
            confidence=row[18],
        )

    def _no_answer(self, id: int) -> NotFoundError:
        rows = self._database.run(
            "SELECT r.id, r.time FROM purged_answer p JOIN receipt r ON r.id = p.receipt_id "
            "WHERE p.answer_id = ?",
            id,
        )
        if rows:
            return NotFoundError(
                "this answer was purged with a document that it was made from",
                where=f"answer {id}",
                got=f"receipt {rows[0][0]} of {rows[0][1]}",
            )
        return NotFoundError("no such answer", where=f"answer {id}")
