"""The `tokenizers` library, held at arm's length: its errors and panics, and what its components are."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tokenizers

from creuset.data.tokenizer_files import TOKENIZER_FILE
from creuset.errors import DataError

_MAX_GROWTH = 64
"""Replacements one after another may make a text at most so many times longer; real files stay below 4."""
_MAX_UNUSED = 100_000
"""Ids without a token, below the highest one: a model's embedding has a row for each of them."""


@contextmanager
def library_errors(where: object, message: str, *, got: str | None = None) -> Iterator[None]:
    """What the library raises, and its panics, as an error that names the file.

    A panic is a BaseException of a class that cannot be imported, so that it is known by its name.
    """
    try:
        yield
    except Exception as error:
        cause = str(error)
        raise _failure(where, message, cause, got) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise _failure(where, message, f"a panic of the tokenizers library: {error}", got) from error


def _failure(where: object, message: str, cause: str, text: str | None) -> DataError:
    shown = "" if text is None else f" on {text[:40]!a}"
    return DataError(
        message,
        where=where,
        got=f"{cause[:200]}{shown}",
        expected=f"a {TOKENIZER_FILE} that the tokenizers library {tokenizers.__version__} reads"
        if text is None
        else "a text that this tokenizer can write",
    )


def component(part: Any) -> Any:
    """One of the library's components as JSON; None where the tokenizer has none."""
    return None if part is None else json.loads(part.__getstate__())


def _nodes(part: Any) -> Iterator[dict[str, Any]]:
    """The component and all those in it."""
    children: Sequence[Any] = ()
    if isinstance(part, dict):
        yield part
        children = list(part.values())
    elif isinstance(part, list):
        children = part
    for child in children:
        yield from _nodes(child)


def has_type(part: Any, name: str) -> bool:
    return any(node.get("type") == name for node in _nodes(part))


def refuse_growth(parts: Sequence[Any], where: object) -> None:
    """Refuses chains of replacements that make a short text fill the memory."""
    growth = 1
    for node in _nodes(list(parts)):
        if node.get("type") == "Replace":
            growth *= max(1, len(node["content"]))
    if growth > _MAX_GROWTH:
        raise DataError(
            "its replacements make texts too long",
            where=where,
            got=f"up to {growth:,} characters for one",
            expected=f"at most {_MAX_GROWTH}",
        )


def refuse_far_ids(vocab_size: int, num_tokens: int, where: object) -> None:
    """Refuses a token whose id lies so far beyond the others that a model could not have its rows."""
    if vocab_size - num_tokens > _MAX_UNUSED:
        raise DataError(
            "a token has an id far beyond the number of tokens",
            where=where,
            got=f"the highest id is {vocab_size - 1:,}, of {num_tokens:,} tokens",
            expected=f"at most {_MAX_UNUSED:,} ids without a token",
        )
