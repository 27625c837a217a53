"""The order of training samples: endless, shuffled anew each epoch, and without state.

The batch at a position is a function of (seed, position), so a resumed run needs nothing but its step.
"""

import torch
from torch import Tensor

from creuset.device import stream
from creuset.errors import UsageError


class BatchOrder:
    """Which samples make up the batch at a position.

    Batches are cut from one permutation an epoch, laid end to end: each sample comes once an epoch, and a
    batch may hold the end of one epoch and the beginning of the next.

    Args:
        num_samples: Samples in the training split.
        batch_size: Samples in a global batch, at most num_samples.
        seed: The run's seed.

    Raises:
        UsageError: The batch is larger than the data.
    """

    def __init__(self, num_samples: int, batch_size: int, seed: int) -> None:
        if batch_size > num_samples:
            raise UsageError(
                "a batch cannot be larger than the training split",
                where="data.batch_size",
                got=batch_size,
                expected=f"at most {num_samples}, the number of training samples",
                next_step=f"set data.batch_size to {num_samples} or less",
            )
        self.num_samples = num_samples
        self.batch_size = batch_size
        self._seed = seed
        self._permutations: dict[int, Tensor] = {}

    def indices(self, position: int) -> Tensor:
        """The samples of the batch at `position`, counted from 0 over the whole training: int64 (B,)."""
        epoch, start = divmod(position * self.batch_size, self.num_samples)
        stop = start + self.batch_size
        first = self._permutation(epoch)[start:stop]
        if stop <= self.num_samples:
            return first.clone()
        return torch.cat([first, self._permutation(epoch + 1)[: stop - self.num_samples]])

    def epochs(self, position: int) -> Tensor:
        """The epoch that each sample of this batch belongs to, counted from 0: int64 (B,)."""
        first = position * self.batch_size
        return torch.arange(first, first + self.batch_size) // self.num_samples

    def epoch_of(self, position: int) -> int:
        """The epoch that the first sample of this batch belongs to, counted from 0."""
        return position * self.batch_size // self.num_samples

    def _permutation(self, epoch: int) -> Tensor:
        if epoch not in self._permutations:
            if len(self._permutations) == 2:
                del self._permutations[min(self._permutations)]
            generator = stream(self._seed, "order", epoch)
            self._permutations[epoch] = torch.randperm(self.num_samples, generator=generator)
        return self._permutations[epoch]
