"""A place in a file of little-endian numbers and strings, which moves on and never past the end."""

import struct
from pathlib import Path

from creuset.errors import DataError

FORMATS = {
    "uint8": "<B",
    "int8": "<b",
    "uint16": "<H",
    "int16": "<h",
    "uint32": "<I",
    "int32": "<i",
    "float32": "<f",
    "uint64": "<Q",
    "int64": "<q",
    "float64": "<d",
}
"""How `struct` and numpy call each type of number."""
_LENGTH = struct.Struct("<Q")


class Cursor:
    """Reads one thing after the other.

    Args:
        view: The whole file.
        where: Its path, for errors.
    """

    def __init__(self, view: memoryview, where: Path) -> None:
        self.view = view
        self.where = where
        self.position = 0

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return len(self.view) - self.position

    def take(self, num_bytes: int, what: str) -> memoryview:
        """The next bytes, without a copy.

        Raises:
            DataError: The file ends before.
        """
        if num_bytes > self.left:
            raise self.refused(f"the file ends within {what}", got=f"{self.left} bytes", expected=num_bytes)
        found = self.view[self.position : self.position + num_bytes]
        self.position += num_bytes
        return found

    def integer(self, kind: str, what: str) -> int:
        """The next whole number, of a type of `FORMATS`."""
        layout = FORMATS[kind]
        (found,) = struct.unpack(layout, self.take(struct.calcsize(layout), what))
        return int(found)

    def count(self, what: str, *, most: int, each: int) -> int:
        """The next u64, how many things follow.

        Args:
            what: The things.
            most: How many there may be in any file.
            each: The fewest bytes that one of them takes, so that no file claims more than it can hold.

        Raises:
            DataError: There cannot be so many.
        """
        found = self.integer("uint64", f"the number of {what}")
        allowed = min(most, self.left // each)
        if found > allowed:
            raise self.refused(
                f"more {what} than there can be", got=f"{found:,}", expected=f"{allowed:,} at most"
            )
        return found

    def string(self, what: str, *, most: int | None = None) -> str:
        """The next string: a u64, its bytes' number, then UTF-8.

        Args:
            what: What it is, for errors.
            most: The most bytes; None: what the file has left.

        Raises:
            DataError: It is longer, or no UTF-8.
        """
        length = self.integer("uint64", f"the length of {what}")
        allowed = self.left if most is None else min(most, self.left)
        if length > allowed:
            raise self.refused(
                f"{what} is too long", got=f"{length:,} bytes", expected=f"{allowed:,} at most"
            )
        try:
            return bytes(self.take(length, what)).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.refused(f"{what} is no UTF-8", got=f"byte {error.start}: {error.reason}") from error

    def strings(self, count: int, what: str) -> list[str]:
        """As many strings one after the other; vocabularies have hundreds of thousands.

        Raises:
            DataError: As `string`.
        """
        found = []
        for number in range(count):
            begin = self.position
            length = _LENGTH.unpack_from(self.view, begin)[0] if self.left >= _LENGTH.size else len(self.view)
            try:
                if length > self.left - _LENGTH.size:
                    raise ValueError
                end = begin + _LENGTH.size + length
                found.append(str(self.view[begin + _LENGTH.size : end], "utf-8"))
            except ValueError:
                found.append(self.string(f"string {number} of {what}"))  # says what is wrong with it
            else:
                self.position = end
        return found

    def refused(self, message: str, *, got: object = None, expected: object = None) -> DataError:
        """The error for what stands here."""
        return DataError(f"{message} (byte {self.position})", where=self.where, got=got, expected=expected)
