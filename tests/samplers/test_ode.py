"""The solvers on a Gaussian whose flow is known in closed form: each error falls with the declared order."""

import math

import pytest
import torch
from torch import Tensor

from creuset.samplers.ode import SOLVERS, SolverName, even_times, integrate, times_back

MEAN, DEVIATION = 0.7, 0.4


def gaussian_field(x: Tensor, time: float) -> Tensor:
    """The velocity of x_t = cos(pi t / 2) noise + sin(pi t / 2) data, with data from N(MEAN, DEVIATION^2).

    Of straight paths between Gaussians the midpoint method's error falls with the third power by chance.
    """
    angle = math.pi / 2 * time
    variance = math.cos(angle) ** 2 + (DEVIATION * math.sin(angle)) ** 2
    slope = (DEVIATION**2 - 1) * math.sin(angle) * math.cos(angle) / variance
    return math.pi / 2 * (MEAN * math.cos(angle) + slope * (x - MEAN * math.sin(angle)))


NOISE = torch.tensor([[-1.3], [0.2], [2.1]], dtype=torch.float64)
END = 0.8
ANGLE = math.pi / 2 * END
EXACT = MEAN * math.sin(ANGLE) + math.hypot(math.cos(ANGLE), DEVIATION * math.sin(ANGLE)) * NOISE


def error(solver: SolverName, num_steps: int) -> float:
    end = integrate(gaussian_field, NOISE, even_times(0.0, END, num_steps), solver)
    return float((end - EXACT).abs().max())


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_error_falls_with_the_declared_order(solver: SolverName) -> None:
    few = 20 if SOLVERS[solver].order == 4 else 80
    orders = [math.log2(error(solver, steps) / error(solver, 2 * steps)) for steps in (few, 2 * few)]
    assert orders == pytest.approx([SOLVERS[solver].order] * 2, abs=0.12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_evaluations_are_as_many_as_declared(solver: SolverName) -> None:
    calls: list[float] = []

    def field(x: Tensor, time: float) -> Tensor:
        calls.append(time)
        return gaussian_field(x, time)

    integrate(field, NOISE, even_times(0.0, 1.0, 7), solver)
    assert len(calls) == 7 * SOLVERS[solver].num_evaluations
    assert min(calls) >= 0
    assert max(calls) <= 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_back_leads_where_it_began(solver: SolverName) -> None:
    there = integrate(gaussian_field, NOISE, even_times(0.0, 1.0, 400), solver)
    back = integrate(gaussian_field, there, even_times(1.0, 0.0, 400), solver)
    torch.testing.assert_close(back, NOISE, rtol=0, atol=0.02)


def test_times_hold_both_ends() -> None:
    assert even_times(0.0, 1.0, 4) == [0, 0.25, 0.5, 0.75, 1]
    assert even_times(1.0, 0.0, 2) == [1, 0.5, 0]


def test_times_back_are_denser_near_the_data() -> None:
    times = times_back(4)
    assert times == [1, 0.9375, 0.75, 0.4375, 0]
    narrow = 0.02

    def field(x: Tensor, time: float) -> Tensor:
        variance = (1 - time) ** 2 + (time * narrow) ** 2
        return (time * narrow**2 - (1 - time)) / variance * x

    x = torch.tensor([[narrow]], dtype=torch.float64)
    errors = [abs(float(integrate(field, x, of(40), "rk4")) - 1) for of in (times_back, _even_back)]
    assert errors[0] < 0.1 * errors[1]


def _even_back(num_steps: int) -> list[float]:
    return even_times(1.0, 0.0, num_steps)
