"""`creuset generate`: what a model makes, into a file."""

from pathlib import Path

import click

from creuset.cli.console import TerminalProgress, emit_json, json_option, next_step, say

_MODES = ("sample", "reconstruct", "denoise", "interpolate", "encode")


@click.command("generate")
@click.argument("run")
@click.option("-n", "--num", type=click.IntRange(min=1), help="How many; default: what a sheet shows well.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides what is drawn."
)
@click.option(
    "--mode",
    type=click.Choice(_MODES),
    default="sample",
    show_default=True,
    help="sample: new pictures. reconstruct, denoise: pictures above what the model makes of them. "
    "interpolate: rows of NUM pictures from one to another. encode: the code of each picture.",
)
@click.option("--data", help="Other pictures than the run's own.")
@click.option("--split", help="Which part of the data; default: test, where there is one.")
@click.option(
    "--checkpoint", default="best", show_default=True, help="best, last, or a name such as step-00000500."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="A sheet (.png), arrays (.npz), or for codes a map in two dimensions (.svg).",
)
@json_option
def command(
    run: str,
    num: int | None,
    seed: int,
    mode: str,
    data: str | None,
    split: str | None,
    checkpoint: str,
    out: Path,
    as_json: bool,
) -> None:
    """Draw samples, reconstructions or interpolations from RUN (an ID or a path)."""
    import json
    from typing import cast

    from creuset.workflows.generate import Mode, generate

    with TerminalProgress() as progress:
        record = generate(
            run,
            out,
            mode=cast("Mode", mode),
            num=num,
            seed=seed,
            data=data,
            split=split,
            checkpoint=checkpoint,
            progress=progress,
        )
    if as_json:
        emit_json({"out": str(out), "record": json.loads(record.to_json())})
    else:
        say(f"{out}: {mode} by {record.run} at step {record.step}, seed {seed}")
    next_step(f"creuset eval {run}")
