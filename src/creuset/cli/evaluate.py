"""`creuset eval`: scores of a run, or of files of one's own, with intervals and signatures."""

from typing import TYPE_CHECKING, Any, cast

import click

from creuset.cli.console import (
    SUITES,
    Minimum,
    TerminalProgress,
    emit_json,
    json_option,
    next_step,
    note,
    say,
)
from creuset.cli.evaluate_files import (
    FOR_PICTURES,
    FOR_TEXTS,
    OF_PICTURES,
    OF_TEXTS,
    SHARED,
    Files,
    Measured,
    measure_files,
    options,
)

if TYPE_CHECKING:
    from creuset.progress import Progress


OF_RUNS = ("suite", "data", "split", "importance_samples", "questions", "words", "checkpoint")
"""Options that say how a run is measured."""

OF_FILES = ("metrics", *OF_TEXTS, *OF_PICTURES)
"""Options that say which files of one's own are measured."""


@click.command("eval")
@click.argument("run", required=False)
@click.option(
    "--suite",
    type=click.Choice(SUITES),
    help="Which measures; default: what fits the model.",
)
@click.option("--data", help="Other data than the run's own; samples it was trained on are left out.")
@click.option("--split", help="Which part of the data; default: test, where there is one.")
@click.option(
    "--importance-samples",
    type=click.IntRange(min=1),
    help="Draws per picture for a bound on the likelihood; default: the recipe's.",
)
@click.option(
    "--questions",
    help='Analogies to ask of a run\'s words: a file of sections, ": name", and of four words a line.',
)
@click.option("--words", help="With commas: words whose nearest neighbours are shown beside analogies.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides all draws.")
@click.option(
    "--checkpoint", default="best", show_default=True, help="best, last, or a name such as step-00000500."
)
@click.option(
    "--metrics",
    help="Measure files instead of a run: names with commas, such as bleu,rouge of texts (ROUGE-1, -2, "
    "-L; exact-match-french and the like for other languages than English), or fd,kd,precision,recall of "
    "pictures.",
)
@click.option("--hypotheses", help="Generated texts, one a line in UTF-8; - for standard input.")
@click.option(
    "--references", multiple=True, help="What they should be, line by line; again for further references."
)
@click.option("--generated", help="Generated pictures: a folder, a .npz or IDX file, or a name.")
@click.option("--reference", help="Real pictures that they are held against, best such as no model has seen.")
@click.option(
    "--training", help="The pictures that the generator was trained on: for memorisation and floors."
)
@click.option(
    "--extractor",
    help="What makes features of pictures: efficientnet-lite0, the file of Inception's weights (.pth), or a "
    "run of a classifier; default: the recipe's, or efficientnet-lite0.",
)
@click.option(
    "--min",
    "minimums",
    type=Minimum(),
    multiple=True,
    help="Exit 4 where a score misses this limit; again for other scores.",
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
    questions: str | None,
    words: str | None,
    seed: int,
    checkpoint: str,
    metrics: str | None,
    hypotheses: str | None,
    references: tuple[str, ...],
    generated: str | None,
    reference: str | None,
    training: str | None,
    extractor: str | None,
    minimums: tuple[tuple[str, float], ...],
    as_json: bool,
) -> None:
    """Measure RUN (an ID or a path) and keep the scores beside it, or measure files of your own."""
    from creuset.workflows.minimums import as_minimums, check_minimums

    limits = as_minimums(minimums)
    given = _given(ctx)
    _check_combination(given, run)
    with TerminalProgress() as progress:
        if run is None:
            files = Files(
                metrics=metrics,
                hypotheses=hypotheses,
                references=references,
                generated=generated,
                reference=reference,
                training=training,
                extractor=extractor,
                seed=seed,
                minimums=limits,
            )
            found = measure_files(files, given, progress)
        else:
            found = _measure_run(
                run,
                suite=suite,
                data=data,
                split=split,
                num_importance_samples=importance_samples,
                extractor=extractor,
                questions=questions,
                words=() if words is None else tuple(filter(None, map(str.strip, words.split(",")))),
                seed=seed,
                checkpoint=checkpoint,
                progress=progress,
            )
    _show(found, as_json=as_json)
    check_minimums(found.scores, limits)
    next_step("creuset eval --help" if run is None else f"creuset runs show {run}")


def _measure_run(run: str, *, suite: str | None, progress: "Progress", **choices: Any) -> Measured:
    """The scores of a run; the choices are those of `evaluate`."""
    from creuset.evaluation import Suite
    from creuset.workflows.evaluate import evaluate

    result = evaluate(run, suite=cast("Suite | None", suite), progress=progress, **choices)
    return Measured(result.scores, result.floors, result.remarks, result.findings)


def _show(found: Measured, *, as_json: bool) -> None:
    """Scores, floors and findings on stdout, remarks on stderr; or all of it as one document."""
    if as_json:
        emit_json(
            {
                "scores": [score.to_json() for score in found.scores],
                "floors": [floor.to_json() for floor in found.floors],
                "findings": list(found.findings),
                "remarks": list(found.remarks),
            }
        )
        return
    for score in found.scores:
        say(str(score))
    for floor in found.floors:
        say(f"for comparison: {floor}")
    for finding in found.findings:
        say(finding)
    for remark in found.remarks:
        note(f"note: {remark}")


def _given(ctx: click.Context) -> list[str]:
    """The names of the options about runs or files that were typed."""
    return [
        name
        for name in (*OF_RUNS, *OF_FILES, *SHARED)
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]


def _check_combination(given: list[str], run: str | None) -> None:
    """A run is measured, or files are: no option of the one with the other.

    Raises:
        UsageError: Nothing to measure, or an option that would have no effect.
    """
    from creuset.errors import UsageError

    for_files = [name for name in given if name in OF_FILES]
    if run is None and not for_files:
        raise UsageError(
            "nothing to measure",
            expected="a run, or files of your own",
            next_step=f"creuset runs lists the runs; for files: {FOR_TEXTS}, or {FOR_PICTURES}",
        )
    without_effect = for_files if run is not None else [name for name in given if name in OF_RUNS]
    if without_effect:
        raise UsageError(
            f"{options(without_effect)} would have no effect: "
            + (f"the run {run} is measured" if run is not None else "files are measured, and no run"),
            next_step="leave RUN or these options out" if run is not None else "leave these options out",
        )
