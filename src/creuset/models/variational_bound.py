"""The variational bound of a diffusion: how likely its chain of denoising steps makes a sample, in nats.

    log p(x) >= log p(x | x_1) - KL(q(x_T | x) || N(0, I))
                - sum over steps of KL(q(x_s | x_t, x) || p(x_s | x_t))

where p(x_s | x_t) is q's own posterior with the network's x in place of the true one, and a variance that
holds the doubt about that x too: c^2 Var[x | x_t] more, c being how much of x goes into the mean. The doubt
is that about a Gaussian number of variance 1 - seen^2, the most that a number in [-1, 1] of this mean can
have, after x_t was seen; of a table's columns, of variance 1. So it is 0 where the network sees black or
white. The last step, p(x | x_1), is a Gaussian around the seen x with the deviation of the noise in x_1 /
alpha_1, of pictures integrated over the bin of each level.

`path_log_weight` is the same with draws in place of the KLs: log p(x_0..T) - log q(x_1..T | x) of one path
of q. The log of the mean over paths of its exponential is a bound too, and a nearer one (Burda et al. 2016).

Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eqs. 5 and 13; chains of fewer steps:
Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", section 4; the best variance of
p: Bao et al. 2022, "Analytic-DPM", theorem 1.
Departures: the doubt is not measured; the deviation of the last step; the KL of the noise at the first level
is counted; steps are even in log(alpha / sigma), over the levels that matter (`chain_steps`).

Legend of shapes: B batch, ... the axes of a sample, D its numbers, S steps.
"""

import torch
from torch import Tensor

from creuset.models.dequantisation import level_width
from creuset.objectives.reconstruction import (
    discretised_gaussian_log_likelihood,
    gaussian_log_likelihood,
)
from creuset.samplers.diffusion import Denoiser, Noise
from creuset.samplers.noise_schedule import NoiseLevels, noisiest_step, posterior

_FINEST = 8
"""The last noise is a level's width over this: all but 6 in 100,000 draws stay within the level."""


def chain_steps(levels: NoiseLevels, num_steps: int, num_levels: int) -> Tensor:
    """The steps of a chain whose bound is near: even in log(alpha / sigma), from noise alone to 0.

    Args:
        levels: Of all T steps of the diffusion, from the data on, (T + 1,).
        num_steps: S; fewer where neighbouring ones fall together.
        num_levels: Values of a pixel, which say how little noise matters; 0 for a density.

    Returns:
        int64, falling, (at most S + 1,).
    """
    first, last = noisiest_step(levels), 1
    if num_levels:
        told_apart = levels.sigma[1:] / levels.alpha[1:] <= level_width(num_levels) / _FINEST
        last = max(1, int(told_apart.sum()))
    ratios = levels.alpha[1:].log() - levels.sigma[1:].log()  # falls with the steps
    wanted = torch.linspace(float(ratios[first - 1]), float(ratios[last - 1]), num_steps, dtype=torch.float64)
    steps = 1 + (ratios[None] - wanted[:, None]).abs().argmin(1)
    return torch.cat([torch.unique_consecutive(steps), torch.zeros(1, dtype=torch.int64)])


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
            share, miss = _step(x, seen, levels, step, num_levels)
            total = total + 0.5 * (share.log() + 1 - share * (1 + miss.square())).flatten(1).sum(1)
    return total


def path_log_weight(
    denoise: Denoiser, x: Tensor, levels: NoiseLevels, noise: Noise, num_levels: int
) -> Tensor:
    """log p(x_0..T) - log q(x_1..T | x) of one path of q, in nats, (B,); see `variational_bound`."""
    first = noise()
    place = float(levels.alpha[0]) * x + float(levels.sigma[0]) * first
    # log N(place; 0, I) - log N(place; alpha x, sigma^2): their constants differ by the logarithm of sigma
    total = 0.5 * (first.square() - place.square()).flatten(1).sum(1)
    total = total + x[0].numel() * float(levels.sigma[0].log())
    last = len(levels) - 2
    for step in range(last):
        seen = denoise(place, step)
        drawn = noise()
        share, miss = _step(x, seen, levels, step, num_levels)
        ratio = share.log() + drawn.square() - share * (miss + drawn).square()
        total = total + 0.5 * ratio.flatten(1).sum(1)
        back = posterior(levels, step, step + 1)
        place = back.of_x * x + back.of_place * place + back.deviation * drawn
    return total + _last_step(x, denoise(place, last), levels, num_levels)


def _step(x: Tensor, seen: Tensor, levels: NoiseLevels, step: int, num_levels: int) -> tuple[Tensor, Tensor]:
    """q's variance as a share of p's, and how far p's mean is from q's in deviations of q, (B, ...) each."""
    back = posterior(levels, step, step + 1)
    gain = back.of_x / back.deviation
    before = (1 - seen.square()).clamp(min=0) if num_levels else torch.ones_like(seen)
    doubt = before / (1 + before * float((levels.alpha[step] / levels.sigma[step]).square()))
    return 1 / (1 + gain**2 * doubt), gain * (x - seen)


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
    return gaussian_log_likelihood(seen_rows, rows, torch.log(deviation.square()).to(x.dtype))
