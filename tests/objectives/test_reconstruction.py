"""The pixel likelihoods against torch.distributions and scipy, and the sums of their probabilities."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal

from creuset.objectives.reconstruction import (
    bernoulli_log_likelihood,
    categorical_log_likelihood,
    discretised_gaussian_log_likelihood,
    discretised_logistic_log_likelihood,
    gaussian_log_likelihood,
    squared_error,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_bernoulli_agrees_with_torch_distributions() -> None:
    logits = 3 * normal(4, 2, 5, 6)
    pixels = (normal(4, 2, 5, 6, seed=1) > 0).double()
    expected = Bernoulli(logits=logits).log_prob(pixels).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_log_likelihood(logits, pixels), expected)


def test_bernoulli_sums_over_pixels_and_is_finite_at_huge_logits() -> None:
    zeros = torch.zeros(2, 1, 7, 7)
    torch.testing.assert_close(bernoulli_log_likelihood(zeros, zeros), -49 * torch.full((2,), 2.0).log())
    sure = torch.full((1, 1, 1, 1), 1e4)
    assert float(bernoulli_log_likelihood(sure, torch.ones(1, 1, 1, 1))) == 0
    assert float(bernoulli_log_likelihood(sure, torch.zeros(1, 1, 1, 1))) == -1e4


def test_bernoulli_is_largest_at_the_grey_value() -> None:
    pixels = torch.tensor([[[[0.2, 0.5, 0.9]]]], dtype=torch.float64)
    logits = torch.logit(pixels).requires_grad_()
    bernoulli_log_likelihood(logits, pixels).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-12)


def test_gaussian_agrees_with_torch_distributions() -> None:
    mean, pixels = normal(4, 1, 5, 6), normal(4, 1, 5, 6, seed=1)
    log_variance = torch.tensor([-1.3], dtype=torch.float64)
    expected = Normal(mean, (log_variance / 2).exp()).log_prob(pixels).sum((1, 2, 3))
    torch.testing.assert_close(gaussian_log_likelihood(mean, pixels, log_variance), expected)


def test_gaussian_variance_is_best_at_the_mean_square() -> None:
    pixels = normal(3, 1, 5, 6)
    log_variance = pixels.square().mean().log()[None].requires_grad_()
    gaussian_log_likelihood(torch.zeros_like(pixels), pixels, log_variance).sum().backward()
    assert log_variance.grad is not None
    assert float(log_variance.grad) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("num_levels", [2, 17, 256])
@pytest.mark.parametrize("mean", [-3.0, -1.0, 0.013, 0.9, 1.0])
@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 0.0, 4.0])
def test_level_probabilities_sum_to_one(num_levels: int, mean: float, log_scale: float) -> None:
    levels = torch.linspace(-1, 1, num_levels, dtype=torch.float64).reshape(-1, 1, 1, 1)
    shape = torch.ones_like(levels)
    log_probs = discretised_logistic_log_likelihood(mean * shape, log_scale * shape, levels, num_levels)
    assert float(log_probs.exp().sum()) == pytest.approx(1, abs=1e-12)


def test_levels_in_single_precision_reach_the_edge_bins() -> None:
    levels = (torch.arange(256) / 127.5 - 1).reshape(-1, 1, 1, 1)
    zeros = torch.zeros_like(levels)
    total = discretised_logistic_log_likelihood(zeros, zeros - 2, levels, 256).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-5)


def test_level_probability_is_a_difference_of_distribution_functions() -> None:
    scale, mean, half = 0.2, 0.1, 1 / 16
    levels = np.linspace(-1, 1, 17)
    upper = np.where(levels > 0.99, 1.0, stats.logistic.cdf(levels + half, mean, scale))
    lower = np.where(levels < -0.99, 0.0, stats.logistic.cdf(levels - half, mean, scale))
    pixels = torch.from_numpy(levels).reshape(-1, 1, 1, 1)
    ones = torch.ones_like(pixels)
    values = discretised_logistic_log_likelihood(mean * ones, np.log(scale) * ones, pixels, 17)
    np.testing.assert_allclose(values.numpy(), np.log(upper - lower), rtol=1e-10)


def test_far_levels_keep_a_finite_logarithm_and_gradient() -> None:
    mean = torch.full((1, 1, 1, 3), 1.0, requires_grad=True)
    log_scale = torch.full((1, 1, 1, 3), -7.0, requires_grad=True)
    pixels = torch.tensor([[[[-1.0, -127 / 255, 1.0]]]])
    value = discretised_logistic_log_likelihood(mean, log_scale, pixels, 256)
    value.sum().backward()
    assert torch.isfinite(value).all()
    for gradient in (mean.grad, log_scale.grad):
        assert gradient is not None
        assert torch.isfinite(gradient).all()
    assert mean.grad is not None
    assert float(mean.grad[..., 0]) == pytest.approx(-float(torch.tensor(7.0).exp()), rel=1e-3)


def test_leading_axes_broadcast() -> None:
    outputs, pixels = normal(3, 5, 1, 4, 4), (normal(3, 1, 1, 4, 4, seed=1) > 0).double()
    assert bernoulli_log_likelihood(outputs, pixels).shape == (3, 5)
    one = torch.stack([bernoulli_log_likelihood(outputs[:, i], pixels[:, 0]) for i in range(5)], dim=1)
    torch.testing.assert_close(bernoulli_log_likelihood(outputs, pixels), one)


def test_gradients() -> None:
    levels = torch.linspace(-1, 1, 17, dtype=torch.float64)[[0, 3, 8, 15, 16, 1]].reshape(2, 1, 1, 3)
    mean, log_scale = normal(2, 1, 1, 3).requires_grad_(), (normal(2, 1, 1, 3, seed=1) - 1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda m, s: discretised_logistic_log_likelihood(m, s, levels, 17), (mean, log_scale)
    )
    assert torch.autograd.gradcheck(lambda m, s: gaussian_log_likelihood(m, levels, s), (mean, log_scale))
    assert torch.autograd.gradcheck(lambda m: bernoulli_log_likelihood(m, (levels + 1) / 2), (mean,))


def test_categorical_agrees_with_torch_distributions() -> None:
    logits = 3 * normal(4, 2, 5, 3, 6)  # (B, C, levels, H, W)
    levels = torch.randint(5, (4, 2, 3, 6), generator=torch.Generator().manual_seed(1))
    expected = Categorical(logits=logits.movedim(2, -1)).log_prob(levels).sum((1, 2, 3))
    torch.testing.assert_close(categorical_log_likelihood(logits, levels), expected)


@pytest.mark.parametrize("num_levels", [2, 17, 256])
@pytest.mark.parametrize("mean", [-3.0, -1.0, 0.013, 0.9, 1.0])
@pytest.mark.parametrize("deviation", [0.003, 0.05, 1.0])
def test_discretised_gaussian_is_the_share_of_each_bin(
    num_levels: int, mean: float, deviation: float
) -> None:
    levels = torch.linspace(-1, 1, num_levels, dtype=torch.float64).view(-1, 1, 1, 1)
    means = torch.full_like(levels, mean)
    found = discretised_gaussian_log_likelihood(means, torch.tensor(deviation).double(), levels, num_levels)
    assert float(found.exp().sum()) == pytest.approx(1)
    edges = (levels.flatten()[1:] + levels.flatten()[:-1]) / 2
    below = np.concatenate([[0.0], stats.norm.cdf(edges, mean, deviation), [1.0]])
    expected = np.diff(below)
    seen = expected > 1e-12  # elsewhere the difference of two numbers near 1 has no digits left
    np.testing.assert_allclose(found.exp().numpy()[seen], expected[seen], rtol=1e-3)
    assert torch.isfinite(found).all()


def test_discretised_gaussian_is_symmetric_far_in_the_tails() -> None:
    levels = torch.tensor([-0.5, 0.5]).view(2, 1, 1, 1)
    found = discretised_gaussian_log_likelihood(torch.zeros(2, 1, 1, 1), torch.tensor(0.01), levels, 5)
    torch.testing.assert_close(found[0], found[1])
    expected = stats.norm.logsf(0.25, 0, 0.01)  # nearly all of the bin's share is at its near edge
    assert float(found[0]) == pytest.approx(expected, rel=1e-4)


def test_squared_error_is_the_mean_over_each_sample() -> None:
    predicted, target = normal(3, 1, 2, 2), normal(3, 1, 2, 2, seed=1)
    expected = [float(((predicted[row] - target[row]) ** 2).mean()) for row in range(3)]
    assert squared_error(predicted, target).tolist() == pytest.approx(expected)
