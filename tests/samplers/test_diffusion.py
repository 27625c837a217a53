"""The samplers of diffusion on a Gaussian, of which the best guess at the data is known in closed form."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from creuset.samplers.diffusion import ORDERS, ddim, ddpm, dpm_solver
from creuset.samplers.noise_schedule import NoiseLevels, noise_levels, posterior, spaced_steps

MEAN, DEVIATION = 0.7, 0.4


def denoiser(levels: NoiseLevels) -> Callable[[Tensor, int], Tensor]:
    """E[x | x_t] for data from N(MEAN, DEVIATION^2)."""

    def denoise(x: Tensor, place: int) -> Tensor:
        alpha, sigma = float(levels.alpha[place]), float(levels.sigma[place])
        share = alpha * DEVIATION**2 / ((alpha * DEVIATION) ** 2 + sigma**2)
        return MEAN + share * (x - alpha * MEAN)

    return denoise


def smooth_levels(num_steps: int) -> NoiseLevels:
    """Even steps of log(alpha / sigma), down to little noise."""
    ratios = torch.linspace(-3, 3, num_steps + 1, dtype=torch.float64)
    return NoiseLevels(torch.sigmoid(2 * ratios).sqrt(), torch.sigmoid(-2 * ratios).sqrt())


def deviation_at(levels: NoiseLevels, place: int) -> float:
    return math.hypot(float(levels.alpha[place]) * DEVIATION, float(levels.sigma[place]))


def error(method: Callable[..., Tensor], num_steps: int) -> float:
    """How far samples end from where the differential equation leads."""
    levels = smooth_levels(num_steps)
    x = torch.tensor([[-1.3], [0.2], [2.1]], dtype=torch.float64)
    standard = (x - float(levels.alpha[0]) * MEAN) / deviation_at(levels, 0)
    exact = float(levels.alpha[-1]) * MEAN + deviation_at(levels, -1) * standard
    return float((method(denoiser(levels), x, levels) - exact).abs().max())


@pytest.mark.parametrize(("name", "method"), [("ddim", ddim), ("dpm_solver", dpm_solver)])
def test_the_error_falls_with_the_declared_order(name: str, method: Callable[..., Tensor]) -> None:
    orders = [math.log2(error(method, steps) / error(method, 2 * steps)) for steps in (100, 200)]
    assert orders == pytest.approx([ORDERS[name]] * 2, abs=0.12)  # type: ignore[index]


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_ddpm_matches_the_moments(schedule: str) -> None:
    levels = noise_levels(schedule, 1000).at(spaced_steps(1000, 1000))  # type: ignore[arg-type]
    source = torch.Generator().manual_seed(0)

    def noise() -> Tensor:
        return torch.randn(40_000, 1, generator=source, dtype=torch.float64)

    drawn = ddpm(denoiser(levels), noise(), levels, noise)
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=4 * DEVIATION / 200)
    assert float(drawn.std()) == pytest.approx(DEVIATION, rel=0.02)
    fourth = float(((drawn - MEAN) / DEVIATION).pow(4).mean())
    assert fourth == pytest.approx(3, abs=0.15)


def test_ddim_with_all_of_the_chance_is_ddpm() -> None:
    levels = noise_levels("cosine", 200).at(spaced_steps(200, 30))
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def noise_of(seed: int) -> Callable[[], Tensor]:
        source = torch.Generator().manual_seed(seed)
        return lambda: torch.randn(5, 3, generator=source, dtype=torch.float64)

    with_chance = ddim(denoiser(levels), x, levels, eta=1.0, noise=noise_of(2))
    torch.testing.assert_close(with_chance, ddpm(denoiser(levels), x, levels, noise_of(2)))
    assert not torch.allclose(with_chance, ddim(denoiser(levels), x, levels))


@pytest.mark.parametrize("method", [ddim, dpm_solver])
def test_the_last_step_ends_without_noise(method: Callable[..., Tensor]) -> None:
    levels = noise_levels("cosine", 1000).at(spaced_steps(1000, 50))
    x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = method(denoiser(levels), x, levels)
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(drawn.std()) == pytest.approx(DEVIATION, rel=0.05)


def test_the_posterior_is_bayes_rule() -> None:
    """Against the product of q(x_t | x_s) and q(x_s | x), both Gaussian, of which the precisions add up."""
    levels = noise_levels("linear", 1000)
    noisier, cleaner, x, place = 600, 450, 0.3, -0.8
    back = posterior(levels, noisier, cleaner)
    ratio = float(levels.alpha[noisier] / levels.alpha[cleaner])
    added = float(levels.sigma[noisier]) ** 2 - (ratio * float(levels.sigma[cleaner])) ** 2
    precision = ratio**2 / added + 1 / float(levels.sigma[cleaner]) ** 2
    mean = (
        ratio * place / added + float(levels.alpha[cleaner]) * x / float(levels.sigma[cleaner]) ** 2
    ) / precision
    assert back.of_x * x + back.of_place * place == pytest.approx(mean)
    assert back.deviation == pytest.approx(precision**-0.5)
