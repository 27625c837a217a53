"""`creuset eval`: scores of a run, or of files of one's own, with intervals and signatures."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from creuset.cli.console import TerminalProgress, emit_json, json_option, next_step, say

if TYPE_CHECKING:
    from creuset.metrics.score import Score


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


OF_RUNS = ("suite", "data", "split", "importance_samples", "checkpoint")
"""Options that say how a run is measured."""

OF_FILES = ("metrics", "hypotheses", "references")
"""Options that say which files of one's own are measured."""


@click.command("eval")
@click.argument("run", required=False)
@click.option(
    "--suite",
    type=click.Choice(["classification", "images", "text"]),
    help="Which measures; default: what fits the model.",
)
@click.option("--data", help="Other data than the run's own; samples it was trained on are left out.")
@click.option("--split", help="Which part of the data; default: test, where there is one.")
@click.option(
    "--importance-samples",
    type=click.IntRange(min=1),
    help="Draws per picture for a bound on the likelihood; default: the recipe's.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides all draws.")
@click.option(
    "--checkpoint", default="best", show_default=True, help="best, last, or a name such as step-00000500."
)
@click.option("--metrics", help="Measure files instead of a run: names with commas, such as bleu,rouge.")
@click.option("--hypotheses", help="Generated texts, one a line in UTF-8; - for standard input.")
@click.option(
    "--references", multiple=True, help="What they should be, line by line; again for further references."
)
@click.option(
    "--min", "minimums", type=Minimum(), multiple=True, help="Exit 4 where a score misses this limit."
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    run: str | None,
    suite: str | None,
    data: str | None,
    split: str | None,
    importance_samples: int | None,
    seed: int,
    checkpoint: str,
    metrics: str | None,
    hypotheses: str | None,
    references: tuple[str, ...],
    minimums: tuple[tuple[str, float], ...],
    as_json: bool,
) -> None:
    """Measure RUN (an ID or a path) and keep the scores beside it, or measure files of your own."""
    from typing import cast

    _check_combination(ctx, run)
    floors: Sequence[Score] = ()
    with TerminalProgress() as progress:
        if run is None:
            scores = _measure_files(metrics, hypotheses, references, seed, progress)
            following = "creuset eval --help"
        else:
            from creuset.evaluation import Suite
            from creuset.workflows.evaluate import evaluate

            result = evaluate(
                run,
                suite=cast("Suite | None", suite),
                data=data,
                split=split,
                num_importance_samples=importance_samples,
                seed=seed,
                checkpoint=checkpoint,
                progress=progress,
            )
            scores, floors = result.scores, result.floors
            following = f"creuset runs show {run}"
    if as_json:
        emit_json({"scores": [score.to_json() for score in scores]})
    else:
        for score in scores:
            say(str(score))
        for floor in floors:
            say(f"for comparison: {floor}")
    if minimums:
        from creuset.workflows.evaluate import check_minimums

        check_minimums(scores, dict(minimums))
    next_step(following)


def _measure_files(
    metrics: str | None,
    hypotheses: str | None,
    references: tuple[str, ...],
    seed: int,
    progress: TerminalProgress,
) -> "list[Score]":
    from creuset.errors import UsageError
    from creuset.workflows.own_files import measure_texts

    if metrics is None or hypotheses is None:
        given, missing = (
            ("--metrics", "--hypotheses") if hypotheses is None else ("--hypotheses", "--metrics")
        )
        raise UsageError(
            f"{missing} is missing",
            got=given if metrics or hypotheses else "--references",
            expected="creuset eval --metrics bleu,rouge --hypotheses FILE --references FILE",
        )
    return measure_texts(
        [name.strip() for name in metrics.split(",")],
        hypotheses=hypotheses,
        references=references,
        seed=seed,
        progress=progress,
    )


def _check_combination(ctx: click.Context, run: str | None) -> None:
    """A run is measured, or files are: no option of the one with the other.

    Raises:
        UsageError: Nothing to measure, or an option that would have no effect.
    """
    from creuset.errors import UsageError

    given = [
        name
        for name in (*OF_RUNS, *OF_FILES)
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    for_files = [name for name in given if name in OF_FILES]
    if run is None and not for_files:
        raise UsageError(
            "nothing to measure",
            expected="a run, or files of your own",
            next_step="creuset runs lists the runs; for files: --metrics, --hypotheses, --references",
        )
    without_effect = for_files if run is not None else [name for name in given if name in OF_RUNS]
    if without_effect:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in without_effect)
        raise UsageError(
            f"{options} would have no effect: "
            + (f"the run {run} is measured" if run is not None else "files are measured, and no run"),
            next_step="leave RUN or these options out" if run is not None else "leave these options out",
        )
