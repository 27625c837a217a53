"""Batches for the loop: by position, so that a resumed run meets the data it would have met.

Texts to tune on differ in length, and so do the memory and the time that their batches take. Of all parts
that batches are cut into, the one with the most tokens has its batch come first: memory fails in the first
step or never. So the order of batches depends on the number of parts, by two batches that change places.
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from creuset.data.augment import augment
from creuset.data.batches import BatchOrder
from creuset.data.dataset import Dataset
from creuset.data.token_stream import EpochOffsets
from creuset.device import BatchGenerator
from creuset.recipe.sections import AugmentationConfig, DataConfig


class Batches(Protocol):
    """Any source of training batches."""

    batch_size: int

    def part(self, position: int, start: int, stop: int) -> dict[str, Tensor]:
        """Samples [start, stop) of the batch at `position`, counted from 0 over the whole training."""


class TrainingBatches:
    """The training split in shuffled batches, pictures augmented, blocks of a corpus shifted anew each epoch.

    Args:
        dataset: Where the samples come from.
        config: Batch size and augmentation.
        seed: Decides the order, the augmentation and the shifts.
        device: Where batches are put.
        dtype: Their floating-point format.
        num_batches: Of texts to tune on the heaviest of so many batches comes first.
        num_parts: Into how many parts a batch is cut; the heaviest batch is that with the heaviest part.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: DataConfig,
        *,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
        num_batches: int = 1,
        num_parts: int = 1,
    ) -> None:
        self.batch_size = config.batch_size
        self._dataset = dataset
        self._augmentation = config.augmentation
        self._order = BatchOrder(dataset.splits["train"].num_samples, config.batch_size, seed)
        self._seed, self._device, self._dtype = seed, device, dtype
        self._augments = config.augmentation != AugmentationConfig()
        self._offsets = EpochOffsets(dataset.spec.context, seed) if dataset.spec.kind == "corpus" else None
        self._is_padded = dataset.spec.kind in ("pairs", "texts")
        self._latest: tuple[int, BatchGenerator] | None = None
        self._heaviest = 0
        self.num_tokens: tuple[int, ...] = ()
        """Tokens of each batch of texts to tune on, in the shuffled order; empty of other data."""
        self.most_tokens = 0
        """Tokens of the part with the most of them, which is one of the first batch's; 0 of other data."""
        tuning = dataset.splits["train"].tuning
        if tuning is not None:
            bounds = torch.tensor(part_bounds(self.batch_size, num_parts))
            order = torch.stack([self._order.indices(place) for place in range(num_batches)])
            lengths = tuning.lengths[order]  # (batches, samples)
            sums = torch.cat([torch.zeros(num_batches, 1, dtype=torch.int64), lengths.cumsum(1)], 1)
            heaviest = sums[:, bounds].diff(dim=1).amax(1)
            self.num_tokens = tuple(lengths.sum(1).tolist())
            self.most_tokens = int(heaviest.max())
            self._heaviest = heaviest.tolist().index(self.most_tokens)

    def indices(self, position: int) -> Tensor:
        """Which samples of the training split make up the batch at `position`, int64 (batch_size,)."""
        return self._order.indices(self._place(position))

    def _place(self, position: int) -> int:
        """Where the batch at `position` stands in the shuffled order: the heaviest comes first."""
        return self._heaviest - position if position in (0, self._heaviest) else position

    def part(self, position: int, start: int, stop: int) -> dict[str, Tensor]:
        position = self._place(position)
        indices = self._order.indices(position)[start:stop]
        if self._is_padded:
            # to the longest of the whole batch: what is drawn has the same shape in each part
            whole = self._dataset.batch("train", self._order.indices(position))
            batch = {name: rows[start:stop] for name, rows in whole.items()}
        elif self._offsets is None:
            batch = self._dataset.batch("train", indices)
        else:
            offsets = self._offsets.of(self._order.epochs(position)[start:stop])
            batch = self._dataset.batch("train", indices, offsets)
        if self._augments:
            generator = self._generator(position).slice(start, stop)
            batch["images"] = augment(batch["images"], self._augmentation, generator)
        return to_device(batch, self._device, self._dtype)

    def _generator(self, position: int) -> BatchGenerator:
        if self._latest is None or self._latest[0] != position:
            fresh = BatchGenerator(self._seed, "augment", position, size=self.batch_size)
            self._latest = (position, fresh)
        return self._latest[1]


def part_bounds(batch_size: int, num_parts: int) -> list[int]:
    """Where the parts of a batch begin, and where the last one ends: num_parts + 1 places."""
    return [batch_size * part // num_parts for part in range(num_parts + 1)]


def split_batches(
    dataset: Dataset,
    split: str,
    batch_size: int,
    *,
    num_samples: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Iterator[dict[str, Tensor]]:
    """The first samples of a split once, in their stored order, without augmentation."""
    for start in range(0, num_samples, batch_size):
        indices = torch.arange(start, min(start + batch_size, num_samples))
        yield to_device(dataset.batch(split, indices), device, dtype)


def to_device(batch: dict[str, Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """The batch on `device`, its floating-point tensors in `dtype`."""
    return {
        name: tensor.to(device, dtype if tensor.is_floating_point() else None, non_blocking=True)
        for name, tensor in batch.items()
    }
