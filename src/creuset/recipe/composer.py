"""A recipe's text as a tree of values that know where they stand.

PyYAML composes the text, which gives positions; what a plain scalar means is decided here by the core schema
of YAML 1.2.2 (section 10.3.2), so `1e-4` is a number, `010` is ten and `no` is a text. Departures from YAML,
each refused by name:

- one document, whose root has keys;
- no tags and no merge keys (`<<`); anchors are allowed;
- each key is a name, given once;
- a limit on size, depth and, because anchors can make a small file expand without end, on values.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from creuset.errors import Problem
from creuset.recipe.tree import Entry, Node, Place, Scalar, quoted, text_fault

MAX_CHARACTERS = 256 * 1024
"""The longest recipe that is read: a resolved one has about 4 kB, a data file named by mistake far more."""
MAX_DEPTH = 16
MAX_VALUES = 10_000

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_INTEGER_LIMIT = 2**63

_SYNTAX = (
    # (what PyYAML says, what a recipe's author should read, whether the place is where the construct began)
    (r"'\t' that cannot start", "a tab cannot stand here; indent with spaces", False),
    ("that cannot start any token", "a text that begins with this character needs quotes", False),
    ("undefined alias", "no such anchor; a text that begins with * needs quotes", False),
    (
        "mapping values are not allowed",
        'a ":" where none can be: a wrong indent, or a text without quotes',
        False,
    ),
    ("could not find expected ':'", 'a key without ": "', True),
    ("expected <block end>", "the indent fits no line above", False),
    ("expected ',' or ']'", 'a list without its "]"', True),
    ("expected ',' or '}'", 'keys without their "}"', True),
    ("unexpected end of stream", "a quote that is not closed", True),
    ("found '<stream end>'", "the recipe ends inside a list or keys", False),
    ("nested more than", f"nested more than {MAX_DEPTH} deep", False),
    ("more values than", f"more than {MAX_VALUES} values", False),
    ("incompatible YAML document", "a YAML version that is not 1.x", False),
)


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a text says: its root (None where the text is empty or cannot be read) and what is wrong with it.

    Args:
        root: The tree.
        problems: Everything found wrong so far; what follows them is still checked.
        end: How many characters the root reaches; behind it stand only blanks and comments.
    """

    root: Node | None
    problems: tuple[Problem, ...]
    end: int = 0


def parse_scalar(text: str) -> Scalar:
    """What an unquoted scalar means in YAML 1.2's core schema. Raises ValueError for a too large integer."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        # Checked first: Python refuses to convert thousands of digits.
        value = int(text, base) if len(text) <= 64 else _INTEGER_LIMIT
        if not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
            raise ValueError("a whole number must lie between -2^63 and 2^63 - 1")
        return value
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    return math.nan if text in _NAN else text


def compose(text: str, place: Callable[[int, int], Place]) -> Written:
    """The tree of a YAML text; `place` makes a Place of a line and a column, both counted from 1."""
    if len(text) > MAX_CHARACTERS:
        return Written(
            root=None,
            problems=(place(1, 1).problem(f"longer than {MAX_CHARACTERS // 1024} kB; is this a recipe?"),),
        )
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        line, column = line_and_column(text, error.position)
        message = f"a character that YAML does not allow (U+{ord(text[error.position]):04X})"
        return Written(root=None, problems=(place(line, column).problem(message),))
    try:
        root = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            loader.refuse(loader.next_event()[1], "a second document; a recipe is one")
    except yaml.MarkedYAMLError as error:
        mark, message = _plain_words(error)
        loader.refuse(mark or loader.get_mark(), message)
        root = None
    except (ValueError, OverflowError):
        # PyYAML turns \U escapes and the digits of %YAML into numbers without checking them.
        loader.refuse(loader.get_mark(), "an escape or a version that stands for nothing")
        root = None
    finally:
        loader.dispose()
    builder = _Builder(place)
    builder.problems += [place(mark.line + 1, mark.column + 1).problem(told) for mark, told in loader.refused]
    if root is None:
        return Written(root=None, problems=tuple(builder.problems))
    tree = builder.node(root, depth=1)
    return Written(root=tree, problems=tuple(dict.fromkeys(builder.problems)), end=root.end_mark.index)


class _Loader(yaml.BaseLoader):
    """PyYAML's composer, which gives no plain scalar a type, notes tags, and never recurses deeply."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.refused: list[tuple[yaml.Mark, str]] = []
        self._depth = 0
        self._num_nodes = 0

    def refuse(self, mark: yaml.Mark, message: str) -> None:
        self.refused.append((mark, message))

    def next_event(self) -> tuple[yaml.Event, yaml.Mark]:
        """What comes next, without taking it, and where it begins."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        assert isinstance(event.start_mark, yaml.Mark)
        return event, event.start_mark

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event, mark = self.next_event()
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.refuse(mark, f"a tag ({quoted(tag)}) has no meaning in a recipe; leave it out")
        self._num_nodes += 1
        if self._depth == MAX_DEPTH:
            raise yaml.composer.ComposerError(problem="nested more than allowed", problem_mark=mark)
        if self._num_nodes > MAX_VALUES:
            raise yaml.composer.ComposerError(problem="more values than allowed", problem_mark=mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Builder:
    """Turns PyYAML's nodes into ours, with scalars understood and keys checked."""

    def __init__(self, place: Callable[[int, int], Place]) -> None:
        self.problems: list[Problem] = []
        self._place = place
        self._num_lists = 0
        self._around: set[int] = set()

    def node(self, node: yaml.Node, depth: int) -> Node:
        place = self._at(node)
        if isinstance(node, yaml.ScalarNode):
            return Node(place=place, value=self._scalar(node, place), text=node.value)
        # The composer has counted what is written; only anchors can make it more, or deeper, here.
        self._num_lists += 1
        if id(node) in self._around or self._num_lists > MAX_VALUES or depth > MAX_DEPTH:
            self.problems.append(place.problem("an anchor inside itself, or anchors that expand to too much"))
            return Node(place=place, value=None)
        self._around.add(id(node))
        value: tuple[Node, ...] | dict[str, Entry]
        if isinstance(node, yaml.MappingNode):
            value = self._entries(node, depth)
        else:
            value = tuple(self.node(item, depth + 1) for item in node.value)
        self._around.remove(id(node))
        return Node(place=place, value=value)

    def _at(self, node: yaml.Node) -> Place:
        return self._place(node.start_mark.line + 1, node.start_mark.column + 1)

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Scalar:
        text: str = node.value
        try:
            value = text if node.style is not None else parse_scalar(text)
        except ValueError as error:
            self.problems.append(place.problem(f"{error}, got {quoted(text)}"))
            return None
        if isinstance(value, str) and (fault := text_fault(value)) is not None:
            self.problems.append(place.problem(f"the text {fault}"))
        return value

    def _entries(self, node: yaml.MappingNode, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            place = self._at(key_node)
            fault = _key_fault(key_node)
            if fault is not None:
                self.problems.append(place.problem(fault))
                continue
            key = key_node.value
            if key in entries:
                first = entries[key].place
                where = f"line {first.line}, column {first.column}"
                self.problems.append(place.problem(f"the key {quoted(key)} is given twice; first at {where}"))
                continue
            entries[key] = Entry(place=place, node=self.node(value_node, depth + 1))
        return entries


def _key_fault(node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        return "a key must be a name, not a list or keys"
    if node.style is None and node.value == "<<":
        return 'the merge key "<<" is not part of a recipe; write the keys out'
    if not node.value or (node.style is None and node.value in _NULLS):
        return "a key must be a name"
    fault = text_fault(node.value)
    return None if fault is None else f"the key {fault}"


def _plain_words(error: yaml.MarkedYAMLError) -> tuple[yaml.Mark | None, str]:
    said = error.problem or ""
    for part, words, at_beginning in _SYNTAX:
        if part in said:
            mark = error.context_mark if at_beginning else error.problem_mark
            return mark or error.problem_mark, words
    return error.problem_mark or error.context_mark, f"not YAML: {said}"


def line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
