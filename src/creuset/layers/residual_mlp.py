"""A dense network with residuals, steered by a vector: for rows of a table.

    x + W2 silu(W1 (norm(x) (1 + scale) + shift)),   with scale and shift from the vector

Source: residuals: He et al. 2016, "Deep Residual Learning"; scale and shift: Perez et al. 2018, "FiLM".

Legend of shapes: B batch, F features of a row, E features of the vector.
"""

from torch import Tensor, nn
from torch.nn import functional

from creuset.layers.feedforward import MLP
from creuset.layers.norm import LayerNorm

_EPS = 1e-5


class SteeredLayer(nn.Module):
    """One residual step, from width to width.

    Args:
        width: Features in, between and out.
        embed_dim: E.
    """

    def __init__(self, width: int, embed_dim: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width, eps=_EPS)
        self.modulation = nn.Linear(embed_dim, 2 * width)
        self.dense = MLP([width, width, width], "silu")

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(B, width) and (B, E) -> (B, width)."""
        scale, shift = self.modulation(vector).chunk(2, dim=1)
        out: Tensor = x + self.dense(self.norm(x) * (1 + scale) + shift)
        return out


class ResidualMLP(nn.Module):
    """Rows to rows of the same form.

    Args:
        num_features: F.
        hidden_dim: Features of each layer.
        num_layers: Residual steps.
        embed_dim: E.
    """

    def __init__(self, num_features: int, hidden_dim: int, num_layers: int, embed_dim: int) -> None:
        super().__init__()
        self.input = nn.Linear(num_features, hidden_dim)
        self.layers = nn.ModuleList(SteeredLayer(hidden_dim, embed_dim) for _ in range(num_layers))
        self.norm = LayerNorm(hidden_dim, eps=_EPS)
        self.output = nn.Linear(hidden_dim, num_features)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(B, F) and (B, E) -> (B, F)."""
        hidden = self.input(x)
        vector = functional.silu(vector)
        for layer in self.layers:
            hidden = layer(hidden, vector)
        out: Tensor = self.output(functional.silu(self.norm(hidden)))
        return out
