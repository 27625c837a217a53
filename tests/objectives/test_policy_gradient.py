"""Losses of rewards against plain loops, and divergences against exact ones."""

import itertools

import pytest
import torch
from torch import Tensor

from creuset.objectives.policy_gradient import (
    clipped_policy_loss,
    clipped_value_loss,
    divergence_k1,
    divergence_k3,
    generalized_advantages,
    group_advantages,
    mean_of_tokens,
    whitened,
)


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_policy_loss_is_clipped_on_the_side_that_gains() -> None:
    log_ratio, advantages = 0.5 * numbers(6, 7, seed=0), numbers(6, 1, seed=1)
    found = clipped_policy_loss(log_ratio, advantages, clip=0.2)
    for row, column in itertools.product(range(6), range(7)):
        ratio, advantage = float(log_ratio[row, column].exp()), float(advantages[row, 0])
        clipped = min(max(ratio, 0.8), 1.2)
        assert float(found[row, column]) == pytest.approx(-min(ratio * advantage, clipped * advantage))
    far = torch.tensor([[1.0, -1.0]], dtype=torch.float64, requires_grad=True)
    clipped_policy_loss(far, torch.tensor([[1.0, 1.0]]).double(), clip=0.2).sum().backward()
    assert far.grad is not None
    assert far.grad[0, 0] == 0  # already more likely by e: no more to gain
    assert far.grad[0, 1] < 0


def test_the_value_loss_takes_the_larger_error() -> None:
    values, old, returns = (numbers(5, 4, seed=seed) for seed in (2, 3, 4))
    found = clipped_value_loss(values, old, returns, clip=0.3)
    for place in itertools.product(range(5), range(4)):
        value, before, wanted = (float(one[place]) for one in (values, old, returns))
        near = min(max(value, before - 0.3), before + 0.3)
        assert float(found[place]) == pytest.approx(max((value - wanted) ** 2, (near - wanted) ** 2) / 2)


def test_advantages_are_the_sum_of_surprises() -> None:
    rewards, values = numbers(3, 6, seed=5), numbers(3, 6, seed=6)
    lengths = [6, 4, 1]
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    discount, decay = 0.9, 0.8
    found = generalized_advantages(rewards, values, mask, discount=discount, decay=decay)
    for row, length in enumerate(lengths):
        for start in range(length):
            total = 0.0
            for k in range(length - start):
                place = start + k
                following = float(values[row, place + 1]) if place + 1 < length else 0.0
                surprise = float(rewards[row, place]) + discount * following - float(values[row, place])
                total += (discount * decay) ** k * surprise
            assert float(found[row, start]) == pytest.approx(total)
        assert found[row, length:].tolist() == [0.0] * (6 - length)


def test_advantages_between_their_limits() -> None:
    rewards, values, mask = numbers(2, 5, seed=7), numbers(2, 5, seed=8), torch.ones(2, 5, dtype=torch.bool)
    all_rewards = generalized_advantages(rewards, values, mask, discount=1.0, decay=1.0) + values
    assert torch.allclose(all_rewards, rewards.flip(1).cumsum(1).flip(1))
    one_step = generalized_advantages(rewards, values, mask, discount=1.0, decay=0.0)
    following = torch.cat([values[:, 1:], torch.zeros(2, 1, dtype=torch.float64)], dim=1)
    assert torch.allclose(one_step, rewards + following - values)


def test_whitened_advantages() -> None:
    mask = torch.rand(8, 9, generator=torch.Generator().manual_seed(0)) < 0.6
    found = whitened(3 + 5 * numbers(8, 9, seed=9), mask)
    assert float(found[mask].mean()) == pytest.approx(0, abs=1e-12)
    assert float(found[mask].std()) == pytest.approx(1)
    assert not found[~mask].any()


def test_group_advantages() -> None:
    rewards = numbers(4, 6, seed=10)
    rewards[1] = 2.5
    found = group_advantages(rewards)
    assert found[1].tolist() == [0.0] * 6
    expected = (rewards[0] - rewards[0].mean()) / (rewards[0].std() + 1e-4)
    assert torch.allclose(found[0], expected)
    assert torch.allclose(group_advantages(rewards + 7), found)


def test_divergences_have_the_mean_of_the_exact_one() -> None:
    policy, reference = numbers(1, 12, seed=11).log_softmax(1), numbers(1, 12, seed=12).log_softmax(1)
    exact = float((policy.exp() * (policy - reference)).sum())
    for estimate in (divergence_k1(policy, reference), divergence_k3(policy, reference)):
        assert float((policy.exp() * estimate).sum()) == pytest.approx(exact)
    assert bool((divergence_k3(policy, reference) >= 0).all())
    assert bool((divergence_k1(policy, reference) < 0).any())


def test_the_mean_is_over_tokens_and_not_over_answers() -> None:
    values = torch.tensor([[1.0, 1.0, 1.0], [5.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert float(mean_of_tokens(values, mask)) == 2.0
