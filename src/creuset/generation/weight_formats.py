"""Linear layers for writing text, a few rows at a time: reading the weights is all that a token should cost.

    float32, bfloat16   packed as oneDNN's kernels read them (layers/packed_linear.py)
    int8                a whole number from -127 to 127 for each weight, a scale for each output:
                        round(w / s), s = max |w| / 127 over an output's weights, rounded to bfloat16

Source: one scale for each output channel: Jacob et al. 2018, "Quantization and Training of Neural Networks
for Efficient Integer-Arithmetic-Only Inference", section 2.1, here symmetric and of weights alone.
Where torch was built without oneDNN, float32 and bfloat16 use the plain product.

Legend of shapes: N rows, I inputs, O outputs.
"""

from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from creuset.layers.packed_linear import PackedLinear, can_pack

WeightFormat = Literal["float32", "bfloat16", "int8"]

_EXPECTED_ROWS = 8
"""The number of rows that oneDNN chooses its layout for; it serves one row and a prompt as well."""
_MANY_ROWS = 16
"""From so many rows on a product in bfloat16 is faster than one with int8 weights."""
_QUANTIZED_AT_ONCE = 4096
"""Outputs whose weights are brought to float32 at a time: a head has many."""
_INT8_BLOCK = 32
"""torch's product with int8 weights reads so many inputs at once, past the end of a row that ends between."""
_SMALLEST_SCALE = 1e-12
"""Of an output whose weights are all 0."""


class Linear(Protocol):
    """A linear layer: (N, I) -> (N, O)."""

    def __call__(self, x: Tensor) -> Tensor: ...


class PlainLinear:
    """x W^T + b by torch's own product.

    Args:
        weight: (O, I).
        bias: (O,), or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        return functional.linear(x, self.weight, self.bias)


class Int8Linear:
    """x W^T + b with W in int8; inputs, outputs and scales are bfloat16.

    Args:
        weight: (O, I), of any floating format; it is not kept.
        bias: (O,), bfloat16, or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        parts = [_quantized(part) for part in torch.split(weight, _QUANTIZED_AT_ONCE)]
        self.weight = torch.cat([whole for whole, _ in parts])
        self.scale = torch.cat([scale for _, scale in parts])
        self.bias = bias
        self._max_rows = _MANY_ROWS if weight.shape[1] % _INT8_BLOCK == 0 else 0

    def __call__(self, x: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        if len(x) < self._max_rows:
            out = torch._weight_int8pack_mm(x, self.weight, self.scale)
        else:
            out = functional.linear(x, self.weight.bfloat16()) * self.scale
        return out if self.bias is None else out + self.bias


def _quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers (O, I) and scales (O,)."""
    precise = weight.float()
    largest = precise.abs().amax(1).clamp(min=_SMALLEST_SCALE)
    scale = (largest / 127).bfloat16()
    # by the scale as it is stored, so that its rounding costs nothing
    whole = precise / scale.float()[:, None]
    return whole.round_().clamp_(-127, 127).to(torch.int8), scale


def pack(weight: Tensor, bias: Tensor | None, form: WeightFormat) -> Linear:
    """The fastest linear layer of a format on this machine.

    Args:
        weight: (O, I).
        bias: (O,), or None.
        form: How weights are stored.
    """
    dtype = compute_dtype(form)
    bias = None if bias is None else bias.to(dtype)
    if form == "int8":
        return Int8Linear(weight, bias)
    weight = weight.to(dtype)
    if can_pack(weight):
        return PackedLinear(weight, bias, expected_rows=_EXPECTED_ROWS)
    return PlainLinear(weight, bias)


def compute_dtype(form: WeightFormat) -> torch.dtype:
    """The number format of everything but the weights of linear layers."""
    return torch.float32 if form == "float32" else torch.bfloat16
