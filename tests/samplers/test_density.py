"""Densities by the divergence against those of Gaussians, exact and estimated."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from creuset.samplers.density import estimated_divergence, exact_divergence, log_density
from creuset.samplers.ode import even_times

MATRIX = torch.tensor([[0.3, 0.8, 0.0], [-0.5, -0.4, 0.2], [0.1, 0.6, 0.5]], dtype=torch.float64)
TRUTH = MultivariateNormal(
    torch.zeros(3, dtype=torch.float64), torch.matrix_exp(MATRIX) @ torch.matrix_exp(MATRIX).T
)
"""Where the field x -> MATRIX x carries N(0, I) in a unit of time."""


def linear_field(x: Tensor, time: float) -> Tensor:
    del time
    return x @ MATRIX.T


def curved_field(x: Tensor, time: float) -> Tensor:
    return torch.sin(x @ MATRIX.T + time) + x[:, [1, 2, 0]] * x


def error(num_steps: int) -> float:
    x = TRUTH.sample((5,))
    found = log_density(linear_field, x, even_times(1.0, 0.0, num_steps), "midpoint", exact_divergence)
    return float((found - TRUTH.log_prob(x)).abs().max())


def test_the_density_of_a_linear_flow_is_that_of_a_gaussian() -> None:
    torch.manual_seed(0)
    assert error(200) < 1e-4


def test_its_error_falls_with_the_order_of_the_method() -> None:
    errors = []
    for num_steps in (50, 100):
        torch.manual_seed(0)
        errors.append(error(num_steps))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


def test_the_exact_divergence_is_the_trace_of_the_jacobian() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = exact_divergence(x, curved_field(x, 0.3))
    for row in range(4):
        jacobian = torch.autograd.functional.jacobian(lambda one: curved_field(one[None], 0.3)[0], x[row])
        assert float(found[row]) == pytest.approx(float(jacobian.trace()))


def test_the_estimate_is_the_trace_on_average_over_all_signs() -> None:
    start = torch.randn(1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    x = start.expand(8, 3).clone().requires_grad_()
    estimates = estimated_divergence(signs)(x, curved_field(x, 0.3))
    assert estimates.std() > 0.1
    exact = exact_divergence(x, curved_field(x, 0.3))
    assert float(estimates.mean()) == pytest.approx(float(exact[0]))


def test_no_graph_is_left() -> None:
    weight = MATRIX.clone().requires_grad_()
    x = torch.zeros(2, 3, dtype=torch.float64)
    found = log_density(lambda x, _: x @ weight.T, x, even_times(1.0, 0.0, 2), "euler", exact_divergence)
    assert not found.requires_grad
    assert weight.grad is None
