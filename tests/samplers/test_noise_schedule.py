"""Levels of noise against the definitions of the papers, step by step."""

import math

import pytest
import torch

from creuset.samplers.noise_schedule import noise_levels, noisiest_step, spaced_steps


def test_linear_levels_are_those_of_ddpm() -> None:
    levels = noise_levels("linear", 1000)
    kept = 1.0
    for step in range(1000):
        kept *= 1 - (1e-4 + (0.02 - 1e-4) * step / 999)
        assert float(levels.alpha[step + 1]) == pytest.approx(math.sqrt(kept), rel=1e-9)
    assert kept == pytest.approx(4.036e-5, rel=1e-3)  # the value of Ho et al.'s schedule


def test_cosine_levels_are_those_of_the_paper() -> None:
    levels = noise_levels("cosine", 400)

    def f(step: int) -> float:
        return math.cos((step / 400 + 0.008) / 1.008 * math.pi / 2) ** 2

    for step in (0, 1, 57, 200, 399):
        assert float(levels.alpha[step]) ** 2 == pytest.approx(f(step) / f(0), rel=1e-9)
    assert float(levels.alpha[400]) ** 2 == pytest.approx(0.001 * f(399) / f(0), rel=1e-9)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("num_timesteps", [50, 1000])
def test_noise_grows_from_none_to_nearly_all(schedule: str, num_timesteps: int) -> None:
    levels = noise_levels(schedule, num_timesteps)  # type: ignore[arg-type]
    assert len(levels) == num_timesteps + 1
    assert (levels.alpha[0], levels.sigma[0]) == (1, 0)
    assert (levels.sigma.diff() > 0).all()
    torch.testing.assert_close(levels.alpha.square() + levels.sigma.square(), torch.ones_like(levels.alpha))
    assert levels.sigma[-1] > 0.999


def test_steps_are_even_and_hold_both_ends() -> None:
    assert spaced_steps(1000, 4).tolist() == [1000, 750, 500, 250, 0]
    assert spaced_steps(50, 50).tolist() == list(range(50, -1, -1))
    steps = spaced_steps(1000, 333)
    assert (steps.diff() < 0).all()
    assert steps.diff().unique().tolist() == [-4, -3]
    assert spaced_steps(5, 9).tolist() == [5, 4, 3, 2, 1, 0]


def test_sampling_begins_where_there_is_data_left_to_see() -> None:
    assert noisiest_step(noise_levels("linear", 1000)) == 1000
    levels = noise_levels("cosine", 1000)
    first = noisiest_step(levels)
    assert 990 < first < 1000
    assert levels.alpha[first] > 0.005 > levels.alpha[first + 1]
