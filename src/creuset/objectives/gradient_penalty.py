"""Penalties on a critic's gradient by its inputs, which keep it smooth.

    wasserstein_gp   (|g(x)| - 1)^2        at places on the line between a real and a generated sample
    r1, r2           |g(x)|^2 / 2          at real (R1) or generated samples (R2)

with g the gradient of the critic's score by one sample, and | | its norm over all numbers of that sample.

Source: Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", eq. 3; R1 and R2: Mescheder, Geiger &
Nowozin 2018, "Which Training Methods for GANs do actually Converge?", eqs. 9 and 10.
The critic must score each sample by itself: no batch norm, or g would mix samples.

Legend of shapes: B samples, ... the axes of one.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Critic = Callable[[Tensor], Tensor]
"""Samples (B, ...) to scores (B,)."""


def wasserstein_gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, weights: Tensor) -> Tensor:
    """(|g| - 1)^2 at weight * real + (1 - weight) * fake, (B,), 0 for a critic of slope 1.

    Args:
        critic: The critic.
        real: Real samples, (B, ...).
        fake: Generated samples, (B, ...).
        weights: One number in [0, 1] a sample, (B,), drawn uniformly.
    """
    weights = weights.view(-1, *[1] * (real.ndim - 1))
    between = torch.lerp(fake.detach(), real.detach(), weights.to(real.dtype)).requires_grad_()
    with torch.enable_grad():
        norms: Tensor = torch.linalg.vector_norm(_gradients(critic(between), between), dim=1)
        return (norms - 1).square()


def squared_gradient(scores: Tensor, samples: Tensor) -> Tensor:
    """|g|^2 / 2 at the samples, (B,): R1 at real ones, R2 at generated ones; gamma is not in it.

    Args:
        scores: What the critic made of the samples, (B,), in their graph: no second pass through it.
        samples: (B, ...), which require a gradient.
    """
    return _gradients(scores, samples).square().sum(1) / 2


def _gradients(scores: Tensor, samples: Tensor) -> Tensor:
    """The gradient of each score by its sample as a row, (B, numbers of a sample), itself differentiable."""
    (gradients,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return gradients.flatten(1)
