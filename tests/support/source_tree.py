"""The package's own source, read as syntax trees: what the guards look at."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "src" / "creuset"


@dataclass(frozen=True)
class Module:
    """One file of the package.

    Args:
        path: The file.
        name: What imports it: creuset.data.npz, and creuset.data for a folder's __init__.
        tree: Its syntax tree.
    """

    path: Path
    name: str
    tree: ast.Module

    @property
    def file(self) -> str:
        """The path below src/creuset, with slashes."""
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def group(self) -> str:
        """The part of the package that it belongs to: data, training, errors."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "creuset"

    def imports(self) -> list[tuple[int, str]]:
        """Line and full name of everything of creuset that is imported anywhere in the file."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.file}:{node.lineno}: a relative import"
                # `from creuset import x` may name a module as well
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            found += [(node.lineno, name) for name in names if name.split(".")[0] == "creuset"]
        return found

    def calls(self) -> list[tuple[int, str, ast.Call]]:
        """Line, dotted name (`torch.load`, `print`) and node of each call of a plain or dotted name."""
        return [
            (node.lineno, ast.unparse(node.func), node)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
        ]


@cache
def modules() -> tuple[Module, ...]:
    """Every file of the package, in the order of their paths."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(["creuset", *(part for part in parts if part != "__init__")])
        found.append(Module(path, name, ast.parse(path.read_text(), str(path))))
    return tuple(found)


@cache
def project_files() -> tuple[Path, ...] | None:
    """The files that git tracks or would track; None where this is no checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        return None
    return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())
