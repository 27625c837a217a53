"""The knowledge store in one SQLite file: the only truth (WAL, synchronous=FULL, secure_delete).

Only what SQLite 3.40 has is used. Several processes may read while one writes; a store object may be used by
several threads, one after the other.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from creuset.errors import CheckpointError, CreusetError, NotFoundError, ResourceError, UsageError
from creuset.files import disk_errors
from creuset.knowledge.database import Database, Row
from creuset.knowledge.store_purge import SqlStore
from creuset.knowledge.store_schema import MIGRATIONS

_BUSY_SECONDS = 30
_APPLICATION = 0x63726573
"""PRAGMA application_id, "cres": another program's file is not taken for a store."""
_TYPES = {"id": "INTEGER PRIMARY KEY AUTOINCREMENT", "vector": "BLOB"}


class SqliteStore(SqlStore):
    """A knowledge store in a file. Made by `create` or `open`."""

    @classmethod
    def create(cls, path: Path) -> Self:
        """An empty store in a new file.

        Raises:
            UsageError: There is a file already.
        """
        if path.exists():
            raise UsageError("there is a store at this place already", where=path)
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return cls(SqliteDatabase(path))

    @classmethod
    def open(cls, path: Path) -> Self:
        """The store of a file; an older one is brought to this version.

        Raises:
            NotFoundError: There is no file.
            CheckpointError: It is damaged, no store, or of a newer creuset.
        """
        if not path.exists():
            raise NotFoundError("no store here", where=path)
        return cls(SqliteDatabase(path))


class SqliteDatabase(Database):
    """One file of SQLite."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._lock = threading.RLock()
        with self._errors():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def run(self, sql: str, *values: Any) -> list[Row]:
        with self._lock, self._errors():
            return self._connection.execute(sql, values).fetchall()

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._lock, self._errors():
            self._connection.executemany(sql, rows)

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._lock:
            self.run("BEGIN IMMEDIATE")
            try:
                yield
                self.run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self.run("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self.run("BEGIN")
            try:
                yield
            finally:
                self.run("ROLLBACK")

    def among(self, column: str) -> str:
        return f"{column} IN (SELECT value FROM json_each(?))"

    def values(self, items: Sequence[Any]) -> str:
        return json.dumps(list(items))

    def as_vector(self, vector: NDArray[np.float32]) -> bytes:
        return vector.astype("<f4").tobytes()

    def from_vector(self, stored: bytes) -> NDArray[np.float32]:
        return np.frombuffer(stored, "<f4")

    def write_anew(self) -> None:
        self.run("VACUUM")
        ((busy, _, _),) = self.run("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise UsageError(
                "another process is reading it: what was removed may still stand beside it",
                where=self.name,
                next_step="close what reads it, and purge again",
            )

    def damage(self) -> list[str]:
        found = [row[0] for row in self.run("PRAGMA integrity_check(10)")]
        wrong = [] if found == ["ok"] else [f"the file is damaged: {each}" for each in found]
        broken = self.run("PRAGMA foreign_key_check")
        return [*wrong, *(f"{row[0]} names a row of {row[2]} that is not there" for row in broken[:10])]

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _prepare(self) -> None:
        ((application,),) = self.run("PRAGMA application_id")
        ((version,),) = self.run("PRAGMA user_version")
        ((tables,),) = self.run("SELECT count(*) FROM sqlite_master")
        if (application, tables) != (0, 0) and application != _APPLICATION:
            raise CheckpointError("this is no knowledge store", where=self.name)
        if version > len(MIGRATIONS):
            raise CheckpointError(
                "this store is of a newer creuset; it was left as it is",
                where=self.name,
                got=f"version {version}",
                expected=f"at most {len(MIGRATIONS)}",
                next_step="use the creuset that wrote it",
            )
        for setting in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            "foreign_keys = ON",
        ):
            self.run(f"PRAGMA {setting}")
        if version == len(MIGRATIONS):
            return
        with self.writing():
            ((version,),) = self.run("PRAGMA user_version")
            for migration in MIGRATIONS[version:]:
                for statement in migration:
                    self.run(statement.format(**_TYPES))
            self.run(f"PRAGMA application_id = {_APPLICATION}")
            self.run(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Within the block SQLite's errors are creuset's."""
        try:
            yield
        except sqlite3.Error as error:
            raise _as_own(error, self.name) from error


def _as_own(error: sqlite3.Error, name: str) -> CreusetError:
    text = str(error)
    if "full" in text or "disk I/O" in text:
        return ResourceError(
            "the disk is full or failing: this was not written, what was there is kept", where=name, got=text
        )
    if "locked" in text or "busy" in text:
        return UsageError(
            f"another process has been writing for {_BUSY_SECONDS} s", where=name, next_step="try again"
        )
    if "readonly" in text or "unable to open" in text:
        return UsageError("this store cannot be written", where=name, got=text)
    return CheckpointError(
        "this store is damaged, or no store",
        where=name,
        got=text,
        next_step="put a copy in its place, or build the index anew from the documents",
    )
