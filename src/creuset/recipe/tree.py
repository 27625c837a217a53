"""The values of a recipe, each knowing where it was written.

A tree comes from a file (source.py) or from `--set` (settings.py); `overlay` lays the second over the first.
"""

from dataclasses import dataclass, replace

from creuset.errors import Problem

Scalar = str | bool | int | float | None

_SHOWN_CHARACTERS = 60
"""A longer text is cut in messages: the place says where the rest is."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something was written.

    Args:
        file: The file as it was named, or `--set training.seed=1`; what a message begins with.
        line: Counts from 1.
        column: Counts from 1, in characters.
        origin: The short form that the resolved recipe keeps: `vae-mnist.yaml:12`, `--set`.
    """

    file: str
    line: int
    column: int
    origin: str

    def problem(self, message: str) -> Problem:
        return Problem(file=self.file, line=self.line, column=self.column, message=message)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One value: a scalar, a list (tuple of nodes) or keys (dict of entries).

    Args:
        place: Where the value begins.
        value: What it is.
        text: A scalar as it was written, without quotes; empty for lists and keys.
    """

    place: Place
    value: "Scalar | tuple[Node, ...] | dict[str, Entry]"
    text: str = ""

    def shown(self) -> str:
        """The value as a message shows it: what was written, texts in quotes, lists and keys by name."""
        if isinstance(self.value, dict):
            return "keys" if self.value else "{}"
        if isinstance(self.value, tuple):
            return f"a list of {len(self.value)}" if self.value else "[]"
        if isinstance(self.value, str):
            return quoted(self.value)
        if not self.text:
            return "nothing"
        return self.text if len(self.text) <= _SHOWN_CHARACTERS else self.text[:_SHOWN_CHARACTERS] + "…"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A key's place and its value."""

    place: Place
    node: Node


def printable(text: str) -> str:
    """The text on one line, unprintable characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def quoted(text: str) -> str:
    """A text in quotes on one line, unprintable characters as escapes, cut when long."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return f'"{printable(cut)}"'


def text_fault(text: str) -> str | None:
    """Why a text cannot be a value, or None: it could not be printed, or not be a file name."""
    if "\0" in text:
        return "holds a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half a character (write \\U and eight digits for one beyond \\uffff)"
    return None


def plain(node: Node) -> object:
    """The value without places: scalars, tuples and dicts."""
    if isinstance(node.value, dict):
        return {key: plain(entry.node) for key, entry in node.value.items()}
    if isinstance(node.value, tuple):
        return tuple(plain(item) for item in node.value)
    return node.value


def overlay(below: Node, above: Node) -> Node:
    """`above` laid over `below`: keys are merged at every depth, everything else is replaced.

    Where `below` has a list or scalar and `above` has keys, `below` stays: it is wrong, and reported there.
    """
    if not isinstance(above.value, dict) or below.value is None:
        return above
    if not isinstance(below.value, dict):
        return below
    merged = dict(below.value)
    for key, entry in above.value.items():
        known = merged.get(key)
        merged[key] = entry if known is None else _overlay_entry(known, entry)
    return replace(below, value=merged)


def _overlay_entry(below: Entry, above: Entry) -> Entry:
    node = overlay(below.node, above.node)
    return Entry(place=below.place if isinstance(node.value, dict) else above.place, node=node)
