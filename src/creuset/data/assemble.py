"""From a source as it was read to a data set: duplicates, splits, form and report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.dataset import DataReport, Dataset, Split, make_dataset
from creuset.data.hashing import Hashes, groups, sample_hashes
from creuset.data.source import SPLITS, Part, Source, counted
from creuset.data.spec import DataSpec
from creuset.data.split import cut, straddlers, take
from creuset.errors import DataError, UsageError
from creuset.recipe.sections import DataConfig

_EXAMPLES = 5

HashedPart = tuple[Part, Hashes]


def split_source(source: Source, config: DataConfig, *, seed: int) -> Dataset:
    """The source's own splits kept, the missing ones cut by content, equal samples in one split only.

    Args:
        source: What was read.
        config: Shares of the missing splits, and a limit on training samples.
        seed: Decides, with the samples' hashes, the splits and the samples within the limit.

    Raises:
        DataError: A split or the training samples of a class would be empty.
        UsageError: A limit that is too high or too low.
    """
    parts, removed, examples = _without_straddlers(source)
    shares = {"test": config.test_share, "validation": config.validation_share}
    missing = {name: share for name, share in shares.items() if name not in parts and share > 0}
    pool, hashes = parts["train"]
    for name, indices in cut(hashes, pool.labels, shares=missing, seed=seed).items():
        parts[name] = (_select(pool, indices), hashes[indices])
    if config.limit is not None:
        parts["train"] = _limited(*parts["train"], config.limit, seed)
    splits = {name: _split(*parts[name]) for name in SPLITS if name in parts}
    spec = _spec(source, splits["train"])
    _require_each_class(source, spec, limited=config.limit is not None)
    return make_dataset(spec, splits, _report(source, splits, removed=removed, examples=examples))


def _without_straddlers(source: Source) -> tuple[dict[str, HashedPart], dict[str, int], list[str]]:
    """The parts without samples that a part preceding them holds; how many those were, and some names."""
    hashes = {name: sample_hashes(part.inputs) for name, part in source.parts.items()}
    parts: dict[str, HashedPart] = {}
    removed: dict[str, int] = {}
    examples: list[str] = []
    for name, flags in straddlers(hashes).items():
        part = source.parts[name]
        if not flags.any():
            parts[name] = (part, hashes[name])
            continue
        found = np.flatnonzero(flags)
        if flags.all():
            raise DataError(
                f"each sample of the {name} split is in another split as well",
                where=source.origin,
                got=f"{counted(len(found), 'sample')}, such as {part.names[found[0]]}",
                next_step="give splits that differ, or one split only, from which the others are cut",
            )
        removed[name] = len(found)
        examples += [part.names[index] for index in found[:_EXAMPLES]]
        parts[name] = (_select(part, np.flatnonzero(~flags)), hashes[name][~flags])
    return parts, removed, examples


def _select(part: Part, indices: NDArray[np.int64]) -> Part:
    return replace(
        part,
        inputs=part.inputs[indices],
        labels=None if part.labels is None else part.labels[indices],
        names=tuple(part.names[index] for index in indices),
    )


def _limited(train: Part, hashes: Hashes, limit: int, seed: int) -> HashedPart:
    """As many training samples as data.limit asks for."""
    if limit > len(hashes):
        raise UsageError(
            "the limit is above what there is",
            where="data.limit",
            got=limit,
            expected=f"at most {len(hashes)}, the number of training samples",
            next_step="remove data.limit to use all",
        )
    chosen = take(hashes, train.labels, limit, seed)
    return _select(train, chosen), hashes[chosen]


def _split(part: Part, hashes: Hashes) -> Split:
    """The part as tensors, in the order of its hashes (and labels, where samples are equal)."""
    labels = np.zeros(len(hashes), dtype=np.int64) if part.labels is None else part.labels
    order = np.lexsort((labels, hashes[:, 1], hashes[:, 0]))
    return Split(
        inputs=torch.from_numpy(np.ascontiguousarray(part.inputs[order])),
        labels=None if part.labels is None else torch.from_numpy(labels[order]),
        hashes=hashes[order],
        names=tuple(part.names[index] for index in order),
    )


def _spec(source: Source, train: Split) -> DataSpec:
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    if source.kind == "table":
        rows = train.inputs.double()
        deviation = rows.std(dim=0, correction=0)
        mean = tuple(rows.mean(dim=0).tolist())
        std = tuple(torch.where(deviation > 0, deviation, 1.0).tolist())
    return DataSpec(
        kind=source.kind,
        shape=tuple(train.inputs.shape[1:]),
        num_levels=source.num_levels,
        class_names=source.class_names,
        class_counts=_class_counts(source, train),
        feature_names=source.feature_names,
        feature_mean=mean,
        feature_std=std,
    )


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
