"""`creuset feedback`: judgements of people, recorded, counted, and turned into data to tune on."""

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from creuset.cli.console import emit_json, json_option, next_step, say, shown, table

if TYPE_CHECKING:
    from creuset.feedback import FeedbackStore, Judgement

_SHOWN = 48
"""Characters of a text in a list."""


@click.group()
def command() -> None:
    """Record which of two answers is better, and make data to tune on of it.

    Judgements lie in feedback.sqlite of the workspace. They are never changed.
    """


@command.command("add")
@click.option("--prompt", required=True, help="What both answers were given to.")
@click.option("--system", help="What the system said before.")
@click.option("--a", "first", required=True, metavar="TEXT", help="The first answer.")
@click.option("--b", "second", required=True, metavar="TEXT", help="The second answer.")
@click.option(
    "--verdict",
    required=True,
    type=click.Choice(["a", "b", "tie", "both_bad"]),
    help="Which answer is better.",
)
@click.option("--judge", default=None, help="Who says so; default: the name you are logged in by.")
@click.option("--run-a", help="The run or model that wrote the first answer.")
@click.option("--run-b", help="The run or model that wrote the second answer.")
@click.option(
    "--order",
    type=click.Choice(["ab", "ba"]),
    default="ab",
    show_default=True,
    help="Which answer was shown first.",
)
@click.option("--edit", help="A better answer of the judge's own.")
@json_option
def add_command(
    prompt: str,
    system: str | None,
    first: str,
    second: str,
    verdict: Any,
    judge: str | None,
    run_a: str | None,
    run_b: str | None,
    order: Any,
    edit: str | None,
    as_json: bool,
) -> None:
    """Record a judgement of two answers."""
    from creuset.feedback import Judgement

    before = [] if system is None else [{"role": "system", "content": system}]
    judgement = Judgement(
        prompt=[*before, {"role": "user", "content": prompt}],
        a=first,
        b=second,
        verdict=verdict,
        judge=getpass.getuser() if judge is None else judge,
        run_a=run_a,
        run_b=run_b,
        order_shown=order,
        edit=edit,
    )
    with _store(create=True) as store:
        number = store.add(judgement)
        if as_json:
            emit_json({"id": number, "file": str(store.path)})
        else:
            say(f"judgement {number} in {store.path}")
    next_step("creuset feedback stats")


@command.command("list")
@click.option("--run", help="Only judgements of answers of this run.")
@click.option("--judge", help="Only judgements of this judge.")
@json_option
def list_command(run: str | None, judge: str | None, as_json: bool) -> None:
    """List judgements in the order in which they were recorded."""
    with _store() as store:
        found = list(store.all(run=run, judge=judge))
    if as_json:
        emit_json({"judgements": [asdict(each) for each in found]})
    else:
        say(table(["id", "time", "judge", "verdict", "prompt", "a", "b"], list(map(_row, found))))
    next_step("creuset feedback export --to dpo --out pairs.jsonl")


@command.command("stats")
@json_option
def stats_command(as_json: bool) -> None:
    """Count verdicts and judges; rate the runs that were judged against each other."""
    from creuset.feedback import statistics

    with _store() as store:
        found = list(store.all())
    counts = statistics(found)
    scores, why_not = _ratings(found)
    if as_json:
        emit_json(
            {
                **asdict(counts),
                "scores": [score.to_json() for score in scores],
                "no_ratings": why_not,
            }
        )
    else:
        say(f"judgements  {counts.num_judgements:,}, {counts.num_edits:,} with an answer of the judge's own")
        say("verdicts    " + ", ".join(f"{name} {number:,}" for name, number in counts.verdicts.items()))
        judges = ", ".join(f"{name} {number:,}" for name, number in counts.judges.items())
        say(shown(f"judges      {judges}"))
        say(
            f"order       the answer shown first was preferred {counts.first_shown_preferred:,} times "
            f"of {counts.num_with_winner:,}"
        )
        for score in scores:
            say(shown(f"rating      {score}"))
        if why_not is not None:
            say(shown(f"rating      none: {why_not}"))
    next_step("creuset feedback export --to dpo --out pairs.jsonl")


@command.command("export")
@click.option(
    "--to",
    "form",
    required=True,
    type=click.Choice(["dpo", "kto", "sft"]),
    help="dpo: pairs of answers; kto: answers with good or bad; sft: conversations.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The .jsonl file to write; it must not exist. Default: print.",
)
@click.option("--run", help="Only judgements of answers of this run.")
@click.option("--judge", help="Only judgements of this judge.")
def export_command(form: Any, out: Path | None, run: str | None, judge: str | None) -> None:
    """Write judgements as records to tune on."""
    from creuset.errors import UsageError
    from creuset.feedback import as_json_lines, records
    from creuset.files import write_atomic

    if out is not None and out.exists():
        raise UsageError("this file exists already", where=out, next_step="remove it, or choose another name")
    with _store() as store:
        made = records(list(store.all(run=run, judge=judge)), form)
    text = as_json_lines(made)
    if out is None:
        say(shown(text.rstrip("\n")))
        return
    write_atomic(out, text)
    say(f"{out}: {len(made):,} records")
    next_step(f"creuset data validate {out}")


def _store(*, create: bool = False) -> "FeedbackStore":
    from creuset.assets import workspace
    from creuset.feedback import FEEDBACK_FILE, FeedbackStore

    return FeedbackStore(workspace() / FEEDBACK_FILE, create=create)


def _row(each: "Judgement") -> list[str]:
    texts = (each.prompt[-1]["content"], each.a, each.b)
    return [str(each.id), shown(each.time[:19]), _short(each.judge), each.verdict, *map(_short, texts)]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return shown(line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}...")


def _ratings(found: "list[Judgement]") -> tuple[list[Any], str | None]:
    """The runs' ratings in Elo units, or why there are none."""
    from creuset.errors import CreusetError
    from creuset.feedback import compared_runs
    from creuset.metrics.preference import Outcomes, elo_ratings

    compared = compared_runs(found)
    if not compared:
        return [], "no judgement names two runs"
    try:
        return list(elo_ratings(Outcomes.from_judgements(compared)).scores().values()), None
    except CreusetError as error:
        return [], error.message
