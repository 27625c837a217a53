"""`creuset tour`: the main job."""

from pathlib import Path

import click

from creuset.cli.console import TerminalProgress, duration, next_step, say


@click.command("tour")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for runs and report; a tour that stopped there goes on. Default: tour.",
)
@click.option(
    "--resume",
    "stopped",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Go on with the tour in this folder, with its own seed, steps and settings.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Decides all draws. Default: 0.")
@click.option(
    "--steps-share",
    type=click.FloatRange(min=0, min_open=True),
    help="Share of each model's training steps; below 1 for a quicker, poorer tour. Default: 1.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A value in place of recipes' values, wherever it has an effect; data.source is for the models of "
    "text where it names plain text (FILE.txt), else for those of pictures, and may be given for both.",
)
def command(
    out: Path | None,
    stopped: Path | None,
    seed: int | None,
    steps_share: float | None,
    settings: tuple[str, ...],
) -> None:
    """Train, sample, measure and report on real digits and real text, in a few minutes, into one
    self-contained page."""
    import time

    from creuset.workflows.tour import resume_tour, tour

    if stopped is not None and (out is not None or settings or (seed, steps_share) != (None, None)):
        raise click.UsageError("--resume takes folder, seed, steps and settings from the tour itself")
    begin = time.monotonic()
    with TerminalProgress() as progress:
        if stopped is not None:
            path = resume_tour(stopped, progress=progress)
        else:
            path = tour(
                out,
                settings=settings,
                steps_share=1.0 if steps_share is None else steps_share,
                seed=0 if seed is None else seed,
                progress=progress,
            )
    say(f"{path}: the tour's report, after {duration(time.monotonic() - begin)}")
    next_step(f"open {path}")
