"""The sandbox in which a stranger's chat template runs: jinja2's immutable one, with bounds on time and size.

jinja2's sandbox keeps a template from leaving its data and bounds ranges. It does not keep it from
`'x' * 10**9`, from texts doubled again and again, or from loops within loops. Here each turn of a loop, each
call, each operator and each thing that is put out goes through a budget of seconds and characters, and a
value that would be too large is refused before it is made.
"""

import json
import re
import time
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from creuset.errors import DataError

MAX_LENGTH = 10_000_000
"""Characters or items of one value, and the largest number that may be given to a function."""
_MAX_DIGITS = 4_000
_MAX_INDENT = 100
_LONG_NUMBER = re.compile(r"[0-9]{6}|\*|\{[^{}]*\{")
"""A width in a format string that could be large: six digits, or one given as an argument."""
_SIZED = (str, bytes, list, tuple)
_FILTERS_WITH_SIZES = ("batch", "center", "format", "indent", "join", "replace", "slice")


@dataclass(kw_only=True)
class Budget:
    """What one rendering may still use up.

    Args:
        seconds: How long it may take in all.
        characters: How many it may write in all, into the output or into variables.
    """

    seconds: float
    characters: int

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.seconds

    def spend(self, characters: int = 0) -> None:
        """Raises DataError once the time is over or too much was written."""
        self.characters -= characters
        if self.characters < 0:
            raise DataError("the chat template writes too much")
        if time.monotonic() > self._deadline:
            raise DataError("the chat template takes too long", got=f"more than {self.seconds:g} s")


class Generation(Extension):
    """`{% generation %}` marks what an assistant wrote; here it is rendered like the rest."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The statements between the marks."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class PlainNamespace(Namespace):
    """Jinja's namespace, without names that begin with an underscore."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace may not hold {name!r}")
        super().__setitem__(name, value)


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """The environment of one template: the functions that chat templates expect, and a budget.

    `budget` is set anew for each rendering.
    """

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        self.budget = Budget(seconds=float("inf"), characters=MAX_LENGTH)
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols, Generation],
            finalize=self._counted,
        )
        self.filters["tojson"] = to_json
        for name in _FILTERS_WITH_SIZES:
            self.filters[name] = _bounded(name, self.filters[name])
        self.globals.pop("lipsum")
        self.globals.update(raise_exception=_raise_exception, namespace=PlainNamespace)

    def guarded(self, items: Iterable[Any], characters: int) -> Iterator[Any]:
        """The items of a loop, whose each turn writes so many characters of its own."""
        for item in items:
            self.budget.spend(characters)
            yield item

    def joined(self, *values: Any) -> str:
        """`a ~ b`, within the budget."""
        texts = [str(value) for value in values]
        self.budget.spend(sum(map(len, texts)))
        return "".join(texts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An arithmetic operator; refused where its result would be too large."""
        self.budget.spend()
        _check_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call; the names are jinja2's, so that no argument can have them."""
        __self.budget.spend()
        check_arguments((*args, *kwargs.values()))
        if isinstance(__obj, types.BuiltinMethodType) and isinstance(__obj.__self__, _SIZED):
            _check_growth(__obj.__name__, (__obj.__self__, *args, *kwargs.values()))
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`format` of a text, refused where a width in it could be large."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _check_growth("format", (value.__self__,))
        return wrapped

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        """Compiles a template whose loops and joins ask the budget."""
        for loop in list(source.find_all(nodes.For)):
            literal = sum(len(data.data) for data in loop.find_all(nodes.TemplateData))
            arguments = [loop.iter, nodes.Const(literal)]
            loop.iter = nodes.Call(nodes.EnvironmentAttribute("guarded"), arguments, [], None, None)
        _replace_concat(source)
        source.set_environment(self)
        return super()._generate(source, name, filename, defer_init)

    def _counted(self, value: Any) -> Any:
        """What is put out, counted."""
        self.budget.spend(len(value) if isinstance(value, str) else 32)
        return value


def to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    """JSON without HTML escapes, and with characters as they are."""
    if indent is not None and not 0 <= indent <= _MAX_INDENT:
        raise jinja2.TemplateError(f"tojson(indent={indent}): at most {_MAX_INDENT}")
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def check_arguments(values: Iterable[Any]) -> None:
    """Refuses numbers with which a function could fill the memory.

    Raises:
        DataError: One is above MAX_LENGTH.
    """
    for value in values:
        if isinstance(value, int) and abs(value) > MAX_LENGTH:
            _refuse(f"{value} as an argument")


def _replace_concat(node: nodes.Node) -> None:
    """Turns each `a ~ b` below a node into a call of the environment."""
    for child in node.iter_child_nodes():
        _replace_concat(child)
    for name, value in list(node.iter_fields()):
        if isinstance(value, nodes.Concat):
            setattr(node, name, _join_call(value))
        elif isinstance(value, list):
            setattr(node, name, [_join_call(v) if isinstance(v, nodes.Concat) else v for v in value])


def _join_call(concat: nodes.Concat) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute("joined"), concat.nodes, [], None, None)


def _check_operator(sign: str, left: Any, right: Any) -> None:
    numbers = isinstance(left, int) and isinstance(right, int)
    if sign == "*" and numbers:
        if left.bit_length() + right.bit_length() > _MAX_DIGITS:
            _refuse("a product of large numbers")
    elif sign == "*":
        for value, times in ((left, right), (right, left)):
            if isinstance(value, _SIZED) and isinstance(times, int) and len(value) * times > MAX_LENGTH:
                _refuse(f"a text or list repeated {times} times")
    elif sign == "**" and numbers and right > 0 and left.bit_length() * right > _MAX_DIGITS:
        _refuse("a power of large numbers")
    elif sign == "+" and isinstance(left, _SIZED) and isinstance(right, _SIZED):
        if len(left) + len(right) > MAX_LENGTH:
            _refuse("a sum of long values")
    elif sign == "%" and isinstance(left, str):
        _check_growth("format", (left, right))


def _check_growth(name: str, arguments: Sequence[Any]) -> None:
    """Refuses calls of a method, or of the filter of the same name, that make too much of a value."""
    subject = arguments[0]
    length = len(subject) if isinstance(subject, _SIZED) else 0
    if name == "replace":
        added = max((len(value) for value in arguments[2:3] if isinstance(value, str)), default=0)
        size = length + (length + 1) * added
    elif name in ("expandtabs", "indent", "center", "ljust", "rjust", "zfill"):
        size = length * max((value for value in arguments[1:] if type(value) is int), default=8)
    elif name == "join":
        lists = [value for value in arguments if isinstance(value, list | tuple)]
        between = max((len(value) for value in arguments if isinstance(value, str)), default=0)
        size = sum(between + (len(item) if isinstance(item, str) else 32) for one in lists for item in one)
    elif name in ("format", "format_map"):
        if isinstance(subject, str) and _LONG_NUMBER.search(subject):
            _refuse("a format with a large width")
        size = length
    else:
        size = length
    if size > MAX_LENGTH:
        _refuse(f"{name} to as many as {size:,} characters")


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses sizes which are too large."""

    def checked(*args: Any, **kwargs: Any) -> Any:
        subject = [
            value for value in args if not isinstance(value, jinja2.Environment | Context | nodes.EvalContext)
        ]
        subject = [_as_list(value) if name == "join" else value for value in subject]
        check_arguments((*subject, *kwargs.values()))
        _check_growth(name, (*subject, *kwargs.values()))
        return function(*args, **kwargs)

    checked.__dict__.update(function.__dict__)  # what jinja2 is to pass along: context or environment
    return checked


def _as_list(value: Any) -> Any:
    return value if isinstance(value, str | list | tuple | int) or value is None else []


def _refuse(what: str) -> None:
    raise DataError("the chat template asks for too much", got=what, expected=f"at most {MAX_LENGTH:,}")


def _raise_exception(message: object) -> None:
    raise jinja2.TemplateError(str(message))
