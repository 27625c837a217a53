"""From texts with classes to a data set for a classifier on a base that others trained.

The base's tokenizer cuts the texts. Ids are stored one higher than its own, so that 0 can fill up short rows.
Rows that name a group (`"group": "..."`), such as the document that they are from, go to one split with it.

Legend of shapes: N texts, T tokens.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from creuset.data.assemble import limited
from creuset.data.conversations import LabelledText, TuningFile
from creuset.data.dataset import Dataset, Split, make_dataset
from creuset.data.hashing import groups, sample_hashes
from creuset.data.report import DataReport
from creuset.data.spec import DataSpec
from creuset.data.split import cut
from creuset.data.text_side import TextSide
from creuset.data.tokenizer import Tokenizer
from creuset.errors import DataError
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
        UsageError: A limit that is too high.
    """
    rows = [row for row in file.rows if isinstance(row, LabelledText)]
    names = tuple(sorted({row.label for row in rows}))
    if len(names) < 2:
        raise DataError(
            "too few classes to tell apart",
            where=config.source,
            got=", ".join(names),
            expected="two labels at least",
        )
    place = {name: number for number, name in enumerate(names)}
    labels = np.array([place[row.label] for row in rows], dtype=np.int64)
    texts = _objects([row.text for row in rows])
    hashes = sample_hashes(texts)
    grouped = sample_hashes(_objects([row.group or row.text for row in rows]))
    shares = {"test": config.test_share, "validation": config.validation_share}
    wanted = {name: share for name, share in shares.items() if share}
    places = cut(grouped, labels, shares=wanted, seed=seed)
    if config.limit is not None:
        train = places["train"]
        places["train"] = train[limited(hashes[train], labels[train], config.limit, seed)]
    splits: dict[str, Split] = {}
    max_tokens = min(config.max_tokens, base.context_length or config.max_tokens)
    for name in ("train", "validation", "test"):
        if name not in places:
            continue
        found = places[name]
        found = found[np.lexsort((labels[found], hashes[found, 1], hashes[found, 0]))]
        chosen = tuple(texts[found].tolist())
        inputs, num_tokens = base_ids(chosen, base.tokenizer, max_tokens=max_tokens)
        splits[name] = Split(
            inputs=inputs,
            labels=torch.from_numpy(labels[found]),
            hashes=hashes[found],
            names=tuple(rows[number].place for number in found),
            texts=chosen,
            num_tokens=num_tokens,
        )
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
        own_splits=(),
        num_samples={name: split.num_samples for name, split in splits.items()},
        class_counts=counts,
        duplicates_within={name: number for name, number in within.items() if number},
        duplicates_removed={},
        notes=(file.told,),
        texts_cut={name: number for name, number in cut_texts.items() if number},
    )
    return make_dataset(spec, splits, report, tokenizer=base.tokenizer)


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
