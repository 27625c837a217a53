"""How many modes of a known mixture a generator reaches, and how evenly, beside what perfect sampling gives.

    ring             8 means on the unit circle, sigma 0.01
    grid             25 means at {-4, -2, 0, 2, 4}^2, sigma 0.05
    stacked digits   three digits side by side: 1,000 modes, told apart by a classifier

A sample of high quality lies within 3 sigma of its nearest mean. A mode counts with one such sample. The KL
divergence is that of their histogram over the modes from a uniform one.

No sampler of finitely many samples covers all modes or has a KL of 0, and a classifier that errs finds modes
that are not there: the expectation of the perfect sampler stands beside each number.

Sources: Srivastava et al. (2017), "VEEGAN", section 4 (ring, grid); Metz et al. (2017), "Unrolled GANs" and
Lin et al. (2018), "PacGAN", section 4 (stacked digits, 26,000 samples).

Legend of shapes: N samples, D dimensions, M modes.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import comb, gammainc, gammaln, ndtri, xlogy

from creuset.errors import DataError, UsageError
from creuset.metrics.blocks import nearest_rows
from creuset.metrics.inputs import FloatArray, IntArray, as_floats, as_integers, require_same_width
from creuset.metrics.intervals import CONFIDENCE, Interval, wilson_interval
from creuset.metrics.score import Better, Score
from creuset.metrics.signature import NO_CONTEXT, Context, FieldValue

RING_SIGMA = 0.01
GRID_SIGMA = 0.05
SIGMAS_OF_QUALITY = 3.0


def ring_means(num_modes: int = 8) -> FloatArray:
    """Means at equal angles on the unit circle from (1, 0) on, (M, 2)."""
    angles = 2 * np.pi * np.arange(num_modes) / num_modes
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def grid_means() -> FloatArray:
    """The 25 points of {-4, -2, 0, 2, 4}^2, (25, 2)."""
    return np.array(list(itertools.product(range(-4, 5, 2), repeat=2)), dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ModeCounts:
    """How many samples of high quality fell to each mode; made by one of the `from_` methods.

    Args:
        counts: int64 (M,).
        n: All samples.
        perfect_quality: The probability that a sample of the true mixture is of high quality.
        sigmas: Standard deviations within which a sample is of high quality; None where every sample is.
    """

    counts: IntArray
    n: int
    perfect_quality: float = 1.0
    sigmas: float | None = None

    @classmethod
    def from_points(
        cls, points: ArrayLike, means: ArrayLike, sigma: float, *, sigmas: float = SIGMAS_OF_QUALITY
    ) -> "ModeCounts":
        """Count points (N, D) at their nearest of the means (M, D) of round Gaussians.

        Args:
            points: Samples.
            means: Of the modes, 2 or more.
            sigma: Standard deviation of each coordinate, above 0.
            sigmas: How many of them a sample may lie off.

        Raises:
            DataError: Empty, not finite, of unequal dimensions, or less than 2 modes.
            UsageError: sigma or sigmas not above 0.
        """
        samples, centres = (
            as_floats("points", points, "samples dims"),
            as_floats("means", means, "modes dims"),
        )
        require_same_width(points=samples, means=centres)
        if not (0 < sigma < math.inf and 0 < sigmas < math.inf):
            raise UsageError("not a spread", got=f"sigma {sigma}, sigmas {sigmas}", expected="above 0")
        _require_modes(len(centres))
        distances, nearest = nearest_rows(samples, centres)
        good = distances <= (sigmas * sigma) ** 2
        return cls(
            counts=np.bincount(nearest[good], minlength=len(centres)),
            n=len(samples),
            perfect_quality=float(gammainc(samples.shape[1] / 2, sigmas**2 / 2)),
            sigmas=sigmas,
        )

    @classmethod
    def from_classes(cls, predicted: ArrayLike, *, num_classes: int = 10) -> "ModeCounts":
        """Count combinations of predicted classes (N, digits): num_classes^digits modes.

        Raises:
            DataError: Empty, no whole numbers, or classes out of range.
        """
        classes = as_integers("predicted", predicted, "samples digits", below=num_classes)
        num_modes = num_classes ** classes.shape[1]
        _require_modes(num_modes)
        places = num_classes ** np.arange(classes.shape[1])[::-1]
        return cls(counts=np.bincount(classes @ places, minlength=num_modes), n=len(classes))

    @property
    def num_modes(self) -> int:
        return len(self.counts)

    @property
    def covered(self) -> int:
        """Modes with at least one sample of high quality."""
        return int(np.count_nonzero(self.counts))

    @property
    def num_good(self) -> int:
        """Samples of high quality."""
        return int(self.counts.sum())


def mode_scores(modes: ModeCounts, *, context: Context = NO_CONTEXT) -> list[Score]:
    """Modes reached, the share of high quality, and the KL from uniform, each beside the perfect sampler's.

    "modes" and "modes_perfect"; "high_quality" and "high_quality_perfect" for points; where any sample is of
    high quality "mode_kl", "mode_kl_perfect" (its expectation at as many samples) and "mode_kl_excess", their
    difference, with a jackknife interval.

    Args:
        modes: Counts of the samples.
        context: Data, split and seed.
    """
    fields: dict[str, FieldValue] = {"modes": modes.num_modes}
    if modes.sigmas is not None:
        fields["sigmas"] = modes.sigmas

    def scored(
        metric: str,
        value: float,
        unit: str,
        better: Better,
        interval: Interval | None = None,
        tag: str = "none",
    ) -> Score:
        return context.score(
            metric=metric,
            value=value,
            unit=unit,
            better=better,
            interval=interval,
            n=modes.n,
            fields={**fields, "interval": tag},
        )

    reached = expected_modes(modes.num_modes, modes.n, quality=modes.perfect_quality)
    scores = [
        scored("modes", modes.covered, "modes", "higher"),
        scored("modes_perfect", reached, "modes", "higher"),
    ]
    num_good = modes.num_good
    if modes.sigmas is not None:
        interval = wilson_interval(num_good, modes.n)
        scores += [
            scored("high_quality", num_good / modes.n, "fraction", "higher", interval, "wilson95"),
            scored("high_quality_perfect", modes.perfect_quality, "fraction", "higher"),
        ]
    if num_good > 0:
        kl, floor = kl_from_uniform(modes.counts), expected_kl(modes.num_modes, num_good)
        around = _kl_interval(modes.counts, kl - floor)
        scores += [
            scored("mode_kl", kl, "nats", "lower"),
            scored("mode_kl_perfect", floor, "nats", "lower"),
            scored("mode_kl_excess", kl - floor, "nats", "lower", around, "jackknife95"),
        ]
    return scores


def kl_from_uniform(counts: ArrayLike) -> float:
    """KL(counts/total || uniform) = log M + sum p log p, in nats, in [0, log M].

    Raises:
        DataError: No counts, negative ones, or only zeros.
    """
    array = as_integers("counts", counts, "modes", below=2**62)
    total = int(array.sum())
    if total == 0:
        raise DataError("nothing to measure", where="counts", got="only zeros")
    return max(0.0, math.log(len(array)) + float(xlogy(array / total, array / total).sum()))


def expected_kl(num_modes: int, num_samples: int) -> float:
    """The mean `kl_from_uniform` of samples that are truly uniform over the modes, in nats; exact.

    M sum_x P(x) (x/n) log(x M/n) with x binomial(n, 1/M); about (M - 1)/(2n) for many samples.

    Raises:
        UsageError: Less than 2 modes, or no samples.
    """
    _require_numbers(num_modes, num_samples)
    x = np.arange(1, num_samples + 1)
    log_choose = gammaln(num_samples + 1) - gammaln(x + 1) - gammaln(num_samples - x + 1)
    log_prob = log_choose - x * math.log(num_modes) + (num_samples - x) * math.log1p(-1 / num_modes)
    share = x / num_samples
    return num_modes * float((np.exp(log_prob) * share * np.log(share * num_modes)).sum())


def expected_modes(num_modes: int, num_samples: int, *, quality: float = 1.0) -> float:
    """How many modes a sampler that is uniform over them reaches: M (1 - (1 - quality/M)^n).

    Args:
        num_modes: M, 2 or more.
        num_samples: n, 1 or more.
        quality: The probability that a sample counts.

    Raises:
        UsageError: Less than 2 modes, no samples, or a quality outside [0, 1].
    """
    _require_numbers(num_modes, num_samples)
    _require_probability("quality", quality)
    return num_modes * -math.expm1(num_samples * math.log1p(-quality / num_modes))


def modes_by_error(
    num_samples: int, error_rate: float, *, num_digits: int = 3, num_classes: int = 10
) -> float:
    """How many modes a generator of one mode seems to reach when the classifier errs; the mean.

    Each digit is called a wrong class with `error_rate`, each wrong one alike. With 26,000 samples and 1% it
    is about 35 of 1,000.

    Raises:
        UsageError: No samples or digits, less than 2 classes, or a rate outside [0, 1].
    """
    _require_numbers(num_classes, num_samples)
    _require_probability("error_rate", error_rate)
    if num_digits < 1:
        raise UsageError("not a number of digits", got=num_digits, expected="1 or more")
    wrong = error_rate / (num_classes - 1)
    total = 0.0
    for errors in range(num_digits + 1):
        modes = comb(num_digits, errors) * (num_classes - 1) ** errors
        chance = wrong**errors * (1 - error_rate) ** (num_digits - errors)
        total += modes * (1 - (1 - chance) ** num_samples)
    return float(total)


def _kl_interval(counts: IntArray, centre: float) -> Interval | None:
    """From the KL without one sample, which is the same for all samples of a mode."""
    num = int(counts.sum())
    if num < 3:
        return None
    held = counts[counts > 0].astype(np.float64)
    total = float(xlogy(held, held).sum())
    left_out = (total - xlogy(held, held) + xlogy(held - 1, held - 1)) / (num - 1)
    deviation = left_out - np.average(left_out, weights=held)
    error = math.sqrt((num - 1) / num * float((held * deviation**2).sum()))
    if error <= 1e-12:
        return None
    half = float(ndtri((1 + CONFIDENCE) / 2)) * error
    return centre - half, centre + half


def _require_modes(num_modes: int) -> None:
    if num_modes < 2:
        raise DataError("one mode cannot be missed", got=num_modes, expected="2 or more modes")


def _require_numbers(num_modes: int, num_samples: int) -> None:
    if num_modes < 2 or num_samples < 1:
        raise UsageError(
            "no expectation for these numbers",
            got=f"{num_modes} modes, {num_samples} samples",
            expected="2 or more modes, 1 or more samples",
        )


def _require_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError("not a probability", where=name, got=value, expected="0 to 1")
