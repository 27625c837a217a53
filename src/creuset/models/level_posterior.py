"""What a pixel was before noise, as a chance for each of its levels; the likelihood of a chain by that.

    p(level | x_t)  proportional to  exp(logit of the level)  N(x_t; alpha level, sigma^2)

The network says the logits from the whole picture with its noise; the second factor is what the pixel's own
place tells, and need not be learned. So the posterior sharpens to the nearest level as the noise goes away,
and the network says what the neighbours tell. Pixels are independent given x_t. A step of the chain is then
a mixture of q's posteriors,

    p(x_s | x_t) = sum over levels of  p(level | x_t) q(x_s | x_t, level)

and the last one is p(level | x_1) itself.

Source: the product with q: Kingma et al. 2021, "Variational Diffusion Models", appendix E; cross entropy as
the loss: Dieleman et al. 2022, "Continuous Diffusion for Categorical Data", section 3.2; the mixture: Austin
et al. 2021, "Structured Denoising Diffusion Models in Discrete State-Spaces", eq. 4, for Gaussian noise.

Legend of shapes: B batch, ... the axes of a picture: (C, H, W), K levels.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from creuset.samplers.diffusion import Noise
from creuset.samplers.noise_schedule import NoiseLevels, posterior

LevelDenoiser = Callable[[Tensor, int], Tensor]
"""Places (B, ...) and the number of a step to log-probabilities of the pixels' levels (B, ..., K)."""


def levels_of(num_levels: int, like: Tensor) -> Tensor:
    """The values of the levels, in [-1, 1], (K,)."""
    return torch.linspace(-1, 1, num_levels, dtype=like.dtype, device=like.device)


def level_numbers(pixels: Tensor, num_levels: int) -> Tensor:
    """The number of the level nearest to each pixel, int64 in [0, K)."""
    return ((pixels.clamp(-1, 1) + 1) * ((num_levels - 1) / 2)).round().long()


def level_log_probs(logits: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """log p(level | x_t), (B, C, H, W, K).

    Args:
        logits: What the network says, (B, C K, H, W), the levels of a channel side by side.
        x: Where it says so, (B, C, H, W).
        alpha, sigma: The noise there; sigma is above 0. They broadcast to x.
    """
    batch, channels, height, width = x.shape
    told = logits.view(batch, channels, -1, height, width).movedim(2, -1)  # (B, C, H, W, K)
    apart = x[..., None] - alpha[..., None] * levels_of(told.shape[-1], x)
    return (told - 0.5 * (apart / sigma[..., None]).square()).log_softmax(-1)


def mean_level(log_probs: Tensor) -> Tensor:
    """The mean of the level under its posterior, (B, ..., K) to (B, ...)."""
    return log_probs.exp() @ levels_of(log_probs.shape[-1], log_probs)


def level_nats(log_probs: Tensor, pixels: Tensor) -> Tensor:
    """-log p of the true levels, (B, ...).

    Args:
        log_probs: (B, ..., K).
        pixels: At their levels, (B, ...).
    """
    numbers = level_numbers(pixels, log_probs.shape[-1])
    return -log_probs.gather(-1, numbers[..., None])[..., 0]


def level_path_log_weight(denoise: LevelDenoiser, x: Tensor, levels: NoiseLevels, noise: Noise) -> Tensor:
    """log p(x_0..T) - log q(x_1..T | x) of one path of q, in nats, (B,); its mean is a bound on log P(x).

    Args:
        denoise: The posterior of the levels.
        x: Pictures at their levels, (B, ...).
        levels: From the first, nearly noise alone, to the last one, without noise.
        noise: Drawn once a step.
    """
    first = noise()
    place = float(levels.alpha[0]) * x + float(levels.sigma[0]) * first
    # log N(place; 0, I) - log N(place; alpha x, sigma^2): their constants differ by the logarithm of sigma
    total = 0.5 * (first.square() - place.square()).flatten(1).sum(1)
    total = total + x[0].numel() * float(levels.sigma[0].log())
    last = len(levels) - 2
    for step in range(last):
        log_probs = denoise(place, step)
        drawn = noise()
        back = posterior(levels, step, step + 1)
        place = back.of_x * x + back.of_place * place + back.deviation * drawn
        apart = (x[..., None] - levels_of(log_probs.shape[-1], x)) * (back.of_x / back.deviation)
        likely = (log_probs - 0.5 * (drawn[..., None] + apart).square()).logsumexp(-1)
        total = total + (likely + 0.5 * drawn.square()).flatten(1).sum(1)
    return total - level_nats(denoise(place, last), x).flatten(1).sum(1)
