"""What no file of the project may hold: places of one machine, addresses of registries, unsafe names."""

import re
from pathlib import Path

import pytest

from source_tree import ROOT, project_files

_TEXT = {
    ".py",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".txt",
    ".cfg",
    ".html",
    ".css",
    ".j2",
    ".js",
    ".ts",
    ".json",
    "",
}

_FORBIDDEN = {
    "a folder of one machine": re.compile(
        r"(?<![\w.~])/(?:work|root|mnt|opt/[a-z]+|home/[a-z]\w*|Users/\w+)/"
    ),
    "a registry's address": re.compile(
        r"https?://\S+/simple\b|(?:extra-)?index-url|find-links", re.IGNORECASE
    ),
    "a secret": re.compile(r"BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}"),
}

_ALLOWED = {Path(__file__).relative_to(ROOT).as_posix()}
"""This file, which spells out what it looks for."""


def found_in(text: str) -> list[str]:
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0]}"
        for what, pattern in _FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]


def test_no_file_holds_what_is_one_machine_s() -> None:
    files = project_files()
    if files is None:
        pytest.skip("needs a git checkout, to know which files are the project's")
    problems = []
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in _TEXT and name not in _ALLOWED:
            problems += [f"{name} {problem}" for problem in found_in(path.read_text(errors="replace"))]
    assert problems == []


def test_no_file_is_large() -> None:
    """Pictures and data of the project stay small; large ones are assets."""
    files = project_files()
    if files is None:
        pytest.skip("needs a git checkout, to know which files are the project's")
    large = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in files}
    assert {name: size for name, size in large.items() if size > 500_000} == {}


@pytest.mark.parametrize(
    "text", ["see /mnt/x/y", "cd /home/somebody/a", "http://index.invalid/simple", "--extra-index-url x"]
)
def test_what_is_forbidden_is_found(text: str) -> None:
    assert len(found_in(text)) >= 1


@pytest.mark.parametrize("text", ["~/.local/share/creuset", "docs/work/notes.md", "path/to/file"])
def test_what_is_harmless_is_not(text: str) -> None:
    assert found_in(text) == []
