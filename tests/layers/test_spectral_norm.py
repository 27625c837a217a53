"""Spectral norm against torch's own and against singular values."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import ParametrizationList

from creuset.layers.spectral_norm import SpectralNorm, follow_weights, with_spectral_norm


def layers() -> list[nn.Module]:
    return [nn.Linear(5, 7), nn.Conv2d(3, 4, 4), nn.Embedding(6, 3)]


def norm_of(layer: nn.Module) -> SpectralNorm:
    parametrized = layer.parametrizations["weight"]  # type: ignore[index]
    assert isinstance(parametrized, ParametrizationList)
    found = parametrized[0]
    assert isinstance(found, SpectralNorm)
    return found


@pytest.mark.parametrize("number", range(3))
def test_weights_are_those_of_torch(number: int) -> None:
    torch.manual_seed(0)
    own, other = layers()[number].double(), layers()[number].double()
    other.load_state_dict(own.state_dict())
    with_spectral_norm(own), parametrizations.spectral_norm(other)
    own.double()
    reference = other.parametrizations["weight"][0]  # type: ignore[index]
    reference._u.copy_(norm_of(own).u), reference._v.copy_(norm_of(own).v)  # type: ignore[union-attr]
    other.eval()
    torch.testing.assert_close(own.weight, other.weight)  # by the same u and v
    other.train()
    for _ in range(300):  # torch's turns begin with u, Miyato's with v: they meet
        follow_weights(own)
        expected = other.weight
    torch.testing.assert_close(own.weight, expected)


@pytest.mark.parametrize("number", range(3))
def test_the_largest_singular_value_is_one(number: int) -> None:
    torch.manual_seed(1)
    layer = with_spectral_norm(layers()[number])
    for _ in range(50):
        follow_weights(layer)
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    assert float(torch.linalg.matrix_norm(weight.detach().flatten(1), ord=2)) == pytest.approx(1, abs=1e-4)


def test_use_changes_nothing_and_its_gradient_is_of_the_quotient() -> None:
    torch.manual_seed(0)
    layer = with_spectral_norm(nn.Linear(4, 3)).double()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.train()
    layer(torch.ones(2, 4).double()).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    norm = norm_of(layer)
    raw = before["parametrizations.weight.original"]
    assert torch.autograd.gradcheck(norm, (raw.requires_grad_(),))
