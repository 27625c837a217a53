"""Penalties on a critic's gradient by its inputs, which keep it smooth.

    wasserstein_gp   (|g(x)| - 1)^2        at places on the line between a real and a generated sample
    r1, r2           |g(x)|^2 / 2          at real (R1) or generated samples (R2)

with g the gradient of the critic's score by what is scored, and | | its norm over all numbers of that: of one
sample, or of all samples of a pack where the critic judges packs (PacGAN), which is then one point to it.

Source: Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", eq. 3; R1 and R2: Mescheder, Geiger &
Nowozin 2018, "Which Training Methods for GANs do actually Converge?", eqs. 9 and 10.
g is computed as the gradient of the sum of all scores, which is the same for a critic that scores each sample
(pack) by itself. Where it sees other samples too, a sample's g holds its part in their scores: so it is with
minibatch standard deviation, and meant so where that comes from (Karras et al. 2018 and 2020: their programs
differentiate the sum of scores, with WGAN-GP and with R1). Batch norm and minibatch discrimination are
refused beside penalties (models/gan_config.py).

Legend of shapes: B samples, S scores: B, or of packs B / m, ... the axes of a sample.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from creuset.objectives.twice_differentiable import TwiceDifferentiable

Critic = Callable[[Tensor], Tensor]
"""Samples (B, ...) to scores (S,), one for each B / S samples that follow each other. The weights of its
convolutions do not depend on the samples."""


def wasserstein_gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, weights: Tensor) -> Tensor:
    """(|g| - 1)^2 at weight * real + (1 - weight) * fake, (S,), 0 for a critic of slope 1.

    Args:
        critic: The critic.
        real: Real samples, (B, ...).
        fake: Generated samples, (B, ...).
        weights: One number in [0, 1] a score, (S,), drawn uniformly: samples of a pack have the same.
    """
    weights = weights.repeat_interleave(len(real) // len(weights)).view(-1, *[1] * (real.ndim - 1))
    between = torch.lerp(fake, real, weights.to(real.dtype))
    if between.ndim == 4:  # the order of memory in which convolutions are quickest (layers/channels_last.py)
        between = between.contiguous(memory_format=torch.channels_last)
    between.requires_grad_()
    with torch.enable_grad():
        with TwiceDifferentiable() as quick:
            scores = critic(between)
        gradients = quick.gradients(scores.sum(), between).reshape(len(scores), -1)
        norms: Tensor = torch.linalg.vector_norm(gradients, dim=1)
        return (norms - 1).square()


def squared_gradient(scores: Tensor, samples: Tensor) -> Tensor:
    """|g|^2 / 2 at the samples, (S,): R1 at real ones, R2 at generated ones; gamma is not in it.

    Args:
        scores: What the critic made of the samples, (S,), in their graph: no second pass through it.
        samples: (B, ...), which require a gradient.
    """
    return _gradients(scores, samples).square().sum(1) / 2


def _gradients(scores: Tensor, samples: Tensor) -> Tensor:
    """The gradient of each score by its samples as a row, (S, numbers of these), itself differentiable."""
    (gradients,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return gradients.reshape(len(scores), -1)
