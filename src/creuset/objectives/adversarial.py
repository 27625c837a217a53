"""What the two players of a GAN minimize, each sample's share, from the critic's scores.

    loss             critic                                   generator
    minimax          softplus(-r) + softplus(f)               -softplus(f)
    non_saturating   softplus(-r) + softplus(f)               softplus(-f)
    lsgan            ((r - 1)^2 + f^2) / 2                    (f - 1)^2 / 2
    wgan, wgan_gp    f - r                                    -f
    hinge            relu(1 - r) + relu(1 + f)                -f
    relativistic     softplus(f - r)                          softplus(r - f)

with r the score of a real sample and f that of a generated one, any real numbers: the sigmoid of minimax and
non_saturating is within softplus. Real and generated samples are paired by their place.

Source: minimax and non_saturating: Goodfellow et al. 2014, "Generative Adversarial Nets", eq. 1 and section
3; lsgan: Mao et al. 2017, "Least Squares Generative Adversarial Networks", eq. 9; wgan:
Arjovsky, Chintala & Bottou 2017, "Wasserstein GAN", algorithm 1; wgan_gp: Gulrajani et al. 2017, which adds a
penalty (gradient_penalty.py); hinge: Lim & Ye 2017, "Geometric GAN", and
Miyato et al. 2018, "Spectral Normalization for GANs", eqs. 16 and 17; relativistic: Jolicoeur-Martineau
2018, "The relativistic discriminator", with the pairing of Huang et al. 2024, "The GAN is dead; long live
the GAN!", eq. 2; smoothing: Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.4,
one-sided.

Legend of shapes: B samples.
"""

from typing import Literal, get_args

from torch import Tensor
from torch.nn.functional import relu, softplus

from creuset.errors import UsageError

AdversarialName = Literal["minimax", "non_saturating", "lsgan", "wgan", "wgan_gp", "hinge", "relativistic"]
SMOOTHED: tuple[AdversarialName, ...] = ("minimax", "non_saturating", "lsgan")
"""Losses with a target for real samples, which can be other than 1."""

OF_DIFFERENCES: tuple[AdversarialName, ...] = ("wgan", "wgan_gp", "relativistic")
"""Losses in which only differences of scores stand, so that a bias of the critic cancels."""


def critic_loss(loss: AdversarialName, real: Tensor, fake: Tensor, *, real_target: float = 1.0) -> Tensor:
    """What the critic minimizes.

    Args:
        loss: Which.
        real: The critic's score of each real sample, (B,).
        fake: Its score of each generated one, (B,).
        real_target: What real samples are to be told as, in (0.5, 1]; below 1 is label smoothing.

    Returns:
        (B,).

    Raises:
        UsageError: A target for a loss that has none.
    """
    if real_target != 1.0 and loss not in SMOOTHED:
        raise UsageError(
            f"the loss {loss} has no target that could be smoothed",
            where="real_target",
            got=real_target,
            expected=f"1, or one of the losses {', '.join(SMOOTHED)}",
        )
    match loss:
        case "minimax" | "non_saturating":
            as_real = real_target * softplus(-real) + (1 - real_target) * softplus(real)
            return as_real + softplus(fake)
        case "lsgan":
            return ((real - real_target) ** 2 + fake**2) / 2
        case "wgan" | "wgan_gp":
            return fake - real
        case "hinge":
            return relu(1 - real) + relu(1 + fake)
        case "relativistic":
            return softplus(fake - real)
    raise _unknown(loss)


def generator_loss(loss: AdversarialName, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """What the generator minimizes.

    Args:
        loss: Which.
        fake: The critic's score of each generated sample, (B,).
        real: Its score of the real sample at the same place, (B,); "relativistic" alone reads it.

    Returns:
        (B,).

    Raises:
        UsageError: No real scores for "relativistic".
    """
    match loss:
        case "minimax":
            return -softplus(fake)
        case "non_saturating":
            return softplus(-fake)
        case "lsgan":
            return (fake - 1) ** 2 / 2
        case "wgan" | "wgan_gp" | "hinge":
            return -fake
        case "relativistic":
            if real is None:
                raise UsageError("a relativistic loss compares with real samples", where="real", got=None)
            return softplus(real - fake)
    raise _unknown(loss)


def _unknown(loss: str) -> UsageError:
    return UsageError("no such loss", where="loss", got=loss, expected=", ".join(get_args(AdversarialName)))
