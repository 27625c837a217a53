"""Linear layers for computing without gradients on a processor: weights laid out once as oneDNN reads them.

torch's own linear layers take MKL for float32, which on some processors leaves their widest registers unused;
oneDNN does not, and fuses the activation that follows. On an AMD EPYC with AVX-512, one thread, 1024 to 4096
tokens of 384 features: float32 93-106 GFLOP/s against 66-77, bfloat16 as fast or up to a sixth faster.
The products are the same up to the order of summation.

Legend of shapes: I inputs, O outputs, E features.
"""

import torch
from torch import Tensor, nn

from creuset.errors import UsageError
from creuset.layers.gated_feedforward import FeedForward, FeedForwardActivation

_FUSED: dict[FeedForwardActivation, tuple[str, str]] = {
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
}
"""Activations that the kernel computes on its way, as it calls them."""
_TYPICAL_ROWS = 1024
"""Of a batch of texts."""


class PackedLinear(nn.Module):
    """x W^T + b, with an activation behind it or none; it has no parameters and gives no gradients.

    Args:
        weight: (O, I), which `can_pack`; it is copied.
        bias: (O,), or None.
        activation: One that oneDNN fuses, or None.
        expected_rows: Rows that the layout is chosen for; others are computed as well.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        activation: FeedForwardActivation | None = None,
        *,
        expected_rows: int = _TYPICAL_ROWS,
    ) -> None:
        super().__init__()
        self.activation = ("none", "") if activation is None else _FUSED[activation]
        self.bias = None if bias is None else bias.detach()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), expected_rows)

    @classmethod
    def of(cls, linear: nn.Linear, activation: FeedForwardActivation | None = None) -> "PackedLinear":
        """A layer's weights, packed."""
        return cls(linear.weight, linear.bias, activation)

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        name, algorithm = self.activation
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, name, [], algorithm)
        return out


class PackedFeedForward(nn.Module):
    """down(f(up(x))) with f computed within the first product.

    Args:
        feedforward: The layer, not gated and with an activation that oneDNN fuses.
    """

    def __init__(self, feedforward: FeedForward) -> None:
        super().__init__()
        self.up = PackedLinear.of(feedforward.up, feedforward.activation)
        self.down = PackedLinear.of(feedforward.down)

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., E)."""
        out: Tensor = self.down(self.up(x))
        return out


def can_pack(tensor: Tensor) -> bool:
    """Whether oneDNN computes with numbers like these on this machine."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if tensor.device.type != "cpu" or not available:
        return False
    if tensor.dtype == torch.bfloat16:
        supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return supported
    return tensor.dtype == torch.float32


def pack_linear_layers(module: nn.Module) -> None:
    """Replaces the linear layers within a module, which from then on gives no gradients and is not saved.

    Args:
        module: With weights that `can_pack`.

    Raises:
        UsageError: It has weights that oneDNN does not compute with here.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            _require_packable(name, child.weight)
            setattr(module, name, PackedLinear.of(child))
        elif isinstance(child, FeedForward) and child.gate is None and child.activation in _FUSED:
            _require_packable(name, child.up.weight)
            setattr(module, name, PackedFeedForward(child))
        else:
            pack_linear_layers(child)


def _require_packable(name: str, weight: Tensor) -> None:
    if not can_pack(weight):
        raise UsageError(
            "oneDNN does not compute with these weights here",
            where=name,
            got=f"{weight.dtype} on {weight.device}",
            expected="float32 on a processor, or bfloat16 where it has instructions for it",
        )
