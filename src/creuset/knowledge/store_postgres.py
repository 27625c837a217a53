"""The knowledge store on a PostgreSQL server with pgvector: the same tables, in a schema of the index's name.

Many processes and machines may read and write; those that write take their turns, as with one file.
PostgreSQL's write-ahead log, replicas and backups are beyond a purge: whoever keeps them purges them.

Needs `pip install creuset[postgres]`.
"""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector

from creuset.errors import CheckpointError, CreusetError, NotFoundError, ResourceError, UsageError
from creuset.knowledge.database import Database, Row
from creuset.knowledge.store_purge import SqlStore
from creuset.knowledge.store_schema import MIGRATIONS

_TYPES = {
    "id": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "vector": "vector",
}
_BUSY = "30s"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TABLES = (
    "meta source document document_access text_piece page chunk space embedding index_log answer "
    "answer_document citation job job_file removed receipt purged_answer"
)


class PostgresStore(SqlStore):
    """A knowledge store on a server. Made by `open`."""

    @classmethod
    def open(cls, address: str, name: str, *, create: bool = False) -> Self:
        """The store of an index on a server.

        Args:
            address: As libpq takes it: postgresql://user@host/database; passwords come from ~/.pgpass or
                PGPASSWORD.
            name: Of the index.
            create: Make an empty one, which must not be there.

        Raises:
            NotFoundError: There is no store of this name.
            UsageError: The server cannot be reached, there is one already, or pgvector is missing.
            CheckpointError: It is of a newer creuset.
        """
        return cls(PostgresDatabase(address, name, create=create))


class PostgresDatabase(Database):
    """One schema of a PostgreSQL database."""

    def __init__(self, address: str, name: str, *, create: bool) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError("no name for a schema", where=name, expected="letters, digits, -, _ and .")
        self.name = f"{name} on PostgreSQL"
        self._schema = f'"creuset_{name}"'
        self._lock = threading.RLock()
        self._depth = 0
        with self._errors():
            self._connection = psycopg.connect(address, autocommit=True)
            try:
                self._prepare(create=create)
                register_vector(self._connection)
            except BaseException:
                self._connection.close()
                raise

    def run(self, sql: str, *values: Any) -> list[Row]:
        with self._lock, self._errors():
            cursor = self._connection.execute(_placed(sql), values or None)
            return cursor.fetchall() if cursor.description is not None else []

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._lock, self._errors(), self._connection.cursor() as cursor:
            cursor.executemany(_placed(sql), rows)

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._lock, self._errors(), self._connection.transaction():
            # one writer at a time, as in one file: ids and generations grow together
            self.run("SELECT pg_advisory_xact_lock(hashtext(?))", self._schema)
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._lock, self._errors(), self._connection.transaction():
            yield

    def among(self, column: str) -> str:
        return f"{column} = ANY(?)"

    def values(self, items: Sequence[Any]) -> list[Any]:
        return list(items)

    def as_vector(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        return vector

    def from_vector(self, stored: Any) -> NDArray[np.float32]:
        found: NDArray[np.float32] = np.asarray(stored.to_numpy(), np.float32)
        return found

    def write_anew(self) -> None:
        for table in _TABLES.split():
            self.run(f"VACUUM FULL {self._schema}.{table}")

    def damage(self) -> list[str]:
        return []

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _prepare(self, *, create: bool) -> None:
        self.run(f"SET lock_timeout = '{_BUSY}'")
        there = self.run("SELECT 1 FROM pg_namespace WHERE nspname = ?", self._schema.strip('"'))
        if create and there:
            raise UsageError("there is a store of this name already", where=self.name)
        if not create and not there:
            raise NotFoundError("no such store", where=self.name)
        with self._connection.transaction():
            if create:
                self.run("CREATE EXTENSION IF NOT EXISTS vector")
                self.run(f"CREATE SCHEMA {self._schema}")
            self.run(f"SET search_path = {self._schema}, public")
            if create:
                for statement in MIGRATIONS[0]:
                    self.run(statement.format(**_TYPES))
                self.run("INSERT INTO meta VALUES ('version', 1)")
            ((version,),) = self.run("SELECT value FROM meta WHERE name = 'version'")
            if version > len(MIGRATIONS):
                raise CheckpointError(
                    "this store is of a newer creuset; it was left as it is",
                    where=self.name,
                    got=f"version {version}",
                    expected=f"at most {len(MIGRATIONS)}",
                    next_step="use the creuset that wrote it",
                )
            for migration in MIGRATIONS[version:]:
                for statement in migration:
                    self.run(statement.format(**_TYPES))
            self.run("UPDATE meta SET value = ? WHERE name = 'version'", len(MIGRATIONS))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Within the block the server's errors are creuset's."""
        try:
            yield
        except psycopg.Error as error:
            raise _as_own(error, self.name) from error


def _placed(sql: str) -> Any:
    """The statement with psycopg's places for values."""
    return sql.replace("%", "%%").replace("?", "%s")


def _as_own(error: psycopg.Error, name: str) -> CreusetError:
    text = " ".join(str(error).split())[:200]
    if isinstance(error, psycopg.errors.DiskFull):
        return ResourceError("the server's disk is full: this was not written", where=name, got=text)
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return UsageError(f"another process has been writing for {_BUSY}", where=name, next_step="try again")
    if isinstance(error, psycopg.errors.FeatureNotSupported | psycopg.errors.UndefinedFile):
        return UsageError("the server has no pgvector", where=name, got=text, next_step="install it there")
    if isinstance(error, psycopg.OperationalError):
        return UsageError("the server cannot be reached, or ended the work", where=name, got=text)
    return CheckpointError("the server refused", where=name, got=text)
