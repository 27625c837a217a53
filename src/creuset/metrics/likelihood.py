"""Likelihoods of data under a model: NLL, ELBO, bits per dimension, and the importance-sampled bound.

Sources: Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders", equation 8 (the bound);
Kong (1992) for the effective sample size; Theis, van den Oord and Bethge (2016), "A note on the evaluation of
generative models" (when densities and discrete likelihoods can be compared).

Legend of shapes: N samples, S importance samples.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray, as_floats
from creuset.metrics.intervals import Interval, mean_estimate, within
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context, FieldValue

Binarisation = Literal["none", "dynamic", "fixed", "threshold"]
_BINARISATIONS = ("none", "dynamic", "fixed", "threshold")


@dataclass(frozen=True, kw_only=True)
class LikelihoodSetting:
    """What a likelihood is of: numbers under unlike settings measure different things.

    Args:
        num_levels: Values that each dimension can take; 0 where the likelihood is a density.
        binarisation: How grey pictures were made binary: "dynamic" (each pixel on with its grey value as
            probability, drawn from the context's seed), "fixed" (a stored binary data set), "threshold", or
            "none". Thresholding alone removes some 45 nats on MNIST.
        num_importance_samples: Draws of the latent code a sample; None for an exact likelihood.

    Raises:
        UsageError: Numbers out of range, or binarised data with other than 2 levels.
    """

    num_levels: int
    binarisation: Binarisation = "none"
    num_importance_samples: int | None = None

    def __post_init__(self) -> None:
        if self.num_levels < 0 or self.num_levels == 1:
            raise UsageError(
                "not a number of levels", got=self.num_levels, expected="2 or more, or 0 for a density"
            )
        if self.binarisation not in _BINARISATIONS:
            raise UsageError(
                "no such binarisation", got=repr(self.binarisation), expected=", ".join(_BINARISATIONS)
            )
        if self.binarisation != "none" and self.num_levels != 2:
            raise UsageError(
                "binarised data have two levels",
                got=f"{self.num_levels} levels with binarisation {self.binarisation}",
                expected="num_levels=2",
            )
        if self.num_importance_samples is not None and self.num_importance_samples < 1:
            raise UsageError(
                "not a number of importance samples",
                got=self.num_importance_samples,
                expected="1 or more, or None for an exact likelihood",
            )

    @property
    def seeded(self) -> bool:
        """Whether a draw moves the numbers."""
        return self.binarisation == "dynamic" or self.num_importance_samples is not None

    def fields(self) -> dict[str, FieldValue]:
        """The setting as a signature writes it."""
        samples = self.num_importance_samples
        return {
            "binarisation": self.binarisation,
            "importance_samples": "none" if samples is None else samples,
            "likelihood": f"levels{self.num_levels}" if self.num_levels else "density",
        }


def nll(log_likelihoods: ArrayLike, *, setting: LikelihoodSetting, context: Context = NO_CONTEXT) -> Score:
    """The mean of -log p(x) in nats a sample, with Student's interval over samples.

    An exact NLL of discrete data is 0 or more, where its interval is cut. With importance samples it is
    an upper bound of the NLL in expectation.

    Not to be confused with `label_nll`, a classifier's.

    Args:
        log_likelihoods: log p(x) in nats (N,), summed over the dimensions of each sample.
        setting: What the likelihood is of.
        context: Data, split and seed.

    Raises:
        DataError: No samples, or values that are not finite.
    """
    estimate = mean_estimate(-as_floats("log_likelihoods", log_likelihoods, "samples"))
    return context.score(
        metric="nll",
        value=estimate.mean,
        unit="nats",
        better="lower",
        interval=_above_0(estimate.interval, setting),
        n=estimate.n,
        fields={**setting.fields(), "interval": "t95"},
        seeded=setting.seeded,
    )


def _above_0(interval: Interval | None, setting: LikelihoodSetting) -> Interval | None:
    """The interval of an NLL, cut at 0 where it is exactly that of a probability; a density or an estimate by
    importance samples may be above 1."""
    exact = setting.num_levels > 0 and setting.num_importance_samples is None
    return within(interval, 0) if exact else interval


def elbo(elbos: ArrayLike, *, setting: LikelihoodSetting, context: Context = NO_CONTEXT) -> Score:
    """The mean evidence lower bound in nats a sample, with Student's interval over samples.

    Args:
        elbos: The bound of each sample in nats (N,): the mean of its log weights. With the draws in
            `setting.num_importance_samples`; None where it was computed in closed form.
        setting: What the likelihood is of.
        context: Data, split and seed.

    Raises:
        DataError: No samples, or values that are not finite.
    """
    estimate = mean_estimate(as_floats("elbos", elbos, "samples"))
    return context.score(
        metric="elbo",
        value=estimate.mean,
        unit="nats",
        better="higher",
        interval=estimate.interval,
        n=estimate.n,
        fields={**setting.fields(), "interval": "t95"},
        seeded=setting.seeded,
    )


def to_bits_per_dim(nll_nats: float, num_dims: int, *, bin_width: float = 1.0) -> float:
    """nll / (D ln 2) - log2(bin_width): nats a sample as bits a dimension of the stored, discrete data.

    Args:
        nll_nats: -log p(x) of one sample, or the mean over samples.
        num_dims: Dimensions D of a sample, such as 784.
        bin_width: 1 for a discrete likelihood. For a density over dequantised and scaled data, the width of
            one stored level on that scale: 1/256 for bytes scaled to [0, 1], which adds log2(256) = 8 bits;
            2/256 for bytes scaled to [-1, 1], which adds 7.

    Raises:
        UsageError: num_dims below 1, or a bin without width.
    """
    if num_dims < 1:
        raise UsageError("not a number of dimensions", got=num_dims, expected="1 or more")
    if not (bin_width > 0 and math.isfinite(bin_width)):
        raise UsageError("not the width of a bin", got=bin_width, expected="a positive number")
    return nll_nats / (num_dims * math.log(2)) - math.log2(bin_width)


def bits_per_dim(
    log_likelihoods: ArrayLike,
    num_dims: int,
    *,
    setting: LikelihoodSetting,
    bin_width: float | None = None,
    context: Context = NO_CONTEXT,
) -> Score:
    """The NLL in bits a dimension (`to_bits_per_dim`), with Student's interval over samples.

    Args:
        log_likelihoods: log p(x) in nats (N,).
        num_dims: Dimensions of a sample.
        setting: What the likelihood is of.
        bin_width: As in `to_bits_per_dim`; needed for a density, 1 for a discrete likelihood.
        context: Data, split and seed.

    Raises:
        DataError: No samples, or values that are not finite.
        UsageError: A density without a bin width, or a discrete likelihood with another one than 1.
    """
    if bin_width is None:
        if setting.num_levels == 0:
            raise UsageError(
                "bits a dimension of a density need the width of a stored level",
                expected="bin_width, such as 1/256 for bytes scaled to [0, 1]",
            )
        bin_width = 1.0
    elif setting.num_levels and bin_width != 1.0:
        raise UsageError(
            "a discrete likelihood has bins of width 1",
            got=f"bin_width={bin_width} with {setting.num_levels} levels",
            next_step="leave bin_width out",
        )
    estimate = mean_estimate(-as_floats("log_likelihoods", log_likelihoods, "samples"))
    interval = _above_0(estimate.interval, setting)
    if interval is not None:
        low, high = (to_bits_per_dim(end, num_dims, bin_width=bin_width) for end in interval)
        interval = (low, high)
    fields: dict[str, FieldValue] = {**setting.fields(), "dims": num_dims, "interval": "t95"}
    if setting.num_levels == 0:
        fields["bin_width"] = bin_width
    return context.score(
        metric="bits_per_dim",
        value=to_bits_per_dim(estimate.mean, num_dims, bin_width=bin_width),
        unit="bits_per_dim",
        better="lower",
        interval=interval,
        n=estimate.n,
        fields=fields,
        seeded=setting.seeded,
    )


def importance_bound(log_weights: ArrayLike) -> FloatArray:
    """log (1/S) sum_s w_s: a lower bound of log p(x) in expectation, exact as S grows; float64 (N,).

    Args:
        log_weights: log p(x, z_s) - log q(z_s | x) in nats for z_s drawn from q, (S, N).

    Raises:
        DataError: No weights, NaN, or infinite weights (log weights of minus infinity are weights of 0).
    """
    return ImportanceBound().add(log_weights).log_likelihoods()


class ImportanceBound:
    """The importance-sampled bound from importance samples that come in chunks; holds two numbers a sample.

    Use: `bound.add(log_weights)` for each chunk (s, N), then `bound.log_likelihoods()`.
    """

    def __init__(self) -> None:
        self.num_importance_samples = 0
        self._log_sum = np.empty(0)
        self._log_sum_squares = np.empty(0)

    def add(self, log_weights: ArrayLike) -> "ImportanceBound":
        """Take in some importance samples of all samples, (s, N) in nats; returns itself.

        Raises:
            DataError: As `importance_bound`, or another N than in the chunks before.
        """
        chunk = _as_log_weights(log_weights)
        sums, squares = logsumexp(chunk, axis=0), logsumexp(2 * chunk, axis=0)
        if self.num_importance_samples == 0:
            self._log_sum, self._log_sum_squares = sums, squares
        elif len(sums) != len(self._log_sum):
            raise DataError(
                "a chunk of other samples",
                where="log_weights",
                got=f"{len(sums)} samples",
                expected=f"{len(self._log_sum)}, as in the chunks before",
            )
        else:
            self._log_sum = np.logaddexp(self._log_sum, sums)
            self._log_sum_squares = np.logaddexp(self._log_sum_squares, squares)
        self.num_importance_samples += len(chunk)
        return self

    def log_likelihoods(self) -> FloatArray:
        """The bound of each sample in nats, float64 (N,).

        Raises:
            DataError: Nothing was added.
        """
        self._require_weights()
        bound: FloatArray = self._log_sum - math.log(self.num_importance_samples)
        return bound

    def effective_sample_sizes(self) -> FloatArray:
        """(sum w)^2 / sum w^2 for each sample, in [1, S], float64 (N,); 0 where all weights are 0.

        A diagnostic: near 1, one importance sample decides the bound and more of them would raise it.

        Raises:
            DataError: Nothing was added.
        """
        self._require_weights()
        alive = np.isfinite(self._log_sum)
        sizes = np.zeros(len(alive))
        sizes[alive] = np.exp(2 * self._log_sum[alive] - self._log_sum_squares[alive])
        return sizes

    def _require_weights(self) -> None:
        if self.num_importance_samples == 0:
            raise DataError("no importance samples", where="log_weights", expected="one chunk or more")


def _as_log_weights(values: ArrayLike) -> FloatArray:
    """Log weights as float64 (s, N): minus infinity is allowed, and nothing else that is not finite."""
    try:
        array = np.asarray(values)
        zero = np.isneginf(array)
    except (TypeError, ValueError, RuntimeError):
        zero = np.zeros(1, dtype=np.bool_)
    if not zero.any():
        return as_floats("log_weights", values, "importance_samples samples")
    checked = as_floats("log_weights", np.where(zero, 0.0, array), "importance_samples samples")
    return np.where(zero, -np.inf, checked)
