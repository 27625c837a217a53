"""Cutting samples into splits by their content, so that no sample is in two of them.

Equal samples (equal hashes) form a group that goes to one split as a whole. Within each class the groups are
put in an order decided by the seed and their hashes; the first fill the test split up to the class's quota,
the next the validation split, the others are for training. Quotas are the class's share, rounded by largest
remainder so that the split's size is exact. Neither the order of files nor their names matter.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from creuset.data.hashing import Hashes, groups, keyed_order
from creuset.errors import DataError

Indices = NDArray[np.int64]

PRECEDENCE = ("test", "validation", "train")
"""A sample that a source holds in two of its own splits stays in the first of these."""


def cut(
    hashes: Hashes, labels: Indices | None, *, shares: Mapping[str, float], seed: int
) -> dict[str, Indices]:
    """The samples of each split: those that `shares` names, and "train" for the rest.

    Sizes are `round(n * share)`, one at least; a split is smaller only where groups of equal samples do not
    fit, or where it would take a class's last training samples.

    Args:
        hashes: One row a sample.
        labels: The classes that are spread evenly; None without labels.
        shares: Split name -> share of the samples, in the order in which they are filled.
        seed: Decides, with the hashes, what goes where.

    Raises:
        DataError: Nothing would be left to train on, or a split would be empty.
    """
    unique, members = groups(hashes)
    sizes = np.bincount(members, minlength=len(unique))
    classes = np.zeros(len(unique), dtype=np.int64)
    if labels is not None:
        classes[:] = labels.max(initial=0)
        np.minimum.at(classes, members, labels)  # a group whose labels differ counts as their lowest
    order = keyed_order(unique, seed)
    in_class = [order[classes[order] == index] for index in range(int(classes.max(initial=0)) + 1)]
    counts = np.array([sizes[of_class].sum() for of_class in in_class])
    free = np.maximum(counts - 1, 0)  # each class keeps a group to train on

    split_of_group = np.zeros(len(unique), dtype=np.int64)
    for number, (name, share) in enumerate(shares.items(), start=1):
        total = max(1, int(len(hashes) * share + 0.5))
        quotas = _quotas(counts, total, free)
        for index, quota in enumerate(quotas):
            taken = _fill(in_class[index], sizes, split_of_group, quota)
            split_of_group[taken] = number
            free[index] -= sizes[taken].sum()
        if not (split_of_group == number).any():
            raise DataError(
                f"too few samples for a {name} split",
                got=f"{len(hashes)} samples, {len(unique)} of them different",
                expected="enough that each class keeps a sample to train on",
                next_step="add samples" + (", or set data.test_share: 0" if name == "test" else ""),
            )
    split_of_sample = split_of_group[members]
    names = ["train", *shares]
    return {name: np.flatnonzero(split_of_sample == number) for number, name in enumerate(names)}


def take(hashes: Hashes, labels: Indices | None, num_samples: int, seed: int) -> Indices:
    """`num_samples` of the samples, as many of each class as its share, decided by seed and hashes."""
    unique, members = groups(hashes)
    place = np.empty(len(unique), dtype=np.int64)
    place[keyed_order(unique, seed)] = np.arange(len(unique))
    classes = np.zeros(len(hashes), dtype=np.int64) if labels is None else labels
    order = np.lexsort((classes, place[members]))
    counts = np.bincount(classes)
    quotas = _quotas(counts, num_samples, counts)
    chosen = [order[classes[order] == index][:quota] for index, quota in enumerate(quotas)]
    return np.sort(np.concatenate(chosen))


def straddlers(hashes: Mapping[str, Hashes]) -> dict[str, NDArray[np.bool_]]:
    """Which samples of each part are also in a part that precedes it (`PRECEDENCE`), one flag a sample."""
    names = [name for name in PRECEDENCE if name in hashes]
    _, members = groups(np.concatenate([hashes[name] for name in names]))
    seen = np.zeros(members.max(initial=0) + 1, dtype=bool)
    flags: dict[str, NDArray[np.bool_]] = {}
    start = 0
    for name in names:
        own = members[start : start + len(hashes[name])]
        start += len(own)
        flags[name] = seen[own]
        seen[own] = True
    return flags


def _quotas(counts: Indices, total: int, free: Indices) -> list[int]:
    """`total` shared out like `counts`, by largest remainder, of no class more than is `free`."""
    exact = counts * (total / counts.sum())
    quotas = np.minimum(exact.astype(np.int64), free)
    by_remainder = np.argsort(-(exact - np.floor(exact)), kind="stable")
    while (left := total - quotas.sum()) > 0:
        open_classes = [index for index in by_remainder if quotas[index] < free[index]]
        if not open_classes:
            break
        for index in open_classes[:left]:
            quotas[index] += 1
    return [int(quota) for quota in quotas]


def _fill(candidates: Indices, sizes: Indices, taken: Sequence[int] | Indices, quota: int) -> Indices:
    """The first groups of `candidates` that are not `taken` and fit into `quota` samples."""
    chosen = []
    for group in candidates:
        if quota == 0:
            break
        if taken[group] == 0 and sizes[group] <= quota:
            chosen.append(group)
            quota -= sizes[group]
    return np.array(chosen, dtype=np.int64)
