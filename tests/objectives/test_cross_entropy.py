"""Cross entropy against torch's and against hand-worked cases."""

import pytest
import torch
from torch.nn import functional

from creuset.objectives.cross_entropy import balanced_class_weights, classification_loss, cross_entropy


@pytest.fixture
def scores() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 4, generator=generator, dtype=torch.float64) * 3
    return logits, torch.randint(4, (20,), generator=generator)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_agrees_with_torch(scores: tuple[torch.Tensor, torch.Tensor], smoothing: float) -> None:
    logits, labels = scores
    expected = functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, labels, label_smoothing=smoothing), expected)


def test_weights_multiply_each_sample_s_loss(scores: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = scores
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    expected = functional.cross_entropy(logits, labels, weight=weights, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, labels, class_weights=weights), expected)


def test_even_odds_cost_the_logarithm_of_their_number() -> None:
    losses = cross_entropy(torch.zeros(2, 8), torch.tensor([0, 7]))
    torch.testing.assert_close(losses, torch.full((2,), 8.0).log())


def test_smoothed_loss_is_least_at_the_smoothed_target() -> None:
    target = torch.tensor([[0.1 / 3 + 0.9, 0.1 / 3, 0.1 / 3]], dtype=torch.float64)
    logits = target.log().requires_grad_()
    cross_entropy(logits, torch.tensor([0]), label_smoothing=0.1).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-12)


def test_huge_logits_stay_finite() -> None:
    losses = cross_entropy(torch.tensor([[1e4, -1e4]]), torch.tensor([1]))
    torch.testing.assert_close(losses, torch.tensor([2e4]))


def test_balanced_weights_give_each_class_the_same_mass() -> None:
    counts = (10, 30, 60)
    weights = balanced_class_weights(counts)
    masses = weights * torch.tensor(counts)
    torch.testing.assert_close(masses, torch.full((3,), 100 / 3))
    assert float(masses.sum()) / 100 == pytest.approx(1)


def test_classification_loss_is_the_mean_with_its_accuracy() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 0.0]])
    report = classification_loss(logits, torch.tensor([0, 1, 1, 0]))
    assert float(report["accuracy"]) == 0.75
    right, wrong = torch.tensor(-2.0).exp().log1p(), torch.tensor(2.0).exp().log1p()
    torch.testing.assert_close(report["loss"], (3 * right + wrong) / 4)


def test_gradient(scores: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = scores
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: cross_entropy(x, labels, class_weights=weights, label_smoothing=0.2),
        logits.requires_grad_(),
    )
