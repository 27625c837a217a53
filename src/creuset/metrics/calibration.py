"""Whether a classifier's probabilities mean what they say: calibration error, label NLL and Brier score.

Sources: Guo, Pleiss, Sun and Weinberger (2017), "On Calibration of Modern Neural Networks", equation 3
(expected calibration error); Brier (1950); Bröcker and Smith (2007), "Increasing the Reliability of
Reliability Diagrams" (what a calibrated classifier shows by chance).
Departures: the calibration error gets an interval that covers (see `calibration_error`) and a floor.

Legend of shapes: N samples, K classes, R resamples.
"""

from dataclasses import dataclass

import numpy as np

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray, IntArray
from creuset.metrics.intervals import NUM_RESAMPLES, Interval, bootstrap, mean_estimate, within
from creuset.metrics.predictions import Predictions
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context

NUM_BINS = 15
"""Bins of equal width, as in Guo et al. (2017)."""

_CHUNK_ELEMENTS = 2**22


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationBins:
    """A reliability diagram. Bin i holds confidences in (edges[i], edges[i + 1]], the first also 0.

    Args:
        edges: (bins + 1,) from 0 to 1.
        counts: Samples in each bin, (bins,).
        confidence: Mean probability of the predicted class in each bin, (bins,); NaN in an empty bin.
        accuracy: Fraction of right predictions in each bin, (bins,); NaN in an empty bin.
    """

    edges: FloatArray
    counts: IntArray
    confidence: FloatArray
    accuracy: FloatArray


def calibration_bins(predictions: Predictions, *, num_bins: int = NUM_BINS) -> CalibrationBins:
    """Confidence against accuracy in bins of equal width.

    Raises:
        DataError: Predictions without probabilities.
        UsageError: Less than 1 bin.
    """
    confidence, member = _members(predictions, num_bins)
    counts = member.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return CalibrationBins(
            edges=np.linspace(0, 1, num_bins + 1),
            counts=counts.astype(np.int64),
            confidence=confidence @ member / counts,
            accuracy=predictions.correct @ member / counts,
        )


def calibration_error(
    predictions: Predictions,
    *,
    context: Context = NO_CONTEXT,
    num_bins: int = NUM_BINS,
    num_resamples: int = NUM_RESAMPLES,
) -> Score:
    """Expected calibration error: the sum over bins of (samples in it)/N x |accuracy - mean confidence|.

    The plain estimate, in [0, 1]. It is never negative, so noise only adds to it: a perfectly calibrated
    classifier shows an error too (`calibration_floor`), and resamples, which carry the noise twice, lie above
    it. Neither percentile nor BCa intervals cover then. The interval here has three parts, whose coverage of
    the error in the limit of many samples is 91 to 99% in simulation:

        high  the 97.5% quantile q of the resampled errors
        low   2 error - q, the same distance below (the basic bootstrap's end)
        low   0, when the error is no greater than 97.5% of those a calibrated classifier shows

    No interval is given when all resamples agree.

    Raises:
        DataError: Predictions without probabilities.
        UsageError: Less than 1 bin.
    """
    confidence, member = _members(predictions, num_bins)
    gaps = member * (predictions.correct - confidence)[:, None]
    generator = context.generator()
    sampled = bootstrap(
        gaps, lambda sums: _error(sums, predictions.n), generator=generator, num_resamples=num_resamples
    )
    by_chance = _errors_by_chance(confidence, member, generator, num_resamples)
    interval: Interval | None = None
    if sampled.interval("percentile") is not None:
        high = max(float(np.quantile(sampled.resampled, 0.975)), sampled.estimate)
        explained = sampled.estimate <= float(np.quantile(by_chance, 0.975))
        interval = (0.0 if explained else max(0.0, 2 * sampled.estimate - high), high)
    return context.score(
        metric="calibration_error",
        value=sampled.estimate,
        unit="fraction",
        better="lower",
        interval=interval,
        n=predictions.n,
        fields={"bins": num_bins, "interval": "basic95", "resamples": num_resamples},
        seeded=True,
    )


def calibration_floor(
    predictions: Predictions,
    *,
    context: Context = NO_CONTEXT,
    num_bins: int = NUM_BINS,
    num_draws: int = NUM_RESAMPLES,
) -> Score:
    """The calibration error that a perfectly calibrated classifier with these confidences shows by chance.

    The mean over draws of "right" with the stated confidence as its probability, with their central 95%.
    A calibration error within that range is no sign of miscalibration.

    Raises:
        DataError: Predictions without probabilities.
        UsageError: Less than 1 bin.
    """
    confidence, member = _members(predictions, num_bins)
    by_chance = _errors_by_chance(confidence, member, context.generator(), num_draws)
    low, high = np.quantile(by_chance, [0.025, 0.975])
    return context.score(
        metric="calibration_floor",
        value=float(by_chance.mean()),
        unit="fraction",
        better="lower",
        interval=(float(low), float(high)),
        n=predictions.n,
        fields={"bins": num_bins, "draws": num_draws, "interval": "central95"},
        seeded=True,
    )


def label_nll(predictions: Predictions, *, context: Context = NO_CONTEXT) -> Score:
    """The mean of -log p(true class) in nats, with Student's interval over samples.

    Not to be confused with the NLL of the data themselves (metrics/likelihood.py).

    Raises:
        DataError: Predictions without probabilities, or a true class that was given probability 0.
    """
    log_probs = predictions.require_log_probs("label_nll")[np.arange(predictions.n), predictions.labels]
    impossible = int(np.count_nonzero(np.isneginf(log_probs)))
    if impossible:
        raise DataError(
            "the label NLL is infinite",
            where="label_nll",
            got=f"{impossible} of {predictions.n} true classes with probability 0",
            next_step="pass logits, which do not round to 0",
        )
    estimate = mean_estimate(-log_probs)
    return context.score(
        metric="label_nll",
        value=estimate.mean,
        unit="nats",
        better="lower",
        interval=within(estimate.interval, 0),
        n=predictions.n,
        fields={"interval": "t95"},
    )


def brier_score(predictions: Predictions, *, context: Context = NO_CONTEXT) -> Score:
    """The mean over samples of sum_k (p_k - [k is true])^2, in [0, 2], with Student's interval over samples.

    Brier's own definition, over all classes; for two classes it is twice the form that counts one class.

    Raises:
        DataError: Predictions without probabilities.
    """
    errors = np.exp(predictions.require_log_probs("brier_score"))
    errors[np.arange(predictions.n), predictions.labels] -= 1
    estimate = mean_estimate(np.square(errors).sum(axis=1))
    return context.score(
        metric="brier_score",
        value=estimate.mean,
        unit="score",
        better="lower",
        interval=within(estimate.interval, 0, 2),
        n=predictions.n,
        fields={"interval": "t95", "sum": "classes"},
    )


def _members(predictions: Predictions, num_bins: int) -> tuple[FloatArray, FloatArray]:
    """The probability of each predicted class (N,), and 1 in the bin it falls into (N, bins)."""
    if num_bins < 1:
        raise UsageError("a calibration error needs bins", got=num_bins, expected="1 or more")
    log_probs = predictions.require_log_probs("calibration_error")
    confidence = np.exp(log_probs[np.arange(predictions.n), predictions.predicted])
    inner_edges = np.linspace(0, 1, num_bins + 1)[1:-1]
    bins = np.searchsorted(inner_edges, confidence, side="left")
    return confidence, (bins[:, None] == np.arange(num_bins)).astype(np.float64)


def _error(gap_sums: FloatArray, n: int) -> FloatArray:
    """Sums of right - confidence in each bin, (R, bins) -> calibration errors (R,)."""
    error: FloatArray = np.abs(gap_sums).sum(axis=1) / n
    return error


def _errors_by_chance(
    confidence: FloatArray, member: FloatArray, generator: np.random.Generator, num_draws: int
) -> FloatArray:
    """Calibration errors (R,) when each prediction is right with the probability it states."""
    if num_draws < 2:
        raise UsageError("a floor needs draws", got=num_draws, expected="2 or more")
    n = len(confidence)
    chunk = max(1, _CHUNK_ELEMENTS // n)
    errors = []
    for start in range(0, num_draws, chunk):
        right = generator.random((min(chunk, num_draws - start), n)) < confidence
        errors.append(_error((right - confidence) @ member, n))
    return np.concatenate(errors)
