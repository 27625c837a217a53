"""The density of what a flow makes, by the divergence of its velocity.

    log p(x) = log N(x_0; 0, I) - integral over t from 0 to 1 of  div v(x_t, t)

with x_t the path that ends in x: it is followed back from t = 1, and the divergence is integrated on the way
by the same method and steps. The divergence is the trace of dv/dx: exact by D products with unit vectors, or
Hutchinson's estimate e' (dv/dx) e with random signs e, whose mean it is. One e holds for a whole path.

Source: Chen et al. 2018, "Neural Ordinary Differential Equations", theorem 1; Grathwohl et al. 2019,
"FFJORD", section 3.

Legend of shapes: B batch, ... the axes of a sample, D its numbers.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from creuset.samplers.ode import Field, SolverName, integrate

Divergence = Callable[[Tensor, Tensor], Tensor]
"""Places (B, D) that need gradients and the velocities (B, D) there to divergences (B,)."""


def exact_divergence(x: Tensor, velocity: Tensor) -> Tensor:
    """The trace of dv/dx, by D backward passes."""
    total = torch.zeros_like(x[:, 0])
    for place in range(x.shape[1]):
        last = place == x.shape[1] - 1
        (row,) = torch.autograd.grad(velocity[:, place].sum(), x, retain_graph=not last)
        total = total + row[:, place]
    return total


def estimated_divergence(signs: Tensor) -> Divergence:
    """Hutchinson's estimate with these signs, -1 or 1, (B, D): one backward pass."""

    def divergence(x: Tensor, velocity: Tensor) -> Tensor:
        (product,) = torch.autograd.grad(velocity, x, grad_outputs=signs)
        return (product * signs).sum(1)

    return divergence


def log_density(
    field: Field, x: Tensor, times: Sequence[float], solver: SolverName, divergence: Divergence
) -> Tensor:
    """log p(x) in nats, (B,).

    Args:
        field: The velocity, from noise at time 0 to data at time 1.
        x: Data, (B, ...).
        times: From 1 down to 0.
        solver: How a step is made.
        divergence: `exact_divergence`, or what `estimated_divergence` gives.
    """
    shape = x.shape

    def extended(state: Tensor, time: float) -> Tensor:
        """The velocity, and beside it, as one more number, its divergence."""
        with torch.enable_grad():
            places = state[:, :-1].detach().requires_grad_()
            velocity = field(places.view(shape), time).flatten(1)
            slope = divergence(places, velocity)
        return torch.cat([velocity.detach(), slope[:, None]], dim=1)

    start = torch.cat([x.flatten(1), torch.zeros_like(x.flatten(1)[:, :1])], dim=1)
    end = integrate(extended, start, times, solver)
    noise, change = end[:, :-1], end[:, -1]
    # the way goes from 1 to 0, so that the integral already has its minus
    return -0.5 * (noise.square() + math.log(2 * math.pi)).sum(1) + change
