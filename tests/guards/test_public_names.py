"""The public names: what `creuset` offers is there and is described, and so is each tool of its parts."""

import ast
import importlib
import subprocess
import sys

import pytest

import creuset
from source_tree import ROOT, modules

_DESCRIBED = ("layers", "objectives", "models", "metrics", "generation", "workflows")
"""Parts whose public functions and classes are tools for others."""


@pytest.mark.parametrize("name", creuset.__all__)
def test_public_name_is_there_and_described(name: str) -> None:
    value = getattr(creuset, name)
    if name != "__version__":
        assert value.__doc__, f"creuset.{name} has no docstring"
        pages = (ROOT / "README.md").read_text() + (ROOT / "docs" / "architecture.md").read_text()
        assert f"creuset.{name}" in pages, f"no page mentions creuset.{name}"


def test_dir_lists_the_public_names_alone() -> None:
    assert dir(creuset) == sorted(creuset.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        creuset.trian  # noqa: B018


def test_the_command_and_the_package_state_one_version() -> None:
    assert importlib.metadata.version("creuset") == creuset.__version__
    assert f"## {creuset.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_importing_creuset_imports_no_torch() -> None:
    code = "import creuset, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_tools_are_described() -> None:
    undescribed = [
        f"{module.file}:{node.lineno}: {node.name}"
        for module in modules()
        if module.group in _DESCRIBED
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert undescribed == []


def test_a_file_says_what_it_is() -> None:
    silent = [
        module.file for module in modules() if module.tree.body and ast.get_docstring(module.tree) is None
    ]
    assert silent == []
