"""Pictures of one split that are nearly the same as one of another: compressed again, resized, brightened.

A picture is shrunk to at most 14 pixels a side by area means, its mean taken off, and scaled to length 1; two
pictures are near duplicates when the product of these vectors, their correlation, is at least 0.996. The
threshold was measured: of MNIST's 10,000 test digits, two have a train digit above it (0.9962), of
scikit-learn's 1,797 digits none has another one above 0.9942; the same test digit saved as JPEG of quality 75
stays above 0.998, at quality 50 it does above 0.9966 for 99 of 100, with noise of 5 levels above 0.998. A
picture that was shifted, cropped or turned is not found.

Every two pictures are compared, most of them by 32 numbers: 31 coordinates along the directions in which the
vectors vary most, and the length r of what is left. For vectors u and v with coordinates p and q,

    <u, v>  <=  <p, q> + r(u) r(v)        (Cauchy and Schwarz, for what is left)

so only samples for which this bound reaches the threshold are compared in full, and none is missed. All of
MNIST, 924 million pairs, takes about two seconds on one core.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from creuset.data.dataset import Dataset, Split

THRESHOLD = 0.996
MAX_PAIRS = 2_000_000_000
"""So many pairs are compared unasked, in front of a training: some seconds, on one core."""
_SIDE = 14
_BLOCK = 4096
_ROWS = 1024
_DIRECTIONS = 31
_SLACK = 1e-4
"""What rounding to four digits, and that of 32-bit numbers, can add to a correlation."""
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

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "NearDuplicates":
        """What `to_json` gave."""
        examples = tuple(NearDuplicate(**example) for example in document["examples"])
        return cls(**{**document, "examples": examples})


def near_duplicates(dataset: Dataset) -> list[NearDuplicates]:
    """Near duplicates across each two splits of pictures; they are looked for among pictures only.

    Every sample of validation is compared with all of train, and every sample of test with all of train and
    of validation.
    """
    compared = _compared(dataset)
    if not compared:
        return []
    vectors = {name: _vectors(split.inputs) for name, split in dataset.splits.items()}
    directions = _directions(vectors["train"])
    few = {name: _few_numbers(rows, directions) for name, rows in vectors.items()}
    found = []
    for split, other in compared:
        best, place = _most_alike(vectors[split], vectors[other], few[split], few[other])
        found.append(_summary(dataset, split, other, best, place))
    return found


def num_pairs(dataset: Dataset) -> int:
    """How many pairs of pictures `near_duplicates` compares."""
    sizes = {name: split.num_samples for name, split in dataset.splits.items()}
    return sum(sizes[split] * sizes[other] for split, other in _compared(dataset))


def _compared(dataset: Dataset) -> list[tuple[str, str]]:
    """The splits that are compared, each with the one it must not repeat.

    None of sound: recordings of one voice are more alike than the threshold, and are not the same.
    """
    if dataset.spec.kind != "images" or dataset.spec.sound is not None:
        return []
    pairs = (("validation", "train"), ("test", "train"), ("test", "validation"))
    return [(split, other) for split, other in pairs if {split, other} <= set(dataset.splits)]


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


def _directions(vectors: Tensor) -> Tensor:
    """Orthonormal directions in which `vectors` (N, D) vary most, as columns (D, 31); fewer for a small D."""
    _, directions = torch.linalg.eigh((vectors.T @ vectors).double())  # in ascending order
    leading: Tensor = directions[:, -_DIRECTIONS:].float()
    return leading


def _few_numbers(vectors: Tensor, directions: Tensor) -> Tensor:
    """Coordinates along the directions and the length of what is left, (N, 32).

    The product of two such rows is at least that of their vectors.
    """
    coordinates = vectors @ directions
    left = vectors.square().sum(dim=1) - coordinates.square().sum(dim=1)
    return torch.cat([coordinates, left.clamp(min=0).sqrt()[:, None]], dim=1)


def _most_alike(vectors: Tensor, others: Tensor, few: Tensor, few_others: Tensor) -> tuple[Tensor, Tensor]:
    """For each of `vectors` (N, D) the largest product with one of `others` (M, D), and which one it is.

    Products that cannot reach the threshold, as the bound by few numbers tells, are left out: -1 stands where
    there is no other.
    """
    best = torch.full((len(vectors),), -1.0)
    place = torch.zeros(len(vectors), dtype=torch.int64)
    for row in range(0, len(vectors), _ROWS):
        some = few[row : row + _ROWS]
        for column in range(0, len(others), _BLOCK):
            columns = slice(column, column + _BLOCK)
            bounds = (some @ few_others[columns].T).amax(dim=1)
            rows = row + torch.nonzero(bounds >= THRESHOLD - _SLACK).flatten()
            if len(rows):
                largest, at = (vectors[rows] @ others[columns].T).max(dim=1)
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
