"""How `creuset data show --tokenizer` prints the tokens of a text."""

import sys
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from creuset.cli.console import emit_json, next_step, say

if TYPE_CHECKING:
    from creuset.workflows.show_tokens import Segment, ShownTokens

_BACKGROUNDS = ("bright_blue", "bright_yellow")
"""Behind one token and the next."""
_TAKEN = ("source", "tokenizer", "as_json")


def print_tokens(source: str, tokenizer: str, *, as_json: bool) -> None:
    """The text of a file with its tokens told apart, and how many bytes one stands for."""
    from creuset.workflows.show_tokens import show_tokens

    _refuse_other_options(click.get_current_context())
    shown = show_tokens(source, tokenizer)
    if as_json:
        emit_json(shown.to_json())
    else:
        in_colour = sys.stdout.isatty()
        say(_coloured(shown) if in_colour else _bracketed(shown))
        say(
            f"tokens    {len(shown.encoded.ids):,} of {shown.vocab_size:,} ids, "
            f"{shown.bytes_per_token:.2f} bytes per token"
        )
    next_step(f"creuset data show {source} --tokenizer {tokenizer} --json")


def _refuse_other_options(context: click.Context) -> None:
    """Refuses the options of `data show` that say how data for training is read."""
    from creuset.errors import UsageError

    for name in context.params:
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in _TAKEN:
            raise UsageError(
                "an option without effect: with --tokenizer the text is only cut into tokens",
                where=f"--{name.replace('_', '-')}",
                next_step="leave it out, or --tokenizer",
            )


def _coloured(shown: "ShownTokens") -> str:
    """Each token on a background of its own; a character of several tokens is underlined."""
    parts, number = [], 0
    for segment in shown.segments:
        if not segment.ids:
            parts.append(segment.text)
            continue
        background = _BACKGROUNDS[number % len(_BACKGROUNDS)]
        lines = segment.text.split("\n")  # a background must not run to the end of the line
        several = True if len(segment.ids) > 1 else None
        styled = (
            click.style(line, fg="black", bg=background, underline=several) if line else "" for line in lines
        )
        parts.append("\n".join(styled))
        number += 1
    return "".join(parts)


def _bracketed(shown: "ShownTokens") -> str:
    """Each token in brackets, `[..]x3` for a character of three tokens."""
    return "".join(_bracket(segment) for segment in shown.segments)


def _bracket(segment: "Segment") -> str:
    if not segment.ids:
        return segment.text
    times = f"x{len(segment.ids)}" if len(segment.ids) > 1 else ""
    return f"[{segment.text}]{times}"
