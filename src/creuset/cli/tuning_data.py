"""How `creuset data validate` prints a file to tune on."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from creuset.cli.console import emit_json, in_colours, next_step, say
from creuset.cli.console import shown as harmless
from creuset.progress import TRAINED_BEGIN, TRAINED_END

if TYPE_CHECKING:
    from creuset.data.conversations import Form
    from creuset.workflows.tuning_data import LookedAt

_MOST_CHARACTERS = 2_000
_TAKEN = ("source", "base", "template", "as_json")


def validate_tuning(source: str, base: str | None, template: str | None, *, as_json: bool) -> None:
    """The form of a file to tune on; with a base what the gate finds, and a row as it is trained.

    Raises:
        GateError: A fatal finding.
    """
    from creuset.workflows.tuning_data import look_at

    _refuse_other_options(click.get_current_context())
    looked = look_at(Path(source), base, template)
    if as_json:
        emit_json(looked.to_json())
    else:
        _print(looked)
    if looked.report is not None:
        looked.report.require()
    if base is None:
        next_step(_next(looked.file.form, source))


def _next(form: "Form", source: str) -> str:
    """What can be done with records of a form."""
    from creuset.data.conversations import INSTEAD, PAIR_FORMS

    if form in PAIR_FORMS:
        return f"creuset data validate {source} --base minilm"
    if form == "labelled":
        return f"creuset data validate {source} --base minilm"
    return INSTEAD.get(form, f"creuset data validate {source} --base smollm2-135m")


def _refuse_other_options(context: click.Context) -> None:
    """Refuses the options of `data validate` that say how other data is read and split."""
    from creuset.errors import UsageError

    for name in context.params:
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in _TAKEN:
            raise UsageError(
                "an option without effect: these are records to tune a language model on",
                where=f"--{name.replace('_', '-')}",
                next_step="leave it out",
            )


def _print(looked: "LookedAt") -> None:
    say(harmless(f"form      {looked.file.told}"))
    report = looked.report
    if report is None:
        return
    say(f"rows      {report.told}")
    say(f"first     {_row(looked)}")
    fatal = sum(finding.fatal for finding in report.findings)
    say(f"gate      {fatal} fatal, {len(report.findings) - fatal} worth knowing")
    for finding in report.findings:
        if not finding.fatal:
            say(harmless(f"    {finding}"))


def _row(looked: "LookedAt") -> str:
    """The first row, what is trained of it coloured, or between marks where there are no colours."""
    parts = []
    for text, trained in looked.sample:
        shown = harmless(text[:_MOST_CHARACTERS].replace("\n", "\\n"))
        parts.append(f"{TRAINED_BEGIN}{shown}{TRAINED_END}" if trained else shown)
    return in_colours("".join(parts), sys.stdout)
