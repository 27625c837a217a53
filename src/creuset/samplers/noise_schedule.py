"""How much noise there is at each step of a diffusion.

    x_t = alpha_t x + sigma_t noise,   alpha_t^2 = product over the steps to t of (1 - beta) = 1 - sigma_t^2

    linear   beta rises evenly from 1e-4 to 0.02 over 1,000 steps; over T steps, 1,000 / T times as much
    cosine   alpha_t = cos((t/T + s) / (1 + s) pi / 2), s = 0.008, over its value at t = 0

Source: linear: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", section 4; cosine: Nichol &
Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", eq. 17, no beta above 0.999 as there; few
steps out of many: section 4 there.

Legend of shapes: T steps of the diffusion, S steps of a sampler.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

ScheduleName = Literal["linear", "cosine"]

_LEAST_BETA, _MOST_BETA = 1e-4, 0.02
_LINEAR_STEPS = 1000
_COSINE_OFFSET = 0.008
_BETA_LIMIT = 0.999
_LEAST_ALPHA = 0.005
"""What is left of 784 numbers in [-1, 1] is then worth 0.01 nats."""


@dataclass(frozen=True, eq=False)
class NoiseLevels:
    """Levels of noise one after another.

    Args:
        alpha: How much of the data is left, float64 (N,), in [0, 1].
        sigma: How much noise there is, float64 (N,), in [0, 1].
    """

    alpha: Tensor
    sigma: Tensor

    def __len__(self) -> int:
        return len(self.alpha)

    def at(self, steps: Tensor) -> "NoiseLevels":
        """The levels at these places, int64 (S,)."""
        return NoiseLevels(self.alpha[steps], self.sigma[steps])


def noise_levels(schedule: ScheduleName, num_timesteps: int) -> NoiseLevels:
    """The levels of all T steps behind that of no noise, (T + 1,).

    Args:
        schedule: How noise grows.
        num_timesteps: T.
    """
    if schedule == "linear":
        scale = _LINEAR_STEPS / num_timesteps
        betas = torch.linspace(_LEAST_BETA * scale, _MOST_BETA * scale, num_timesteps, dtype=torch.float64)
    else:
        times = torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
        squares = ((times + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * (math.pi / 2)).cos().square()
        betas = 1 - squares[1:] / squares[:-1]
    kept = (1 - betas.clamp(max=_BETA_LIMIT)).log().cumsum(0)
    kept = torch.cat([torch.zeros(1, dtype=torch.float64), kept])
    return NoiseLevels((0.5 * kept).exp(), (-torch.expm1(kept)).sqrt())


def noisiest_step(levels: NoiseLevels) -> int:
    """The last step at which there is data left to see.

    Beyond it a network's noise, which is divided by alpha to tell the data, tells nothing: the cosine
    schedule ends at an alpha of 5e-5, the linear one at 0.006.

    Args:
        levels: Of all T steps behind that of no noise, (T + 1,).
    """
    return max(int((levels.alpha > _LEAST_ALPHA).sum()) - 1, 1)


def spaced_steps(first: int, num_steps: int) -> Tensor:
    """Steps from `first` down to 0, as even as whole numbers allow, int64 (S + 1,).

    Args:
        first: The noisiest step.
        num_steps: S; of a smaller `first` each step is taken.
    """
    steps = torch.linspace(first, 0, num_steps + 1, dtype=torch.float64).round().long()
    distinct: Tensor = torch.unique_consecutive(steps)
    return distinct


@dataclass(frozen=True)
class Posterior:
    """q(x_s | x_t, x) for s before t: a Gaussian with mean `of_x` x + `of_place` x_t and this deviation.

    Source: Ho et al. 2020, eq. 7; for any two levels: Kingma et al. 2021, "Variational Diffusion Models",
    appendix A.
    """

    of_x: float
    of_place: float
    deviation: float


def posterior(levels: NoiseLevels, noisier: int, cleaner: int) -> Posterior:
    """The posterior between two of the levels, given by their places."""
    alpha_t, sigma_t = levels.alpha[noisier], levels.sigma[noisier]
    alpha_s, sigma_s = levels.alpha[cleaner], levels.sigma[cleaner]
    ratio = alpha_t / alpha_s
    added = 1 - (ratio * sigma_s / sigma_t).square()  # of sigma_t^2, the share that is added from s to t
    return Posterior(
        of_x=float(alpha_s * added),
        of_place=float(ratio * sigma_s.square() / sigma_t.square()),
        deviation=float(added.sqrt() * sigma_s),
    )
