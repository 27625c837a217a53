"""No setting is read and ignored: each field of each section of a recipe is used by the code."""

import ast
import inspect

import pytest

from creuset.models import family, family_configs, family_names
from creuset.recipe import sections
from creuset.recipe.sections import FamilyConfig, Section
from source_tree import modules

_OWN_FILE = "recipe/sections.py"


def attributes_read(*, outside: str) -> set[str]:
    """Every name that is read as an attribute anywhere but in one file."""
    return {
        node.attr
        for module in modules()
        if module.file != outside
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def fields_read_from_config(name: str) -> set[str]:
    """The fields that a family's file reads as `config.FIELD`."""
    (tree,) = (module.tree for module in modules() if module.file == f"models/{name}.py")
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] == "config"
    }


SECTIONS = [
    section
    for _, section in inspect.getmembers(sections, inspect.isclass)
    if issubclass(section, Section) and section not in (Section, FamilyConfig)
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_each_setting_of_a_section_is_used(section: type[Section]) -> None:
    assert set(section.model_fields) - attributes_read(outside=_OWN_FILE) == set()


@pytest.mark.parametrize("name", family_names())
def test_each_setting_of_a_family_is_used(name: str) -> None:
    own = set(family(name).config.model_fields) - set(FamilyConfig.model_fields)
    assert own - fields_read_from_config(name) == set()


@pytest.mark.parametrize("section", [*SECTIONS, *(get() for get in family_configs().values())])
def test_each_setting_is_described(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        assert field.description, f"{section.__name__}.{name}"
        assert field.description.endswith("."), f"{section.__name__}.{name}"
