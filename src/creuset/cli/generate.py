"""`creuset generate`: what a model makes, into a file."""

from pathlib import Path
from typing import Any

import click

from creuset.cli.console import (
    TerminalProgress,
    adapter_option,
    emit_json,
    json_option,
    next_step,
    say,
    shown,
)

_OF_PICTURES = ("mode", "data", "split", "label")
"""Options that have no effect on texts."""
_OF_TEXTS = ("max_tokens", "temperature", "adapters")
"""Options that have none on pictures."""
_OF_DRAWS = (*_OF_TEXTS, "seed")
"""Options that have none on masks, whose guesses are not drawn."""
_SPELLED = {"label": "--class", "adapters": "--adapter"}
_MODES = ("sample", "reconstruct", "denoise", "inpaint", "interpolate", "encode")


def _one(_ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> str | None:
    """The value of an option that may be given once.

    Raises:
        UsageError: It was given again, where the last one would win without a word.
    """
    from creuset.errors import UsageError

    if len(values) > 1:
        raise UsageError(
            "one at a time: this option was given again",
            where=parameter.opts[0],
            got=", ".join(map(repr, values)),
            next_step="run the command once for each",
        )
    return values[0] if values else None


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
    "inpaint: pictures above what the model completes their upper halves to. interpolate: rows of NUM "
    "pictures from one to another. encode: the code of each picture.",
)
@click.option("--data", help="Other pictures than the run's own.")
@click.option("--split", help="Which part of the data; default: test, where there is one.")
@click.option(
    "--checkpoint", default="best", show_default=True, help="best, last, or a name such as step-00000500."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A sheet (.png), arrays (.npz), or for codes a map in two dimensions (.svg); for rows of a table "
    ".csv, .npz or .svg; for sound .wav (one clip behind the other; NAME-%d.wav: a file a "
    "clip), .npz or .png; for texts, which are else shown, .txt or .json.",
)
@click.option(
    "--class",
    "label",
    multiple=True,
    callback=_one,
    help="The class of which samples are drawn (model.condition: class).",
)
@click.option(
    "--prompt",
    multiple=True,
    callback=_one,
    help="A model of pictures with model.condition: text: what is drawn. A language model: what it goes on "
    "with; of a run, empty or left out for a new text. An encoder_decoder: the source, whose best target is "
    "searched for; where it learned on plain text, <1>, <2> stand for gaps. An encoder: a text with [MASK] "
    "for each token that it is to guess.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    help="Tokens of a text; default: 200, of an encoder_decoder its context.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    help="Of texts that are drawn: 1 draws by the model's probabilities, 0 takes the likeliest token; "
    "default: 0.8.",
)
@adapter_option
@json_option
def command(
    run: str,
    num: int | None,
    seed: int,
    mode: str,
    data: str | None,
    split: str | None,
    checkpoint: str,
    out: Path | None,
    label: str | None,
    prompt: str | None,
    max_tokens: int | None,
    temperature: float | None,
    adapters: tuple[str, ...],
    as_json: bool,
) -> None:
    """Draw samples, reconstructions, interpolations or texts from RUN (an ID or a path).

    With --prompt, RUN may be a language model of others as well: a GGUF file, a folder, or a name of `creuset
    models list`; the updates of several adapters of it are added.
    """
    import json
    from typing import cast

    from creuset.workflows.generate import Mode, generate

    drawn, words = None, prompt
    if prompt is not None and _draws_samples(run):
        drawn, words = prompt, None
    elif prompt is None and _writes_from_nothing(run):
        words = ""
    fills = words is not None and _fills_masks(run)
    if words is None:
        _refuse_options(_OF_TEXTS, "no --prompt was given", "leave it out, or give --prompt")
    else:
        _refuse_options(_OF_PICTURES, "texts are written", "leave it out, or --prompt")
    if words is not None and fills:
        _refuse_options(_OF_DRAWS, "masks are filled, and nothing is drawn", "leave it out")
        _fill(run, out, prompt=words, num=num, checkpoint=checkpoint, as_json=as_json)
        return
    if words is not None:
        _write(
            run,
            out,
            prompt=words,
            num=1 if num is None else num,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed if _is_given("seed") else None,
            checkpoint=checkpoint if _is_given("checkpoint") else None,
            adapters=adapters,
            as_json=as_json,
        )
        return
    if out is None:
        raise click.UsageError(f"--out is missing: {_files_of(run)}")
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
            label=label,
            prompt=drawn,
            progress=progress,
        )
    if as_json:
        emit_json({"out": str(out), "record": json.loads(record.to_json())})
    else:
        say(f"{out}: {mode} by {record.run} at step {record.step}, seed {seed}")
    next_step(f"creuset eval {run}")


def _refuse_options(names: tuple[str, ...], why: str, instead: str) -> None:
    """Refuses options that were typed and would have no effect."""
    from creuset.errors import UsageError

    for name in names:
        if _is_given(name):
            raise UsageError(
                f"an option without effect: {why}",
                where=_SPELLED.get(name, f"--{name.replace('_', '-')}"),
                next_step=instead,
            )


def _is_given(name: str) -> bool:
    """Whether an option stands on the command line."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def _draws_samples(run: str) -> bool:
    from creuset.workflows.generate import draws_samples

    return draws_samples(run)


def _files_of(run: str) -> str:
    """What --out would be for a run that writes no texts."""
    from creuset.workflows.generate import sample_endings

    if not _draws_samples(run):
        return "the file for the pictures; or, for texts, --prompt"
    return f"the file for the samples, which ends with {' or '.join(sample_endings(run))}"


def _fills_masks(run: str) -> bool:
    from creuset.workflows.fill import fills_masks

    return fills_masks(run)


def _writes_from_nothing(run: str) -> bool:
    from creuset.workflows.write import writes_from_nothing

    return writes_from_nothing(run)


def _fill(
    run: str, out: Path | None, *, prompt: str, num: int | None, checkpoint: str, as_json: bool
) -> None:
    """What a model puts into the masks of a prompt, shown or into a file."""
    import json

    from creuset.workflows.fill import GUESSES, fill

    made = fill(run, out, prompt=prompt, num=GUESSES if num is None else num, checkpoint=checkpoint)
    if as_json:
        emit_json({"out": None if out is None else str(out), **json.loads(made.to_json())})
    elif out is None:
        say(made.to_text())
    else:
        masks = "1 mask" if len(made.masks) == 1 else f"{len(made.masks)} masks"
        say(f"{out}: {masks} filled by {made.run} at step {made.step}")
    next_step(f"creuset eval {run}")


def _write(run: str, out: Path | None, *, adapters: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Texts of a language model, shown or into a file."""
    import json

    from creuset.workflows.language_handle import named_folders
    from creuset.workflows.write import write

    with TerminalProgress() as progress:
        made = write(run, out, adapters=named_folders(adapters), progress=progress, **options)
    if as_json:
        emit_json({"out": None if out is None else str(out), **json.loads(made.to_json())})
    elif out is None:
        say(shown("\n\n".join(made.whole_texts())))
    else:
        step = "" if made.step is None else f" at step {made.step}"
        seed = "" if made.seed is None else f", seed {made.seed}"
        say(f"{out}: {len(made.texts)} texts by {made.run}{step}{seed}")
    next_step(f"creuset chat {run}" if made.step is None else f"creuset eval {run}")
