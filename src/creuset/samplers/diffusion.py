"""From noise to data by denoising: DDPM, DDIM and DPM-Solver++(2M).

    ddpm         draws from q(x_s | x_t, x) with the data x that the network sees in x_t     by chance
    ddim         goes to alpha_s x + sigma_s noise with the x and the noise that it sees     order 1
    dpm_solver   the same with x extended in a straight line from the step before            order 2

All take steps between levels of noise, each evaluates the network once a step. Orders are those of following
the ordinary differential equation that DDIM discretises; with chance there is none. `eta` of DDIM is the
share of DDPM's chance that is put in: at 1 it is DDPM.

Source: ddpm: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", algorithm 2 with the smaller of the
two variances; ddim: Song et al. 2021, "Denoising Diffusion Implicit Models", eqs. 12 and 16; dpm_solver: Lu
et al. 2022, "DPM-Solver++", algorithm 2.
Departure of dpm_solver, with the authors' program: the step to no noise at all is of order 1.

Legend of shapes: B batch, ... the axes of a sample, S steps.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from torch import Tensor

from creuset.samplers.noise_schedule import NoiseLevels, posterior

SamplerName = Literal["ddpm", "ddim", "dpm_solver"]
Denoiser = Callable[[Tensor, int], Tensor]
"""Places (B, ...) and the place of their level among the levels, to the data seen in them, (B, ...)."""
Noise = Callable[[], Tensor]
"""Standard normal numbers of the samples' form, (B, ...), anew with each call."""

ORDERS: Mapping[SamplerName, int | None] = MappingProxyType({"ddpm": None, "ddim": 1, "dpm_solver": 2})
"""The power of the step by which a method's error falls; None where chance decides."""


def ddpm(denoise: Denoiser, x: Tensor, levels: NoiseLevels, noise: Noise) -> Tensor:
    """Samples (B, ...) at the last level.

    Args:
        denoise: The network.
        x: Noise at the first level, (B, ...).
        levels: S + 1 of them, each with less noise than the one before.
        noise: Drawn once a step.
    """
    for step in range(len(levels) - 1):
        back = posterior(levels, step, step + 1)
        x = back.of_x * denoise(x, step) + back.of_place * x
        if back.deviation > 0:
            x = x + back.deviation * noise()
    return x


def ddim(
    denoise: Denoiser, x: Tensor, levels: NoiseLevels, *, eta: float = 0.0, noise: Noise | None = None
) -> Tensor:
    """Samples (B, ...) at the last level.

    Args:
        denoise: The network.
        x: Noise at the first level, (B, ...).
        levels: S + 1 of them, each with less noise than the one before.
        eta: In [0, 1]; 0 leaves nothing to chance.
        noise: Drawn once a step where eta is above 0, and needed there.
    """
    for step in range(len(levels) - 1):
        alpha, sigma = float(levels.alpha[step]), float(levels.sigma[step])
        next_alpha, next_sigma = float(levels.alpha[step + 1]), float(levels.sigma[step + 1])
        data = denoise(x, step)
        seen = (x - alpha * data) / sigma
        deviation = eta * posterior(levels, step, step + 1).deviation if eta else 0.0
        x = next_alpha * data + max(next_sigma**2 - deviation**2, 0.0) ** 0.5 * seen
        if deviation > 0:
            assert noise is not None
            x = x + deviation * noise()
    return x


def dpm_solver(denoise: Denoiser, x: Tensor, levels: NoiseLevels) -> Tensor:
    """Samples (B, ...) at the last level.

    Args:
        denoise: The network.
        x: Noise at the first level, (B, ...).
        levels: S + 1 of them, each with less noise than the one before.
    """
    log_ratios = (levels.alpha.log() - levels.sigma.log()).tolist()  # grows as noise falls; infinite without
    before: Tensor | None = None
    for step in range(len(levels) - 1):
        data = denoise(x, step)
        seen = data
        stride = log_ratios[step + 1] - log_ratios[step]
        if before is not None and levels.sigma[step + 1] > 0:
            seen = data + stride / (2 * (log_ratios[step] - log_ratios[step - 1])) * (data - before)
        shrink = float(levels.sigma[step + 1] / levels.sigma[step])
        grow = float(levels.alpha[step + 1]) * -math.expm1(-stride)
        x = shrink * x + grow * seen
        before = data
    return x
