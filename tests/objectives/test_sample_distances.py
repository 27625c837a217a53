"""Distances of sets of samples against scipy's and plain loops, and what must leave them as they are."""

import pytest
import torch
from scipy.stats import wasserstein_distance

from creuset.objectives.sample_distances import chamfer_distance, sliced_wasserstein


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_mean_of_one_dimensional_distances() -> None:
    first, second, directions = drawn(40, 3), drawn(40, 3, seed=1) * 2 + 1, drawn(3, 7, seed=2)
    expected = [
        wasserstein_distance((first @ d / d.norm()).tolist(), (second @ d / d.norm()).tolist())
        for d in directions.T
    ]
    found = sliced_wasserstein(first, second, directions)
    assert float(found) == pytest.approx(sum(expected) / len(expected), rel=1e-12)
    assert float(sliced_wasserstein(first, second, 5 * directions)) == pytest.approx(float(found), rel=1e-12)
    assert float(sliced_wasserstein(first, first.flip(0), directions)) == pytest.approx(0, abs=1e-15)


def test_a_shift_is_as_long_as_it_is_along_a_direction() -> None:
    first = drawn(10, 2)
    shifted = first + torch.tensor([3.0, 0.0])
    assert float(sliced_wasserstein(first, shifted, torch.eye(2).double())) == pytest.approx(1.5)


def test_chamfer_is_the_mean_way_to_the_nearest_both_ways() -> None:
    first, second = drawn(5, 3), drawn(8, 3, seed=1)
    there = [min(float((x - y).norm()) for y in second) for x in first]
    back = [min(float((x - y).norm()) for x in first) for y in second]
    found = float(chamfer_distance(first, second))
    assert found == pytest.approx(sum(there) / 5 + sum(back) / 8, rel=1e-12)
    assert float(chamfer_distance(first, first.flip(0))) == 0
