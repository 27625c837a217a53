"""`creuset finetune`: a model of texts that others trained, tuned on one's own data."""

import shlex
import sys
from typing import Any

import click

from creuset.cli.console import TerminalProgress, json_option
from creuset.cli.train import Duration, show_dry_run, show_estimate, show_run

_METHODS = (
    *("sft", "pretrain", "dpo", "orpo", "reward", "grpo", "ppo", "classify", "embed"),
    *("lora", "full", "head"),
)


@click.command("finetune")
@click.argument("base")
@click.option("--data", metavar="FILE", help="Conversations, texts, pairs or preferences to tune on.")
@click.option(
    "--from-feedback",
    is_flag=True,
    help="Tune on the judgements of creuset feedback, in place of --data: on pairs of answers, with sft on "
    "the better ones.",
)
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    help="What is learned: sft writes answers, pretrain texts, dpo and orpo prefer chosen answers, reward "
    "scores them, grpo and ppo write answers that are rewarded, classify tells classes, embed brings the "
    "vectors of texts that belong together near each other. lora, full and head name the weights. Default: "
    "what the data's form says.",
)
@click.option(
    "--weights",
    metavar="lora|full|head|last:K",
    help="Low-rank updates, all numbers, the head, or the last K blocks; default: lora.",
)
@click.option(
    "--adapter", metavar="FOLDER", help="A PEFT folder of updates of BASE, which are merged into it first."
)
@click.option("--test-data", metavar="FILE", help="Rows to measure on, in place of a tenth of the data.")
@click.option(
    "--template",
    metavar="FILE",
    help="A chat template in Jinja, for a base without one or in place of its own; the run keeps it.",
)
@click.option(
    "--reward",
    metavar="FILE.py:NAME|run:NAME",
    help="Of grpo and ppo: a function of prompt and answer that returns a number, or a tuned reward model.",
)
@click.option(
    "--epochs",
    type=click.FloatRange(min=0, min_open=True),
    help="How often each row is seen; default: twice, and at most 300 steps.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A value in place of the recipe's."
)
@click.option("--name", help="The run's ID under runs/, or a path; default: of the base and the method.")
@click.option("--seed", type=click.IntRange(min=0), help="Decides every random draw; default: 0.")
@click.option("--max-time", type=Duration(), help="Checkpoint and stop after 90s, 10m or 2h of training.")
@click.option("--dry-run", is_flag=True, help="The gate, two real steps, save, reload, and a proof.")
@click.option("--estimate", is_flag=True, help="Measure ten seconds; say how long each part takes.")
@click.option("--no-eval", is_flag=True, help="Do not measure afterwards, nor write a report.")
@json_option
def command(
    base: str,
    data: str | None,
    from_feedback: bool,
    method: Any,
    weights: str | None,
    adapter: str | None,
    test_data: str | None,
    template: str | None,
    reward: str | None,
    epochs: float | None,
    settings: tuple[str, ...],
    name: str | None,
    seed: int | None,
    max_time: float | None,
    dry_run: bool,
    estimate: bool,
    no_eval: bool,
    as_json: bool,
) -> None:
    """Tune BASE (a name such as smollm2-135m, a GGUF file, a folder, or a tuned run) on your own data.

    The gate looks at the rows before the first step, and refuses what would fail silently (exit code 4). The
    run is like any other: creuset train --resume goes on with it, creuset chat talks to it, creuset export
    writes it for other programs. Tuned model and base are measured on the same held-out rows.
    """
    from creuset.workflows.finetune import Tuning, tuning_recipe

    if dry_run and estimate:
        raise click.UsageError("--dry-run or --estimate, not both")
    if (data is None) != from_feedback:
        raise click.UsageError("one of --data FILE and --from-feedback")
    if data is None:
        from creuset.workflows.feedback_data import feedback_data

        data = str(feedback_data(method))
    asked = Tuning(
        base=base,
        data=data,
        method=method,
        weights=weights,
        test_data=test_data,
        epochs=epochs,
        reward=reward,
        adapter=adapter,
        template=template,
    )
    with TerminalProgress() as progress:
        recipe = tuning_recipe(asked, settings, seed, progress=progress)
        if dry_run:
            from creuset.workflows.rehearse import dry_run as rehearse

            show_dry_run(rehearse(recipe, progress=progress), _again(), as_json)
        elif estimate:
            from creuset.workflows.estimate import estimate as measured

            show_estimate(measured(recipe, progress=progress), _again(), as_json)
        else:
            from creuset.workflows.train import train

            run = train(recipe, name=name, max_seconds=max_time, measure=not no_eval, progress=progress)
            show_run(run, measured=not no_eval, as_json=as_json)


def _again() -> str:
    """The command without what makes it a rehearsal."""
    words = [word for word in sys.argv[1:] if word not in ("--dry-run", "--estimate")]
    return shlex.join(["creuset", *words])
