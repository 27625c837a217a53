"""The bounds against torch.distributions and closed forms."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from creuset.objectives.elbo import gaussian_kl, importance_weighted_bound, log_prior_over_posterior


@pytest.fixture
def posterior() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    return mean, torch.randn(6, 5, generator=generator, dtype=torch.float64)


def test_kl_agrees_with_torch_distributions(posterior: tuple[Tensor, Tensor]) -> None:
    mean, log_variance = posterior
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)


def test_kl_of_the_prior_is_zero() -> None:
    assert torch.equal(gaussian_kl(torch.zeros(3, 4), torch.zeros(3, 4)), torch.zeros(3))


def test_free_nats_are_a_floor_for_each_dimension() -> None:
    mean = torch.tensor([[0.1, 2.0]], requires_grad=True)
    log_variance = torch.zeros(1, 2)
    kl = gaussian_kl(mean, log_variance, free_nats=0.5)
    torch.testing.assert_close(kl, torch.tensor([0.5 + 2.0]))
    kl.sum().backward()
    assert mean.grad is not None
    torch.testing.assert_close(mean.grad, torch.tensor([[0.0, 2.0]]))


def test_kl_gradient(posterior: tuple[Tensor, Tensor]) -> None:
    mean, log_variance = (value.requires_grad_() for value in posterior)
    assert torch.autograd.gradcheck(gaussian_kl, (mean, log_variance))


def test_density_ratio_agrees_with_torch_distributions(posterior: tuple[Tensor, Tensor]) -> None:
    mean, log_variance = posterior
    noise = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    deviation = (log_variance / 2).exp()
    codes = mean + deviation * noise
    expected = Normal(0.0, 1.0).log_prob(codes).sum(-1) - Normal(mean, deviation).log_prob(codes).sum(-1)
    torch.testing.assert_close(log_prior_over_posterior(codes, noise, log_variance), expected)


def test_density_ratio_has_minus_the_kl_as_its_mean() -> None:
    mean, log_variance = torch.tensor([0.5, -1.0]).double(), torch.tensor([-1.0, 0.3]).double()
    noise = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = log_prior_over_posterior(mean + (log_variance / 2).exp() * noise, noise, log_variance)
    error = float(values.std()) / math.sqrt(len(values))
    assert abs(float(values.mean()) + float(gaussian_kl(mean[None], log_variance[None]))) < 4 * error


def test_bound_is_the_logarithm_of_the_mean_weight() -> None:
    log_weights = torch.tensor([[0.0, math.log(3.0)], [-1000.0, -1000.0]])
    expected = torch.tensor([math.log(2.0), -1000.0])
    torch.testing.assert_close(importance_weighted_bound(log_weights), expected)
    assert torch.equal(importance_weighted_bound(log_weights[:, :1]), log_weights[:, 0])


def test_bound_rises_to_the_likelihood_of_a_linear_gaussian_model() -> None:
    """p(z) = N(0, I), p(x|z) = N(A z, s I), so p(x) = N(0, A A' + s I); q is not the posterior."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    variance = 0.5
    x = torch.randn(3, generator=generator, dtype=torch.float64)
    covariance = weights @ weights.T + variance * torch.eye(3, dtype=torch.float64)
    exact = float(MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance).log_prob(x))
    precision = torch.eye(2, dtype=torch.float64) + weights.T @ weights / variance
    mean = torch.linalg.solve(precision, weights.T @ x / variance) + 0.1
    log_variance = -precision.diagonal().log() + 0.3

    noise = torch.randn(4000, 256, 2, generator=generator, dtype=torch.float64)
    codes = mean + (log_variance / 2).exp() * noise
    deviation = torch.full((), variance, dtype=torch.float64).sqrt()
    likelihood = Independent(Normal(codes @ weights.T, deviation), 1).log_prob(x)
    log_weights = likelihood + log_prior_over_posterior(codes, noise, log_variance)
    bounds = [float(importance_weighted_bound(log_weights[:, :size]).mean()) for size in (1, 4, 16, 256)]
    assert bounds == sorted(bounds)
    assert all(bound < exact + 0.002 for bound in bounds)
    assert bounds[-1] == pytest.approx(exact, abs=0.02)
    assert bounds[0] < exact - 0.1
