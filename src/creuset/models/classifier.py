"""What classifiers that are trained by gradients share: the loss, what is measured, and the settings of both.

A family adds the one part that differs, from inputs to the features that its last layer reads
(`Classifier._features`).

Legend of shapes: B batch, D features, K classes.
"""

from abc import abstractmethod
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.layers.dropout import Dropout
from creuset.models.base import Batch, Model, model_inputs
from creuset.models.requirements import require_classes
from creuset.objectives.cross_entropy import balanced_class_weights, classification_loss
from creuset.recipe.sections import FamilyConfig

ClassWeights = Literal["none", "balanced"]


class ClassifierConfig(FamilyConfig):
    """The fields that the `model` section of each of these families has."""

    class_weights: ClassWeights = Field(
        "none", description="balanced: each class weighs the same in the loss, however many samples it has."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread evenly over all classes."
    )


class Classifier(Model):
    """Samples to scores of classes: features, dropout, one linear layer.

    Args:
        family: The family's name, for errors.
        spec: The form of the data.
        class_weights: Whether rare classes weigh more in the loss.
        label_smoothing: Share of the target that is spread evenly over all classes, in [0, 1).

    Raises:
        UsageError: The data are without classes.
    """

    class_weights: Tensor | None

    dropout: Dropout
    """Before the last layer. Set by the family."""

    output: nn.Linear
    """The last layer, features (B, D) to scores (B, K). Set by the family."""

    def __init__(
        self, family: str, spec: DataSpec, *, class_weights: ClassWeights, label_smoothing: float
    ) -> None:
        super().__init__()
        self.num_classes = require_classes(spec, family)
        self.label_smoothing = label_smoothing
        weights = balanced_class_weights(spec.class_counts) if class_weights == "balanced" else None
        self.register_buffer("class_weights", weights, persistent=False)

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """Cross entropy with the recipe's weights and smoothing, in nats; "accuracy" under dropout."""
        assert player in self.players
        return classification_loss(
            self._scores(model_inputs(batch), generator),
            batch["labels"],
            class_weights=self.class_weights,
            label_smoothing=self.label_smoothing,
        )

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """Plain cross entropy in nats, without dropout, weights or smoothing."""
        del generator
        return classification_loss(self._scores(model_inputs(batch), None), batch["labels"])

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        return self._scores(inputs, None)

    @torch.no_grad()
    def features(self, inputs: Tensor) -> Tensor:
        """What the last layer reads of pictures (B, C, H, W), token ids (B, T) or the like: (B, D)."""
        return self._features(inputs, None)

    @property
    def num_features(self) -> int:
        """D."""
        return self.output.in_features

    def _scores(self, batch_inputs: Tensor, generator: BatchGenerator | None) -> Tensor:
        """The scores (B, K) of what `model_inputs` gives; arguments as in `_features`."""
        features = self._features(batch_inputs, generator)
        scores: Tensor = self.output(self.dropout(features, generator))
        return scores

    @abstractmethod
    def _features(self, batch_inputs: Tensor, generator: BatchGenerator | None) -> Tensor:
        """The features (B, D) of what `model_inputs` gives.

        Args:
            batch_inputs: Pictures, rows or token ids, (B, ...).
            generator: Every random draw of training, one row a sample; None where nothing is dropped.
        """
