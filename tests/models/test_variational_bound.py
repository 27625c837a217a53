"""The bound of a diffusion against the exact likelihood of a Gaussian, seen by the best denoiser."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from creuset.models.variational_bound import chain_steps, path_log_weight, variational_bound
from creuset.samplers.noise_schedule import NoiseLevels, noise_levels

MEAN, DEVIATION = 0.2, 0.3
TRUTH = Normal(torch.tensor(MEAN, dtype=torch.float64), torch.tensor(DEVIATION, dtype=torch.float64))


def noise_of(x: Tensor, seed: int = 0) -> Callable[[], Tensor]:
    source = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(x.shape, generator=source, dtype=torch.float64)


def denoiser(levels: NoiseLevels, error: float = 0.0) -> Callable[[Tensor, int], Tensor]:
    def denoise(x: Tensor, place: int) -> Tensor:
        alpha, sigma = float(levels.alpha[place]), float(levels.sigma[place])
        share = alpha * DEVIATION**2 / ((alpha * DEVIATION) ** 2 + sigma**2)
        return MEAN + share * (x - alpha * MEAN) + error * sigma

    return denoise


def samples() -> Tensor:
    return TRUTH.sample((4000, 2))


def levels_of(num_steps: int, num_levels: int = 0) -> NoiseLevels:
    every = noise_levels("cosine", 4000)
    return every.at(chain_steps(every, num_steps, num_levels))


def test_with_many_steps_it_is_the_likelihood() -> None:
    x, levels = samples(), levels_of(2000)
    exact = float(TRUTH.log_prob(x).sum(1).mean())
    found = variational_bound(denoiser(levels), x, levels, noise_of(x), 0)
    assert float(found.mean()) == pytest.approx(exact, abs=0.06)


def test_fewer_steps_and_a_worse_denoiser_lower_it() -> None:
    x = samples()
    values = []
    for num_steps, error in ((400, 0.0), (25, 0.0), (25, 0.3)):
        levels = levels_of(num_steps)
        values.append(float(variational_bound(denoiser(levels, error), x, levels, noise_of(x), 0).mean()))
    exact = float(TRUTH.log_prob(x).sum(1).mean())
    assert exact > values[0] - 0.05
    assert values[0] > values[1] + 0.02
    assert values[1] > values[2] + 0.5


def test_paths_have_the_bound_as_their_mean_and_tighten_it() -> None:
    x, levels = samples(), levels_of(25)
    denoise, noise = denoiser(levels, 0.3), noise_of(x)
    weights = torch.stack([path_log_weight(denoise, x, levels, noise, 0) for _ in range(40)], dim=1)
    bound = float(variational_bound(denoise, x, levels, noise_of(x, 1), 0).mean())
    assert float(weights.mean()) == pytest.approx(bound, abs=0.1)
    tightened = float((weights.logsumexp(1) - math.log(40)).mean())
    assert bound + 0.1 < tightened < float(TRUTH.log_prob(x).sum(1).mean()) + 0.05


def test_probabilities_of_the_levels_of_a_pixel_sum_to_no_more_than_1() -> None:
    """By many paths each bound is near the probability itself, and those of all levels near 1 together."""
    levels = levels_of(25, 5)
    pixels = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    noise, denoise = noise_of(pixels), denoiser(levels)
    weights = torch.stack([path_log_weight(denoise, pixels, levels, noise, 5) for _ in range(2000)], dim=1)
    total = float((weights.logsumexp(1) - math.log(2000)).exp().sum())
    assert total == pytest.approx(1, abs=0.2)


def test_steps_of_a_chain_are_even_over_the_levels_that_matter() -> None:
    every = noise_levels("cosine", 1000)
    for num_levels in (0, 17, 256):
        steps = chain_steps(every, 50, num_levels)
        assert steps[-1] == 0
        assert (steps.diff() < 0).all()
        assert len(steps) <= 51
        assert float(every.alpha[steps[0]]) == pytest.approx(0.005, rel=0.4)
        assert (steps[-2] == 1) == (num_levels != 17)
    coarse = chain_steps(every, 50, 17)
    assert float(every.sigma[coarse[-2]]) <= 2 / 16 / 8 < float(every.sigma[coarse[-2] + 1])
    ratios = (every.alpha / every.sigma).log()[coarse[:-1]]
    assert float(ratios.diff().max()) < 3 * float(ratios.diff().mean())
