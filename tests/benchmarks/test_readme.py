"""The table of benchmarks names every program, and no other."""

import re
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
_SHARED = {"alternation.py", "small_files.py"}
"""What several programs use; no program by itself."""


def test_readme_names_each_program() -> None:
    table = [line for line in (_FOLDER / "README.md").read_text().splitlines() if line.startswith("| `")]
    named = {name for line in table for name in re.findall(r"(\w+\.py)", line.split("|")[1])}
    assert named == {path.name for path in _FOLDER.glob("*.py")} - _SHARED
