"""A convolutional network that classifies pictures.

Stages of two 3x3 convolutions of which the first halves the picture, then one linear layer over the last map:
the all-convolutional plan of Springenberg et al. 2015, "Striving for Simplicity". Departures: group norm
behind each convolution; the last map is read as it is, not averaged over its places (on digits of 28 x 28
that learns several times faster); dropout before the last layer only.

Legend of shapes: B batch, C channels, H height, W width, D features.
"""

import math
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.layers.convolution import ConvEncoder, stage_sizes
from creuset.layers.dropout import Dropout
from creuset.models.base import Family
from creuset.models.classifier import Classifier, ClassifierConfig
from creuset.models.requirements import require_pictures, require_shape


class CNNConfig(ClassifierConfig):
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


class CNN(Classifier):
    """Pictures to scores of classes.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data are no pictures, too small for the stages, or without classes.
    """

    def __init__(self, config: CNNConfig, spec: DataSpec) -> None:
        image_shape = require_pictures(spec, config.family, num_halvings=len(config.channels))
        super().__init__(
            config.family,
            spec,
            class_weights=config.class_weights,
            label_smoothing=config.label_smoothing,
        )
        self.image_shape = image_shape
        channels, height, width = self.image_shape
        last_size = stage_sizes((height, width), len(config.channels))[-1]
        self.stages = ConvEncoder(channels, config.channels)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(config.channels[-1] * math.prod(last_size), self.num_classes)

    def _features(self, batch_inputs: Tensor, generator: BatchGenerator | None) -> Tensor:
        del generator
        maps: Tensor = self.stages(require_shape(batch_inputs, self.image_shape))  # (B, channels[-1], h, w)
        return maps.flatten(1)  # (B, D)


FAMILY = Family(name="cnn", config=CNNConfig, build=CNN, traits=frozenset({"gradient", "classifies"}))
