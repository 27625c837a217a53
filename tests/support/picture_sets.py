"""Pictures of a measurement, and a network that makes features of them without weights."""

from collections.abc import Callable

import numpy as np
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from creuset.evaluation.generated import PictureSets
from creuset.metrics.features import Extractor
from creuset.metrics.signature import Context
from creuset.pretrained.features import FeatureNetwork


def pooled(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) -> the means of four quarters, (B, 4)."""
    return adaptive_avg_pool2d(pictures, 2)[:, 0].flatten(1)


def quarters(features: Callable[[Tensor], Tensor] = pooled) -> FeatureNetwork:
    """A network of 4 features."""
    return FeatureNetwork(
        extractor=Extractor(name="quarters"), num_features=4, features=features, logits=lambda found: found
    )


def picture_sets(
    num: int, *, num_reference: int = 120, num_training: int = 300, seed: int = 0
) -> PictureSets:
    """Random pictures of 4 x 4, all of one distribution."""
    draws = np.random.default_rng(seed)
    return PictureSets(
        generated=draws.integers(0, 256, (num, 4, 4, 1), dtype=np.uint8),
        reference=draws.integers(0, 256, (num_reference, 4, 4, 1), dtype=np.uint8),
        training=draws.integers(0, 256, (num_training, 4, 4, 1), dtype=np.uint8),
        context=Context(data="0" * 64, split="test"),
    )
