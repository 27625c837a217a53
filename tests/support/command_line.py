"""The `creuset` command run in this process, and all of its pages."""

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from unittest import mock

import click

from creuset.cli import cli, main


@dataclass(frozen=True)
class Answer:
    """What a command gave back: exit code, stdout, stderr, and both as a terminal shows them."""

    exit_code: int
    stdout: str
    stderr: str
    terminal: str


class _Tee(io.StringIO):
    """Keeps what is written, and passes it on to what both streams share."""

    def __init__(self, shared: io.StringIO) -> None:
        super().__init__()
        self._shared = shared

    def write(self, text: str) -> int:
        self._shared.write(text)
        return super().write(text)


def run_command(words: Sequence[str]) -> Answer:
    """`creuset WORDS` through main(), as the installed command calls it; an unexpected error raises."""
    terminal = io.StringIO()
    stdout, stderr = _Tee(terminal), _Tee(terminal)
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["creuset", *words]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int | None)
    return Answer(code or 0, stdout.getvalue(), stderr.getvalue(), terminal.getvalue())


@cache
def help_pages() -> dict[str, click.Command]:
    """Every command by its words after `creuset`: "", "train", "runs", "runs list" and so on."""
    pages: dict[str, click.Command] = {}

    def visit(words: str, command: click.Command, context: click.Context) -> None:
        pages[words] = command
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                visit(f"{words} {name}".strip(), inner, click.Context(inner, parent=context, info_name=name))

    visit("", cli, click.Context(cli, info_name="creuset"))
    return pages
