"""A convolutional network that classifies pictures.

Stages of two 3x3 convolutions of which the first halves the picture, then one linear layer over the last map:
the all-convolutional plan of Springenberg et al. 2015, "Striving for Simplicity". Departures: group norm
behind each convolution; the last map is read as it is, not averaged over its places (on digits of 28 x 28
that learns several times faster); dropout before the last layer only.

Legend of shapes: B batch, C channels, H height, W width, K classes.
"""

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.layers.convolution import ConvEncoder, stage_sizes
from creuset.layers.dropout import Dropout
from creuset.models.base import Batch, Family, Model, require_classes, require_pictures, require_shape
from creuset.objectives.cross_entropy import balanced_class_weights, classification_loss
from creuset.recipe.sections import FamilyConfig


class CNNConfig(FamilyConfig):
    """The `model` section of a convolutional classifier."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"channels": (8, 16)},
        "small": {"channels": (32, 64)},
        "base": {"channels": (64, 128, 256)},
    }

    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (32, 64), min_length=1, description="Channels of each stage; a stage halves the picture."
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="Probability of a zero before the last layer.")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: each class weighs the same in the loss, however many samples it has."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread evenly over all classes."
    )


class CNN(Model):
    """Pictures to scores of classes.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data are no pictures, too small for the stages, or without classes.
    """

    class_weights: Tensor | None

    def __init__(self, config: CNNConfig, spec: DataSpec) -> None:
        super().__init__()
        self.image_shape = require_pictures(spec, config.family, num_halvings=len(config.channels))
        num_classes = require_classes(spec, config.family)
        channels, height, width = self.image_shape
        last_size = stage_sizes((height, width), len(config.channels))[-1]
        self.stages = ConvEncoder(channels, config.channels)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(config.channels[-1] * math.prod(last_size), num_classes)
        self.label_smoothing = config.label_smoothing
        weights = balanced_class_weights(spec.class_counts) if config.class_weights == "balanced" else None
        self.register_buffer("class_weights", weights, persistent=False)

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """Cross entropy with the recipe's weights and smoothing, in nats; "accuracy" under dropout."""
        assert player in self.players
        return classification_loss(
            self._scores(batch["images"], generator),
            batch["labels"],
            class_weights=self.class_weights,
            label_smoothing=self.label_smoothing,
        )

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """Plain cross entropy in nats, without dropout, weights or smoothing."""
        del generator
        return classification_loss(self._scores(batch["images"], None), batch["labels"])

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        return self._scores(inputs, None)

    def _scores(self, images: Tensor, generator: BatchGenerator | None) -> Tensor:
        maps = self.stages(require_shape(images, self.image_shape))  # (B, channels[-1], h, w)
        scores: Tensor = self.output(self.dropout(maps.flatten(1), generator))  # (B, K)
        return scores


FAMILY = Family(name="cnn", config=CNNConfig, build=CNN, traits=frozenset({"gradient", "classifies"}))
