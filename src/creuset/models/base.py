"""What a family is, and what its models can be asked for.

A file in this folder that defines FAMILY is a family; the folder is the registry. A family's traits say
what its models can do, and choose the contract tests (tests/test_family_contract.py) that it must pass:

    gradient    trained by the loop: loss(batch, player, generator)
    samples     sample(num_samples, generator) -> pictures
    likelihood  log_likelihood(images, generator, num_importance_samples) -> nats
    encodes     encode(images) -> codes, reconstruct(images), decode(codes)
    classifies  logits(inputs) -> one row of scores a sample

Legend of shapes: B batch, C channels, H height, W width, K classes, L latent dimensions, F features.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.recipe.sections import FamilyConfig

Trait = Literal["gradient", "samples", "likelihood", "encodes", "classifies"]
Batch = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One model family.

    Args:
        name: The value of `model.family`, and the file's name.
        config: The family's `model` section.
        build: Makes an untrained model from its section and the form of the data. Raises UsageError for
            data that the family cannot take.
        traits: What its models can do.
    """

    name: str
    config: type[FamilyConfig]
    build: "Callable[[Any, DataSpec], Model | FittedModel]"
    traits: frozenset[Trait]


class Model(nn.Module):
    """A model that is trained by gradients. A family implements what its traits promise."""

    players: tuple[str, ...] = ("model",)
    """One optimizer each, updated in this order in each training step."""

    def player_parameters(self, player: str) -> Iterator[tuple[str, nn.Parameter]]:
        """The named parameters that `player` updates; all of them for a family with one player."""
        assert player in self.players
        return self.named_parameters()

    @abstractmethod
    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """What `player` minimizes.

        Args:
            batch: "images" float32 (B, C, H, W) in [-1, 1] or "features" float32 (B, F); "labels" int64 (B,)
                where the data has them.
            player: One of `players`.
            generator: Every random draw of this pass, one row a sample.

        Returns:
            "loss", a mean over the batch, and its parts, named with their units ("kl_nats"); all scalars.
        """

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """What is measured on held-out data, "loss" deciding which checkpoint is best."""
        return self.loss(batch, self.players[0], generator)

    def sample(self, num_samples: int, generator: BatchGenerator) -> Tensor:
        """New pictures, float32 (num_samples, C, H, W) in [-1, 1]."""
        raise NotImplementedError(type(self).__name__)

    def log_likelihood(
        self, images: Tensor, generator: BatchGenerator, num_importance_samples: int
    ) -> Tensor:
        """log p(image) in nats, float32 (B,); a lower bound where the family says so."""
        raise NotImplementedError(type(self).__name__)

    def encode(self, images: Tensor) -> Tensor:
        """The code of each picture, float32 (B, L)."""
        raise NotImplementedError(type(self).__name__)

    def decode(self, codes: Tensor) -> Tensor:
        """The picture of each code (B, L), float32 (B, C, H, W) in [-1, 1]."""
        raise NotImplementedError(type(self).__name__)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Each picture through encoder and decoder, float32 (B, C, H, W) in [-1, 1]."""
        return self.decode(self.encode(images))

    def logits(self, inputs: Tensor) -> Tensor:
        """One score a class for pictures (B, C, H, W) or rows (B, F), float32 (B, K)."""
        raise NotImplementedError(type(self).__name__)


class FittedModel:
    """A model fitted in one go, without gradients (scikit-learn's). It is stored as arrays."""

    @abstractmethod
    def fit(self, features: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> dict[str, float]:
        """Learn from rows (N, F) and labels (N,); returns what is worth a journal line.

        Args:
            features: Pictures flattened to rows in [-1, 1], or table rows.
            labels: Whole numbers in [0, K).
            seed: Decides every random draw.
        """

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that `load_arrays` needs, as arrays."""

    @abstractmethod
    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Become the model whose `arrays` these are; raises CheckpointError where they do not fit."""

    @abstractmethod
    def logits(self, inputs: Tensor) -> Tensor:
        """One score a class for pictures (B, C, H, W) or rows (B, F), float32 (B, K)."""
