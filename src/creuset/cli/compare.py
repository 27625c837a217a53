"""`creuset compare`: better, worse, or cannot tell apart."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from creuset.cli.console import SUITES, TerminalProgress, emit_json, json_option, next_step, note, say, table
from creuset.cli.evaluate_files import metric_names

if TYPE_CHECKING:
    from creuset.metrics.comparison import Comparison
    from creuset.reporting.blocks import Grid, GridCell
    from creuset.workflows.family_table import FamilyTable
    from creuset.workflows.verdicts import Verdicts

OF_RUNS = ("suite", "metric", "split", "report", "time_samples")
"""Options that say by what runs are compared."""

OF_FILES = ("metrics", "references")
"""Options that say by what files of one's own are compared."""


@click.command("compare")
@click.argument("systems", nargs=-1, required=True, metavar="A B [C]...")
@click.option(
    "--suite",
    type=click.Choice(SUITES),
    help="Whose scores; default: what A was measured with.",
)
@click.option("--metric", multiple=True, help="Compare this score of runs alone; may be given again.")
@click.option("--split", help="Scores of this part of the data; default: those of the usual evaluation.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write a page as well: scores and verdicts, parameters, speed and memory of each run, the losses of "
    "all in one chart, samples side by side; of runs of pictures all in one table.",
)
@click.option(
    "--time-samples",
    type=click.IntRange(min=1),
    help="Time how long each run of pictures takes to draw so many samples, three times, for the table of "
    "families.",
)
@click.option(
    "--metrics",
    help="Compare files of texts instead of runs: names with commas, such as bleu,rouge (ROUGE-1, -2, -L).",
)
@click.option(
    "--references",
    multiple=True,
    help="What the texts should be, line by line; again for further references; none for json-validity.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides all draws.")
@click.option("--fail-if-worse", "gate", is_flag=True, help="Exit 4 where a system is worse than A.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    systems: tuple[str, ...],
    suite: str | None,
    metric: tuple[str, ...],
    split: str | None,
    report: Path | None,
    time_samples: int | None,
    metrics: str | None,
    references: tuple[str, ...],
    seed: int,
    gate: bool,
    as_json: bool,
) -> None:
    """Test the systems B, C, ... against A: runs, on the data that all were measured on, or files of one text
    a line, with --metrics and --references.

    Runs of pictures are put into one table as well, whatever their families: likelihoods with their kind,
    distances from real pictures, what training took.
    """
    from creuset.workflows.verdicts import fail_if_worse

    of_files = _are_files(ctx)
    with TerminalProgress() as progress:
        if of_files:
            result, families = _compare_files(systems, metrics, references, seed, progress), None
        else:
            result, families = _compare_runs(
                systems, suite, metric, split, seed, report, time_samples, progress
            )
    if as_json:
        emit_json(result.to_json() | ({} if families is None else {"table": families.to_json()}))
    else:
        counts = dict.fromkeys(str(one.n) for _, one in result.comparisons)
        say(f"against {result.baseline}, {result.measured_on}, {' and '.join(counts)} samples")
        header = [result.kind, "metric", "A", "B", "difference"]
        header += ["interval (95%, uncorrected)", "p (Holm)", "effect"]
        say(table([*header, "verdict"], [[name, *_cells(one)] for name, one in result.comparisons]))
        if families is not None:
            say("")
            _print_grid(families.grid())
        if report is not None:
            say(f"{report}: the report of this comparison")
        if result.left_out:
            note(f"not compared: {', '.join(result.left_out)}")
    if gate:
        fail_if_worse(result)
    if report is not None:
        next_step(f"open {report}")
    else:
        next_step("creuset eval --help" if of_files else f"creuset runs show {result.comparisons[-1][0]}")


def _compare_runs(
    runs: tuple[str, ...],
    suite: str | None,
    metrics: tuple[str, ...],
    split: str | None,
    seed: int,
    report: Path | None,
    time_samples: int | None,
    progress: TerminalProgress,
) -> "tuple[Verdicts, FamilyTable | None]":
    """The comparison, and of runs of pictures their table."""
    from creuset.errors import UsageError
    from creuset.workflows.compare import compare
    from creuset.workflows.comparison_report import require_page, shown_names, write_comparison_report
    from creuset.workflows.family_table import family_table

    if report is not None:
        require_page(report)
    found = compare(runs, suite=suite, metrics=metrics, split=split, seed=seed, progress=progress)
    names = shown_names(found)
    families = family_table(found, names, time_samples=time_samples, progress=progress)
    if time_samples is not None and families is None:
        raise UsageError(
            "an option without effect: only runs of pictures are timed",
            where="--time-samples",
            got=f"runs that were measured by the suite {found.suite}",
            next_step="leave the option out",
        )
    if report is not None:
        write_comparison_report(found, report, table=families, progress=progress)
    return found, families


def _print_grid(grid: "Grid") -> None:
    """The table of families as plain text, the groups of its rows below each other."""
    blank = [""] * len(grid.subjects)
    lines: list[list[str]] = []
    for title, rows in grid.groups.items():
        lines += [["", *blank], [title.upper(), *blank]] if lines else [[title.upper(), *blank]]
        lines += [[row.name, *map(_grid_cell, row.cells)] for row in rows]
    say(table(["", *grid.subjects], lines))
    note(grid.note.replace("`", ""))


def _grid_cell(cell: "GridCell | None") -> str:
    if cell is None:
        return "-"
    if not cell.small or cell.small.startswith("["):
        return f"{cell.text} {cell.small}".rstrip()
    return f"{cell.text} ({cell.small})"


def _compare_files(
    files: tuple[str, ...],
    metrics: str | None,
    references: tuple[str, ...],
    seed: int,
    progress: TerminalProgress,
) -> "Verdicts":
    from creuset.errors import UsageError
    from creuset.workflows.compare_texts import compare_texts

    if metrics is None:
        raise UsageError(
            "--metrics is missing",
            got="--references",
            expected="creuset compare A.txt B.txt --metrics bleu,rouge --references FILE",
        )
    return compare_texts(
        files, metrics=metric_names(metrics), references=references, seed=seed, progress=progress
    )


def _are_files(ctx: click.Context) -> bool:
    """Whether files are compared, and not runs.

    Raises:
        UsageError: An option of runs beside one of files.
    """
    from creuset.errors import UsageError

    given = [
        name
        for name in (*OF_RUNS, *OF_FILES)
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    of_files = [name for name in given if name in OF_FILES]
    of_runs = [f"--{name.replace('_', '-')}" for name in given if name in OF_RUNS]
    if of_files and of_runs:
        raise UsageError(
            f"{', '.join(of_runs)} would have no effect: --{of_files[0]} compares files, and no runs",
            next_step="leave these options out",
        )
    return bool(of_files)


def _cells(one: "Comparison") -> list[str]:
    interval = "-" if one.interval is None else f"[{one.interval[0]:+.4g}, {one.interval[1]:+.4g}]"
    verdict = f"B is {one.verdict}" if one.verdict != "cannot tell apart" else one.verdict
    if one.more_samples is not None:
        verdict += f"; {one.more_samples} more sample{'' if one.more_samples == 1 else 's'} would tell"
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
