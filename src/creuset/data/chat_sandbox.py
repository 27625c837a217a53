"""Where a stranger's chat template runs: jinja2's immutable sandbox, in a process that does nothing else.

`chat_process.py` starts this module as a process of its own and talks to it through its standard input and
output, in frames: a length of four bytes, then so many bytes.

    it      ready
    we      the template, once              it      compiled, or why not
    we      the variables of a rendering    it      the text, or why not

jinja2's sandbox keeps a template from leaving its data. It does not keep it from `'x' * 10**9`, or from loops
within loops; the operating system does: memory, time on the processor and files are limited before the
template is read (on macOS not the memory, which its system does not limit). Nothing but jinja2 and the
standard library is imported here, so that it starts soon.
"""

import datetime
import json
import math
import resource
import struct
import sys
import time
from typing import IO, Any, Literal

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

Kind = Literal["ready", "text", "syntax", "refused", "failed", "size"]
"""What a frame of an answer says, in its first bytes: that it is ready, a text, or what went wrong (the
template cannot be compiled, refuses the conversation, fails on it, or makes too much)."""

LENGTH = struct.Struct(">I")
_FAILURES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a template's own mistakes raise."""
_COMPILING_FAILURES = (*_FAILURES, SyntaxError)


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


def chat_environment() -> ImmutableSandboxedEnvironment:
    """The settings and functions that all writers of chat templates expect."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = to_json
    environment.globals.update(
        raise_exception=_raise_exception, namespace=PlainNamespace, strftime_now=_strftime_now
    )
    return environment


def to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    """JSON without HTML escapes, and with characters as they are."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def serve(max_memory_bytes: int, max_characters: int, seconds: float) -> None:
    """Compiles the template of the first frame and renders it for each that follows, until there is none.

    Args:
        max_memory_bytes: All memory that this process may have.
        max_characters: Of a rendered text.
        seconds: Time on the processor for each frame.
    """
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    if sys.platform != "darwin":  # whose system takes no notice of it, or refuses it
        limits[resource.RLIMIT_AS] = max_memory_bytes
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))
    _write(answers, "ready", "")
    template: jinja2.Template | None = None
    answer: tuple[Kind, str]
    while (frame := _read(source)) is not None:
        _allow(seconds)
        if template is None:
            found = _compiled(frame)
            template = found if isinstance(found, jinja2.Template) else None
            answer = ("ready", "") if isinstance(found, jinja2.Template) else found
        else:
            answer = _rendered(template, frame, max_characters)
        _write(answers, *answer)


def _compiled(source: bytes) -> jinja2.Template | tuple[Kind, str]:
    """The template, or why there is none: the line and what stands there."""
    try:
        return chat_environment().from_string(source.decode("utf-8", "surrogatepass"))
    except jinja2.TemplateSyntaxError as error:
        return "syntax", f"{error.lineno}\n{error.message}"
    except _COMPILING_FAILURES as error:
        return "failed", _named(error)
    except MemoryError:
        return "size", "more memory than it may have"


def _rendered(template: jinja2.Template, variables: bytes, max_characters: int) -> tuple[Kind, str]:
    """The text, or why there is none."""
    try:
        text = template.render(json.loads(variables))
    except jinja2.TemplateError as error:
        return "refused", error.message or type(error).__name__
    except _FAILURES as error:
        return "failed", _named(error)
    except MemoryError:
        return "size", "more memory than it may have"
    if len(text) > max_characters:
        return "size", f"{len(text):,} characters"
    return "text", text


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _allow(seconds: float) -> None:
    """So much time on the processor from now on; the system ends the process behind it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), hard))


def _read(source: IO[bytes]) -> bytes | None:
    """The next frame; None at the end."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return source.read(LENGTH.unpack(head)[0])


def _write(answers: IO[bytes], kind: Kind, text: str) -> None:
    content = f"{kind}\n{text}".encode("utf-8", "surrogatepass")
    answers.write(LENGTH.pack(len(content)))
    answers.write(content)
    answers.flush()


def _raise_exception(message: object) -> None:
    raise jinja2.TemplateError(str(message))


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(form)
