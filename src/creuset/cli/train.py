"""`creuset train`: a recipe becomes a run folder."""

import re
from typing import TYPE_CHECKING

import click

from creuset.cli.console import TerminalProgress, duration, emit_json, json_option, next_step, say, table

if TYPE_CHECKING:
    from creuset.workflows.estimate import Estimate
    from creuset.workflows.rehearse import DryRun
    from creuset.workflows.train import Run

_UNITS = {"s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """90s, 10m or 2h, as seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value))
        if match is None or float(match[1]) <= 0:
            self.fail(f'"{value}" is no duration; write 90s, 10m or 2h', param, ctx)
        return float(match[1]) * _UNITS[match[2] or "s"]


@click.command("train")
@click.argument("recipe", required=False)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A value in place of the recipe's."
)
@click.option("--name", help="The run's ID under runs/, or a path; default: the recipe's name.")
@click.option("--seed", type=click.IntRange(min=0), help="In place of the recipe's training.seed.")
@click.option("--max-time", type=Duration(), help="Checkpoint and stop after 90s, 10m or 2h of training.")
@click.option("--resume", metavar="RUN", help="Go on with a run from its last good checkpoint.")
@click.option("--dry-run", is_flag=True, help="Two real steps (or a small fit), save, reload, and a proof.")
@click.option("--estimate", is_flag=True, help="Measure ten seconds; say how long each part takes.")
@click.option(
    "--no-eval", is_flag=True, help="Do not evaluate afterwards, nor write a report where there is none."
)
@json_option
def command(
    recipe: str | None,
    settings: tuple[str, ...],
    name: str | None,
    seed: int | None,
    max_time: float | None,
    resume: str | None,
    dry_run: bool,
    estimate: bool,
    no_eval: bool,
    as_json: bool,
) -> None:
    """Train what RECIPE describes (a YAML file, or the name of a shipped recipe).

    The run folder is runs/ID in the workspace: resolved recipe, journal, checkpoints, samples, scores and
    report.html. Ctrl-C once stops after a clean checkpoint.
    """
    if resume is not None:
        if recipe is not None or settings or name is not None or seed is not None:
            raise click.UsageError("--resume takes recipe, settings, name and seed from the run itself")
        if dry_run or estimate:
            raise click.UsageError("--resume goes on with a run; --dry-run and --estimate come before one")
    elif recipe is None:
        raise click.UsageError("which recipe? A YAML file, or the name of a shipped one (see recipes/)")
    if dry_run and estimate:
        raise click.UsageError("--dry-run or --estimate, not both")
    if dry_run:
        _dry_run(recipe, settings, seed, as_json)
    elif estimate:
        _estimate(recipe, settings, seed, as_json)
    else:
        _train(recipe, settings, name, seed, max_time, resume, not no_eval, as_json)


def _train(
    recipe: str | None,
    settings: tuple[str, ...],
    name: str | None,
    seed: int | None,
    max_seconds: float | None,
    resume: str | None,
    measure: bool,
    as_json: bool,
) -> None:
    from creuset.workflows import train as workflow

    with TerminalProgress() as progress:
        if resume is not None:
            run = workflow.resume(resume, max_seconds=max_seconds, measure=measure, progress=progress)
        else:
            assert recipe is not None
            run = workflow.train(
                recipe,
                name=name,
                seed=seed,
                settings=settings,
                max_seconds=max_seconds,
                measure=measure,
                progress=progress,
            )
    show_run(run, measured=measure, as_json=as_json)


def show_run(run: "Run", *, measured: bool, as_json: bool) -> None:
    """How a training ended, and its scores."""
    outcome, folder = run.outcome, run.folder
    if as_json:
        emit_json(
            {
                "run": folder.id,
                "path": str(folder.path),
                "step": outcome.step,
                "reason": outcome.reason,
                "seconds": outcome.seconds,
                "scores": [score.to_json() for score in run.scores],
                "outdated_scores": run.outdated_scores,
            }
        )
        return
    words = {"finished": "finished", "early_stop": "stopped early: no better validation for a while"}
    how = words.get(outcome.reason, "stopped: the time is over")
    say(f"{folder.path}: {how} after {outcome.step} steps, {duration(outcome.seconds)}")
    for score in run.scores:
        say(f"  {score}")
    for sentence in run.outdated_scores:
        say(f"  {sentence}")
    if outcome.reason == "max_time":
        next_step(f"creuset train --resume {folder.reference}")
    elif measured:
        next_step(f"open {folder.report_path}")
    else:
        next_step(f"creuset eval {folder.reference}")


def _dry_run(recipe: str | None, settings: tuple[str, ...], seed: int | None, as_json: bool) -> None:
    from creuset.workflows.rehearse import dry_run

    assert recipe is not None
    with TerminalProgress() as progress:
        result = dry_run(recipe, settings=settings, seed=seed, progress=progress)
    show_dry_run(result, f"creuset train {recipe}", as_json)


def show_dry_run(result: "DryRun", command: str, as_json: bool) -> None:
    """What a dry run saw, and the command that trains."""
    if as_json:
        emit_json(
            {
                "family": result.family,
                "num_parameters": result.num_parameters,
                "precision": result.precision_reason,
                "checkpoint_bytes": result.checkpoint_bytes,
                "num_fitted": result.num_fitted,
                "steps": result.losses,
            }
        )
        return
    fitted = result.num_fitted
    if fitted is None:
        say(f"{result.family}, {result.num_parameters:,} parameters, {result.precision_reason}")
    else:
        say(f"{result.family}, {result.num_parameters:,} stored numbers")
    for number, players in enumerate(result.losses, 1):
        for player, values in players.items():
            what = f"step {number}, {player}" if fitted is None else f"fitted to {fitted} training samples"
            say(f"  {what}: " + ", ".join(f"{key} {value:.6g}" for key, value in values.items()))
    size = f"{result.checkpoint_bytes / 1e6:.1f} MB"
    if fitted is None:
        say(f"saved ({size}), reloaded, and step 3 gave the same numbers on both")
    else:
        say(f"saved ({size}), reloaded, and both gave the same logits for these samples")
    next_step(command)


def _estimate(recipe: str | None, settings: tuple[str, ...], seed: int | None, as_json: bool) -> None:
    from creuset.workflows.estimate import estimate

    assert recipe is not None
    with TerminalProgress() as progress:
        result = estimate(recipe, settings=settings, seed=seed, progress=progress)
    show_estimate(result, f"creuset train {recipe}", as_json)


def show_estimate(result: "Estimate", command: str, as_json: bool) -> None:
    """How long each part of a training takes, and the command that trains."""
    if as_json:
        emit_json(result.to_json())
        return
    step = result.seconds_per_step
    if step is not None:
        say(
            f"{step.middle * 1000:.2f} ms a step: the mean of {result.steps_measured} "
            f"({step.low * 1000:.2f} to {step.high * 1000:.2f} without the tenths at both ends)"
        )
    for size, seconds in result.fits_measured:
        say(f"a fit to {size:,} samples: {seconds:.3g} s")
    costs = [(name, f"{part.count:,}", part.seconds) for name, part in result.parts.items()]
    rows = [
        [name, times, duration(cost.middle), duration(cost.low), duration(cost.high)]
        for name, times, cost in [*costs, ("total", "", result.total_seconds)]
    ]
    say(table(["part", "times", "about", "from", "to"], rows))
    say(f"peak memory: {result.peak_memory_bytes / 1e6:.0f} MB")
    for remark in result.remarks:
        say(remark)
    next_step(command)
