"""The command line: one file a verb group, imported only when its verb is called.

`creuset --help` must answer without importing torch, so a verb's one-line help stands here, and its module
imports what it needs inside the command.
"""

import contextlib
import importlib
import os
import sys
from typing import NoReturn

import click

VERBS: dict[str, tuple[str, str]] = {
    "tour": ("creuset.cli.tour", "Train, sample, measure and report on real digits and text."),
    "doctor": ("creuset.cli.doctor", "Say what this machine has and what is missing."),
    "train": ("creuset.cli.train", "Train what a recipe describes, into a run folder."),
    "finetune": ("creuset.cli.finetune", "Tune a language model on your own data, into a run folder."),
    "runs": ("creuset.cli.runs", "List, show, follow, stop and remove runs."),
    "generate": ("creuset.cli.generate", "Draw samples, reconstructions or interpolations from a run."),
    "chat": ("creuset.cli.chat", "Talk to a language model in the terminal."),
    "index": ("creuset.cli.index", "Take documents in, so that they can be searched and asked."),
    "ask": ("creuset.cli.ask", "Ask your documents; each sentence of the answer is proved by a quote."),
    "eval": ("creuset.cli.evaluate", "Measure a run, or files of your own, with intervals and signatures."),
    "neighbours": ("creuset.cli.neighbours", "Show the words whose vectors are nearest to a word."),
    "compare": ("creuset.cli.compare", "Test runs against each other: better, worse, or cannot tell apart."),
    "export": ("creuset.cli.export", "Write a language model for other programs, with a proof."),
    "feedback": ("creuset.cli.feedback", "Record which answers are better; make data to tune on of it."),
    "models": ("creuset.cli.models", "Pull, list, show, verify and remove models and data by name."),
    "data": ("creuset.cli.data", "Show, validate and split data before training on it."),
    "config": ("creuset.cli.config", "Show where a recipe's values come from; print its JSON Schema."),
    "completion": ("creuset.cli.completion", "Print the completion script of your shell."),
}
"""verb -> (module that defines `command`, one line of help)"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, and not for `--help`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(VERBS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from creuset.errors import did_you_mean

            ctx.fail(f'no verb "{args[0]}"{did_you_mean(args[0], VERBS)}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, help_line) for verb, (_, help_line) in VERBS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="creuset")
@click.option("--offline", is_flag=True, help="Never use the network, as CREUSET_OFFLINE=1 does.")
def cli(offline: bool) -> None:
    """creuset: train, generate, evaluate and report generative models on your own machine.

    Exit codes: 0 done, 1 failed while working, 2 usage or configuration, 3 not found, 4 a gate said no,
    5 out of memory or disk, 6 blocked, 130/143 (129 by a closed terminal) stopped after a clean checkpoint.
    """
    if offline:
        import os

        os.environ["CREUSET_OFFLINE"] = "1"


def main() -> None:
    """Run the command line; a creuset error becomes a sentence on stderr and its exit code."""
    try:
        _run()
    except SystemExit as end:
        if os.environ.get("WORLD_SIZE", "1") != "1":
            _leave(end)
        raise


def _leave(end: SystemExit) -> NoReturn:
    """Ends one of several processes of a training at once.

    A thread of gloo may still be giving up a tensor, for which it wants Python's lock: an ordinary end would
    abort the process then (https://github.com/pytorch/pytorch/pull/179291).
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    code = end.code
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _run() -> None:
    from creuset.cli.console import fail, if_it_is_there, system_failure
    from creuset.errors import CreusetError, ResourceError

    try:
        # click's own ending would make an interrupt exit code 1
        sys.exit(cli.main(prog_name="creuset", standalone_mode=False))
    except click.ClickException as error:
        with if_it_is_there(2):
            error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        with if_it_is_there(2):
            click.echo("creuset: interrupted", err=True)
        sys.exit(130)
    except CreusetError as error:
        fail(error)
    except MemoryError as error:
        fail(ResourceError("out of memory", got=str(error) or None, next_step="work on less at once"))
    except PermissionError as error:
        fail(CreusetError("this may not be read or written", where=error.filename, got=error.strerror))
    except OSError as error:
        fail(system_failure(error))
