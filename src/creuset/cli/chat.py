"""`creuset chat`: a conversation in the terminal."""

import sys
from dataclasses import replace
from typing import Any

import click

from creuset.cli.console import adapter_option, if_it_is_there, next_step, note, shown

_DRIVERS = ("llamacpp", "native")
_PRECISIONS = ("float32", "bfloat16", "int8")
_TEMPERATURE, _TOP_P = 0.7, 0.95
"""For models whose files advise nothing: what reads well with most."""


@click.command("chat")
@click.argument("model")
@click.option("--system", help="What the model is told before the first turn.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Tokens of an answer; default: what fits.")
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    help="1 draws by the model's probabilities, 0 takes the likeliest token; default: the model's own, else "
    f"{_TEMPERATURE:g}.",
)
@click.option(
    "--top-p",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="The likeliest tokens that together hold this probability are drawn from; default: the model's own, "
    f"else {_TOP_P:g}.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides what is drawn."
)
@click.option("--stop", multiple=True, help="A text that ends an answer; may be given several times.")
@click.option(
    "--context", type=click.IntRange(min=1), help="Tokens of the conversation; default: up to 4096."
)
@click.option(
    "--engine",
    "driver",
    type=click.Choice(_DRIVERS),
    help="What computes; default: llamacpp for a GGUF file, native for a folder.",
)
@click.option(
    "--precision",
    type=click.Choice(_PRECISIONS),
    help="How the native engine stores weights; default: bfloat16.",
)
@adapter_option
def command(
    model: str,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    top_p: float | None,
    seed: int,
    stop: tuple[str, ...],
    context: int | None,
    driver: Any,
    precision: Any,
    adapters: tuple[str, ...],
) -> None:
    """Talk to MODEL: a run of creuset finetune, a GGUF file, a model's folder, or a name of `creuset models
    list`.

    Each line is a turn. /clear forgets the conversation, /exit or the end of the input ends it. Of several
    adapters the first is in use; /adapter NAME takes another one, /adapter A B adds both, /adapter none takes
    the base alone.
    """
    from creuset.engines.request import Request
    from creuset.generation.sampling import Sampling
    from creuset.workflows.chat import Conversation
    from creuset.workflows.language_handle import AdaptedEngine, named_folders
    from creuset.workflows.tuned_model import open_chat_engine

    given = {"temperature": temperature, "top_p": top_p, "seed": seed}
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with open_chat_engine(
        model,
        driver=driver,
        precision=precision,
        context_length=context,
        reuse_prompt=None,
        adapters=named_folders(adapters),
    ) as engine:
        description = engine.describe()
        own = description.sampling or Sampling(temperature=_TEMPERATURE, top_p=_TOP_P)
        # any prompt will do: a conversation puts its turns in its place
        settings = Request(prompt="-", max_tokens=max_tokens, sampling=replace(own, **said), stop=stop)
        conversation = Conversation(engine, settings, system=system)
        note(f"{description.name} by {description.driver}, {description.precision}; /clear, /exit")
        if isinstance(engine, AdaptedEngine):
            for remark in engine.handle.unproven:
                note(f"note: {remark}")
            note(_in_use(engine))
        while (line := _read_line()) is not None and line != "/exit":
            if line == "/clear":
                conversation.clear()
            elif line == "/adapter" or line.startswith("/adapter "):
                _switch(engine, line.split()[1:])
            elif line:
                _answer(conversation, line)
    next_step(f"creuset models show {model}")


def _switch(engine: Any, names: list[str]) -> None:
    """Puts other adapters in use; the conversation stays."""
    from creuset.errors import UsageError
    from creuset.workflows.language_handle import AdaptedEngine

    if not isinstance(engine, AdaptedEngine):
        note("creuset: no adapter was given: creuset chat MODEL --adapter NAME=FOLDER")
        return
    try:
        if names:
            engine.use(*([] if names == ["none"] else names))
        note(_in_use(engine))
    except UsageError as error:
        note(f"creuset: {error}")


def _in_use(engine: Any) -> str:
    handle = engine.handle
    return (
        f"adapters {', '.join(handle.adapters)}; in use: {', '.join(handle.in_use) or 'none'}; /adapter NAME"
    )


def _read_line() -> str | None:
    """The next turn, without its ends; None at the end of the input."""
    if sys.stdin.isatty():
        with if_it_is_there(2):
            click.echo("> ", nl=False, err=True)
    line = sys.stdin.readline()
    return line.strip() if line else None


def _answer(conversation: Any, line: str) -> None:
    """Shows an answer while it is made. A turn that cannot be answered is told, and not kept; Ctrl-C ends
    the answer, not the chat."""
    from creuset.errors import CreusetError

    pieces = None
    try:
        pieces = conversation.say(line)
        with if_it_is_there(1):
            for piece in pieces:
                if piece.text:
                    click.echo(shown(piece.text), nl=False)
            click.echo()
    except CreusetError as error:
        note(f"creuset: {error}\n  or: /clear")
    except KeyboardInterrupt:
        if pieces is not None:
            pieces.close()
        note("stopped; this turn is forgotten")
