"""`creuset tour`: the main job."""

from pathlib import Path

import click

from creuset.cli.console import TerminalProgress, duration, next_step, say


@click.command("tour")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for runs and report; default: tour.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides all draws.")
@click.option(
    "--steps-share",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of each model's training steps; below 1 for a quicker, poorer tour.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A value in place of every recipe's."
)
def command(out: Path | None, seed: int, steps_share: float, settings: tuple[str, ...]) -> None:
    """Train, sample, measure and report on real digits, in a few minutes, into one self-contained page."""
    import time

    from creuset.workflows.tour import tour

    begin = time.monotonic()
    with TerminalProgress() as progress:
        path = tour(out, settings=settings, steps_share=steps_share, seed=seed, progress=progress)
    say(f"{path}: the tour's report, after {duration(time.monotonic() - begin)}")
    next_step(f"open {path}")
