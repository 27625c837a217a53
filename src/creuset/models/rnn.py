"""A recurrent network that classifies pictures, read row by row from the top.

Each row of a picture, the values of all its channels, is one step of a sequence; the state after the last row
is read by a linear layer. The setting is that of Le et al. 2015, "A Simple Way to Initialize Recurrent
Networks of Rectified Linear Units", with rows for pixels and with gated cells.

Legend of shapes: B batch, C channels, H height, W width, K classes.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.layers.dropout import Dropout
from creuset.layers.recurrent import Recurrent
from creuset.models.base import Batch, Family, Model, require_classes, require_pictures, require_shape
from creuset.objectives.cross_entropy import balanced_class_weights, classification_loss
from creuset.recipe.sections import FamilyConfig


class RNNConfig(FamilyConfig):
    """The `model` section of a recurrent classifier."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"hidden_dim": 32, "num_layers": 1},
        "small": {"hidden_dim": 128, "num_layers": 1},
        "base": {"hidden_dim": 256, "num_layers": 2},
    }

    cell: Literal["gru", "lstm"] = Field("gru", description="The gated cell.")
    hidden_dim: int = Field(128, ge=1, description="Units of the state of each layer.")
    num_layers: int = Field(1, ge=1, description="Recurrent layers one on another.")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="Probability of a zero between layers and before the last one."
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: each class weighs the same in the loss, however many samples it has."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread evenly over all classes."
    )


class RNN(Model):
    """Pictures to scores of classes, one row after another.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data are no pictures, or without classes.
    """

    class_weights: Tensor | None

    def __init__(self, config: RNNConfig, spec: DataSpec) -> None:
        super().__init__()
        self.image_shape = require_pictures(spec, config.family)
        num_classes = require_classes(spec, config.family)
        channels, _, width = self.image_shape
        self.recurrent = Recurrent(
            config.cell, channels * width, config.hidden_dim, config.num_layers, config.dropout
        )
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(config.hidden_dim, num_classes)
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
        rows = require_shape(images, self.image_shape).transpose(1, 2).flatten(2)  # (B, H, C W)
        states = self.recurrent(rows, generator)  # (B, H, hidden_dim)
        scores: Tensor = self.output(self.dropout(states[:, -1], generator))  # (B, K)
        return scores


FAMILY = Family(name="rnn", config=RNNConfig, build=RNN, traits=frozenset({"gradient", "classifies"}))
