"""What a store asks of its database: SQL that SQLite and PostgreSQL both read, with ? for values."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = tuple[Any, ...]


class Database(ABC):
    """An open database with the tables of store_schema.py."""

    name: str
    """Its file or address, for errors."""

    @abstractmethod
    def run(self, sql: str, *values: Any) -> list[Row]:
        """Runs a statement; its rows."""

    @abstractmethod
    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs a statement for each row."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """Within the block is one transaction, alone in writing; it is on the disk when the block ends."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """Within the block all that is read is of one state."""

    @abstractmethod
    def among(self, column: str) -> str:
        """A condition with one ? that stands for a list of values, made by `values`."""

    @abstractmethod
    def values(self, items: Sequence[Any]) -> Any:
        """What `among` compares with."""

    @abstractmethod
    def as_vector(self, vector: NDArray[np.float32]) -> Any:
        """A vector as it is stored."""

    @abstractmethod
    def from_vector(self, stored: Any) -> NDArray[np.float32]:
        """A stored vector, float32 (dimension,)."""

    @abstractmethod
    def write_anew(self) -> None:
        """Writes the files anew, so that nothing of what was deleted is left in them."""

    @abstractmethod
    def damage(self) -> list[str]:
        """What is wrong with the files themselves, each in a sentence."""

    @abstractmethod
    def close(self) -> None:
        """Closes it."""
