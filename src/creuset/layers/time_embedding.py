"""The moment of a diffusion or a flow as a vector, by which a network knows how much noise it sees.

Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", appendix B: sinusoidal features, as those
of a Transformer's positions, then two dense layers.
Departure: times lie in [0, 1] and are multiplied by 1,000, so that one network serves any number of steps.

Legend of shapes: B batch, E features.
"""

from torch import Tensor, nn

from creuset.layers.feedforward import MLP
from creuset.layers.positions import sinusoidal_embedding

_RANGE = 1000.0
"""The steps of Ho et al., over which their sinusoids spread."""


class TimeEmbedding(nn.Module):
    """Times to vectors.

    Args:
        embed_dim: E, an even number.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.dense = MLP([embed_dim, embed_dim, embed_dim], "silu")

    def forward(self, times: Tensor) -> Tensor:
        """Times in [0, 1], (B,) -> (B, E)."""
        features = sinusoidal_embedding(_RANGE * times[:, None], self.embed_dim)[:, 0]
        out: Tensor = self.dense(features.to(times.dtype))
        return out
