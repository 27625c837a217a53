"""From a source as it was read to a data set: duplicates, splits, form and report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.dataset import Dataset, Split, make_dataset, make_split, with_text_counts
from creuset.data.hashing import Hashes, groups, sample_hashes
from creuset.data.report import DataReport
from creuset.data.source import SPLITS, Part, Source, counted
from creuset.data.spec import DataSpec
from creuset.data.split import cut, straddlers, take
from creuset.data.toys import STACK, stacked
from creuset.data.vocabulary import make_vocabulary
from creuset.errors import DataError, UsageError
from creuset.recipe.sections import DataConfig

_EXAMPLES = 5

Indices = NDArray[np.int64]


def split_source(source: Source, config: DataConfig, *, seed: int) -> Dataset:
    """The source's own splits kept, the missing ones cut by content, equal samples in one split only.

    Samples are chosen by their places and copied once, at the end: memory holds the source and the result.

    Args:
        source: What was read.
        config: Shares of the missing splits, and a limit on training samples.
        seed: Decides, with the samples' hashes, the splits and the samples within the limit.

    Raises:
        DataError: A split or the training samples of a class would be empty.
        UsageError: A limit that is too high.
    """
    hashes = {name: sample_hashes(part.inputs) for name, part in source.parts.items()}
    kept, removed, examples = _without_straddlers(source, hashes)
    places = {name: (name, indices) for name, indices in kept.items()}

    pool, pool_hashes, pool_labels = kept["train"], hashes["train"], source.parts["train"].labels
    shares = {"test": config.test_share, "validation": config.validation_share}
    missing = {name: share for name, share in shares.items() if name not in kept and share > 0}
    labels = None if pool_labels is None else pool_labels[pool]
    for name, indices in cut(pool_hashes[pool], labels, shares=missing, seed=seed).items():
        places[name] = ("train", pool[indices])
    if config.limit is not None:
        train = places["train"][1]
        labels = None if pool_labels is None else pool_labels[train]
        places["train"] = ("train", train[limited(pool_hashes[train], labels, config.limit, seed)])

    chosen = {
        name: _ordered(source.parts[places[name][0]], hashes[places[name][0]], places[name][1])
        for name in SPLITS
        if name in places
    }
    if config.stack > 1:
        chosen = {name: _stacked(part, config.stack, source.origin) for name, (part, _) in chosen.items()}
        source = replace(source, class_names=(), mixture=STACK)
    spec = _spec(source, chosen["train"], config)
    _require_each_class(source, spec, limited=config.limit is not None)
    splits = {
        name: make_split(spec, part.inputs, part.labels, part_hashes, part.names)
        for name, (part, part_hashes) in chosen.items()
    }
    report = _report(source, splits, removed=removed, examples=examples)
    return make_dataset(spec, splits, with_text_counts(report, spec, splits))


def _without_straddlers(
    source: Source, hashes: Mapping[str, Hashes]
) -> tuple[dict[str, Indices], dict[str, int], list[str]]:
    """Each part's samples that no part preceding it holds; how many others there were, and some names."""
    kept: dict[str, Indices] = {}
    removed: dict[str, int] = {}
    examples: list[str] = []
    for name, flags in straddlers(hashes).items():
        found = np.flatnonzero(flags)
        kept[name] = np.flatnonzero(~flags)
        names = source.parts[name].names
        if flags.all():
            raise DataError(
                f"each sample of the {name} split is in another split as well",
                where=source.origin,
                got=f"{counted(len(found), 'sample')}, such as {names[found[0]]}",
                next_step="give splits that differ, or one split only, from which the others are cut",
            )
        if len(found):
            removed[name] = len(found)
            examples += [names[index] for index in found[:_EXAMPLES]]
    return kept, removed, examples


def limited(hashes: Hashes, labels: Indices | None, limit: int, seed: int) -> Indices:
    """Which of the training samples there are with data.limit: their places.

    Raises:
        UsageError: There are fewer.
    """
    if limit > len(hashes):
        raise UsageError(
            "the limit is above what there is",
            where="data.limit",
            got=limit,
            expected=f"at most {len(hashes)}, the number of training samples",
            next_step="remove data.limit to use all",
        )
    return take(hashes, labels, limit, seed)


def _ordered(part: Part, hashes: Hashes, indices: Indices) -> tuple[Part, Hashes]:
    """These samples with their hashes, in the order of the hashes (and labels, where samples are equal)."""
    chosen = hashes[indices]
    labels = np.zeros(len(indices), dtype=np.int64) if part.labels is None else part.labels[indices]
    order = np.lexsort((labels, chosen[:, 1], chosen[:, 0]))
    places = indices[order]
    ordered = Part(
        inputs=part.inputs[places],
        labels=None if part.labels is None else labels[order],
        names=tuple(part.names[place] for place in places),
    )
    return ordered, chosen[order]


def _stacked(part: Part, num_channels: int, where: str) -> tuple[Part, Hashes]:
    """A split's pictures as the channels of samples, these in the order of their hashes."""
    made = stacked(part, num_channels, where)
    hashes = sample_hashes(made.inputs)
    return _ordered(made, hashes, np.arange(len(hashes)))


def _spec(source: Source, train: tuple[Part, Hashes], config: DataConfig) -> DataSpec:
    """The form of the data, with what follows from the training split."""
    part, _ = train
    counts = () if part.labels is None else np.bincount(part.labels, minlength=len(source.class_names))
    spec = DataSpec(
        kind=source.kind,
        shape=part.inputs.shape[1:],
        num_levels=source.num_levels,
        sound=source.sound,
        class_names=source.class_names,
        class_counts=tuple(int(count) for count in counts),
        feature_names=source.feature_names,
        mixture=source.mixture,
    )
    if source.kind == "table":
        rows = torch.from_numpy(part.inputs)
        deviation = rows.std(dim=0, correction=0)
        varies = (rows != rows[0]).any(dim=0) & (
            deviation > 0
        )  # of equal values a rounding error may be left
        return replace(
            spec,
            feature_mean=tuple(torch.where(varies, rows.mean(dim=0), rows[0]).tolist()),
            feature_std=tuple(torch.where(varies, deviation, 1.0).tolist()),
        )
    if source.kind == "texts":
        vocabulary = make_vocabulary(
            part.inputs.tolist(),
            config.tokens,
            vocabulary_size=config.vocabulary_size,
            max_tokens=config.max_tokens,
        )
        return replace(spec, tokens=config.tokens, max_tokens=config.max_tokens, vocabulary=vocabulary)
    return spec


def _class_counts(source: Source, split: Split) -> tuple[int, ...]:
    if split.labels is None:
        return ()
    counts = torch.bincount(split.labels, minlength=len(source.class_names))
    return tuple(int(count) for count in counts)


def _require_each_class(source: Source, spec: DataSpec, *, limited: bool) -> None:
    lost = [name for name, count in zip(spec.class_names, spec.class_counts, strict=True) if count == 0]
    if lost:
        raise DataError(
            "classes of which no training sample is left",
            where=source.origin,
            got=", ".join(lost),
            expected="one sample of each class at least, beside those that other splits hold as well",
            next_step="raise data.limit" if limited else "add different samples of these classes",
        )


def _report(
    source: Source, splits: Mapping[str, Split], *, removed: Mapping[str, int], examples: Sequence[str]
) -> DataReport:
    within = {name: split.num_samples - len(groups(split.hashes)[0]) for name, split in splits.items()}
    conflicts = [name for split in splits.values() for name in _conflicts(split)]
    return DataReport(
        origin=source.origin,
        own_splits=tuple(name for name in SPLITS if name in source.parts and name != "train"),
        num_samples={name: split.num_samples for name, split in splits.items()},
        class_counts={name: _class_counts(source, split) for name, split in splits.items()},
        duplicates_within={name: number for name, number in within.items() if number},
        duplicates_removed=removed,
        duplicate_examples=tuple(examples[:_EXAMPLES]),
        label_conflicts=len(conflicts),
        conflict_examples=tuple(conflicts[:_EXAMPLES]),
        skipped=source.skipped,
        notes=source.notes,
    )


def _conflicts(split: Split) -> list[str]:
    """The samples of a split that equal another one and have another label."""
    if split.labels is None:
        return []
    labels = split.labels.numpy()
    unique, members = groups(split.hashes)
    lowest = np.full(len(unique), labels.max(initial=0))
    highest = np.zeros(len(unique), dtype=np.int64)
    np.minimum.at(lowest, members, labels)
    np.maximum.at(highest, members, labels)
    return [split.names[index] for index in np.flatnonzero((lowest < highest)[members])]
