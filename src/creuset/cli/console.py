"""What the command line prints and how: results on stdout, progress and errors on stderr, one JSON form."""

import errno
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TextIO, TypeVar

import click

from creuset.errors import CreusetError, Interrupted, ResourceError
from creuset.progress import TRAINED_BEGIN, TRAINED_END

F = TypeVar("F", bound=Callable[..., Any])

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a terminal may obey, and halves of characters, which no terminal can be sent."""
_TRAINED = re.compile(f"{TRAINED_BEGIN}([^{TRAINED_BEGIN}{TRAINED_END}]+){TRAINED_END}")
_LINE_SECONDS = 10.0
"""Where stderr is no terminal, a line of progress appears at most this often."""

SUITES = ("classification", "images", "modes", "text", "pairs", "masked", "retrieval", "analogies", "tuning")
"""Those of recipe/sections.py, which help need not import."""


class Minimum(click.ParamType["tuple[str, float]"]):
    """metric=value."""

    name = "metric=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        metric, _, number = str(value).partition("=")
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if not metric or not math.isfinite(limit):
            self.fail(f'"{value}" is no limit; write accuracy=0.97', param, ctx)
        return metric, limit


def json_option(function: F) -> F:
    """`--json` for each verb that reads."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(
        function
    )


def adapter_option(function: F) -> F:
    """`--adapter` for each verb that talks to a language model."""
    return click.option(
        "--adapter",
        "adapters",
        multiple=True,
        metavar="[NAME=]FOLDER",
        help="A PEFT folder of low-rank updates of a language model that others trained; again for "
        "further ones.",
    )(function)


def process_number() -> int:
    """Which of torchrun's processes this is; the first, 0, speaks for all."""
    return int(os.environ.get("RANK", "0"))


def emit_json(document: Any) -> None:
    """One JSON document on stdout; NaN and infinities are refused, since JSON has none."""
    say(shown(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)))


@contextmanager
def if_it_is_there(descriptor: int) -> Iterator[None]:
    """What is written to a terminal or a pipe that was closed is dropped: nobody is left to read it, and a
    training that still makes its checkpoint must not fail for that.

    Args:
        descriptor: 1 for stdout, 2 for stderr.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EIO, errno.EPIPE):
            raise
        _drop(descriptor)


def _drop(descriptor: int) -> None:
    """Sends what is written to 1, stdout, or 2, stderr, nowhere from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def shown(text: str) -> str:
    """Text of a model or a stranger's file, with control characters other than line breaks and tabs as
    \\u001b: raw, they would steer the terminal. JSON stays the same JSON."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def in_colours(text: str, stream: TextIO) -> str:
    """What is trained of a text in colour in place of its marks, where a terminal shows it."""
    if not stream.isatty():
        return text
    return _TRAINED.sub(lambda found: click.style(found[1], fg="bright_green"), text)


def say(text: str) -> bool:
    """A result, on stdout.

    Returns:
        Whether somebody may read it: False once the other end was closed, as by `creuset runs log | head`.
    """
    heard = False
    if process_number() == 0:
        with if_it_is_there(1):
            click.echo(text)
            heard = True
    return heard


def note(text: str) -> None:
    """A line beside the result, on stderr."""
    if process_number() == 0:
        with if_it_is_there(2):
            click.echo(in_colours(shown(text), sys.stderr), err=True)


def next_step(command: str) -> None:
    """The next useful command, with which each verb ends."""
    note(f"next: {command}")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Plain aligned columns: readable on a screen and by other programs."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        [str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)] for row in [header, *rows]
    ]
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


def fail(error: CreusetError) -> None:
    """The error as a person reads it, on stderr, and the end of the program with its exit code."""
    number = process_number()
    with if_it_is_there(2):
        if number == 0:
            click.echo(in_colours(shown(f"creuset: {error}"), sys.stderr), err=True)
        elif not isinstance(error, Interrupted):  # what stops all processes is told by the first
            click.echo(shown(f"creuset, process {number}: {error}"), err=True)
    raise SystemExit(error.exit_code)


def system_failure(error: OSError) -> CreusetError:
    """What the operating system refused where nobody foresaw it, as an error for `fail`.

    Where stdout itself takes nothing more, what is still to be written there is dropped, or the interpreter
    would try it again at its end.
    """
    try:
        sys.stdout.flush()
    except OSError:
        _drop(1)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(
            "the disk is full",
            where=error.filename,
            got=error.strerror,
            next_step="free some space, then go on from what was saved",
        )
    return CreusetError("the system refused", where=error.filename, got=error.strerror or str(error))


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.8 s, 42 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class TerminalProgress:
    """Progress on stderr: a bar with the time left on a terminal, now and then a line elsewhere.

    As a context manager it leaves the terminal as it was, however the block ends.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._name = ""
        self._unit = ""
        self._total: float | None = None
        self._begin = 0.0
        self._last_line = 0.0

    def start(self, task: str, total: float | None, unit: str) -> None:
        self.finish()
        self._name, self._unit, self._total = task, unit, total
        self._begin = self._last_line = time.monotonic()
        if sys.stderr.isatty() and process_number() == 0:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            counts = [DownloadColumn(), TransferSpeedColumn()] if unit == "B" else [MofNCompleteColumn()]
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                *counts,
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[values]}"),
                console=Console(stderr=True),
                transient=True,
            )
            with if_it_is_there(2):
                self._bar.start()
            self._task = self._bar.add_task(task, total=total, values="")

    def advance(self, done: float, values: Mapping[str, float] | None = None) -> None:
        shown = " ".join(f"{name} {value:.4g}" for name, value in (values or {}).items())
        if self._bar is not None:
            fields = {"values": shown} if shown else {}
            with if_it_is_there(2):
                self._bar.update(self._task, completed=done, **fields)
            return
        now = time.monotonic()
        if now - self._last_line >= _LINE_SECONDS:
            self._last_line = now
            note(self._line(done, now - self._begin, shown))

    def finish(self) -> None:
        if self._bar is not None:
            with if_it_is_there(2):
                self._bar.stop()
            self._bar = None

    def say(self, message: str) -> None:
        note(message)

    def _line(self, done: float, seconds: float, shown: str) -> str:
        if self._unit == "B":
            amount = f"{done / 1e6:.1f} MB" + (f" of {self._total / 1e6:.1f} MB" if self._total else "")
        else:
            amount = f"{done:.0f}" + (f"/{self._total:.0f}" if self._total else "") + f" {self._unit}"
        left = ""
        if self._total and done > 0:
            left = f", {duration(seconds * (self._total - done) / done)} left"
        return f"{self._name}: {amount}, {duration(seconds)}{left}" + (f"  {shown}" if shown else "")
