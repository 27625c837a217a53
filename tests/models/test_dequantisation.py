"""Levels and the intervals that they stand for."""

import math

import pytest
import torch

from creuset.models.dequantisation import dequantised, level_width, log_volume, nearest_levels


@pytest.mark.parametrize("num_levels", [2, 17, 256])
def test_what_is_dequantised_comes_back(num_levels: int) -> None:
    levels = torch.linspace(-1, 1, num_levels, dtype=torch.float64)
    torch.testing.assert_close(nearest_levels(levels, num_levels), levels)
    uniform = torch.rand(300, num_levels, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spread = dequantised(levels.expand(300, -1), uniform, num_levels)
    torch.testing.assert_close(nearest_levels(spread, num_levels), levels.expand(300, -1))
    assert float(spread.max() - spread.min()) == pytest.approx(2 + level_width(num_levels), rel=0.05)


def test_values_beyond_the_ends_are_the_ends() -> None:
    assert nearest_levels(torch.tensor([-7.0, 1.4]), 17).tolist() == [-1, 1]


def test_a_uniform_density_gives_each_level_its_share() -> None:
    """p = 1 / (2 + width) everywhere: each of K levels of D pixels is as likely."""
    num_levels, num_pixels = 17, 3
    log_density = -num_pixels * math.log(2 + level_width(num_levels))
    probability = math.exp(log_density + log_volume(num_pixels, num_levels))
    assert probability == pytest.approx(num_levels**-num_pixels)
