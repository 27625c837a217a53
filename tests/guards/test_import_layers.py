"""Who may import whom: only from earlier groups, or from the own part; siblings never import each other."""

import ast
import subprocess
import sys

from creuset.models import family_names
from source_tree import ROOT, Module, modules

GROUPS = (
    ("errors", "progress", "cores"),
    ("files",),
    ("device", "recipe", "assets"),
    ("data", "layers", "objectives", "samplers", "metrics"),
    ("adapters",),
    ("models",),
    ("pretrained", "runs", "generation"),
    ("training", "engines", "knowledge"),
    ("evaluation", "feedback", "apps", "reporting"),
    ("workflows",),
    ("serve", "cli"),
)
RANK = {part: rank for rank, group in enumerate(GROUPS) for part in group}
FRONT = {"creuset", "__main__"}
"""The public names, imported lazily, and `python -m creuset`: they stand above all groups."""


def violations(module: Module) -> list[str]:
    found = []
    for line, name in module.imports():
        imported = name.split(".")[1] if "." in name else "creuset"
        if module.group in FRONT or imported == module.group or name == "creuset":
            continue
        if imported not in RANK:
            found.append(f"{module.file}:{line}: {name} is in no group")
        elif RANK[imported] >= RANK[module.group]:
            found.append(f"{module.file}:{line}: {module.group} imports {name}")
    return found


def test_every_part_has_a_group() -> None:
    assert {module.group for module in modules()} - FRONT <= RANK.keys()


def test_only_from_earlier_groups() -> None:
    assert [violation for module in modules() for violation in violations(module)] == []


def test_a_violation_is_found() -> None:
    path = modules()[0].path
    upwards = Module(path, "creuset.data.npz", ast.parse("from creuset.workflows.train import train"))
    sibling = Module(path, "creuset.data.npz", ast.parse("def f():\n    from creuset.metrics import score"))
    unknown = Module(path, "creuset.data.npz", ast.parse("import creuset.nowhere"))
    own = Module(path, "creuset.data.npz", ast.parse("from creuset.data.spec import DataSpec"))
    earlier = Module(path, "creuset.data.npz", ast.parse("from creuset.errors import DataError"))
    assert [len(violations(module)) for module in (upwards, sibling, unknown, own, earlier)] == [
        1,
        1,
        1,
        0,
        0,
    ]


def test_a_family_imports_no_other_family() -> None:
    files = [module for module in modules() if module.group == "models" and module.name.count(".") == 2]
    names = {f"creuset.models.{name}" for name in family_names()}
    for module in files:
        imported = {name for _, full in module.imports() for name in names if full.startswith(f"{name}.")}
        assert imported <= {module.name}, module.file


def test_every_module_imports_without_a_warning() -> None:
    names = [module.name for module in modules() if module.group != "__main__"]
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""


def test_modules_do_no_work_when_they_are_imported() -> None:
    """Statements at the top of a module define; the few calls there build constants."""
    allowed = (
        ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign | ast.If
    )
    for module in modules():
        for node in module.tree.body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert docstring or isinstance(node, allowed), f"{module.file}:{node.lineno}"
            if isinstance(node, ast.If):
                condition = ast.unparse(node.test)
                assert condition in ("TYPE_CHECKING", "__name__ == '__main__'"), (
                    f"{module.file}:{node.lineno}"
                )


def test_the_architecture_page_draws_the_same_groups() -> None:
    drawn = " | ".join(", ".join(group) for group in GROUPS)
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert drawn in " ".join(page.split())
