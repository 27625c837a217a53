"""`creuset data`: what a source holds, whether it is fit to train on, and its splits as a file."""

from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from creuset.cli.console import TerminalProgress, emit_json, json_option, next_step, say, table
from creuset.cli.example_sheet import NUM_EXAMPLES, write_examples
from creuset.cli.tokens import print_tokens
from creuset.cli.tuning_data import validate_tuning

if TYPE_CHECKING:
    from creuset.data.dataset import Dataset
    from creuset.data.near_duplicates import NearDuplicates

F = TypeVar("F", bound=Callable[..., Any])

_MAX_CLASSES = 20
"""So many classes have a column of their own in the table of counts."""
_MAX_COLUMNS = 30


@click.group()
def command() -> None:
    """Show, validate and split data before training on it.

    SOURCE is a name (digits, mnist-5k, python-reference; ring, grid: toys), a folder of pictures, of WAV
    files or of .txt files, or a file: .npz, IDX (.gz), CSV, TSV, .txt, .jsonl.
    """


class _ImageSize(click.ParamType[tuple[int, int]]):
    """HEIGHTxWIDTH in pixels."""

    name = "HEIGHTxWIDTH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        sides = str(value).lower().split("x")
        if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
            self.fail(f"{value} is no size; write it like 28x28", param, ctx)
        return int(sides[0]), int(sides[1])


_OPTIONS = (
    click.argument("source"),
    click.option(
        "--image-size",
        type=_ImageSize(),
        metavar="HEIGHTxWIDTH",
        help="Size of the pictures that a CSV's rows hold.",
    ),
    click.option("--label-column", help="The CSV column with the class."),
    click.option("--text-column", help="The column of a CSV or TSV file with a text in each row."),
    click.option(
        "--source-column", help="Of pairs of texts in a .jsonl, CSV or TSV file: what the source is called."
    ),
    click.option("--target-column", help="What the target of a pair is called."),
    click.option(
        "--tokens",
        type=click.Choice(["words", "bytes"]),
        default="words",
        show_default=True,
        help="What texts are cut into.",
    ),
    click.option(
        "--vocabulary-size",
        type=click.IntRange(1),
        default=10_000,
        show_default=True,
        help="Words that are told apart, the most frequent of the training texts.",
    ),
    click.option(
        "--max-tokens",
        type=click.IntRange(1),
        default=256,
        show_default=True,
        help="Tokens of a text that are read.",
    ),
    click.option(
        "--unreadable",
        type=click.Choice(["refuse", "skip"]),
        default="refuse",
        show_default=True,
        help="What to do with a picture that cannot be read.",
    ),
    click.option(
        "--validation-share",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.1,
        show_default=True,
        help="Share cut off for validation, where the source has no such split.",
    ),
    click.option(
        "--test-share",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.1,
        show_default=True,
        help="Share cut off for the test, where the source has no such split.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Decides the splits that are cut.",
    ),
)


def source_options(function: F) -> F:
    """SOURCE, and how to read and split it."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@command.command("show")
@source_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a PNG with examples of each class (of 20 at most).",
)
@click.option(
    "--tokenizer",
    metavar="NAME|FOLDER|FILE",
    help="Show the tokens that a model's tokenizer cuts SOURCE into, then a file of plain text.",
)
@json_option
def show_command(out: Path | None, tokenizer: str | None, as_json: bool, **options: Any) -> None:
    """Show the form of SOURCE, its classes and how many samples each split holds; or a text's tokens."""
    if tokenizer is not None:
        print_tokens(options["source"], tokenizer, as_json=as_json)
        return
    dataset = _load(**options)
    if out is not None:
        write_examples(dataset, out)
    if as_json:
        emit_json({**_document(dataset), "examples": _examples(dataset)})
    else:
        _print_dataset(dataset)
        say(f"examples  {', '.join(example['name'] for example in _examples(dataset)[:3])}, ..")
    next_step(f"open {out}" if out is not None else f"creuset data validate {options['source']}")


@command.command("validate")
@source_options
@click.option(
    "--base",
    metavar="NAME|FOLDER|FILE",
    help="Of records to tune a language model on: the model whose tokenizer and chat template are used.",
)
@click.option(
    "--template",
    metavar="FILE",
    help="With --base: a chat template in Jinja, for a base without one or in place of its own.",
)
@json_option
def validate_command(base: str | None, template: str | None, as_json: bool, **options: Any) -> None:
    """Check SOURCE: what cannot be used, and samples that are equal or nearly the same.

    Of records to tune a language model on (.json, .jsonl, .parquet, and tables whose header is theirs) it
    tells the form; with --base it shows what would be trained, and refuses what would fail silently.

    Ends with exit code 2 where the data cannot be trained on, 4 where the gate says no.
    """
    from creuset.data.near_duplicates import near_duplicates
    from creuset.errors import UsageError
    from creuset.workflows.tuning_data import is_for_tuning

    path = Path(options["source"])
    if template is not None and base is None:
        raise UsageError("a template without a base", where="--template", next_step="name one with --base")
    named = options["source_column"] is not None or options["target_column"] is not None
    if base is not None or (is_for_tuning(path, named=named) and not _is_read_as_table(path)):
        validate_tuning(options["source"], base, template, as_json=as_json)
        return
    dataset = _load(**options)
    near = near_duplicates(dataset.shown)
    if as_json:
        emit_json({**_document(dataset), "near_duplicates": [asdict(found) for found in near]})
    else:
        _print_dataset(dataset)
        _print_findings(dataset, near)
    next_step(f"creuset data split {options['source']} --out splits.npz")


def _is_read_as_table(path: Path) -> bool:
    """Whether an option says how a table is read that could as well hold records to tune on."""
    context = click.get_current_context()
    columns = ("image_size", "label_column", "text_column", "source_column", "target_column")
    given = [name for name in columns if context.params[name] is not None]
    return bool(given) and not path.name.lower().endswith((".json", ".jsonl", ".ndjson", ".parquet"))


@command.command("split")
@source_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The .npz file to write; it must not exist.",
)
@json_option
def split_command(out: Path, as_json: bool, **options: Any) -> None:
    """Write the splits of SOURCE into one .npz file, which is a source with just these splits."""
    from creuset.data.npz import write_npz
    from creuset.errors import UsageError

    if out.suffix != ".npz":
        raise UsageError("splits are written as .npz", where=out, next_step=f"write --out {out.stem}.npz")
    if out.exists():
        raise UsageError("this file exists already", where=out, next_step="remove it, or choose another name")
    dataset = _load(**options)
    if dataset.spec.codes is not None:
        raise UsageError(
            "code maps are not written: without the run that made them they mean nothing",
            where="SOURCE",
            got=options["source"],
            expected="a source of its own",
            next_step=f"creuset generate {dataset.spec.codes.run} --mode encode --out codes.npz",
        )
    write_npz(dataset, out)
    if as_json:
        emit_json({**_document(dataset), "file": str(out)})
    else:
        counts = ", ".join(f"{name} {split.num_samples:,}" for name, split in dataset.splits.items())
        say(f"{out}: {counts}")
    next_step(f"creuset data validate {out}")


def _load(
    *,
    source: str,
    image_size: tuple[int, int] | None,
    label_column: str | None,
    text_column: str | None,
    source_column: str | None,
    target_column: str | None,
    tokens: Any,
    vocabulary_size: int,
    max_tokens: int,
    unreadable: Any,
    validation_share: float,
    test_share: float,
    seed: int,
) -> "Dataset":
    from creuset.errors import UsageError
    from creuset.recipe.sections import DataConfig
    from creuset.workflows.run_data import load_source

    if validation_share + test_share >= 1:
        raise UsageError(
            "nothing would be left to train on",
            where="--validation-share and --test-share",
            got=f"{validation_share} and {test_share}",
            expected="a sum below 1",
        )
    config = DataConfig(
        source=source,
        image_size=image_size,
        label_column=label_column,
        text_column=text_column,
        source_column=source_column,
        target_column=target_column,
        tokens=tokens,
        vocabulary_size=vocabulary_size,
        max_tokens=max_tokens,
        unreadable=unreadable,
        validation_share=validation_share,
        test_share=test_share,
    )
    return load_source(config, TerminalProgress(), seed=seed)


def _document(dataset: "Dataset") -> dict[str, Any]:
    return {
        "spec": asdict(dataset.spec),
        "content_hash": dataset.content_hash,
        **dataset.report.to_json(),
    }


def _examples(dataset: "Dataset") -> list[dict[str, Any]]:
    """The first training samples, with their class or their texts; of a corpus the first documents."""
    split = dataset.splits["train"]
    if split.stream is not None:
        return [{"name": name, "class": None} for name in split.names[:NUM_EXAMPLES]]
    if split.pairs is not None:
        shown = zip(split.names, split.pairs.sources, split.pairs.targets, strict=True)
        return [
            {"name": name, "class": None, "source": source, "target": target}
            for name, source, target in islice(shown, NUM_EXAMPLES)
        ]
    return [
        {
            "name": split.names[index],
            "class": None if split.labels is None else dataset.spec.class_names[int(split.labels[index])],
        }
        for index in range(min(NUM_EXAMPLES, split.num_samples))
    ]


def _print_dataset(dataset: "Dataset") -> None:
    spec, report = dataset.spec, dataset.report
    say(f"source    {report.origin}")
    if spec.sound is not None:
        how = f"{spec.sound.seconds:g} seconds at {spec.sound.sample_rate:,} samples a second"
        bands, frames = spec.shape[1:]
        say(f"form      sound, {how}; log-mel pictures of {bands} bands x {frames} moments")
    elif spec.codes is not None:
        _, height, width = spec.shape
        say(f"form      code maps, {height} x {width} (height x width), {spec.num_levels} codes")
    elif spec.kind == "images":
        channels, height, width = spec.shape
        colour = "grey" if channels == 1 else "colour"
        say(f"form      pictures, {height} x {width} (height x width), {colour}, {spec.num_levels} levels")
    elif spec.kind == "table":
        say(f"form      table, {spec.shape[0]} columns of numbers")
    elif spec.kind == "corpus":
        kinds = f"{spec.vocab_size:,} kinds of tokens, {spec.bytes_per_token:.2f} bytes each"
        say(f"form      plain text, {kinds}; samples of {spec.context:,} tokens")
    elif spec.kind == "pairs":
        kinds = f"{spec.vocab_size:,} kinds of tokens"
        say(f"form      pairs of texts, {kinds}; at most {spec.context:,} tokens in each text")
    else:
        read = f"the first {spec.max_tokens:,} tokens of each"
        say(f"form      texts, cut into {spec.tokens}, {read}; {spec.vocab_size:,} ids")
    say(f"classes   {f'{spec.num_classes}' if spec.num_classes else 'none'}")
    own = ", ".join(report.own_splits)
    how = "by content" if spec.kind != "corpus" else "between documents, or in the text where these are few"
    say(f"splits    {f'{own} of the source, the others cut' if own else 'cut'} {how}")
    say(f"hash      {dataset.content_hash}")
    named = spec.num_classes <= _MAX_CLASSES
    header = ["split", "samples", *(spec.class_names if named else ("smallest class", "largest class"))]
    rows = []
    for name, number in report.num_samples.items():
        counts = report.class_counts[name]
        shown = counts if named else (min(counts), max(counts))
        rows.append([name, f"{number:,}", *(f"{count:,}" for count in shown)])
    say("\n" + table(header, rows) + "\n")
    if spec.kind == "pairs":
        _print_pairs(dataset)
    if spec.kind == "table":
        columns = zip(spec.feature_names, spec.feature_mean, spec.feature_std, strict=True)
        lines = [[name, f"{mean:.6g}", f"{std:.6g}"] for name, mean, std in columns]
        say(table(["column", "mean in train", "standard deviation"], lines[:_MAX_COLUMNS]))
        say(f".. and {len(lines) - _MAX_COLUMNS} more\n" if len(lines) > _MAX_COLUMNS else "")


def _print_pairs(dataset: "Dataset") -> None:
    """How long the texts of each split are, and the first pair."""
    rows = [
        [
            name,
            f"{counts.num_source_tokens / dataset.report.num_samples[name]:.1f}",
            f"{counts.num_target_tokens / dataset.report.num_samples[name]:.1f}",
            f"{counts.longest_source:,}",
            f"{counts.longest_target:,}",
            f"{counts.num_left_out:,}",
        ]
        for name, counts in dataset.report.pairs.items()
    ]
    header = ["split", "tokens of a source", "of a target", "longest source", "longest target", "left out"]
    say(table(header, rows) + "\n")
    first = _examples(dataset)[0]
    say(f"source    {first['source']}\ntarget    {first['target']}\n")


def _print_findings(dataset: "Dataset", near: "list[NearDuplicates]") -> None:
    report = dataset.report
    for name in report.num_samples:
        say(f"equal samples within {name}: {report.duplicates_within.get(name, 0):,}")
    removed = sum(report.duplicates_removed.values())
    say(f"equal samples in two splits of the source, removed from one: {removed:,}")
    for example in report.duplicate_examples:
        say(f"    {example}")
    say(f"equal samples with different labels: {report.label_conflicts:,}")
    for example in report.conflict_examples:
        say(f"    {example}")
    say(f"files skipped: {len(report.skipped):,}")
    for skipped in report.skipped:
        say(f"    {skipped}")
    for found in near:
        say(f"samples of {found.split} nearly the same as one of {found.other}: {found.count:,}")
        for pair in found.examples:
            say(f"    {pair.name} like {pair.like} (correlation {pair.correlation:.4f})")
    if dataset.spec.sound is not None:
        say("near duplicates: not looked for in sound, where recordings of one voice are too much alike")
    elif dataset.spec.kind != "images":
        say("near duplicates: only looked for among pictures")
