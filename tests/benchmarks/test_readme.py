"""The table of benchmarks names every program, and no other; each of them can be started."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

_FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
_SHARED = {"alternation.py", "small_files.py"}
"""What several programs use; no program by itself."""


def test_readme_names_each_program() -> None:
    table = [line for line in (_FOLDER / "README.md").read_text().splitlines() if line.startswith("| `")]
    named = {name for line in table for name in re.findall(r"(\w+\.py)", line.split("|")[1])}
    assert named == {path.name for path in _FOLDER.glob("*.py")} - _SHARED


@pytest.mark.parametrize("half", [0, 1])
def test_each_program_finds_what_it_imports(half: int) -> None:
    """As Python starts it: with its own folder alone beside what is installed."""
    names = sorted(path.stem for path in _FOLDER.glob("*.py"))[half::2]
    code = (
        "import importlib, sys\n"
        "sys.path[0] = sys.argv[1]\n"
        "for name in sys.argv[2:]:\n"
        "    importlib.import_module(name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(_FOLDER), *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
