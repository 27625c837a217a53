"""The variational bound of a diffusion: how likely its chain of denoising steps makes a sample, in nats.

    log p(x) >= log p(x | x_1) - KL(q(x_T | x) || N(0, I)) - sum over steps of KL(q(x_s | x_t, x) || p(x_s | x_t))

where p(x_s | x_t) is q's own posterior with the network's x in place of the true one: its deviation is the
smaller of the two of Ho et al., and each KL is |c (x - seen)|^2 / (2 deviation^2). The last step, p(x | x_1), is a
Gaussian around the seen x with the deviation of the noise in x_1 / alpha_1, of pictures integrated over the bin of
each level.

`path_log_weight` is the same with draws in place of the KLs: log p(x_0..T) - log q(x_1..T | x) of one path of q. The
log of the mean over paths of its exponential is a bound too, and a nearer one (Burda et al. 2016).

Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eqs. 5 and 13; chains of fewer steps: Nichol &
Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", section 4.
Departures: the deviation of the last step; the KL of the noise at the first level is counted, not left out.

Legend of shapes: B batch, ... the axes of a sample, D its numbers.
"""

import torch
from torch import Tensor

from creuset.objectives.reconstruction import (
    discretised_gaussian_log_likelihood,
    gaussian_log_likelihood,
)
from creuset.samplers.diffusion import Denoiser, Noise
from creuset.samplers.noise_schedule import NoiseLevels, posterior


def variational_bound(
    denoise: Denoiser, x: Tensor, levels: NoiseLevels, noise: Noise, num_levels: int
) -> Tensor:
    """The bound by one draw of noise for each level, in nats, (B,).

    Args:
        denoise: The network.
        x: Samples, (B, ...), pictures at their levels.
        levels: From the first, nearly noise alone, to the last one, without noise.
        noise: Drawn once a level.
        num_levels: Values of a pixel; 0 for a density.
    """
    total = -_prior_kl(x, levels)
    last = len(levels) - 2
    for step in range(last + 1):
        place = float(levels.alpha[step]) * x + float(levels.sigma[step]) * noise()
        seen = denoise(place, step)
        if step == last:
            total = total + _last_step(x, seen, levels, num_levels)
        else:
            back = posterior(levels, step, step + 1)
            miss = (back.of_x / back.deviation) * (x - seen)
            total = total - 0.5 * miss.square().flatten(1).sum(1)
    return total


def path_log_weight(
    denoise: Denoiser, x: Tensor, levels: NoiseLevels, noise: Noise, num_levels: int
) -> Tensor:
    """log p(x_0..T) - log q(x_1..T | x) of one path drawn from q, in nats, (B,); see `variational_bound`."""
    first = noise()
    place = float(levels.alpha[0]) * x + float(levels.sigma[0]) * first
    # log N(place; 0, I) - log N(place; alpha x, sigma^2): their constants differ by the logarithm of sigma
    total = 0.5 * (first.square() - place.square()).flatten(1).sum(1)
    total = total + x[0].numel() * float(levels.sigma[0].log())
    last = len(levels) - 2
    for step in range(last):
        seen = denoise(place, step)
        back = posterior(levels, step, step + 1)
        drawn = noise()
        miss = (back.of_x / back.deviation) * (x - seen)
        total = total - (0.5 * miss.square() + miss * drawn).flatten(1).sum(1)
        place = back.of_x * x + back.of_place * place + back.deviation * drawn
    return total + _last_step(x, denoise(place, last), levels, num_levels)


def _prior_kl(x: Tensor, levels: NoiseLevels) -> Tensor:
    """KL(N(alpha x, sigma^2) || N(0, 1)) at the first level, the sum over numbers, (B,)."""
    alpha, variance = float(levels.alpha[0]), levels.sigma[0].square()
    constant = float(variance - 1 - variance.log())
    return 0.5 * ((alpha * x).square() + constant).flatten(1).sum(1)


def _last_step(x: Tensor, seen: Tensor, levels: NoiseLevels, num_levels: int) -> Tensor:
    """log p(x | x_1), (B,)."""
    deviation = levels.sigma[-2] / levels.alpha[-2]
    rows, seen_rows = (values.reshape(len(x), 1, 1, -1) for values in (x, seen))
    if num_levels:
        return discretised_gaussian_log_likelihood(seen_rows, deviation.to(x.dtype), rows, num_levels)
    log_variance = torch.log(deviation.square()).to(x.dtype)
    return gaussian_log_likelihood(seen_rows, rows, log_variance)
