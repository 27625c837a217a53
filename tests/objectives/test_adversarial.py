"""Losses of GANs against torch's own losses, their formulas, and what they are for."""

from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from creuset.errors import UsageError
from creuset.objectives.adversarial import SMOOTHED, AdversarialName, critic_loss, generator_loss

LOSSES: tuple[AdversarialName, ...] = get_args(AdversarialName)


def scores(size: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    real, fake = 3 * torch.randn(2, size, generator=generator, dtype=torch.float64)
    return real, fake


@pytest.mark.parametrize("target", [1.0, 0.9])
def test_with_a_sigmoid_the_critic_minimizes_a_cross_entropy(target: float) -> None:
    real, fake = scores()
    expected = functional.binary_cross_entropy_with_logits(
        real, torch.full_like(real, target), reduction="none"
    )
    expected += functional.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake), reduction="none")
    for loss in ("minimax", "non_saturating"):
        torch.testing.assert_close(critic_loss(loss, real, fake, real_target=target), expected)


def test_minimax_is_a_game_of_one_value_and_the_other_form_is_not() -> None:
    real, fake = scores()
    value = torch.log(torch.sigmoid(real)) + torch.log(1 - torch.sigmoid(fake))
    torch.testing.assert_close(critic_loss("minimax", real, fake), -value)
    torch.testing.assert_close(generator_loss("minimax", fake), torch.log(1 - torch.sigmoid(fake)))
    torch.testing.assert_close(generator_loss("non_saturating", fake), -torch.log(torch.sigmoid(fake)))


def test_a_sure_critic_stops_the_generator_of_minimax_alone() -> None:
    fake = torch.tensor([-20.0], requires_grad=True)
    slopes = {}
    for loss in ("minimax", "non_saturating"):
        (slopes[loss],) = torch.autograd.grad(generator_loss(loss, fake).sum(), fake)
    assert abs(float(slopes["minimax"])) < 1e-8
    assert float(slopes["non_saturating"]) == pytest.approx(-1)


def test_lsgan_wasserstein_and_hinge_are_their_formulas() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.25])
    assert critic_loss("lsgan", real, fake).tolist() == [5.0, 0.15625]
    assert critic_loss("lsgan", real, fake, real_target=0.75)[0] == (1.25**2 + 9) / 2
    assert generator_loss("lsgan", fake).tolist() == [8.0, 0.28125]
    assert critic_loss("wgan", real, fake).tolist() == [-5.0, -0.25]
    assert critic_loss("hinge", real, fake).tolist() == [0.0, 1.75]
    assert generator_loss("wgan", fake).tolist() == generator_loss("hinge", fake).tolist() == [3.0, -0.25]


def test_relativistic_scores_count_by_their_difference_alone() -> None:
    real, fake = scores()
    pair = critic_loss("relativistic", real, fake)
    torch.testing.assert_close(pair, -functional.logsigmoid(real - fake))
    torch.testing.assert_close(critic_loss("relativistic", real + 5, fake + 5), pair)
    torch.testing.assert_close(
        generator_loss("relativistic", fake, real), -functional.logsigmoid(fake - real)
    )
    with pytest.raises(UsageError, match="compares with real samples"):
        generator_loss("relativistic", fake)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_player_gains_by_what_it_is_for(loss: AdversarialName) -> None:
    real, fake = (each.float().requires_grad_() for each in scores())
    up, down = torch.autograd.grad(
        critic_loss(loss, real.clamp(-0.9, 0.9), fake.clamp(-0.9, 0.9)).sum(), (real, fake)
    )
    within_real, within_fake = real.abs() < 0.9, fake.abs() < 0.9
    assert bool((up[within_real] < 0).all())
    if loss != "lsgan":
        assert bool((down[within_fake] > 0).all())
    (rise,) = torch.autograd.grad(generator_loss(loss, fake.clamp(-0.9, 0.9), real.detach()).sum(), fake)
    assert bool((rise[within_fake] < 0).all())


def test_a_loss_without_a_target_takes_no_smoothing() -> None:
    real, fake = scores()
    for loss in set(LOSSES) - set(SMOOTHED):
        with pytest.raises(UsageError, match="no target that could be smoothed"):
            critic_loss(loss, real, fake, real_target=0.9)
