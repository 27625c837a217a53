"""Exponential moving average of a model's weights.

After each step: average <- decay * average + (1 - decay) * weight. The decay rises as (1 + t) / (10 + t)
until it reaches its value, so that the first, random weights are soon forgotten (as in TensorFlow's
ExponentialMovingAverage with num_updates).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_OFFSET = 10
"""TensorFlow's constant of the rising decay."""


class ExponentialMovingAverage:
    """The averages of a module's trainable parameters.

    Args:
        module: Whose parameters are averaged.
        decay: In [0, 1); 0.999 averages over about the last thousand steps.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
        self.averages = {name: value.detach().clone() for name, value in self.parameters.items()}

    def update(self, step: int) -> None:
        """Takes in the weights after training step `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (_OFFSET + step))
        weights = [value.detach() for value in self.parameters.values()]
        torch._foreach_lerp_(list(self.averages.values()), weights, 1 - decay)

    def load(self, averages: Mapping[str, Tensor]) -> None:
        """Takes over averages by parameter name."""
        for name, average in self.averages.items():
            average.copy_(averages[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the module's parameters are the averages."""
        weights = {name: value.detach().clone() for name, value in self.parameters.items()}
        try:
            self._assign(self.averages)
            yield
        finally:
            self._assign(weights)

    def _assign(self, values: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(values[name])
