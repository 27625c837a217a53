"""The model families: a file of this folder that defines FAMILY is one, and the folder is the registry."""

import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from creuset.errors import NotFoundError, did_you_mean

if TYPE_CHECKING:
    from creuset.models.base import Family
    from creuset.recipe.sections import FamilyConfig

_DEFINITION = "\nFAMILY = "
"""How the line begins that makes a file a family; the others of this folder are what families share."""


def family_names() -> tuple[str, ...]:
    """The families there are, in alphabetical order, without importing any."""
    files = Path(__file__).parent.glob("*.py")
    return tuple(sorted(file.stem for file in files if _DEFINITION in file.read_text(encoding="utf-8")))


def family(name: str) -> "Family":
    """The family of that name; imports its file alone.

    Raises:
        NotFoundError: There is no such family; the nearest name is given.
    """
    if name not in family_names():
        raise NotFoundError(
            f'no family "{name}"{did_you_mean(name, family_names())}',
            where="model.family",
            expected=", ".join(family_names()),
        )
    found: Family = importlib.import_module(f"{__name__}.{name}").FAMILY
    return found


def family_configs() -> Mapping[str, Callable[[], "type[FamilyConfig]"]]:
    """For each family what gives its `model` section; a family's file is imported when that is called."""
    return {name: functools.partial(_config, name) for name in family_names()}


def _config(name: str) -> "type[FamilyConfig]":
    return family(name).config
