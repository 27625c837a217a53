"""Dense layers one after another.

Legend of shapes: B batch, F features.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

Activation = Literal["relu", "gelu", "silu", "tanh"]

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def make_activation(name: Activation) -> nn.Module:
    """The activation function of that name, as a module."""
    return _ACTIVATIONS[name]()


class MLP(nn.Module):
    """Linear layers with an activation between them, and none after the last.

    Args:
        widths: Features in, of each hidden layer, and out; at least two numbers.
        activation: What stands between the layers.
    """

    def __init__(self, widths: Sequence[int], activation: Activation = "relu") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for features_in, features_out in pairwise(widths):
            layers += [nn.Linear(features_in, features_out), make_activation(activation)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(B, widths[0]) -> (B, widths[-1])."""
        out: Tensor = self.layers(x)
        return out
