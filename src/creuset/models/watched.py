"""Models whose training can collapse, and what has to be seen of them to notice it (training/collapse.py).

    samples     a generator against a critic: its samples lose their variety, or one player wins (`Adversary`)
    posterior   q(z|x) becomes the prior, and codes say nothing of pictures (`LatentPosterior`)
    codes       units of a code stay the same whatever is encoded (any model that encodes)

Legend of shapes: B batch, L latent dimensions.
"""

from abc import abstractmethod

from torch import Tensor, nn

from creuset.models.base import Model


class Adversary(Model):
    """A generator and a critic that tells its samples from data."""

    generator: nn.Module
    """(B, L) noise, and labels (B,) or None -> samples."""
    critic: nn.Module
    """Samples, and labels (B,) or None -> scores, fewer than samples where several are judged together."""
    latent_dim: int
    num_classes: int
    """Classes that samples are asked for; 0 for none."""

    @property
    @abstractmethod
    def judged_together(self) -> int:
        """The critic takes a multiple of so many samples."""

    @property
    @abstractmethod
    def judges_by_batch(self) -> bool:
        """Whether a score depends on how many samples are judged at once."""


class LatentPosterior(Model):
    """A model with a Gaussian posterior over codes."""

    @abstractmethod
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x) for pictures (B, C, H, W) in [-1, 1], each (B, L)."""
