"""Exponential moving average of a model's weights, and of what batch norms measured with them.

After each step: average <- decay * average + (1 - decay) * weight. The decay rises as (1 + t) / (10 + t)
until it reaches its value, so that the first, random weights are soon forgotten (as in TensorFlow's
ExponentialMovingAverage with num_updates).

The running means and variances of batch norms are averaged alike (as torch's AveragedModel does with
use_buffers): those of the last weights would not fit the averages, which are used in their place.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_OFFSET = 10
"""TensorFlow's constant of the rising decay."""


_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class ExponentialMovingAverage:
    """The averages of a module's trainable parameters and of its batch norms' running statistics.

    Args:
        module: Whose weights are averaged.
        decay: In [0, 1); 0.999 averages over about the last thousand steps.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {
            name: value for name, value in module.named_parameters() if value.requires_grad
        }
        self.weights |= _running_statistics(module)
        self.averages = {name: value.detach().clone() for name, value in self.weights.items()}

    def update(self, step: int) -> None:
        """Takes in the weights after training step `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (_OFFSET + step))
        weights = [value.detach() for value in self.weights.values()]
        torch._foreach_lerp_(list(self.averages.values()), weights, 1 - decay)

    def load(self, averages: Mapping[str, Tensor]) -> None:
        """Takes over averages by the names of what they are averages of."""
        for name, average in self.averages.items():
            average.copy_(averages[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the module's weights are the averages."""
        weights = {name: value.detach().clone() for name, value in self.weights.items()}
        try:
            self._assign(self.averages)
            yield
        finally:
            self._assign(weights)

    def _assign(self, values: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(values[name])


def _running_statistics(module: nn.Module) -> dict[str, Tensor]:
    """The running means and variances of all batch norms within the module, by name."""
    return {
        f"{name}.{key}" if name else key: value
        for name, layer in module.named_modules()
        if isinstance(layer, _BATCH_NORMS)
        for key, value in layer.named_buffers()
        if value.is_floating_point()
    }
