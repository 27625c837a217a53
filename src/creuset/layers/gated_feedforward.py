"""The feed-forward part of a Transformer's block, gated or not.

    plain   down(f(up(x)))
    gated   down(f(gate(x)) * up(x)), with f = silu: SwiGLU, f = gelu: GEGLU

Source: Vaswani et al. 2017, "Attention Is All You Need", eq. 2; GELU, exact and by tanh: Hendrycks & Gimpel
2016, "Gaussian Error Linear Units"; gates: Shazeer 2020, "GLU Variants Improve Transformer", eqs. 5 and 6.

Legend of shapes: ... any leading axes, E features of a token, F hidden features.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from creuset.layers.kept_small import gated_product

FeedForwardActivation = Literal["relu", "gelu", "gelu_tanh", "silu"]

_ACTIVATIONS: dict[FeedForwardActivation, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),
    "silu": functional.silu,
}


def activate(x: Tensor, name: FeedForwardActivation) -> Tensor:
    """The function of that name, of each number."""
    return _ACTIVATIONS[name](x)


class FeedForward(nn.Module):
    """The same two or three linear layers for each token.

    Args:
        embed_dim: E.
        hidden_dim: F.
        activation: f.
        gated: Whether f's output multiplies that of a second layer.
        bias: Whether the linear layers have a bias.
    """

    def __init__(
        self, embed_dim: int, hidden_dim: int, *, activation: FeedForwardActivation, gated: bool, bias: bool
    ) -> None:
        super().__init__()
        self.activation: FeedForwardActivation = activation
        self.gate = nn.Linear(embed_dim, hidden_dim, bias=bias) if gated else None
        self.up = nn.Linear(embed_dim, hidden_dim, bias=bias)
        self.down = nn.Linear(hidden_dim, embed_dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., E)."""
        hidden = self.up(x)  # (..., F)
        if self.gate is None:
            hidden = activate(hidden, self.activation)
        else:
            hidden = gated_product(self.gate(x), hidden, _ACTIVATIONS[self.activation])
        out: Tensor = self.down(hidden)
        return out

    def extra_repr(self) -> str:
        return f"activation={self.activation}"
