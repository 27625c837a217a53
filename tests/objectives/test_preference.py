"""Losses of preferences against plain formulas, their limits and their gradients."""

import math

import pytest
import torch
from torch import Tensor

from creuset.errors import UsageError
from creuset.objectives.preference import (
    UNTRAINED_DPO,
    bradley_terry_nats,
    dpo_nats,
    implied_rewards,
    orpo_nats,
)


def numbers(seed: int, size: int = 50) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_bradley_terry_is_the_formula() -> None:
    chosen, rejected = numbers(0), numbers(1)
    margin = numbers(2).abs()
    found = bradley_terry_nats(chosen, rejected, margin=margin)
    slow = [-math.log(sigmoid(float(a - b - m))) for a, b, m in zip(chosen, rejected, margin, strict=True)]
    assert found.tolist() == pytest.approx(slow, rel=1e-12)
    assert bradley_terry_nats(chosen, chosen).tolist() == pytest.approx([math.log(2)] * 50)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_dpo_is_the_formula(smoothing: float) -> None:
    policy, reference = (-20 * numbers(seed, 100).abs() for seed in (3, 4))
    beta = 0.1
    rewards = implied_rewards(policy, reference, beta=beta)
    found = dpo_nats(rewards[:50], rewards[50:], label_smoothing=smoothing)
    slow = []
    for index in range(50):
        ahead = beta * float(
            (policy[index] - policy[index + 50]) - (reference[index] - reference[index + 50])
        )
        slow.append(-(1 - smoothing) * math.log(sigmoid(ahead)) - smoothing * math.log(sigmoid(-ahead)))
    assert found.tolist() == pytest.approx(slow, rel=1e-12)


def test_dpo_of_the_reference_itself() -> None:
    policy = numbers(5).requires_grad_()
    rewards = implied_rewards(policy, policy.detach(), beta=0.5)
    loss = dpo_nats(rewards[:25], rewards[25:])
    assert loss.tolist() == pytest.approx([UNTRAINED_DPO] * 25)
    loss.sum().backward()
    assert policy.grad is not None  # eq. 7's gradient: beta sigmoid(r_rejected - r_chosen), here beta / 2
    assert policy.grad.tolist() == pytest.approx([-0.25] * 25 + [0.25] * 25)


def test_smoothing_that_says_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="says nothing"):
        dpo_nats(numbers(0), numbers(1), label_smoothing=0.5)


def test_orpo_is_the_formula() -> None:
    chosen, rejected = (-numbers(seed).abs() - 1e-3 for seed in (6, 7))
    slow = []
    for a, b in zip(chosen.exp().tolist(), rejected.exp().tolist(), strict=True):
        slow.append(-math.log(sigmoid(math.log((a / (1 - a)) / (b / (1 - b))))))
    assert orpo_nats(chosen, rejected).tolist() == pytest.approx(slow, rel=1e-9)


def test_an_answer_that_is_certain_has_finite_odds() -> None:
    certain = torch.tensor([0.0, -1e-30], requires_grad=True)
    loss = orpo_nats(certain, torch.tensor([-1.0, 0.0]))
    loss.sum().backward()
    assert certain.grad is not None
    assert bool(torch.isfinite(loss).all() and torch.isfinite(certain.grad).all())


@pytest.mark.parametrize("log_prob", [-1e-6, -0.5, -math.log(2), -0.7, -50.0])
def test_odds_keep_their_digits_and_gradients(log_prob: float) -> None:
    exact = torch.tensor([log_prob], dtype=torch.float64, requires_grad=True)
    rough = torch.tensor([log_prob], dtype=torch.float32, requires_grad=True)
    for one in (exact, rough):
        orpo_nats(one, torch.tensor([-1.0], dtype=one.dtype)).sum().backward()
    assert exact.grad is not None
    assert rough.grad is not None
    assert float(rough.grad) == pytest.approx(float(exact.grad), rel=1e-4)
    assert math.isfinite(float(exact.grad))
