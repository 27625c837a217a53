"""Normalisation against its formulas."""

import pytest
import torch

from creuset.layers.norm import LayerNorm, RMSNorm

X = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0)) * 3 + 1


def test_layer_norm_is_its_formula() -> None:
    norm = LayerNorm(8, eps=1e-3)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)  # type: ignore[arg-type]
    centred = X - X.mean(-1, keepdim=True)
    expected = centred / (centred.square().mean(-1, keepdim=True) + 1e-3).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(norm(X), expected)
    assert LayerNorm(8, eps=1e-3, bias=False).bias is None


@pytest.mark.parametrize("plus_one", [False, True])
def test_rms_norm_is_its_formula(plus_one: bool) -> None:
    norm = RMSNorm(8, eps=1e-2, plus_one=plus_one)
    torch.testing.assert_close(norm(X), X / (X.square().mean(-1, keepdim=True) + 1e-2).sqrt())
    torch.nn.init.normal_(norm.weight)
    gain = 1 + norm.weight if plus_one else norm.weight
    torch.testing.assert_close(norm(X), X / (X.square().mean(-1, keepdim=True) + 1e-2).sqrt() * gain)


def test_the_gain_of_one_plus_weight_is_rounded_once() -> None:
    norm = RMSNorm(8, eps=1e-6, plus_one=True)
    torch.nn.init.normal_(norm.weight, std=0.01)
    low = norm.to(torch.bfloat16)
    x = X.bfloat16()
    precise = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6)
    expected = (precise * (1 + low.weight.float())).bfloat16()
    assert torch.equal(low(x), expected)
    assert low(x).dtype == torch.bfloat16
