"""JSON files of strangers: what is built of them stays small.

Python builds an object of some 60 bytes for each value, and a value may be two characters long, such as [],
so that a file of JSON may take thirty times its size. Its values are counted before anything is built.
"""

import json
from collections.abc import Callable
from typing import Any

from creuset.errors import DataError

MAX_VALUES = 500_000
"""Five times as many as the largest files in wide use hold: an index of shards with 92,000 tensors."""


def parse_bounded(
    text: str, where: object, *, pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """What a JSON text holds.

    Args:
        text: The text.
        where: The file, for errors.
        pairs_hook: Makes each object, as `json.loads` takes it; None for plain dicts.

    Raises:
        DataError: It is no JSON, is nested too deeply, or may hold more than MAX_VALUES values.
    """
    most = 1 + sum(text.count(mark) for mark in "[{,")
    if most > MAX_VALUES:
        raise DataError(
            "too many values for such a file",
            where=where,
            got=f"up to {most:,}",
            expected=f"at most {MAX_VALUES:,}",
        )
    try:
        return json.loads(text, object_pairs_hook=pairs_hook)
    except (ValueError, RecursionError) as error:
        raise DataError("damaged: this is no JSON", where=where, got=error) from error
