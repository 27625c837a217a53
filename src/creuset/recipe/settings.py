"""Values given beside a recipe: `--set training.num_steps=400`, or a mapping of the Python API."""

import numbers
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from creuset.errors import Problem
from creuset.recipe.composer import compose
from creuset.recipe.render import flow
from creuset.recipe.tree import Entry, Node, Place, Scalar, printable, text_fault

Settings = Mapping[str, object] | Sequence[str]
_FLAG, _ARGUMENT = "--set", "settings"
PASSED_BY = (_FLAG, _ARGUMENT)
"""Origins of what is given beside a recipe."""


def settings_tree(settings: Settings) -> tuple[Node | None, list[Problem]]:
    """All settings as one tree, to be laid over a recipe's, and what is wrong with them.

    The tree is None where there are none.

    Args:
        settings: "section.key=value" texts, whose values are read as in a recipe; or dotted keys with Python
            values. A section's keys may also be given at once, in either form.
    """
    problems: list[Problem] = []
    root: Node | None = None
    if isinstance(settings, Mapping):
        branches = [_from_python(key, value, problems) for key, value in settings.items()]
    else:
        texts = [settings] if isinstance(settings, str) else settings
        branches = [_from_text(text, problems) for text in texts]
    for branch in branches:
        if branch is not None:
            root = branch if root is None else _joined(root, branch, "", problems)
    return root, problems


def _from_text(text: str, problems: list[Problem]) -> Node | None:
    keys, equals, value = text.partition("=")
    before = len(keys) + 1
    shown = f"--set {printable(text)}"

    def place(line: int, column: int) -> Place:
        return Place(file=shown, line=line, column=column + (before if line == 1 else 0), origin=_FLAG)

    start = Place(file=shown, line=1, column=1, origin=_FLAG)
    if not equals:
        problems.append(start.problem('expected KEY=VALUE, such as "training.seed=1"'))
        return None
    written = compose(value, place)
    problems.extend(written.problems)
    if written.problems:
        return None
    root = written.root or Node(place=place(1, 1), value=None)
    if value[written.end :].strip():
        column = written.end + len(value[written.end :]) - len(value[written.end :].lstrip()) + 1
        problems.append(place(1, column).problem("a # begins a comment here; put the value in quotes"))
        return None
    return _branch(keys, root, start, problems)


def _from_python(key: str, value: object, problems: list[Problem]) -> Node | None:
    start = Place(file=f'settings["{printable(key)}"]', line=1, column=1, origin=_ARGUMENT)
    try:
        node = _python_node(value, start)
    except TypeError as error:
        problems.append(start.problem(str(error)))
        return None
    return _branch(key, node, start, problems)


def _python_node(value: object, place: Place) -> Node:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or not key or text_fault(key) is not None:
                raise TypeError(f"a key must be a name, got {printable(repr(key))}")
        entries = {key: Entry(place=place, node=_python_node(item, place)) for key, item in value.items()}
        return Node(place=place, value=entries)
    if isinstance(value, list | tuple):
        return Node(place=place, value=tuple(_python_node(item, place) for item in value))
    scalar = _python_scalar(value)
    return Node(place=place, value=scalar, text=scalar if isinstance(scalar, str) else flow(scalar))


def _python_scalar(value: object) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)  # numpy's numbers too
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, str | PurePath):
        text = str(value)
        if (fault := text_fault(text)) is not None:
            raise TypeError(f"the text {fault}")
        return text
    raise TypeError(f"expected a text, number, boolean, None, list or mapping, got {type(value).__name__}")


def _branch(keys: str, leaf: Node, start: Place, problems: list[Problem]) -> Node | None:
    """The tree that holds `leaf` alone, below its dotted keys."""
    entries: list[tuple[str, Place]] = []
    column = 1
    for part in keys.split("."):
        indent = len(part) - len(part.lstrip())
        place = Place(file=start.file, line=1, column=column + indent, origin=start.origin)
        if not part.strip():
            problems.append(place.problem("expected a key, such as training.seed"))
            return None
        entries.append((part.strip(), place))
        column += len(part) + 1
    for key, place in reversed(entries):
        leaf = Node(place=place, value={key: Entry(place=place, node=leaf)})
    return leaf


def _joined(first: Node, second: Node, path: str, problems: list[Problem]) -> Node:
    """Both trees in one; a value that both of them give is a problem."""
    if not isinstance(first.value, dict) or not isinstance(second.value, dict):
        problems.append(second.place.problem(f"{path} is set twice; first by {first.place.file}"))
        return first
    entries = dict(first.value)
    for key, entry in second.value.items():
        known = entries.get(key)
        if known is not None:
            inner = _joined(known.node, entry.node, f"{path}.{key}" if path else key, problems)
            entry = Entry(place=known.place, node=inner)
        entries[key] = entry
    return Node(place=first.place, value=entries)
