"""What a classifier said about each sample, beside what is true: the rows of all classification metrics.

Legend of shapes: N samples, K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from creuset.errors import DataError
from creuset.metrics.inputs import FloatArray, IntArray, as_floats, as_integers, require_same_length

_SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may be from 1: what bfloat16 rounding of a softmax can add up to."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """A classifier's answers and the labels; made by one of the `from_` methods, which check them.

    Args:
        scores: One number a class, the highest one predicted; float64 (N, K).
        labels: The true classes, int64 (N,) in [0, K).
        log_probs: Log probabilities in nats, float64 (N, K); None for a classifier that gives none.
    """

    scores: FloatArray
    labels: IntArray
    log_probs: FloatArray | None

    @classmethod
    def from_logits(cls, logits: ArrayLike, labels: ArrayLike) -> "Predictions":
        """Answers as logits: log probabilities up to a constant a row.

        Args:
            logits: Finite numbers (N, K).
            labels: Whole numbers (N,) in [0, K).

        Raises:
            DataError: Empty, not finite, of unequal lengths, less than 2 classes, or labels out of range.
        """
        scores, truth = _checked("logits", logits, labels)
        return cls(scores=scores, labels=truth, log_probs=log_softmax(scores, axis=1))

    @classmethod
    def from_probabilities(cls, probabilities: ArrayLike, labels: ArrayLike) -> "Predictions":
        """Answers as probabilities in [0, 1], each row of (N, K) summing to 1; labels as in `from_logits`.

        Raises:
            DataError: As `from_logits`; negative probabilities; rows that do not sum to 1 within 0.001.
        """
        scores, truth = _checked("probabilities", probabilities, labels)
        negative = int(np.count_nonzero(scores < 0))
        if negative:
            raise DataError(
                "negative probabilities",
                where="probabilities",
                got=f"{negative} of {scores.size}, the lowest {scores.min():.6g}",
                next_step="for raw scores use Predictions.from_logits or from_scores",
            )
        sums = scores.sum(axis=1)
        wrong = np.abs(sums - 1) > _SUM_TOLERANCE
        if wrong.any():
            first = int(np.argmax(wrong))
            raise DataError(
                "probabilities that do not sum to 1",
                where="probabilities",
                got=f"{int(wrong.sum())} of {len(sums)} rows; row {first} sums to {sums[first]:.6g}",
                expected=f"1 within {_SUM_TOLERANCE:g}",
                next_step="for raw scores use Predictions.from_logits or from_scores",
            )
        with np.errstate(divide="ignore"):
            log_probs = np.log(scores)
        return cls(scores=scores, labels=truth, log_probs=log_probs)

    @classmethod
    def from_scores(cls, scores: ArrayLike, labels: ArrayLike) -> "Predictions":
        """Answers that only rank, such as a support vector machine's margins; labels as in `from_logits`.

        Metrics of probabilities refuse such predictions.

        Raises:
            DataError: As `from_logits`.
        """
        checked, truth = _checked("scores", scores, labels)
        return cls(scores=checked, labels=truth, log_probs=None)

    @property
    def n(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        return int(self.scores.shape[1])

    @property
    def predicted(self) -> IntArray:
        """The class with the highest score, the first of several; (N,)."""
        classes: IntArray = self.scores.argmax(axis=1)
        return classes

    @property
    def correct(self) -> IntArray:
        """1 where the predicted class is the true one, else 0; (N,). Pairs with another classifier's."""
        right: IntArray = (self.predicted == self.labels).astype(np.int64)
        return right

    def require_log_probs(self, metric: str) -> FloatArray:
        """The log probabilities in nats (N, K).

        Raises:
            DataError: The classifier gives scores without probabilities.
        """
        if self.log_probs is None:
            raise DataError(
                f"{metric} needs probabilities",
                got="scores that only rank",
                next_step="use a classifier that gives probabilities, or leave this metric out",
            )
        return self.log_probs


def _checked(name: str, scores: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, IntArray]:
    array = as_floats(name, scores, "samples classes")
    if array.shape[1] < 2:
        raise DataError(
            "one column is no choice",
            where=name,
            got=f"shape {array.shape}",
            expected="a column for each of 2 or more classes",
        )
    truth = as_integers("labels", labels, "samples", below=array.shape[1]).astype(np.int64)
    require_same_length(**{name: array, "labels": truth})
    return array, truth
