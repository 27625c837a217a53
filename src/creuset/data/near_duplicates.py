"""Pictures of one split that are nearly the same as one of another: compressed again, resized, brightened.

A picture is shrunk to at most 14 pixels a side by area means, its mean taken off, and scaled to length 1; two
pictures are near duplicates when the product of these vectors, their correlation, is at least 0.996. The
threshold was measured: of MNIST's 10,000 test digits, two have a train digit above it (0.9962), of
scikit-learn's 1,797 digits none has another one above 0.9942; the same test digit saved as JPEG of quality 75
stays above 0.998, at quality 50 it does above 0.9966 for 99 of 100, with noise of 5 levels above 0.998. A
picture that was shifted, cropped or turned is not found.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from creuset.data.dataset import Dataset, Split

THRESHOLD = 0.996
_SIDE = 14
_BLOCK = 4096
_EXAMPLES = 5
_LEAST_DEVIATION = 0.5
"""In levels, root mean square: a picture that varies less is blank, and like every other blank one."""


@dataclass(frozen=True, kw_only=True)
class NearDuplicate:
    """A sample, the one it is most like in another split, and how much (correlation, up to 1)."""

    name: str
    like: str
    correlation: float


@dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """How many samples of `split` are nearly the same as one of `other`, and the most alike of them."""

    split: str
    other: str
    count: int
    examples: tuple[NearDuplicate, ...]


def near_duplicates(dataset: Dataset) -> list[NearDuplicates]:
    """Near duplicates across each two splits of pictures; none are looked for in tables.

    Every sample of validation is compared with all of train, and every sample of test with all of train and
    of validation.
    """
    if dataset.spec.kind != "images":
        return []
    vectors = {name: _vectors(split.inputs) for name, split in dataset.splits.items()}
    found = []
    for split, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
        if split in vectors and other in vectors:
            best, place = _most_alike(vectors[split], vectors[other])
            found.append(_summary(dataset, split, other, best, place))
    return found


def _vectors(pictures: Tensor) -> Tensor:
    """uint8 (N, C, H, W) to float32 (N, D), each of mean 0 and length 1; blank pictures become 0."""
    sides = (min(_SIDE, pictures.shape[2]), min(_SIDE, pictures.shape[3]))
    blocks = []
    for start in range(0, len(pictures), _BLOCK):
        block = pictures[start : start + _BLOCK].float()
        small = F.adaptive_avg_pool2d(block, sides).flatten(1)
        small = small - small.mean(dim=1, keepdim=True)
        length = small.norm(dim=1, keepdim=True)
        blank = length < _LEAST_DEVIATION * small.shape[1] ** 0.5
        blocks.append(torch.where(blank, 0.0, small / length))
    return torch.cat(blocks)


def _most_alike(vectors: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """For each of `vectors` (N, D) the largest product with one of `others` (M, D), and which one it is."""
    best = torch.full((len(vectors),), -1.0)
    place = torch.zeros(len(vectors), dtype=torch.int64)
    for row in range(0, len(vectors), _BLOCK):
        rows = slice(row, row + _BLOCK)
        for column in range(0, len(others), _BLOCK):
            products = vectors[rows] @ others[column : column + _BLOCK].T
            largest, at = products.max(dim=1)
            better = largest > best[rows]
            best[rows] = torch.where(better, largest, best[rows])
            place[rows] = torch.where(better, at + column, place[rows])
    return best, place


def _summary(dataset: Dataset, split: str, other: str, best: Tensor, place: Tensor) -> NearDuplicates:
    rounded = best.double().mul(1e4).round().div(1e4)  # what is shown; the last digits depend on the blocks
    near = torch.nonzero(rounded >= THRESHOLD).flatten()
    most = near[rounded[near].argsort(descending=True, stable=True)][:_EXAMPLES]
    ours: Split = dataset.splits[split]
    theirs: Split = dataset.splits[other]
    return NearDuplicates(
        split=split,
        other=other,
        count=len(near),
        examples=tuple(
            NearDuplicate(
                name=ours.names[index],
                like=theirs.names[int(place[index])],
                correlation=float(rounded[index]),
            )
            for index in most.tolist()
        ),
    )
