"""Which fields of a recipe's sections a program really reads while it runs."""

import dis
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from unittest import mock

from creuset.recipe.section import Section
from source_tree import PACKAGE

Reads = set[tuple[type[Section], str]]
"""Sections by their class, and the names of fields of it."""

_RECIPE = str(PACKAGE / "recipe")


@contextmanager
def recorded() -> Iterator[Reads]:
    """Collects each field that is read inside the block, where the read is a use.

    A use is `section.field` in the package, outside of recipe/, which reads, checks and shows every field.
    Neither a validator of the section itself counts, nor `getattr(section, name)`: code that goes through
    fields by their names compares them with their defaults or stores them.
    """
    reads: Reads = set()

    def read(section: Section, name: str) -> Any:
        if name in type(section).__pydantic_fields__ and _is_use(section, sys._getframe(1)):
            reads.add((type(section), name))
        return object.__getattribute__(section, name)

    with mock.patch.object(Section, "__getattribute__", read, create=True):
        yield reads


def _is_use(section: Section, frame: FrameType) -> bool:
    code = frame.f_code
    if not code.co_filename.startswith(str(PACKAGE)) or code.co_filename.startswith(_RECIPE):
        return False
    if dis.opname[code.co_code[frame.f_lasti]] not in ("LOAD_ATTR", "LOAD_METHOD"):
        return False
    validators = type(section).__pydantic_decorators__.model_validators
    return not (code.co_name in validators and frame.f_locals.get("self") is section)


def unread(section: type[Section], reads: Reads) -> set[str]:
    """The fields of a section that were not read."""
    return set(section.model_fields) - {name for owner, name in reads if owner is section}
