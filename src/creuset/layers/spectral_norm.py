"""Spectral norm: weights divided by their largest singular value, estimated as they change.

    W / sigma, sigma = u W v;  after each update  v <- W' u / |W' u|,  u <- W v / |W v|

with W the weights as a matrix, their first axis against all others. The estimate is a power iteration that
goes on as the weights are trained: one turn an update is enough, since an update changes them little.

Source: Miyato et al. 2018, "Spectral Normalization for GANs", algorithm 1.
Departures: a turn is made when the weights were changed (`follow_weights`), not each time that they are used
as torch's own does: so what a loss is does not depend on how often, and in how many parts of a batch, the
layer is used. The first estimate is of 15 turns, as torch's is.
"""

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.functional import normalize
from torch.nn.utils.parametrize import register_parametrization

_FIRST_TURNS = 15
_LEAST_NORM = 1e-12


class SpectralNorm(nn.Module):
    """Divides weights by an estimate of their largest singular value; a parametrization of torch's.

    Args:
        weight: The weights at first, two axes or more.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        for name, length in zip(("u", "v"), matrix.shape, strict=True):
            start = nn.init.normal_(weight.detach().new_empty(length))
            self.register_buffer(name, normalize(start, dim=0, eps=_LEAST_NORM))
        for _ in range(_FIRST_TURNS):
            self.turn(weight)

    def forward(self, weight: Tensor) -> Tensor:
        """Weights of any shape -> the same divided by sigma; u and v are constants to the gradient."""
        return weight / torch.dot(self.u, torch.mv(weight.flatten(1), self.v))

    @torch.no_grad()
    def turn(self, weight: Tensor) -> None:
        """One turn of the power iteration."""
        matrix = weight.flatten(1)
        self.v.copy_(normalize(torch.mv(matrix.T, self.u), dim=0, eps=_LEAST_NORM))
        self.u.copy_(normalize(torch.mv(matrix, self.v), dim=0, eps=_LEAST_NORM))


def with_spectral_norm(layer: nn.Module) -> nn.Module:
    """The layer, with a `weight` that is divided by its largest singular value."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    register_parametrization(layer, "weight", SpectralNorm(weight))
    return layer


def follow_weights(module: nn.Module) -> None:
    """One turn of each spectral norm within the module: to be made after each update of its weights."""
    for layer in module.modules():
        if isinstance(layer, nn.utils.parametrize.ParametrizationList):
            for norm in layer:
                if isinstance(norm, SpectralNorm):
                    weight = layer.original
                    norm.turn(weight.full_tensor() if isinstance(weight, DTensor) else weight)
