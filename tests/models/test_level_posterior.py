"""The posterior of levels against Bayes' rule, and the bound of its chain against exact probabilities."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from creuset.models.level_posterior import (
    level_log_probs,
    level_nats,
    level_path_log_weight,
    levels_of,
    mean_level,
)
from creuset.models.variational_bound import chain_steps
from creuset.samplers.noise_schedule import NoiseLevels, noise_levels

PRIOR = torch.tensor([0.6, 0.1, 0.05, 0.05, 0.2], dtype=torch.float64)
"""Of the levels of each pixel, all pixels independent."""


def test_it_is_the_prior_times_the_likelihood_of_the_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 2, 2, generator=generator, dtype=torch.float64)
    logits = torch.randn(2, 15, 2, 2, generator=generator, dtype=torch.float64)
    alpha, sigma = torch.tensor(0.8, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)
    found = level_log_probs(logits, x, alpha, sigma).exp()
    values = (-1.0, -0.5, 0.0, 0.5, 1.0)
    weights = [
        math.exp(float(logits[1, 10 + k, 0, 1]) - (float(x[1, 2, 0, 1]) - 0.8 * value) ** 2 / 0.72)
        for k, value in enumerate(values)
    ]
    assert found[1, 2, 0, 1].tolist() == pytest.approx([weight / sum(weights) for weight in weights])
    expected = sum(w * value for w, value in zip(weights, values, strict=True)) / sum(weights)
    assert float(mean_level(found.log())[1, 2, 0, 1]) == pytest.approx(expected)
    nats = level_nats(found.log(), torch.full((2, 3, 2, 2), 0.5))
    assert float(nats[1, 2, 0, 1]) == pytest.approx(-math.log(weights[3] / sum(weights)))


def test_little_noise_leaves_the_nearest_level() -> None:
    pixels = levels_of(17, torch.zeros(1)).view(1, 1, 1, 17)
    sigma = torch.tensor(0.0025)
    x = pixels + 0.0025 * torch.randn(1, 1, 1, 17, generator=torch.Generator().manual_seed(0))
    found = level_log_probs(torch.zeros(1, 17, 1, 17), x, torch.tensor(1.0), sigma)
    assert float(level_nats(found, pixels).max()) < 1e-6


def chain(num_steps: int) -> tuple[NoiseLevels, Callable[[Tensor, int], Tensor]]:
    every = noise_levels("cosine", 1000)
    levels = every.at(chain_steps(every, num_steps, len(PRIOR)))

    def denoise(x: Tensor, place: int) -> Tensor:
        logits = PRIOR.log().view(1, -1, 1, 1).expand(len(x), -1, *x.shape[2:])
        return level_log_probs(logits, x, levels.alpha[place], levels.sigma[place])

    return levels, denoise


@pytest.mark.parametrize("num_steps", [3, 50])
def test_the_best_denoiser_of_independent_pixels_gives_their_probability(num_steps: int) -> None:
    """Its steps are the true ones, so that each path alone has the weight P(x), but for the first place."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(PRIOR, 400 * 4, replacement=True, generator=generator).view(400, 1, 2, 2)
    x = levels_of(len(PRIOR), PRIOR)[drawn]
    levels, denoise = chain(num_steps)
    noise = lambda: torch.randn(x.shape, generator=generator, dtype=torch.float64)  # noqa: E731
    found = level_path_log_weight(denoise, x, levels, noise)
    exact = PRIOR.log()[drawn].flatten(1).sum(1)
    assert float(found.mean()) == pytest.approx(float(exact.mean()), abs=0.05)


def test_a_wrong_denoiser_is_a_lower_bound() -> None:
    pixels = levels_of(len(PRIOR), PRIOR).view(5, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    levels, right = chain(20)
    x = pixels.repeat(2000, 1, 1, 1)
    noise = lambda: torch.randn(x.shape, generator=generator, dtype=torch.float64)  # noqa: E731

    def wrong(place: Tensor, step: int) -> Tensor:
        sharper: Tensor = (1.3 * right(place, step)).log_softmax(-1)
        return sharper

    weights = level_path_log_weight(wrong, x, levels, noise).view(2000, 5)
    assert float(weights.logsumexp(0).sub(math.log(2000)).exp().sum()) == pytest.approx(1, abs=0.1)
    assert float((PRIOR * weights.mean(0)).sum()) < float((PRIOR * PRIOR.log()).sum()) - 0.01
