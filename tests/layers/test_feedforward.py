"""The dense stack."""

import torch
from torch import nn

from creuset.layers.feedforward import MLP


def test_is_linear_layers_with_activations_between() -> None:
    mlp = MLP([5, 7, 3], "tanh")
    first, second = (module for module in mlp.modules() if isinstance(module, nn.Linear))
    x = torch.randn(4, 5)
    torch.testing.assert_close(mlp(x), second(torch.tanh(first(x))))


def test_two_widths_are_one_linear_layer() -> None:
    mlp = MLP([5, 3])
    assert [name for name, _ in mlp.named_parameters()] == ["layers.0.weight", "layers.0.bias"]
    x = torch.randn(4, 5)
    torch.testing.assert_close(mlp(2 * x) - mlp(x), mlp(x) - mlp(torch.zeros_like(x)))
