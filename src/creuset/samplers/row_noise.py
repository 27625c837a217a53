"""Random numbers in as many draws as a sampler has steps, without keeping them.

A BatchGenerator keeps what it draws for the whole batch, which for a thousand steps would be a thousand
batches. Here each row has a generator of its own, seeded by one number of the BatchGenerator: so a row's
draws still depend on nothing but the seed and its place.

Legend of shapes: B rows.
"""

import torch
from torch import Tensor

from creuset.device import BatchGenerator

_SEEDS = 2**62


class RowNoise:
    """Draws for the rows of a batch. They are made on the CPU, so that each device gets the same.

    Args:
        draws: Gives each row its seed, by one draw; its rows are those of the batch.
    """

    def __init__(self, draws: BatchGenerator) -> None:
        self._device = draws.device
        seeds: list[int] = draws.integers(_SEEDS).tolist()
        self._sources = [torch.Generator().manual_seed(seed) for seed in seeds]

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, (B, *shape), float32."""
        return self._stacked([torch.randn(shape, generator=source) for source in self._sources])

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), (B, *shape), float32."""
        return self._stacked([torch.rand(shape, generator=source) for source in self._sources])

    def signs(self, *shape: int) -> Tensor:
        """-1 or 1, each as likely, (B, *shape), float32."""
        return self.uniform(*shape).sub(0.5).sign_()

    def _stacked(self, rows: list[Tensor]) -> Tensor:
        return torch.stack(rows).to(self._device)
