"""What a recipe can set against a collapse."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Cause = Literal[
    "diversity loss",
    "critic wins",
    "critic vanishes",
    "memorising",
    "posterior collapse",
    "dead units",
]
"""What an alarm names: see docs/collapse.md."""


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """Settings against a collapse.

    Args:
        settings: Dotted keys of the recipe and their values.
        why: What they do, and who proposed them.
        from_start: Whether they change the weights' shapes, so that training must begin anew.
    """

    settings: Mapping[str, object]
    why: str
    from_start: bool = False
