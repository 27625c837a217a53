"""`creuset eval`: scores with intervals and signatures."""

import math

import click

from creuset.cli.console import TerminalProgress, emit_json, json_option, next_step, say


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


@click.command("eval")
@click.argument("run")
@click.option(
    "--suite",
    type=click.Choice(["classification", "images"]),
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
@click.option(
    "--min", "minimums", type=Minimum(), multiple=True, help="Exit 4 where a score misses this limit."
)
@json_option
def command(
    run: str,
    suite: str | None,
    data: str | None,
    split: str | None,
    importance_samples: int | None,
    seed: int,
    checkpoint: str,
    minimums: tuple[tuple[str, float], ...],
    as_json: bool,
) -> None:
    """Measure RUN (an ID or a path) and keep the scores beside it."""
    from typing import cast

    from creuset.evaluation import Suite
    from creuset.workflows.evaluate import check_minimums, evaluate

    with TerminalProgress() as progress:
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
    if as_json:
        emit_json({"scores": [score.to_json() for score in result.scores]})
    else:
        for score in result.scores:
            say(str(score))
        for floor in result.floors:
            say(f"for comparison: {floor}")
    check_minimums(result.scores, dict(minimums))
    next_step(f"creuset runs show {run}")
