"""Convolutions and leaky ReLUs that are quick to differentiate twice, against torch's own."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.layers.critic import Critic
from creuset.objectives.gradient_penalty import wasserstein_gradient_penalty
from creuset.objectives.twice_differentiable import TwiceDifferentiable


def critic(*, slope: float = 0.2, norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    between = [nn.GroupNorm(2, 8)] if norm else []
    return nn.Sequential(
        nn.Conv2d(3, 6, 4, stride=2, padding=1),
        nn.LeakyReLU(slope),
        nn.Conv2d(6, 8, 3, padding=1, groups=2, dilation=1, bias=False),
        *between,
        nn.LeakyReLU(slope),
        nn.Conv2d(8, 4, 3, padding="same"),
        nn.LeakyReLU(slope, inplace=True),
        nn.Flatten(),
        nn.Linear(4 * 16, 1),
        nn.Flatten(0),
    ).double()


def rows(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_torch(scores: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, weights: Tensor) -> Tensor:
    between = torch.lerp(fake, real, weights.view(-1, 1, 1, 1)).requires_grad_()
    (found,) = torch.autograd.grad(scores(between).sum(), between, create_graph=True)
    return (found.flatten(1).norm(dim=1) - 1).square()


@pytest.mark.parametrize("norm", [False, True])
def test_the_penalty_and_its_gradients_are_torchs(norm: bool) -> None:
    net = critic(norm=norm)
    places = rows(5, 3, 8, 8), rows(5, 3, 8, 8, seed=2), torch.rand(5, dtype=torch.float64)
    theirs = by_torch(net, *places)
    ours = wasserstein_gradient_penalty(net, *places)
    torch.testing.assert_close(ours, theirs)
    parameters = list(net.parameters())
    expected = torch.autograd.grad(theirs.mean(), parameters, allow_unused=True)
    found = torch.autograd.grad(ours.mean(), parameters, allow_unused=True)
    for one, other in zip(found, expected, strict=True):
        # of a bias that has no part in the gradient torch says None or zeros
        torch.testing.assert_close(*(torch.zeros(1) if x is None or not x.any() else x for x in (one, other)))
    assert any(one is not None and bool(one.any()) for one in found)


def test_derivatives_of_the_penalty_go_on_to_the_third_order() -> None:
    """Unrolled steps of a critic differentiate its update, which the penalty's gradient is a part of."""
    net = critic()
    places = rows(2, 3, 8, 8), rows(2, 3, 8, 8, seed=2), torch.rand(2, dtype=torch.float64)
    first = net[0].weight

    def third(penalty: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(penalty.mean(), first, create_graph=True)
        (found,) = torch.autograd.grad(gradient.square().sum(), net[2].weight)
        return found

    expected = third(by_torch(net, *places))
    assert bool(expected.any())
    torch.testing.assert_close(third(wasserstein_gradient_penalty(net, *places)), expected)


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"stride": 2, "padding": 1},
        {"stride": (2, 1), "padding": (0, 2)},
        {"dilation": 2, "groups": 2},
    ],
)
def test_a_convolution_is_torchs_with_its_derivatives(geometry: dict[str, Any]) -> None:
    x = rows(2, 4, 7, 6).requires_grad_()
    weight = rows(6, 4 // geometry.get("groups", 1), 3, 2, seed=3).requires_grad_()
    bias = rows(6, seed=4).requires_grad_()

    def convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        with TwiceDifferentiable():
            return functional.conv2d(x, weight, bias, **geometry)

    torch.testing.assert_close(convolved(x, weight, bias), functional.conv2d(x, weight, bias, **geometry))
    assert torch.autograd.gradcheck(convolved, (x, weight, bias))
    assert torch.autograd.gradgradcheck(convolved, (x, weight, bias))


def test_a_leaky_relu_has_no_curvature_and_torchs_slope() -> None:
    x = rows(3, 5).requires_grad_()
    with TwiceDifferentiable():
        found = functional.leaky_relu(x, 0.3)
    torch.testing.assert_close(found, functional.leaky_relu(x, 0.3))
    (gradient,) = torch.autograd.grad(found.square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), x)
    slopes = torch.where(x > 0, 1.0, 0.3).to(x.dtype)
    torch.testing.assert_close(gradient, 2 * slopes**2 * x)
    torch.testing.assert_close(second, 2 * slopes**2)


def test_half_precision_is_that_of_the_block_around() -> None:
    net = critic().float()
    x = rows(4, 3, 8, 8).float().requires_grad_()
    found = []
    for block in (nullcontext(), TwiceDifferentiable()):
        with torch.autocast("cpu", dtype=torch.bfloat16), block:
            maps = net[0](x)
        assert maps.dtype == torch.bfloat16
        (gradient,) = torch.autograd.grad(maps.float().square().sum(), x)
        found.append((maps, gradient))
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize("number_format", [torch.bfloat16, torch.float64])
def test_the_penalty_in_a_block_of_half_precision(number_format: torch.dtype) -> None:
    """As a training in bfloat16 computes it; float64 is left as it is, by torch as here."""
    exact = number_format == torch.float64
    net = critic() if exact else critic().float()
    places = rows(6, 3, 8, 8), rows(6, 3, 8, 8, seed=2), torch.rand(6, dtype=torch.float64)
    if not exact:
        places = tuple(place.float() for place in places)  # type: ignore[assignment]
    parameters = [value for name, value in net.named_parameters() if "weight" in name]
    found = []
    for penalty in (by_torch, wasserstein_gradient_penalty):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = penalty(net, *places).mean()
        found.append((value, torch.autograd.grad(value, parameters)))
    (theirs, expected), (ours, gradients) = found
    torch.testing.assert_close(ours, theirs, rtol=1e-7 if exact else 2e-2, atol=0.0)
    for one, other in zip(gradients, expected, strict=True):
        assert one.dtype == other.dtype
        assert float((one - other).norm()) <= (1e-7 if exact else 3e-2) * float(other.norm())


@pytest.mark.parametrize("settings", [{}, {"spectral": True}, {"pack": 2}, {"num_classes": 3}, {"group": 4}])
def test_the_penalty_of_creusets_own_critic(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = Critic((2, 16, 16), [8], [6, 8], **settings).double()
    labels = torch.arange(8) % 3 if "num_classes" in settings else None
    changed = {name: 1.1 * value.detach() for name, value in net.named_parameters()}
    for value in changed.values():
        value.requires_grad_()
    real, fake = rows(8, 2, 16, 16), rows(8, 2, 16, 16, seed=2).requires_grad_()

    def scores(samples: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(net, changed, (samples, labels))
        return found

    num_scores = 8 // settings.get("pack", 1)
    weights = torch.rand(num_scores, dtype=torch.float64)
    each = weights.repeat_interleave(8 // num_scores).view(-1, 1, 1, 1)
    between = torch.lerp(fake, real, each)
    (slopes,) = torch.autograd.grad(scores(between).sum(), between, create_graph=True)
    theirs = (slopes.reshape(num_scores, -1).norm(dim=1) - 1).square()
    ours = wasserstein_gradient_penalty(scores, real, fake, weights)
    torch.testing.assert_close(ours, theirs)
    inputs = [*changed.values(), fake]  # unrolled steps of a critic reach the generated samples
    expected = torch.autograd.grad(theirs.sum(), inputs, allow_unused=True)
    found = torch.autograd.grad(ours.sum(), inputs, allow_unused=True)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(
            *(torch.zeros(1).double() if x is None or not x.any() else x for x in (one, other))
        )
    # of a critic that is linear around each sample the penalty does not depend on where it stands
    assert (found[-1] is not None) == ("group" in settings)


def test_arguments_by_name_and_in_torchs_forms() -> None:
    x, weight = rows(1, 2, 6, 6), rows(3, 2, 3, 3, seed=2)
    for stride in (2, (2, 2), [2], (2,)):
        with TwiceDifferentiable():
            found = functional.conv2d(input=x, weight=weight, stride=stride)  # type: ignore[arg-type]
        torch.testing.assert_close(found, functional.conv2d(x, weight, stride=2))
    with TwiceDifferentiable():
        torch.testing.assert_close(functional.conv2d(x[0], weight), functional.conv2d(x, weight)[0])
        torch.testing.assert_close(functional.leaky_relu(input=x), functional.leaky_relu(x, 0.01))


def test_by_inputs_alone_no_gradient_of_weights_is_taken() -> None:
    net = nn.Conv2d(1, 2, 3).double()
    x = rows(1, 1, 5, 5).requires_grad_()
    with TwiceDifferentiable() as quick:
        total = net(x).square().sum()
    taken: list[str] = []
    net.weight.register_hook(lambda _: taken.append("weight"))
    found = quick.gradients(total, x)
    torch.testing.assert_close(found, torch.autograd.grad(net(x).square().sum(), x)[0])
    assert taken == []
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert taken == ["weight"]
    assert not quick.by_inputs_alone
