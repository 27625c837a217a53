"""A resolved recipe as text: every key, each value with its origin behind it."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile

import yaml

from creuset.recipe.composer import parse_scalar
from creuset.recipe.section import Section

_PLAIN = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./~+-]*")
_COMMENT_COLUMN = 40
"""Origins stand below each other from here on; a longer line has its own two blanks behind it."""

Leaf = tuple[tuple[str, ...], object]


def leaves(section: Section, path: tuple[str, ...]) -> Iterator[Leaf]:
    """Each value of a section and of the sections in it, with the keys that lead to it, in their order."""
    for key in section.recipe_keys():
        value = getattr(section, key)
        if isinstance(value, Section):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def flow(value: object) -> str:
    """A value as YAML on one line, which the reader understands as the same value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    raise TypeError(f"no YAML for {type(value).__name__}")


def resolved_yaml(head: Iterable[str], values: Iterable[Leaf], origins: Mapping[str, str]) -> str:
    """The lines of `head`, then each value below its keys, its origin as a comment."""
    lines = list(head)
    above: tuple[str, ...] = ()
    for path, value in values:
        *parents, key = path
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(parents, above, strict=False)))
        lines += ["  " * depth + f"{_text(parents[depth])}:" for depth in range(shared, len(parents))]
        above = tuple(parents)
        line = "  " * len(parents) + f"{_text(key)}: {flow(value)}"
        lines.append(f"{line.ljust(_COMMENT_COLUMN)}  # {origins[dotted(path)]}")
    return "\n".join(lines) + "\n"


def dotted(path: Iterable[str]) -> str:
    """The keys as `--set` takes them: training.num_steps."""
    return ".".join(path)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and isinstance(_parsed(text), str):
        return text
    # PyYAML escapes whatever a reader would not take as it is.
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf).rstrip("\n")


def _parsed(text: str) -> object:
    try:
        return parse_scalar(text)
    except ValueError:
        return None
