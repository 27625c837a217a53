"""How an index is opened: its store, what is derived from it, and what may be said to make one."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from creuset.assets import cache_folder
from creuset.device import choose_precision, resolve_device
from creuset.errors import UsageError
from creuset.knowledge.folder_walk import FoundFile, walk
from creuset.knowledge.lexical import LexicalIndex
from creuset.knowledge.records import Access
from creuset.knowledge.store import SqliteStore
from creuset.knowledge.store_interface import KnowledgeStore
from creuset.knowledge.vectors import VectorIndex
from creuset.workflows.index_settings import IndexSettings

STORE = "store.sqlite"


def as_access(groups: str | Collection[str]) -> Access:
    """Groups by name: one, or several.

    Raises:
        UsageError: None, or an empty name.
    """
    found = frozenset([groups] if isinstance(groups, str) else groups)
    if not found or not all(isinstance(group, str) and group.strip() for group in found):
        raise UsageError(
            "who reads is not said",
            where="access",
            got=repr(sorted(map(str, found))),
            expected='one group at least, such as {"public"}',
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A store with what is derived from it, up to date when it was opened."""

    store: KnowledgeStore
    lexical: LexicalIndex
    vectors: VectorIndex | None


def stamps(roots: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """When each file of some folders was changed, and its size."""
    stamps = {}
    for found in walk(roots):
        if isinstance(found, FoundFile):
            with suppress(OSError):
                status = found.absolute.stat()
                stamps[str(found.absolute)] = (status.st_mtime_ns, status.st_size)
    return stamps


def chosen_precision(embedder: str, precision: str) -> str:
    """What vectors are computed in: as asked for, or what this processor gains by.

    Raises:
        UsageError: No such precision.
    """
    if precision == "auto" and (not embedder or embedder.startswith("run:")):
        return "float32"
    chosen, _ = choose_precision(precision, resolve_device("cpu"), cache_folder() / "bfloat16.json")
    return chosen


def without_password(postgres: str) -> str:
    """The address of a server. UsageError: there is a password in it, which would stand in index.json."""
    rest = postgres.partition("://")[2]
    if "password=" in postgres or (":" in rest.rpartition("@")[0]):
        raise UsageError(
            "a password is not kept in an index's settings",
            where="--store",
            next_step="leave it out of the address, and set PGPASSWORD or write ~/.pgpass",
        )
    return postgres


def create_store(folder: Path, name: str, settings: IndexSettings) -> KnowledgeStore:
    """An empty store, where the settings say."""
    if settings.postgres:
        return _on_server(settings.postgres, name, create=True)
    return SqliteStore.create(folder / STORE)


def open_store(folder: Path, name: str, settings: IndexSettings) -> KnowledgeStore:
    """The store of an index."""
    if settings.postgres:
        return _on_server(settings.postgres, name, create=False)
    return SqliteStore.open(folder / STORE)


def _on_server(address: str, name: str, *, create: bool) -> KnowledgeStore:
    try:
        from creuset.knowledge.store_postgres import PostgresStore
    except ImportError as error:
        raise UsageError(
            "a store on PostgreSQL needs two packages more",
            where="--store",
            got=str(error),
            next_step="pip install 'creuset[postgres]'",
        ) from error
    return PostgresStore.open(address, name, create=create)
