"""Judgements of people: recorded one by one, never changed, and turned into data to tune on.

They are taken away only where a document that they quote is purged (`FeedbackStore.remove`).

One SQLite file, feedback.sqlite of the workspace, with the table

    judgement(id, time, judge, prompt_json, a, b, run_a, run_b, order_shown, verdict, edit, index_generation)

A judgement compares two answers, a and b, to one prompt, and may come with a better answer of the judge's own
(`edit`). Each is acknowledged once it is on the disk (WAL, synchronous=FULL). Several processes may write.

Legend of shapes: none; rows and records.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

from creuset.data.chat_template import ROLES
from creuset.errors import CheckpointError, DataError, NotFoundError, ResourceError, UsageError
from creuset.metrics.preference import Judgement as Compared
from creuset.metrics.preference import Outcome

FEEDBACK_FILE = "feedback.sqlite"
Verdict = Literal["a", "b", "tie", "both_bad"]
Form = Literal["dpo", "kto", "sft"]
Order = Literal["ab", "ba"]

_MIGRATIONS = (
    """
    CREATE TABLE judgement (
        id INTEGER PRIMARY KEY,
        time TEXT NOT NULL,
        judge TEXT NOT NULL,
        prompt_json TEXT NOT NULL,
        a TEXT NOT NULL,
        b TEXT NOT NULL,
        run_a TEXT,
        run_b TEXT,
        order_shown TEXT NOT NULL CHECK (order_shown IN ('ab', 'ba')),
        verdict TEXT NOT NULL CHECK (verdict IN ('a', 'b', 'tie', 'both_bad')),
        edit TEXT,
        index_generation INTEGER
    )
    """,
)
"""Each brings the file from its place in this list to the next version (PRAGMA user_version)."""
_BUSY_SECONDS = 30
_OUTCOMES: dict[Verdict, Outcome] = {"a": "first", "b": "second", "tie": "tie", "both_bad": "tie"}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a person said of two answers.

    Args:
        prompt: The messages that both answer: {"role": ..., "content": ...}, one at least.
        a: The first answer.
        b: The second one.
        verdict: Which is better: "a", "b", "tie", or "both_bad".
        judge: Who said so.
        run_a, run_b: The runs or models that wrote them; None where it is not known.
        order_shown: "ba" where the second was shown first, so that a bias for the first place can be seen.
        edit: A better answer, written by the judge; None for none.
        index_generation: The state of the knowledge store that the answers were grounded on; None for none.
        time: When, ISO 8601 in UTC; "" for now.
        id: Its number, given when it is recorded; 0 before.

    Raises:
        UsageError: A prompt that is no list of messages, an empty answer, two equal ones, or no verdict.
    """

    prompt: Sequence[Mapping[str, str]]
    a: str
    b: str
    verdict: Verdict
    judge: str
    run_a: str | None = None
    run_b: str | None = None
    order_shown: Order = "ab"
    edit: str | None = None
    index_generation: int | None = None
    time: str = ""
    id: int = 0

    def __post_init__(self) -> None:
        for number, message in enumerate(self.prompt):
            if message.get("role") not in ROLES or not isinstance(message.get("content"), str):
                raise UsageError(
                    "this is no message",
                    where=f"prompt[{number}]",
                    got=repr(message)[:80],
                    expected='{"role": one of ' + ", ".join(ROLES) + ', "content": a text}',
                )
        if not self.prompt:
            raise UsageError("no prompt", where="prompt", expected="one message at least")
        for name in ("a", "b", "judge"):
            if not getattr(self, name).strip():
                raise UsageError("this is empty", where=name, expected="a text")
        if self.a == self.b:
            raise UsageError("two equal answers cannot be compared", where="a, b", got=self.a[:80])
        if self.verdict not in get_args(Verdict):
            raise UsageError("no verdict", got=self.verdict, expected=", ".join(get_args(Verdict)))
        if self.order_shown not in get_args(Order):
            raise UsageError("no order", got=self.order_shown, expected=", ".join(get_args(Order)))
        if self.edit is not None and not self.edit.strip():
            raise UsageError("an edit that is empty", where="edit", expected="a text, or none")
        if self.edit in (self.a, self.b):
            raise UsageError(
                "an edit that equals an answer says what the verdict says",
                where="edit",
                got=str(self.edit)[:80],
                expected="an answer of the judge's own, or none",
            )

    @property
    def preferred(self) -> str | None:
        """The better answer; None where neither is."""
        return {"a": self.a, "b": self.b}.get(self.verdict)


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What was recorded.

    Args:
        num_judgements: All of them.
        verdicts: How often each.
        judges: How many of each judge.
        num_edits: With an answer of the judge's own.
        first_shown_preferred: Of those with a winner, how often it was the one shown first.
        num_with_winner: Those with one.
    """

    num_judgements: int
    verdicts: Mapping[str, int]
    judges: Mapping[str, int]
    num_edits: int
    first_shown_preferred: int
    num_with_winner: int


class FeedbackStore:
    """The judgements of a workspace. Use it in a `with`, or call `close`.

    Args:
        path: The file; it is made where there is none, unless `create` is False.
        create: Whether it may be made.

    Raises:
        NotFoundError: There is no such file, and none may be made.
        CheckpointError: It is damaged, or of a newer creuset.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        if not create and not path.exists():
            raise NotFoundError(
                "nothing was judged here yet",
                where=path,
                next_step="creuset feedback add, or give judgements",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with _store_errors(path):
            self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate()

    def add(self, judgement: Judgement) -> int:
        """Records a judgement; returns its number once it is on the disk.

        Raises:
            ResourceError: The disk is full; nothing was recorded.
        """
        values = asdict(judgement)
        values.pop("id")
        values["prompt_json"] = json.dumps([dict(each) for each in values.pop("prompt")], ensure_ascii=False)
        values["time"] = values["time"] or datetime.now(UTC).isoformat(timespec="milliseconds")
        names = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        with _store_errors(self.path):
            done = self._connection.execute(f"INSERT INTO judgement ({names}) VALUES ({places})", values)
        assert done.lastrowid is not None
        return done.lastrowid

    def all(self, *, run: str | None = None, judge: str | None = None) -> Iterator[Judgement]:
        """The judgements in the order in which they were recorded.

        Args:
            run: Only those of answers of this run.
            judge: Only those of this judge.
        """
        query = (
            "SELECT * FROM judgement WHERE (:run IS NULL OR run_a = :run OR run_b = :run) "
            "AND (:judge IS NULL OR judge = :judge) ORDER BY id"
        )
        with _store_errors(self.path):
            for row in self._connection.execute(query, {"run": run, "judge": judge}):
                values = dict(row)
                yield Judgement(prompt=json.loads(values.pop("prompt_json")), **values)

    def remove(self, ids: Collection[int]) -> None:
        """Takes judgements away for good: no byte of them is left in the file. For purges alone.

        Raises:
            UsageError: Another process is reading or writing just now.
        """
        if not ids:
            return
        with _store_errors(self.path):
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("DELETE FROM judgement WHERE id = ?", [(number,) for number in ids])
            self._connection.execute("COMMIT")
            self._connection.execute("VACUUM")
            (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise UsageError(
                "another process is reading it: what was removed may still stand beside it",
                where=self.path,
                next_step="close what reads it, and purge again",
            )

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _migrate(self) -> None:
        """Brings an older file to this version, in one transaction; a file of today is not locked for it."""
        if self._connection.execute("PRAGMA user_version").fetchone()[0] == len(_MIGRATIONS):
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version > len(_MIGRATIONS):
                raise CheckpointError(
                    "this file is of a newer creuset",
                    where=self.path,
                    got=f"version {version}",
                    expected=f"at most {len(_MIGRATIONS)}",
                    next_step="use the creuset that wrote it",
                )
            for statement in _MIGRATIONS[version:]:
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._connection.close()
            raise


def statistics(judgements: Sequence[Judgement]) -> Statistics:
    """Counts of judgements."""
    with_winner = [each for each in judgements if each.preferred is not None]
    return Statistics(
        num_judgements=len(judgements),
        verdicts={
            verdict: sum(each.verdict == verdict for each in judgements) for verdict in get_args(Verdict)
        },
        judges={
            judge: sum(each.judge == judge for each in judgements)
            for judge in sorted({each.judge for each in judgements})
        },
        num_edits=sum(each.edit is not None for each in judgements),
        first_shown_preferred=sum(each.order_shown[0] == each.verdict for each in with_winner),
        num_with_winner=len(with_winner),
    )


def compared_runs(judgements: Sequence[Judgement]) -> list[Compared]:
    """The judgements of answers whose runs are known and differ, as ratings are made of them.

    Two bad answers count as a tie.
    """
    return [
        (each.run_a, each.run_b, _OUTCOMES[each.verdict])
        for each in judgements
        if each.run_a is not None and each.run_b is not None and each.run_a != each.run_b
    ]


def records(judgements: Sequence[Judgement], form: Form) -> list[dict[str, Any]]:
    """Judgements as records to tune on.

    Args:
        judgements: In any order, which is kept.
        form: "dpo": {"prompt", "chosen", "rejected"}, of each judgement with a winner, and of each edit
            against both answers; "kto": {"prompt", "completion", "label"}, of each
            answer that was found better, worse or bad, and of edits; "sft": {"messages"}, of edits, else of
            winners.
    """
    made: list[dict[str, Any]] = []
    for each in judgements:
        prompt = [dict(message) for message in each.prompt]
        made += {"dpo": _pairs, "kto": _labelled, "sft": _conversations}[form](each, prompt)
    return made


def as_json_lines(made: Sequence[Mapping[str, Any]]) -> str:
    """Records as a .jsonl file.

    Raises:
        DataError: There are none.
    """
    if not made:
        raise DataError(
            "no judgement says anything of this form",
            got="0 records",
            expected="judgements with a winner, or with an edit",
        )
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in made)


def _answer(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _pairs(each: Judgement, prompt: list[dict[str, str]]) -> list[dict[str, Any]]:
    found: list[tuple[str, str]] = []
    if each.edit is not None:
        found += [(each.edit, each.a), (each.edit, each.b)]
    if each.preferred is not None:
        found.append((each.preferred, each.b if each.verdict == "a" else each.a))
    return [
        {"prompt": prompt, "chosen": [_answer(chosen)], "rejected": [_answer(rejected)]}
        for chosen, rejected in found
    ]


def _labelled(each: Judgement, prompt: list[dict[str, str]]) -> list[dict[str, Any]]:
    found: list[tuple[str, bool]] = []
    if each.verdict == "both_bad":
        found += [(each.a, False), (each.b, False)]
    elif each.preferred is not None:
        found += [(each.a, each.verdict == "a"), (each.b, each.verdict == "b")]
    if each.edit is not None:
        found.append((each.edit, True))
    return [{"prompt": prompt, "completion": [_answer(text)], "label": label} for text, label in found]


def _conversations(each: Judgement, prompt: list[dict[str, str]]) -> list[dict[str, Any]]:
    best = each.preferred if each.edit is None else each.edit
    return [] if best is None else [{"messages": [*prompt, _answer(best)]}]


@contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    """Within the block SQLite's errors are creuset's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise ResourceError("the disk is full: nothing was recorded", where=path) from error
        raise UsageError("cannot be used", where=path, got=str(error)) from error
    except sqlite3.DatabaseError as error:
        raise CheckpointError(
            "this is no file of judgements, or a damaged one",
            where=path,
            got=str(error),
            next_step="move it away, or put a copy in its place",
        ) from error
