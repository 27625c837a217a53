"""Limits that scores are held against: `creuset eval --min metric=value`.

A limit is for a score by its name. "fid" and "kid" mean fd and kd as well, as they do in --metrics: the
features decide what these scores are called. "is" means the Inception score of any extractor.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from creuset.errors import GateError, UsageError, did_you_mean
from creuset.metrics.feature_scores import OTHER_NAMES
from creuset.metrics.score import Score

_SCORES_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "fd": ("fd", "fd_intercept"),
        "fd-intercept": ("fd_intercept",),
        "memorisation": ("memorisation", "near_copies"),
    }
)
"""Metrics of pictures whose scores have other names than their own."""


def as_minimums(limits: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The limits by metric.

    Raises:
        UsageError: Two limits for one metric.
    """
    found: dict[str, float] = {}
    for metric, limit in limits:
        for other, before in found.items():
            if _plain(other) == _plain(metric):
                raise UsageError(
                    f'two limits for "{metric}"',
                    where="--min",
                    got=f"{other}={before:g} and {metric}={limit:g}",
                    next_step="give one",
                )
        found[metric] = limit
    return found


def picture_scores(metrics: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The names that the scores of these metrics of pictures can have (`feature_metrics`)."""
    found = {metric: _SCORES_OF.get(metric, (metric,)) for metric in metrics}
    if "fd" in found and "fd-intercept" in found:  # the intercept is measured once
        found["fd"] = ("fd",)
    return found


def require_measured(minimums: Mapping[str, float], scores: Mapping[str, Sequence[str]]) -> None:
    """Each limit is for one score that is going to be measured: to be asked before anything is.

    Args:
        minimums: The limits by metric.
        scores: The names of the scores of each metric that was asked for.

    Raises:
        UsageError: A limit for a metric that is not measured, or for scores of one name by several metrics.
    """
    every = list(dict.fromkeys(name for names in scores.values() for name in names))
    for limit in minimums:
        metrics = [
            metric
            for metric, names in scores.items()
            if any(_means(limit, name) or _means(name, limit) for name in names)
        ]
        if not metrics:
            raise _unknown(limit, every, next_step="add its metric to --metrics, or leave the limit out")
        if len(metrics) > 1:
            raise _unclear(limit, metrics)


def check_minimums(scores: Sequence[Score], minimums: Mapping[str, float]) -> None:
    """Holds scores against limits: at least the value, or at most it where lower is better.

    Raises:
        UsageError: A limit for a metric that was not measured, or that several scores have the name of.
        GateError: A score misses its limit.
    """
    for metric, limit in minimums.items():
        meant = [score for score in scores if _means(metric, score.metric)]
        if not meant:
            raise _unknown(metric, [score.metric for score in scores])
        if len(meant) > 1:
            raise _unclear(metric, [score.signature for score in meant])
        (score,) = meant
        missed = score.value < limit if score.better == "higher" else score.value > limit
        if missed:
            word = "at least" if score.better == "higher" else "at most"
            raise GateError(
                f"{metric} misses its limit", where="--min", got=str(score), expected=f"{word} {limit:g}"
            )


def _plain(name: str) -> str:
    """The name without regard to what FID and KID are called on other features."""
    return OTHER_NAMES.get(name.replace("_", "-"), name).replace("-", "_")


def _means(limit: str, score: str) -> bool:
    """Whether a limit by this name is for a score of that name."""
    return _plain(limit) == _plain(score) or (limit == "is" and score.startswith("is-"))


def _unknown(metric: str, scores: Sequence[str], next_step: str | None = None) -> UsageError:
    return UsageError(
        f'no score "{metric}"{did_you_mean(metric, scores)}', where="--min", next_step=next_step
    )


def _unclear(metric: str, found: Sequence[str]) -> UsageError:
    return UsageError(
        f'{len(found)} scores are called "{metric}", so a limit for it is unclear',
        where="--min",
        got="; ".join(found),
        next_step="measure them one at a time, such as rouge and rouge-unicode",
    )
