"""Likelihood floors: what models that learned almost nothing reach, to be printed beside a model's NLL.

    nll_uniform             every level of every pixel alike: D ln L, no fit
    nll_independent_pixels  each pixel has a histogram of its own
    nll_class_mixture       a mixture over the classes, in each of which the pixels are independent

A model below the last one has learned something about how pixels go together within a class. A histogram is
(count + smoothing) / (total + L smoothing).

The counts are the sufficient statistics, kept apart from the fit. For binary data drawn anew from grey values
(dynamic binarisation) they are the expected counts: the grey values themselves.

Legend of shapes: N samples, D pixels, L levels, K classes.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import (
    FloatArray,
    IntArray,
    as_integers,
    as_pictures,
    require_same_length,
)
from creuset.metrics.intervals import mean_estimate, within
from creuset.metrics.likelihood import LikelihoodSetting
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, UNSTATED, Context, FieldValue, short_hash

SMOOTHING = 0.3
"""Added to the count of each level of each pixel. Chosen on scikit-learn's digits (17 levels, some hundred
training pictures a class), where the mixture is best on held-out pictures at 0.25 to 0.35. Adding 1 makes it
1.5 nats worse there: a floor that is easier to pass than it should be."""

_CHUNK_ELEMENTS = 2**22


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelCounts:
    """How often each pixel took each level in the training pictures of each class.

    Args:
        levels: float64 (K, D, L); K is 1 without labels.
        pictures: Training pictures of each class, int64 (K,).
    """

    levels: FloatArray
    pictures: IntArray

    @classmethod
    def from_levels(
        cls, levels: ArrayLike, num_levels: int, labels: ArrayLike | None = None
    ) -> "PixelCounts":
        """Counts of discrete pictures.

        Args:
            levels: Whole numbers (N, ...) in [0, num_levels).
            num_levels: Values a pixel can take, 2 or more.
            labels: The class of each picture (N,), from 0; None for one class.

        Raises:
            DataError: No pictures, levels out of range, or unequal lengths.
        """
        rows = _as_rows("levels", levels, num_levels)
        classes = _as_classes(labels, len(rows))
        num_dims = rows.shape[1]
        num_cells = num_dims * num_levels
        first_cells = num_levels * np.arange(num_dims)
        counts = np.zeros((int(classes.max()) + 1, num_cells))
        chunk = max(1, _CHUNK_ELEMENTS // num_dims)
        for label in range(len(counts)):
            members = np.flatnonzero(classes == label)
            for start in range(0, len(members), chunk):
                cells = rows[members[start : start + chunk]] + first_cells
                counts[label] += np.bincount(cells.ravel(), minlength=num_cells)
        return cls(levels=counts.reshape(-1, num_dims, num_levels), pictures=np.bincount(classes))

    @classmethod
    def from_grey(cls, grey: ArrayLike, labels: ArrayLike | None = None) -> "PixelCounts":
        """Expected counts of binary pictures whose pixels are on with their grey value as probability.

        Args:
            grey: Pictures (N, ...) in [0, 1].
            labels: The class of each picture (N,), from 0; None for one class.

        Raises:
            DataError: No pictures, values outside [0, 1], or unequal lengths.
        """
        rows = as_pictures("grey", grey, (0.0, 1.0))
        classes = _as_classes(labels, len(rows))
        pictures = np.bincount(classes)
        lit = [rows[classes == label].sum(axis=0, dtype=np.float64) for label in range(len(pictures))]
        on = np.stack(lit)  # (K, D)
        return cls(levels=np.stack([pictures[:, None] - on, on], axis=2), pictures=pictures)

    @property
    def num_dims(self) -> int:
        return int(self.levels.shape[1])

    @property
    def num_levels(self) -> int:
        return int(self.levels.shape[2])

    def without_classes(self) -> "PixelCounts":
        """The counts of all pictures together."""
        return PixelCounts(
            levels=self.levels.sum(axis=0, keepdims=True), pictures=self.pictures.sum(keepdims=True)
        )

    def fit(self, smoothing: float = SMOOTHING) -> "PixelMixture":
        """The mixture over classes whose pixels are independent within each.

        Args:
            smoothing: Added to each level's count, above 0: a level never seen would make the NLL infinite.

        Raises:
            UsageError: Smoothing that is not above 0.
        """
        if not (smoothing > 0 and math.isfinite(smoothing)):
            raise UsageError("not a smoothing", got=smoothing, expected="a number above 0")
        smoothed = self.levels[self.pictures > 0] + smoothing
        present = self.pictures[self.pictures > 0]
        return PixelMixture(
            log_probs=np.log(smoothed / smoothed.sum(axis=2, keepdims=True)),
            log_weights=np.log(present / present.sum()),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelMixture:
    """A mixture of pictures with independent pixels.

    Args:
        log_probs: Log probability of each level of each pixel in each class, float64 (K, D, L).
        log_weights: Log probability of each class, float64 (K,).
    """

    log_probs: FloatArray
    log_weights: FloatArray

    def log_likelihoods(self, levels: ArrayLike) -> FloatArray:
        """log sum_k weight_k prod_d p_kd(x_d) in nats, float64 (N,).

        Args:
            levels: Whole numbers (N, ...) in [0, L), D pixels a picture.

        Raises:
            DataError: No pictures, levels out of range, or another number of pixels.
        """
        _, num_dims, num_levels = self.log_probs.shape
        rows = _as_rows("levels", levels, num_levels)
        if rows.shape[1] != num_dims:
            raise DataError(
                "pictures of another size", where="levels", got=f"{rows.shape[1]} pixels", expected=num_dims
            )
        pixels = np.arange(num_dims)
        chunk = max(1, _CHUNK_ELEMENTS // num_dims)
        parts = []
        for start in range(0, len(rows), chunk):
            some = rows[start : start + chunk]
            joint = [probs[pixels, some].sum(axis=1) for probs in self.log_probs]  # K of (n,)
            parts.append(logsumexp(np.stack(joint, axis=1) + self.log_weights, axis=1))
        return np.concatenate(parts)

    def expected_class_log_joint(self, grey: ArrayLike) -> FloatArray:
        """log weight_k + E[log p_k(x)] for binary x that is on with its grey value as probability, (N, K).

        By Bayes' rule the softmax over classes is what this generative model believes of a grey picture:
        a naive Bayes classifier.

        Args:
            grey: Pictures (N, ...) in [0, 1]; the mixture has two levels.

        Raises:
            DataError: No pictures, values outside [0, 1], or another number of pixels.
        """
        rows = as_pictures("grey", grey, (0.0, 1.0))
        num_dims = self.log_probs.shape[1]
        if rows.shape[1] != num_dims:
            raise DataError(
                "pictures of another size", where="grey", got=f"{rows.shape[1]} pixels", expected=num_dims
            )
        off, on = self.log_probs[:, :, 0], self.log_probs[:, :, 1]
        joint: FloatArray = rows @ (on - off).T + off.sum(axis=1) + self.log_weights
        return joint


def likelihood_floors(
    counts: PixelCounts,
    test_levels: ArrayLike,
    *,
    setting: LikelihoodSetting,
    smoothing: float = SMOOTHING,
    training_data: str = UNSTATED,
    context: Context = NO_CONTEXT,
) -> list[Score]:
    """The NLL in nats of the uniform model, of independent pixels and, with classes, of their mixture.

    The signatures of the last two say what they were fitted to: `fitted_to` and the training data.

    Args:
        counts: Of the training pictures.
        test_levels: Whole numbers (N, ...) in [0, L): the pictures a model's NLL is measured on.
        setting: The setting of the model's NLL; its importance samples are of no use here.
        smoothing: As in `PixelCounts.fit`.
        training_data: The content hash, in hexadecimal, of the training pictures that were counted (its first
            8 digits are kept), or a name.
        context: Data, split and seed of the test pictures.

    Raises:
        DataError: No pictures, levels out of range, or another number of pixels.
        UsageError: A setting of another number of levels, or smoothing that is not above 0.
    """
    if setting.num_levels != counts.num_levels:
        raise UsageError(
            "floors of another likelihood",
            got=f"counts of {counts.num_levels} levels, a setting of {setting.num_levels}",
            expected="the same number of levels",
        )
    exact = LikelihoodSetting(num_levels=setting.num_levels, binarisation=setting.binarisation)
    together = counts.without_classes()
    independent = together.fit(smoothing).log_likelihoods(test_levels)
    uniform = np.full(len(independent), -counts.num_dims * math.log(counts.num_levels))
    fit: dict[str, FieldValue] = {"fitted_to": short_hash(training_data), "smoothing": smoothing}
    floors: list[tuple[str, FloatArray, dict[str, FieldValue]]] = [
        ("nll_uniform", uniform, {}),
        ("nll_independent_pixels", independent, fit),
    ]
    num_classes = int(np.count_nonzero(counts.pictures))
    if num_classes > 1:
        mixture = counts.fit(smoothing).log_likelihoods(test_levels)
        floors.append(("nll_class_mixture", mixture, {"classes": num_classes, **fit}))
    scores = []
    for metric, log_likelihoods, fields in floors:
        estimate = mean_estimate(-log_likelihoods)
        scores.append(
            context.score(
                metric=metric,
                value=estimate.mean,
                unit="nats",
                better="lower",
                interval=within(estimate.interval, 0),
                n=estimate.n,
                fields={**exact.fields(), **fields, "interval": "t95"},
                seeded=exact.seeded,
            )
        )
    return scores


def _as_rows(name: str, levels: ArrayLike, num_levels: int) -> NDArray[np.integer[Any]]:
    if num_levels < 2:
        raise UsageError("not a number of levels", got=num_levels, expected="2 or more")
    array = as_integers(name, levels, "samples pixels ...", below=num_levels)
    return array.reshape(len(array), -1)


def _as_classes(labels: ArrayLike | None, num_pictures: int) -> IntArray:
    if labels is None:
        return np.zeros(num_pictures, dtype=np.int64)
    classes = as_integers("labels", labels, "samples", below=num_pictures).astype(np.int64)
    require_same_length(levels=np.empty(num_pictures), labels=classes)
    return classes
