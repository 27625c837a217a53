"""The pages of docs/: what they name exists, what should be named is, and generated pages are current."""

import ast
import re
from pathlib import Path

import pytest

from source_tree import PACKAGE, ROOT, modules

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
GLOSSARY = ROOT / "docs" / "glossary.md"
PAPERS = ROOT / "docs" / "papers.md"
_IN_GLOSSARY = (
    "models",
    "layers",
    "objectives",
    "samplers",
    "metrics",
    "training",
    "runs",
    "generation",
    "data",
)
_WITH_SOURCES = (*_IN_GLOSSARY, "reporting")

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
_SOURCE = re.compile(
    r"\b(?P<author>[A-Z][\w-]+)"
    r"(?:,? (?:et al\.|(?:and|&) [A-Z][\w-]+(?:-[A-Z][a-z]+)?|van den [A-Z]\w+|[A-Z][\w-]+))*,?"
    r" \(?(?P<year>19\d\d|20\d\d)\b"
)
"""An author, perhaps others, and a year: "Kingma & Welling 2014", "Sun and Xu (2014)"."""


def rows(page: Path) -> list[list[str]]:
    """The cells of the tables of a page, without their headers."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    headers = {index - 1 for index, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    return [
        row for index, row in enumerate(cells) if index not in headers and not set("".join(row)) <= set("-: ")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [link for link in _LINK.findall(page.read_text()) if not link.startswith(("http", "mailto"))]
    assert [link for link in targets if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_that_are_named_are_shipped(page: Path) -> None:
    named = set(re.findall(r"recipes/([\w-]+)\.yaml", page.read_text())) - {"NAME-DATA"}
    assert [name for name in named if not (ROOT / "recipes" / f"{name}.yaml").is_file()] == []


def test_files_of_the_architecture_exist() -> None:
    """A path in backticks is one of src/creuset, of the project, or a file's name in the part just named."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    names = {path.name for path in PACKAGE.rglob("*.py")}
    for path in re.findall(r"`([\w/.-]+\.py)`", text):
        there = (PACKAGE / path).is_file() or (ROOT / path).is_file() or path in names
        assert there or "NAME" in path, path


def test_each_word_of_the_glossary_has_its_file() -> None:
    table = rows(GLOSSARY)
    files = [file for _, cell in table for file in re.findall(r"`([^`]+)`", cell)]
    assert [file for file in files if not (PACKAGE / file).exists()] == []
    words = [word for word, _ in table]
    assert words == sorted(words, key=str.casefold)
    assert len(set(words)) == len(words)
    assert all(re.search(r"`[^`]+`", cell) for _, cell in table)


def test_each_file_of_the_field_is_in_the_glossary() -> None:
    text = GLOSSARY.read_text()
    files = [
        module.file
        for module in modules()
        if module.group in _IN_GLOSSARY and not module.file.endswith("__init__.py")
    ]
    assert [file for file in files if f"`{file}`" not in text] == []


def test_each_source_that_the_code_names_is_in_the_papers() -> None:
    """Whoever is cited in a docstring stands in the table, beside the file."""
    by_file: dict[str, str] = {}
    for row in rows(PAPERS):
        for file in re.findall(r"`([\w/]+\.py)`", row[1]):
            by_file[file] = by_file.get(file, "") + " ".join(row)
    missing = []
    for module in modules():
        if module.group not in _WITH_SOURCES:
            continue
        nodes = [module.tree, *(node for node in ast.walk(module.tree))]
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        texts = [ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds)]
        for author, year in {
            found.group("author", "year") for text in texts for found in _SOURCE.finditer(text)
        }:
            row = by_file.get(module.file, "")
            if author not in row or year not in row:
                missing.append(f"{module.file}: {author} {year}")
    assert sorted(missing) == []


def test_files_of_the_papers_exist() -> None:
    files = [file for row in rows(PAPERS) for file in re.findall(r"`([\w/]+\.py)`", row[1])]
    assert [file for file in files if not (PACKAGE / file).is_file()] == []
