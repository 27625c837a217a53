"""From texts with classes to a data set for a classifier on a base that others trained.

The base's tokenizer cuts the texts. Ids are stored one higher than its own, so that 0 can fill up short rows.
Rows that name a group (`"group": "..."`), such as the document that they are from, go to one split with it,
and so do equal texts.

Legend of shapes: N texts, T tokens.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from creuset.data.assemble import limited
from creuset.data.conversations import TuningFile, read_tuning_file
from creuset.data.dataset import Dataset, Split, make_dataset
from creuset.data.hashing import groups, sample_hashes
from creuset.data.records import refusal
from creuset.data.report import DataReport
from creuset.data.spec import DataSpec
from creuset.data.split import cut
from creuset.data.text_side import TextSide
from creuset.data.tokenizer import Tokenizer
from creuset.data.tuning_records import LabelledText
from creuset.data.tuning_split import tuning_path
from creuset.errors import DataError, Problem, UsageError, did_you_mean
from creuset.recipe.sections import DataConfig


def split_labelled(file: TuningFile, config: DataConfig, base: TextSide, *, seed: int) -> Dataset:
    """The data set of texts with classes.

    Args:
        file: Records of the form labelled.
        config: Shares of the splits, and tokens of a text that are read.
        base: Whose tokenizer cuts the texts.
        seed: Decides, with texts and groups, what goes where.

    Raises:
        DataError: Fewer than two classes, or a split would be empty.
        NotFoundError: There is no such file of texts to measure on.
        RowsError: Texts to measure on whose classes are not trained, each by its place.
        UsageError: A limit that is too high, or a file to measure on of another form.
    """
    rows = [row for row in file.rows if isinstance(row, LabelledText)]
    names = _classes(rows, config.source)
    parts = _parts(rows, config, seed)
    if config.test_source is not None:
        parts["test"] = _own_test(config.test_source, names)
    return _dataset(parts, names, config, base, file.told)


def all_labelled(file: TuningFile, config: DataConfig, base: TextSide) -> Dataset:
    """All texts of a file as the split that is trained; `config` and `base` as of `split_labelled`.

    Raises:
        DataError: Fewer than two classes.
    """
    rows = [row for row in file.rows if isinstance(row, LabelledText)]
    return _dataset({"train": rows}, _classes(rows, config.source), config, base, file.told)


def _classes(rows: Sequence[LabelledText], source: str) -> tuple[str, ...]:
    names = tuple(sorted({row.label for row in rows}))
    if len(names) < 2:
        raise DataError(
            "too few classes to tell apart",
            where=source,
            got=", ".join(names),
            expected="two labels at least",
        )
    return names


def _dataset(
    parts: Mapping[str, Sequence[LabelledText]],
    names: tuple[str, ...],
    config: DataConfig,
    base: TextSide,
    told: str,
) -> Dataset:
    """The data set of texts that are split."""
    max_tokens = min(config.max_tokens, base.context_length or config.max_tokens)
    splits: dict[str, Split] = {
        name: _split(parts[name], names, base.tokenizer, max_tokens)
        for name in ("train", "validation", "test")
        if name in parts
    }
    counts = {name: _counts(split, len(names)) for name, split in splits.items()}
    spec = DataSpec(
        kind="texts",
        shape=(),
        num_levels=0,
        class_names=names,
        class_counts=counts["train"],
        tokens="base",
        max_tokens=max_tokens,
        tokenizer=base.tokenizer.fingerprint,
        tokenizer_size=base.tokenizer.vocab_size,
    )
    within = {name: split.num_samples - len(groups(split.hashes)[0]) for name, split in splits.items()}
    cut_texts = {
        name: int((split.num_tokens > max_tokens).sum())
        for name, split in splits.items()
        if split.num_tokens is not None
    }
    report = DataReport(
        origin=config.source,
        own_splits=() if config.test_source is None else ("test",),
        num_samples={name: split.num_samples for name, split in splits.items()},
        class_counts=counts,
        duplicates_within={name: number for name, number in within.items() if number},
        duplicates_removed={},
        notes=(told,),
        texts_cut={name: number for name, number in cut_texts.items() if number},
    )
    return make_dataset(spec, splits, report, tokenizer=base.tokenizer)


def _parts(rows: Sequence[LabelledText], config: DataConfig, seed: int) -> dict[str, list[LabelledText]]:
    """The rows of each split that is cut off."""
    place = {name: number for number, name in enumerate(sorted({row.label for row in rows}))}
    labels = np.array([place[row.label] for row in rows], dtype=np.int64)
    hashes = sample_hashes(_objects([row.text for row in rows]))
    shares = {"test": config.test_share, "validation": config.validation_share}
    if config.test_source is not None:
        del shares["test"]
    wanted = {name: share for name, share in shares.items() if share}
    try:
        places = cut(sample_hashes(_objects(_together(rows))), labels, shares=wanted, seed=seed)
    except DataError as error:
        error.where = config.source
        raise
    if config.limit is not None:
        train = places["train"]
        places["train"] = train[limited(hashes[train], labels[train], config.limit, seed)]
    return {name: [rows[number] for number in found] for name, found in places.items()}


def _together(rows: Sequence[LabelledText]) -> list[str]:
    """A name for each row, shared by all that must stand in its split: those of its group, those that say the
    same, and those of their groups in turn. It does not follow from the order of the rows."""
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for row in rows:
        text, group = f"text {row.text.strip()}", f"group {row.group}"
        if row.group and top(text) != top(group):
            low, high = sorted((top(text), top(group)))
            above[high] = low
    return [top(f"text {row.text.strip()}").partition(" ")[2] for row in rows]


def _own_test(source: str, names: Sequence[str]) -> list[LabelledText]:
    """The rows of a file to measure on, whose classes are all trained."""
    file = read_tuning_file(tuning_path(source, "data.test_source"))
    rows = [row for row in file.rows if isinstance(row, LabelledText)]
    if file.form != "labelled":
        raise UsageError(
            "the rows to measure on are of another form than those to train on",
            where="data.test_source",
            got=file.form,
            expected="texts with classes",
        )
    path = tuning_path(source, "data.test_source")
    problems = [
        Problem(
            file=str(path),
            line=int(row.place.rpartition(":")[2]),
            column=1,
            message=f'the class "{row.label}" is not trained{did_you_mean(row.label, names)}',
        )
        for row in rows
        if row.label not in names
    ]
    if problems:
        raise refusal(problems, next_step="give texts of the classes " + ", ".join(names))
    return rows


def _split(
    rows: Sequence[LabelledText], names: Sequence[str], tokenizer: Tokenizer, max_tokens: int
) -> Split:
    """Rows in an order that they decide themselves, as ids."""
    labels = np.array([names.index(row.label) for row in rows], dtype=np.int64)
    hashes = sample_hashes(_objects([row.text for row in rows]))
    order = np.lexsort((labels, hashes[:, 1], hashes[:, 0]))
    texts = tuple(rows[number].text for number in order)
    inputs, num_tokens = base_ids(texts, tokenizer, max_tokens=max_tokens)
    return Split(
        inputs=inputs,
        labels=torch.from_numpy(labels[order]),
        hashes=hashes[order],
        names=tuple(rows[number].place for number in order),
        texts=texts,
        num_tokens=num_tokens,
    )


def base_ids(texts: Sequence[str], tokenizer: Tokenizer, *, max_tokens: int) -> tuple[Tensor, Tensor]:
    """The ids of texts with what the tokenizer puts around them, one higher each, padded behind with 0.

    Args:
        texts: What is cut.
        tokenizer: The base's.
        max_tokens: Tokens that are read, its first, with those around.

    Returns:
        int32 (N, T); and the tokens of each whole text with those around, int64 (N,).
    """
    before, behind = tokenizer.around()
    room = max(1, max_tokens - len(before) - len(behind))
    cut_texts = tokenizer.encode_batch(texts, add_special=False)
    rows = [np.array([*before, *ids[:room], *behind], dtype=np.int32) + 1 for ids in cut_texts]
    padded = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int32)
    for number, ids in enumerate(rows):
        padded[number, : len(ids)] = ids
    lengths = [len(before) + len(ids) + len(behind) for ids in cut_texts]
    return torch.from_numpy(padded), torch.tensor(lengths, dtype=torch.int64)


def _objects(texts: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    found = np.empty(len(texts), dtype=object)
    found[:] = texts
    return found


def _counts(split: Split, num_classes: int) -> tuple[int, ...]:
    assert split.labels is not None
    return tuple(int(count) for count in torch.bincount(split.labels, minlength=num_classes))
