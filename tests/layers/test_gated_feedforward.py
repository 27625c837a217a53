"""Feed-forward layers against their formulas."""

import math

import pytest
import torch

from creuset.layers.gated_feedforward import FeedForward, FeedForwardActivation, activate

FORMULAS = {
    "relu": lambda x: x.clamp(min=0),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + torch.exp(-x)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_each_activation_is_its_formula(name: FeedForwardActivation) -> None:
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    torch.testing.assert_close(activate(x, name), FORMULAS[name](x))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_the_layer_is_its_formula(gated: bool, bias: bool) -> None:
    layer = FeedForward(4, 7, activation="silu", gated=gated, bias=bias)
    x = torch.randn(2, 3, 4)
    hidden = FORMULAS["silu"](layer.gate(x)) * layer.up(x) if layer.gate else FORMULAS["silu"](layer.up(x))
    torch.testing.assert_close(layer(x), layer.down(hidden))
    assert (layer.gate is not None) == gated
    assert (layer.up.bias is not None) == bias
