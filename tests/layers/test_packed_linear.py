"""Packed linear layers compute what plain ones do."""

import pytest
import torch
from torch import nn

from creuset.errors import UsageError
from creuset.layers.gated_feedforward import FeedForward, FeedForwardActivation
from creuset.layers.packed_linear import PackedFeedForward, PackedLinear, can_pack, pack_linear_layers

pytestmark = pytest.mark.skipif(
    not can_pack(torch.zeros(1)), reason="needs torch with oneDNN, which this machine has not"
)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 7), (5, 7), (2, 3, 7), (1, 3000, 7)])
@torch.no_grad()
def test_products_are_those_of_the_layer(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(7, 11, bias=bias)
    x = torch.randn(shape)
    torch.testing.assert_close(PackedLinear.of(linear)(x), linear(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh"])
@torch.no_grad()
def test_a_fused_activation_is_that_of_the_feed_forward_part(activation: FeedForwardActivation) -> None:
    torch.manual_seed(0)
    plain = FeedForward(6, 20, activation=activation, gated=False, bias=True)
    x = torch.randn(2, 9, 6) * 3
    torch.testing.assert_close(PackedFeedForward(plain)(x), plain(x), rtol=0, atol=1e-5)


@torch.no_grad()
def test_all_layers_within_a_module_are_packed() -> None:
    torch.manual_seed(0)
    gated = FeedForward(6, 20, activation="silu", gated=True, bias=False)
    plain = FeedForward(6, 20, activation="gelu", gated=False, bias=True)
    whole = nn.Sequential(nn.Linear(6, 6), nn.Sequential(gated, plain))
    x = torch.randn(4, 6)
    expected = whole(x)
    pack_linear_layers(whole)
    assert not any(isinstance(module, nn.Linear) for module in whole.modules())
    assert not list(whole.parameters())
    torch.testing.assert_close(whole(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "layer", [nn.Linear(3, 3), FeedForward(3, 3, activation="gelu", gated=False, bias=True)]
)
def test_numbers_that_onednn_does_not_compute_with_are_refused(layer: nn.Module) -> None:
    with pytest.raises(UsageError, match=r"oneDNN[^$]*torch\.float64 on cpu"):
        pack_linear_layers(nn.Sequential(layer.double()))
