"""Normalisation of each token's vector: LayerNorm and RMSNorm.

Source: LayerNorm: Ba et al. 2016, "Layer Normalization", eq. 4; RMSNorm: Zhang & Sennrich 2019, "Root Mean
Square Layer Normalization", eq. 4, with eps inside the root.
Departures: RMSNorm can hold its gain as a distance from one, 1 + weight, so that weight decay pulls it to
one; that form is computed in float32 up to and with the gain, and rounded once.

Legend of shapes: ... any leading axes, E features.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.layers.kept_small import rms_norm

NormKind = Literal["layer", "rms"]


@dataclass(frozen=True, kw_only=True)
class NormConfig:
    """How vectors are normalised.

    Args:
        kind: "layer" takes the mean away and divides by the standard deviation; "rms" divides by the root of
            the mean square.
        eps: Added to the variance, or to the mean square, above 0.
        bias: Whether a learned vector is added at the end; "layer" alone can have it.
        plus_one: Whether the gain is 1 + weight; "rms" alone can have it.
    """

    kind: NormKind
    eps: float
    bias: bool = False
    plus_one: bool = False

    def build(self, dim: int) -> "LayerNorm | RMSNorm":
        """The module for vectors of `dim` features."""
        if self.kind == "layer":
            return LayerNorm(dim, eps=self.eps, bias=self.bias)
        return RMSNorm(dim, eps=self.eps, plus_one=self.plus_one)


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with the variance divided by E.

    Args:
        dim: E.
        eps: Above 0.
        bias: Whether there is a bias.
    """

    def __init__(self, dim: int, *, eps: float, bias: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., E)."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}, bias={self.bias is not None}"


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * gain, the gain being weight or 1 + weight.

    Args:
        dim: E.
        eps: Above 0.
        plus_one: Whether the gain is 1 + weight; the weight then starts from 0, and from 1 otherwise.
    """

    def __init__(self, dim: int, *, eps: float, plus_one: bool = False) -> None:
        super().__init__()
        self.eps = eps
        self.plus_one = plus_one
        self.weight = nn.Parameter(torch.zeros(dim) if plus_one else torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., E)."""
        if not self.plus_one:
            return rms_norm(x, self.weight, self.eps)
        precise = torch.promote_types(x.dtype, torch.float32)
        gain = 1 + self.weight.to(precise)
        return functional.rms_norm(x.to(precise), gain.shape, gain, self.eps).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}, plus_one={self.plus_one}"
