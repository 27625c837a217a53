"""What a model has to know about its data."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The form of one sample.

    Args:
        kind: "images" (stored uint8, batched float32 in [-1, 1]) or "table" (float32 columns).
        shape: (channels, height, width) of a picture, (features,) of a table row.
        num_levels: Values that a stored pixel can take: 256, or 17 for scikit-learn's digits; 0 for a table.
        class_names: The classes in the order of their labels; empty without labels.
        class_counts: Training samples of each class, for class weights; empty without labels.
        feature_names: A table's columns in their order; empty for pictures.
        feature_mean: Mean of each column over the training split; empty for pictures.
        feature_std: Standard deviation of each column over the training split, 1 where a column does not
            vary; batches hold (column - mean) / std. Empty for pictures.
    """

    kind: Literal["images", "table"]
    shape: tuple[int, ...]
    num_levels: int
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    feature_names: tuple[str, ...] = ()
    feature_mean: tuple[float, ...] = ()
    feature_std: tuple[float, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)
