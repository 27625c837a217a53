"""Data that a run was not made from: to measure its model on, or to show what it makes of it.

It is read as any source, but not cut into splits, since nothing of it is needed for training.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from creuset.assets import resolve
from creuset.data.anchored_split import all_anchored
from creuset.data.conversations import PAIR_FORMS, read_tuning_file
from creuset.data.corpus_split import corpus_dataset, read_stream
from creuset.data.csv_file import CSV_SUFFIXES
from creuset.data.dataset import (
    Dataset,
    Split,
    conform,
    make_dataset,
    make_split,
    with_text_counts,
)
from creuset.data.hashing import sample_hashes
from creuset.data.load import is_sound, read_source
from creuset.data.pair_file import PAIR_SUFFIX
from creuset.data.pair_split import pair_dataset, pair_hashes
from creuset.data.report import DataReport
from creuset.data.source import Part, Source
from creuset.data.spec import DataSpec
from creuset.data.text_side import TextSide
from creuset.data.tokenizer import Tokenizer
from creuset.data.tuning_split import tuning_path
from creuset.errors import DataError
from creuset.progress import Progress
from creuset.recipe.sections import DataConfig

EVERYTHING = "everything"
"""The one split of a source without splits of its own."""


def load_other(
    source: str,
    own: DataConfig,
    spec: DataSpec,
    progress: Progress,
    *,
    tokenizer: Tokenizer | None = None,
    base: TextSide | None = None,
) -> Dataset:
    """Another source in the form that a run's model takes.

    Args:
        source: A name, a folder or a file, as in a recipe's data.source.
        own: The run's data section, whose columns and picture size are meant for a CSV file as well, and
            whose `audio` for sound.
        spec: The form of the run's data.
        progress: Who watches.
        tokenizer: The one of the run, where that is of a corpus or of pairs.
        base: How the base reads that the run tuned; None where it tuned none.

    Raises:
        DataError: It cannot be read, has another form, or a class that the model does not know.
        NotFoundError: There is no such source.
    """
    if base is not None and spec.kind == "pairs":
        return conform(_records_of_pairs(source, base), spec)
    config = DataConfig(source=source)
    if source.lower().endswith(CSV_SUFFIXES):
        config = DataConfig(
            source=source,
            image_size=own.image_size,
            label_column=own.label_column,
            text_column=own.text_column,
            source_column=own.source_column,
            target_column=own.target_column,
        )
    elif source.lower().endswith(PAIR_SUFFIX):
        config = DataConfig(source=source, source_column=own.source_column, target_column=own.target_column)
    elif spec.sound is not None and is_sound(Path(source).expanduser()):
        config = DataConfig(source=source, audio=own.audio)
    found = read_source(config, resolve=lambda name: resolve(name).path, progress=progress)
    if found.kind == "corpus" and tokenizer is not None:
        dataset = _other_corpus(found, spec, tokenizer)
    elif found.kind == "pairs" and tokenizer is not None:
        dataset = _other_pairs(found, spec, tokenizer)
    else:
        dataset = _as_it_is(found, spec)
    for remark in dataset.report.remarks():
        progress.say(f"data: {remark}")
    return conform(dataset, spec)


def _as_it_is(source: Source, model_spec: DataSpec) -> Dataset:
    """A source as a data set, each of its parts a split; texts are read as the model reads them."""
    parts = source.parts if len(source.parts) > 1 else {EVERYTHING: source.parts["train"]}
    spec = DataSpec(
        kind=source.kind,
        shape=tuple(source.parts["train"].inputs.shape[1:]),
        num_levels=source.num_levels,
        class_names=source.class_names,
        feature_names=source.feature_names,
        sound=source.sound,
    )
    if source.kind == "texts":
        spec = replace(
            spec,
            tokens=model_spec.tokens,
            max_tokens=model_spec.max_tokens,
            vocabulary=model_spec.vocabulary,
        )
    splits = {name: _split(spec, part) for name, part in parts.items()}
    report = DataReport(
        origin=source.origin,
        own_splits=tuple(source.parts),
        num_samples={name: split.num_samples for name, split in splits.items()},
        class_counts={},
        duplicates_within={},
        duplicates_removed={},
        skipped=source.skipped,
        notes=source.notes,
    )
    return make_dataset(spec, splits, with_text_counts(report, spec, splits))


def _other_corpus(source: Source, model_spec: DataSpec, tokenizer: Tokenizer) -> Dataset:
    """All documents of a corpus as one split, read as the model reads them."""
    part = source.parts["train"]
    texts = list(zip(part.names, part.inputs.tolist(), strict=True))
    separator = tokenizer.special.separator if len(texts) > 1 else None
    stream = read_stream(texts, tokenizer, context=model_spec.context, separator=separator)
    return corpus_dataset(source, {EVERYTHING: stream}, tokenizer, shown=(EVERYTHING,))


def _other_pairs(source: Source, model_spec: DataSpec, tokenizer: Tokenizer) -> Dataset:
    """All pairs of a source as one split, read as the model reads them."""
    part = source.parts["train"]
    everything = (part, pair_hashes(part.inputs), np.arange(len(part.inputs)))
    dataset = pair_dataset(source, {EVERYTHING: everything}, tokenizer, context=model_spec.context)
    return replace(dataset, spec=replace(dataset.spec, target_tokens=model_spec.target_tokens))


def _records_of_pairs(source: str, base: TextSide) -> Dataset:
    """All records of a file as one split of pairs, read as the base reads them."""
    file = read_tuning_file(tuning_path(source, "--data"))
    if file.form not in PAIR_FORMS:
        raise DataError(
            "a text embedder is measured on pairs",
            where=source,
            got=f"records of the form {file.form}",
            expected=" or ".join(PAIR_FORMS),
        )
    return all_anchored(file, base, EVERYTHING)


def _split(spec: DataSpec, part: Part) -> Split:
    hashes = sample_hashes(part.inputs)
    whole = make_split(spec, part.inputs, part.labels, hashes, part.names)
    return whole.select(np.lexsort((hashes[:, 1], hashes[:, 0])))
