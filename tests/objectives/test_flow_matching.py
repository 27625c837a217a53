"""Straight paths and pairs of least distance, against their definitions and all permutations."""

from itertools import permutations

import torch

from creuset.objectives.flow_matching import optimal_pairs, pairs_within, straight_path


def test_paths_lead_from_noise_to_data_at_an_even_speed() -> None:
    noise, data = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    begin, velocity = straight_path(noise, data, torch.zeros(3))
    torch.testing.assert_close(begin, noise)
    torch.testing.assert_close(straight_path(noise, data, torch.ones(3))[0], data)
    times = torch.tensor([0.1, 0.5, 0.9])
    place, _ = straight_path(noise, data, times)
    torch.testing.assert_close(place + (1 - times.view(3, 1, 1, 1)) * velocity, data)


def test_pairs_have_the_least_sum_of_squares_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    noise, data = (torch.randn(5, 2, 3, generator=generator) for _ in range(2))
    paired = optimal_pairs(noise, data)
    costs = [float((noise[list(order)] - data).square().sum()) for order in permutations(range(5))]
    assert abs(float((paired - data).square().sum()) - min(costs)) < 1e-4
    assert torch.equal(paired.flatten(1).sort(0).values, noise.flatten(1).sort(0).values)


def test_paired_paths_cross_less() -> None:
    generator = torch.Generator().manual_seed(0)
    noise, data = torch.randn(64, 2, generator=generator), 2 * torch.randn(64, 2, generator=generator)
    assert (optimal_pairs(noise, data) - data).square().sum() < 0.5 * (noise - data).square().sum()


def test_each_class_is_paired_for_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    noise, data = (torch.randn(9, 1, 2, 2, generator=generator) for _ in range(2))
    classes = torch.tensor([0, 2, 0, 1, 2, 2, 0, 0, 2])
    paired = pairs_within(classes, noise, data)
    for number in range(3):
        of = classes == number
        assert torch.equal(paired[of], optimal_pairs(noise[of], data[of]))
