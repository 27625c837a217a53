"""Where a recipe's text comes from: a file, or the recipes that creuset ships."""

import importlib.resources
from pathlib import Path

from creuset.errors import NotFoundError, Problem, RecipeError, UsageError, did_you_mean, nearest
from creuset.recipe.composer import MAX_CHARACTERS, line_and_column

_SUFFIXES = frozenset({".yaml", ".yml"})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_EXPECTED = "a path, or the name of a recipe that creuset ships, such as vae-digits"


def shipped_recipes() -> dict[str, Path]:
    """Each recipe that comes with creuset: name -> file, in alphabetical order."""
    return _recipes_of(Path(str(importlib.resources.files("creuset"))))


def _recipes_of(package: Path) -> dict[str, Path]:
    """A wheel holds the recipes inside the package; a checkout at its root, beside src."""
    folder = package / "recipes"
    if not folder.is_dir() and package.parent.name == "src":
        folder = package.parent.parent / "recipes"
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES}


def find_recipe(name_or_path: str | Path) -> Path:
    """The file of a recipe: a path if there is such a file, else the shipped recipe of that name.

    Raises:
        NotFoundError: Neither; names the nearest file or shipped recipe.
        UsageError: A folder.
    """
    path = Path(name_or_path)
    if path.exists() and not path.is_dir():  # a pipe serves as well as a file
        return path
    name = str(name_or_path)
    looks_like_name = path.suffix not in _SUFFIXES and path.name == name
    shipped = shipped_recipes()
    if looks_like_name and name in shipped:
        return shipped[name]
    if path.is_dir():
        raise UsageError("a folder; a recipe is one YAML file", where=name)
    if looks_like_name:
        raise NotFoundError(f'no recipe "{name}"{did_you_mean(name, shipped)}', expected=_EXPECTED)
    raise _no_such_file(path, shipped)


def read_text(path: Path) -> str:
    """The text of a recipe's file, without a byte order mark.

    Raises:
        NotFoundError: No such file.
        RecipeError: Too long, or not UTF-8 (with the place of the first bad byte).
        UsageError: The file may not be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(4 * MAX_CHARACTERS + 4)  # four bytes a character, and the mark
    except FileNotFoundError as error:
        raise _no_such_file(path, shipped_recipes()) from error
    except OSError as error:
        raise UsageError("cannot be read", where=path, got=error.strerror) from error
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if len(data) > 4 * MAX_CHARACTERS:
        message = f"longer than {MAX_CHARACTERS // 1024} kB; is this a recipe?"
        raise RecipeError([Problem(file=str(path), line=1, column=1, message=message)])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = line_and_column(before, len(before))
        message = f"not UTF-8 text (byte 0x{data[error.start]:02x})"
        problem = Problem(file=str(path), line=line, column=column, message=message)
        raise RecipeError([problem], next_step="a recipe is a YAML file, saved as UTF-8") from error


def _no_such_file(path: Path, shipped: dict[str, Path]) -> NotFoundError:
    neighbours: dict[str, Path] = {}
    if path.parent.is_dir():
        neighbours = {file.stem: file for file in sorted(path.parent.iterdir()) if file.suffix in _SUFFIXES}
    match = nearest(path.stem, neighbours)
    if match is not None:
        hint = f'; did you mean "{neighbours[match]}"?'
    elif path.stem in shipped:
        hint = f'; "{path.stem}" without folder and suffix is one that creuset ships'
    elif not path.parent.is_dir():
        hint = f"; there is no folder {path.parent}"
    else:
        names = ", ".join(file.name for file in neighbours.values())
        hint = f"; {path.parent} holds {names or 'no recipe'}"
    return NotFoundError(f"no recipe {path}{hint}", expected=_EXPECTED)
