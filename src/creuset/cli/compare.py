"""`creuset compare`: better, worse, or cannot tell apart."""

from typing import TYPE_CHECKING

import click

from creuset.cli.console import TerminalProgress, emit_json, json_option, next_step, note, say, table

if TYPE_CHECKING:
    from creuset.metrics.comparison import Comparison


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="A B [C]...")
@click.option("--suite", help="Whose scores; default: what A was measured with.")
@click.option("--metric", "metrics", multiple=True, help="Compare this score alone; may be given again.")
@click.option("--split", help="Scores of this part of the data; default: those of the usual evaluation.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides all draws.")
@click.option("--fail-if-worse", "gate", is_flag=True, help="Exit 4 where a run is worse than A.")
@json_option
def command(
    runs: tuple[str, ...],
    suite: str | None,
    metrics: tuple[str, ...],
    split: str | None,
    seed: int,
    gate: bool,
    as_json: bool,
) -> None:
    """Test the runs B, C, ... against A, on the samples that all were measured on."""
    from creuset.workflows.compare import compare, fail_if_worse

    with TerminalProgress() as progress:
        result = compare(runs, suite=suite, metrics=metrics, split=split, seed=seed, progress=progress)
    if as_json:
        emit_json(result.to_json())
    else:
        n = result.comparisons[0][1].n
        say(f"against {result.baseline}, {result.suite} on {result.split}, {n} samples")
        header = ["run", "metric", "A", "B", "difference", "interval (95%)", "p (Holm)", "effect", "verdict"]
        say(table(header, [[run, *_cells(one)] for run, one in result.comparisons]))
        if result.left_out:
            note(f"not compared: {', '.join(result.left_out)}")
    if gate:
        fail_if_worse(result)
    next_step(f"creuset runs show {result.comparisons[-1][0]}")


def _cells(one: "Comparison") -> list[str]:
    interval = "-" if one.interval is None else f"[{one.interval[0]:+.4g}, {one.interval[1]:+.4g}]"
    verdict = f"B is {one.verdict}" if one.verdict != "cannot tell apart" else one.verdict
    if one.more_samples is not None:
        verdict += f"; {one.more_samples} more samples would tell"
    return [
        one.metric,
        f"{one.a:.6g}",
        f"{one.b:.6g}",
        f"{one.difference:+.4g} {one.unit}",
        interval,
        f"{one.p_corrected:.2g}",
        "-" if one.effect_size is None else f"{one.effect_size:+.2f}",
        verdict,
    ]
