"""Gradient penalties against their closed forms, and their own gradients against finite differences."""

import pytest
import torch
from torch import Tensor, nn

from creuset.objectives.gradient_penalty import squared_gradient, wasserstein_gradient_penalty


def rows(size: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randn(size, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 17, 64])
def test_a_linear_critic_of_slope_one_pays_nothing_whatever_the_batch(size: int) -> None:
    slope = rows(1, 1, 4, 4)[0]
    slope /= slope.norm()
    real, fake, weights = rows(size, 1, 4, 4, seed=1), rows(size, 1, 4, 4, seed=2), torch.rand(size)

    def critic(samples: Tensor) -> Tensor:
        return (samples * slope).sum((1, 2, 3)) + 7

    penalty = wasserstein_gradient_penalty(critic, real, fake, weights)
    assert penalty.shape == (size,)
    torch.testing.assert_close(penalty, torch.zeros(size, dtype=torch.float64), atol=1e-14, rtol=0)
    # the whole batch's gradient has the norm sqrt(size): one norm for all would give (sqrt(size) - 1)^2
    for factor in (0.0, 0.5, 3.0):
        steeper = wasserstein_gradient_penalty(lambda x, f=factor: f * critic(x), real, fake, weights)  # type: ignore[misc]
        torch.testing.assert_close(steeper, torch.full_like(steeper, (factor - 1) ** 2))
        at = real.clone().requires_grad_()
        r1 = squared_gradient(factor * critic(at), at)
        torch.testing.assert_close(r1, torch.full_like(r1, factor**2 / 2))


def test_places_lie_between_the_pair_one_weight_a_sample() -> None:
    seen: list[Tensor] = []

    def critic(samples: Tensor) -> Tensor:
        seen.append(samples.detach().clone())
        return samples.square().sum((1, 2))

    real, fake, weights = rows(3, 2, 5), rows(3, 2, 5, seed=1), torch.tensor([0.0, 1.0, 0.25])
    penalty = wasserstein_gradient_penalty(critic, real, fake, weights)
    expected = torch.stack([fake[0], real[1], 0.25 * real[2] + 0.75 * fake[2]])
    torch.testing.assert_close(seen[0], expected)
    torch.testing.assert_close(penalty, (2 * expected.flatten(1).norm(dim=1) - 1) ** 2)


@pytest.mark.parametrize("kind", ["gp", "r1"])
def test_its_gradient_reaches_the_critics_weights(kind: str) -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)).double()
    real, fake, weights = rows(4, 3), rows(4, 3, seed=1), torch.rand(4)

    def value() -> Tensor:
        if kind == "r1":
            at = real.clone().requires_grad_()
            with torch.enable_grad():
                return squared_gradient(critic(at), at).mean()
        return wasserstein_gradient_penalty(critic, real, fake, weights).mean()

    value().backward()  # type: ignore[no-untyped-call]
    parameter = next(critic.parameters())
    assert parameter.grad is not None
    step = 1e-6
    with torch.no_grad():
        parameter[0, 0] += step
        above = float(value())
        parameter[0, 0] -= 2 * step
        below = float(value())
    assert float(parameter.grad[0, 0]) == pytest.approx((above - below) / (2 * step), rel=1e-5)


def test_a_flat_critic_pays_and_its_gradient_is_a_number() -> None:
    critic = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    nn.init.zeros_(critic[0].weight)
    penalty = wasserstein_gradient_penalty(critic, torch.ones(2, 3), torch.zeros(2, 3), torch.rand(2))
    assert penalty.tolist() == [1.0, 1.0]
    penalty.sum().backward()  # type: ignore[no-untyped-call]
    assert bool(torch.isfinite(critic[0].weight.grad).all())  # type: ignore[arg-type]


@pytest.mark.parametrize("pack", [1, 2, 5])
def test_a_pack_is_one_point_to_the_penalty(pack: int) -> None:
    """A linear critic of unit slope over all samples of a pack pays nothing, at one place for each pack."""
    slope = rows(1, pack * 3)[0]
    slope /= slope.norm()
    seen: list[Tensor] = []

    def critic(samples: Tensor) -> Tensor:
        seen.append(samples.detach())
        return samples.reshape(-1, pack * 3) @ slope

    real, fake, weights = rows(10, 3), rows(10, 3, seed=1), rows(10 // pack).sigmoid()
    penalty = wasserstein_gradient_penalty(critic, real, fake, weights)
    torch.testing.assert_close(penalty, torch.zeros(10 // pack, dtype=torch.float64))
    share = (seen[0] - fake) / (real - fake)
    torch.testing.assert_close(share.reshape(10 // pack, -1), weights[:, None].expand(-1, pack * 3))
    at = real.clone().requires_grad_()
    torch.testing.assert_close(squared_gradient(critic(at), at), torch.full((10 // pack,), 0.5).double())


def test_its_gradient_reaches_samples_that_ask_for_one() -> None:
    fake = torch.randn(2, 3, requires_grad=True)
    critic = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))
    penalty = wasserstein_gradient_penalty(critic, torch.zeros(2, 3), fake, torch.rand(2))
    (gradient,) = torch.autograd.grad(penalty.sum(), fake)
    assert float(gradient.abs().max()) > 0
