"""The measures of generated samples by their features, under the names that people ask for them by.

    fd            Frechet distance; with 4 samples a feature, and 1,536 features at most, also its intercept
                  on 1/N
    fd-intercept  the intercept alone, refused with fewer samples
    kd            kernel distance
    is            Inception score of the extractor's own classes
    precision, recall, density, coverage
    rke           effective number of modes
    memorisation  nearness to training samples, and the share of near copies

Intervals are of what as many generated samples are expected to reach; those of the Frechet distance, recall
and coverage are there from 40 generated samples on, of the distance up to 1,536 features or samples.

"fid" and "kid" ask for fd and kd as well: a score is called FID or KID only on the Inception features that
define them, whatever it was asked for by.

Beside scores stands what real samples reach in place of generated ones: as many other real samples against
the same reference where the caller has them, else, for the Frechet distance, a part of the reference against
the rest. An intercept on 1/N of real samples is around 0 and has no floor. The effective number of modes
stands beside that of as many reference samples.

Legend of shapes: N generated, M reference, T other real samples; D features; K classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from types import MappingProxyType

from creuset.errors import DataError, UsageError, did_you_mean
from creuset.metrics.feature_sets import (
    KERNEL_BLOCKS,
    MOST_FEATURES_LEFT_OUT,
    FeatureSets,
    Measuring,
    MeasuringReal,
    drawn_rows,
)
from creuset.metrics.frechet import SAMPLES_PER_FEATURE, frechet_floor
from creuset.metrics.inception_score import NUM_SPLITS
from creuset.metrics.inputs import as_features
from creuset.metrics.jackknife import NUM_BLOCKS
from creuset.metrics.kernel import MOST_IN_FULL
from creuset.metrics.memorisation import NEAR_SHARE
from creuset.metrics.precision_recall import NEAREST_K
from creuset.metrics.rke import rke_mode_count
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context, Signature, short_hash

FEATURE_METRICS = (
    "fd",
    "fd-intercept",
    "kd",
    "is",
    "precision",
    "recall",
    "density",
    "coverage",
    "rke",
    "memorisation",
)
"""All names."""

OTHER_NAMES: Mapping[str, str] = MappingProxyType({"fid": "fd", "fid-intercept": "fd-intercept", "kid": "kd"})
"""What FID and KID are called on any features; asked for by these names they are measured all the same."""

_OF_BALLS = ("precision", "recall", "density", "coverage")
_WITH_FLOOR = ("fd", "kd", *_OF_BALLS)

USING_TRAINING = ("memorisation", *_WITH_FLOOR)
"""Metrics that are measured by training samples, or have their floors from them."""


@dataclass(frozen=True, kw_only=True)
class FeatureScores:
    """What was measured.

    Args:
        scores: In the order asked for.
        floors: What real samples reach in place of generated ones.
        remarks: What was left out, and why; whole sentences without a full stop.
    """

    scores: list[Score]
    floors: list[Score] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def feature_metrics(names: Sequence[str]) -> list[str]:
    """The metrics that these names ask for, each once.

    Raises:
        UsageError: None, one that there is not, or one that is named twice.
    """
    chosen: list[str] = []
    for name in names:
        metric = OTHER_NAMES.get(name, name)
        if metric not in FEATURE_METRICS:
            raise UsageError(
                f'no metric "{name}"{did_you_mean(name, [*FEATURE_METRICS, *OTHER_NAMES])}',
                expected=", ".join(FEATURE_METRICS),
            )
        if metric in chosen:
            raise UsageError(f'"{metric}" is named twice', next_step="name it once")
        chosen.append(metric)
    if not chosen:
        raise UsageError("no metric was named", expected=", ".join(FEATURE_METRICS))
    return chosen


def require_training(metrics: Sequence[str], *, given: bool) -> None:
    """There are training samples where a metric is measured by them.

    Raises:
        UsageError: There are not.
    """
    if "memorisation" in metrics and not given:
        raise UsageError(
            "memorisation is measured by the training samples",
            expected="training samples beside generated and reference ones",
        )


def require_samples(
    metrics: Sequence[str], *, num_generated: int, num_reference: int, num_features: int
) -> None:
    """There are enough samples for these metrics: to be asked before features are computed.

    Args:
        metrics: What `feature_metrics` gave.
        num_generated: N.
        num_reference: M.
        num_features: D.

    Raises:
        DataError: There are not; with the numbers.
    """
    found = {"generated": num_generated, "reference": num_reference}
    for metric in metrics:
        for side, needed in _fewest(metric, max(found.values()), num_features).items():
            if found[side] < needed:
                raise DataError(
                    f"{metric} needs {needed:,} samples or more",
                    where=side,
                    got=f"{num_generated:,} generated and {num_reference:,} reference samples"
                    + (f" of {num_features:,} features" if metric == "fd-intercept" else ""),
                    next_step=f"give more samples, or leave {metric} out",
                )


def _fewest(metric: str, most: int, num_features: int) -> dict[str, int]:
    """The fewest samples that a metric can be measured on; `most` is the larger of both numbers."""
    both = {
        "fd": 2,
        "fd-intercept": max(SAMPLES_PER_FEATURE * num_features, 2 * NUM_BLOCKS),
        "kd": 3 if most <= MOST_IN_FULL else 2 * KERNEL_BLOCKS,
        "rke": 3,
        **dict.fromkeys(_OF_BALLS, NEAREST_K + 1),
    }
    if metric in both:
        return {"generated": both[metric], "reference": both[metric]}
    return {"generated": 2 * NUM_SPLITS} if metric == "is" else {"reference": ceil(1 / NEAR_SHARE)}


def score_features(
    metrics: Sequence[str], sets: FeatureSets, *, context: Context = NO_CONTEXT
) -> FeatureScores:
    """Measures generated samples.

    Args:
        metrics: Names, out of `FEATURE_METRICS` or `OTHER_NAMES`.
        sets: The samples.
        context: The data is the reference's.

    Raises:
        UsageError: A name that there is not; memorisation without training samples, or an Inception score
            without classes.
        DataError: Features that are empty, not finite, of unequal number a sample, or too few for a metric.
    """
    return score_measuring(metrics, Measuring(sets, context))


def score_measuring(metrics: Sequence[str], measuring: Measuring) -> FeatureScores:
    """As `score_features`, of sets that are measured for something else too.

    Raises:
        UsageError, DataError: As `score_features`.
    """
    chosen, sets = feature_metrics(metrics), measuring.sets
    _require_inputs(chosen, sets)
    found = FeatureScores(scores=[score for name in chosen for score in measuring.scores(name)])
    if "fd" in chosen and "fd-intercept" not in chosen:
        missing = _no_intercept(sets)
        if missing is None:
            found.scores.extend(measuring.scores("fd-intercept"))
        else:
            found.remarks.append(f"no intercept on 1/N: {missing}")
    _add_floors(found, chosen, measuring)
    found.remarks.extend(_no_intervals(chosen, measuring))
    if not sets.extractor.is_inception:
        found.remarks.extend(
            f"{name} is called {OTHER_NAMES[name]}: {name.partition('-')[0].upper()} is defined on the "
            f"features of Inception v3 alone, and these are of {sets.extractor.name}"
            for name in metrics
            if name in OTHER_NAMES
        )
    return found


def _no_intercept(sets: FeatureSets) -> str | None:
    """Why there is no intercept that was not asked for; None where there is one."""
    fewest, num_features = min(len(sets.generated), len(sets.reference)), sets.generated.shape[1]
    needed = _fewest("fd-intercept", fewest, num_features)["generated"]
    if fewest < needed:
        return (
            f"it needs {needed:,} samples on both sides ({SAMPLES_PER_FEATURE} a feature), "
            f"and there are {fewest:,}"
        )
    if num_features > MOST_FEATURES_LEFT_OUT:
        return (
            f"of {num_features:,} features it takes a minute or more; ask for it by fd-intercept "
            f"(up to {MOST_FEATURES_LEFT_OUT:,} it comes by itself)"
        )
    return None


def _no_intervals(chosen: Sequence[str], measuring: Measuring) -> Iterator[str]:
    """Which measures have no interval, and why."""
    names = [name for name in ("fd", "recall", "coverage") if name in chosen]
    num, num_features = measuring.sets.generated.shape
    if names and not measuring.fills_blocks:
        yield (
            f"no interval of {', '.join(names)}: blocks are left out of {2 * NUM_BLOCKS} generated samples "
            f"or more, and there are {num:,}"
        )
    elif "fd" in names and not measuring.gives_frechet_interval:
        yield (
            f"no interval of fd: of {num:,} samples with {num_features:,} features it takes half a minute or "
            "more"
        )


def _require_inputs(chosen: Sequence[str], sets: FeatureSets) -> None:
    require_training(chosen, given=sets.real is not None)
    generated = as_features("generated", sets.generated)
    require_samples(
        chosen,
        num_generated=len(generated),
        num_reference=len(as_features("reference", sets.reference)),
        num_features=generated.shape[1],
    )
    if "is" in chosen and sets.logits is None:
        raise UsageError(
            f"the extractor {sets.extractor.name} has no classes, which an Inception score is made of",
            expected="the features of a classifier",
        )


def _add_floors(found: FeatureScores, chosen: Sequence[str], measuring: Measuring) -> None:
    """The same measures of real samples; draws are the context's."""
    sets, context = measuring.sets, measuring.context
    num, num_reference = len(sets.generated), len(sets.reference)
    if sets.real is not None and len(sets.real) >= num:
        instead = MeasuringReal(measuring, sets.real)
        found.floors.extend(
            _as_floor(score, context, training=sets.real_data)
            for name in chosen
            if name in _WITH_FLOOR
            for score in instead.scores(name)
        )
    elif sets.real is not None and set(chosen) & set(_WITH_FLOOR):
        found.remarks.append(
            f"no floors of training samples: there are {len(sets.real):,}, fewer than the {num:,} generated"
        )
    if "fd" in chosen and not found.floors and num_reference >= 4:
        aside = min(num, num_reference // 2)
        rest = num_reference - aside
        floor = frechet_floor(
            sets.reference,
            num_samples=aside,
            num_reference=rest,
            extractor=sets.extractor,
            context=context,
        )
        found.floors.append(floor)
        found.remarks.append(
            f"{floor.metric} is of {aside:,} reference samples against the {rest:,} others, the distance of "
            f"{num:,} against {num_reference:,}: fewer samples lie farther apart; as many training samples "
            "as generated ones give a floor at the same numbers"
        )
    if "rke" in chosen:
        real = sets.reference
        if num < num_reference:
            real = real[drawn_rows(real, num, context)]
        score = rke_mode_count(real, bandwidth=measuring.bandwidth, extractor=sets.extractor, context=context)
        found.floors.append(_as_floor(score, context))


def _as_floor(score: Score, context: Context, *, training: str | None = None) -> Score:
    """The score under the name of a floor, which the draw of its samples decided; with the training data that
    they were drawn from, if they were."""
    metric = f"{score.metric}_floor"
    measured = Signature.parse(score.signature)
    extra = measured.extra if training is None else (*measured.extra, ("training", short_hash(training)))
    signature = replace(measured, metric=metric, seed=context.seed, extra=extra)
    return replace(score, metric=metric, signature=str(signature))
