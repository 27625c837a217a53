"""Distances at growing numbers of generated pictures: whether more of them would still move the number.

At each n the first n pictures, which are a random part, are held against the same reference. A Frechet
distance falls as n grows, by its bias of about c/n; beside it stands what training pictures reach at the same
n. Precision is a mean over generated pictures and only settles. Recall is by balls around them, which shrink
as they become more: it settles only where there are many.
"""

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

from creuset.errors import DataError
from creuset.metrics.feature_sets import FeatureSets
from creuset.metrics.features import Extractor
from creuset.metrics.frechet import frechet_distance
from creuset.metrics.growth import growing_sizes
from creuset.metrics.kernel import kernel_distance
from creuset.metrics.precision_recall import BallCounts, precision_recall_scores
from creuset.metrics.score import Score

NUM_SIZES = 6
_FEWEST = 40
_SHOWN = ("fd", "fid", "kd", "kid", "precision", "recall")

Curve = dict[str, list[Any]]


def distance_curves(sets: FeatureSets, *, num_sizes: int = NUM_SIZES) -> dict[str, Curve]:
    """Each measure's value and interval at numbers of generated pictures that grow by equal factors.

    Returns:
        Metric -> {"n", "value", "low", "high"}, lists of one length; None where there is no interval. The
        Frechet distance has also "floor": of training pictures in place of generated ones, where there are
        as many. Metrics that cannot be measured at two sizes are not among them.
    """
    num = len(sets.generated)
    curves: dict[str, Curve] = {}
    for size in growing_sizes(num, num_sizes, _FEWEST):
        for name, score in _scores(sets.generated[:size], sets.reference, sets.extractor):
            low, high = (None, None) if score.interval is None else score.interval
            curve = curves.setdefault(name, {"n": [], "value": [], "low": [], "high": []})
            for key, number in (("n", size), ("value", score.value), ("low", low), ("high", high)):
                curve[key].append(number)
    if sets.real is not None and len(sets.real) >= num:
        real = sets.real
        for name in {"fd", "fid"} & set(curves):
            curves[name]["floor"] = [
                frechet_distance(real[:size], sets.reference).value for size in curves[name]["n"]
            ]
    return {name: curve for name, curve in curves.items() if len(curve["n"]) > 1}


def _scores(
    generated: NDArray[Any], reference: NDArray[Any], extractor: Extractor
) -> Iterator[tuple[str, Score]]:
    """The measures that so many pictures are enough for."""
    measures: tuple[Callable[[], list[Score]], ...] = (
        lambda: [frechet_distance(generated, reference, extractor=extractor)],
        lambda: [kernel_distance(generated, reference, extractor=extractor)],
        lambda: precision_recall_scores(BallCounts.from_features(generated, reference)),
    )
    for measure in measures:
        try:
            scores = measure()
        except DataError:  # too few pictures at this size; the whole is measured, or refused, by itself
            continue
        yield from ((score.metric, score) for score in scores if score.metric in _SHOWN)
