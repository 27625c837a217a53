"""How often comparisons err, in simulation: equal systems told apart, and real differences missed.

    python benchmarks/compare_simulation.py --pairs 1000

Equal systems: two independent sample sets of one model, by accuracy and by NLL (dealt permutations), by a
Frechet distance (20-block jackknife); and two equally good models on the same samples (McNemar's
and the sign-flip test). Equal generators: 500 samples of 64 features from each of two, against 500 of one
reference, as the suite of pictures keeps them (evaluation/distances.py); once like the reference, once away
from it. Different systems: accuracies of 90% and 87% on 5,000 samples, paired and not, and a generator nearer
to the reference than the other.
Prints the share of pairs that are called "cannot tell apart". The exit code is 1 where equal systems are
called so in less than 93% of the pairs, or the real difference is found in less than 95%.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from creuset.evaluation.distances import kept_rows
from creuset.metrics.comparison import Comparison, compare_paired, compare_unpaired
from creuset.metrics.comparison_methods import compare_kept
from creuset.metrics.feature_sets import FeatureSets, Measuring
from creuset.metrics.frechet import frechet_distance
from creuset.metrics.kernel import kernel_distance
from creuset.metrics.replicates import Replicates, compare_replicates
from creuset.metrics.score import Score
from creuset.metrics.signature import Context

Draw = np.random.Generator
Values = NDArray[np.float64]

_CONTEXT = Context(data="0" * 64, split="simulated")
_PERMUTATIONS = 500
_BLOCKS = 20
_SAMPLES = (500, 64)


def score(value: float, n: int) -> Score:
    return _CONTEXT.score(
        metric="simulated", value=value, unit="score", better="higher", interval=None, n=n, fields={}
    )


def paired(a: Values, b: Values) -> Comparison:
    scores = [score(float(one.mean()), len(one)) for one in (a, b)]
    return compare_paired(*scores, a, b, num_permutations=_PERMUTATIONS)


def unpaired(a: Values, b: Values, num_permutations: int = _PERMUTATIONS, seed: int = 0) -> Comparison:
    scores = [score(float(one.mean()), len(one)) for one in (a, b)]
    return compare_unpaired(*scores, a, b, num_permutations=num_permutations, seed=seed)


def right(draw: Draw, accuracy: float, n: int) -> Values:
    return (draw.random(n) < accuracy).astype(np.float64)


def equal_accuracies_apart(draw: Draw) -> Comparison:
    return unpaired(right(draw, 0.9, 400), right(draw, 0.9, 400))


def equal_nlls_apart(draw: Draw) -> Comparison:
    return unpaired(90 + draw.gamma(2, 10, 300), 90 + draw.gamma(2, 10, 200))


def equal_distances(draw: Draw) -> Comparison:
    """Frechet distances of Gaussians in one dimension, (m - 0.5)^2 + (s - 1)^2, of 2,000 samples each."""
    found = []
    for _ in range(2):
        blocks = draw.normal(size=(_BLOCKS, 2000 // _BLOCKS))
        sums = np.stack([blocks.sum(axis=1), np.square(blocks).sum(axis=1)], axis=1)
        total = sums.sum(axis=0)
        found.append((distance(total / 2000), distance((total - sums) / (2000 - blocks.shape[1]))))
    replicates = [Replicates(values=without, kind="jackknife") for _, without in found]
    scores = [score(float(value), 2000) for value, _ in found]
    return compare_replicates(*scores, *replicates)


def distance(moments: Values) -> Values:
    mean, square = moments[..., 0], moments[..., 1]
    result: Values = (mean - 0.5) ** 2 + (np.sqrt(square - mean**2) - 1) ** 2
    return result


def equal_accuracies_paired(draw: Draw) -> Comparison:
    hard = draw.random(1000) < 0.2
    return paired(*(np.where(hard, right(draw, 0.5, 1000), 1.0) for _ in range(2)))


def equal_nlls_paired(draw: Draw) -> Comparison:
    easy = draw.gamma(2, 10, 200)
    return paired(easy + draw.exponential(3, 200), easy + draw.exponential(3, 200))


def three_points_paired(draw: Draw) -> Comparison:
    return paired(right(draw, 0.90, 5000), right(draw, 0.87, 5000))


def three_points_apart(draw: Draw) -> Comparison:
    return unpaired(right(draw, 0.90, 5000), right(draw, 0.87, 5000), num_permutations=100)


def generators(first: float, second: float) -> Callable[[Draw], dict[str, Comparison]]:
    """Two sample sets against one reference, their means so far from the reference's in each feature."""

    def simulate(draw: Draw) -> dict[str, Comparison]:
        reference = draw.normal(size=_SAMPLES)
        sets = [draw.normal(shift, size=_SAMPLES) for shift in (first, second)]
        a, b = (
            kept_rows(Measuring(FeatureSets(generated=generated, reference=reference), _CONTEXT))
            for generated in sets
        )
        distances = {
            "fd": [frechet_distance(generated, reference, context=_CONTEXT) for generated in sets],
            "kd": [kernel_distance(generated, reference, context=_CONTEXT) for generated in sets],
        }
        found = {metric: compare_kept(*scores, a, b) for metric, scores in distances.items()}
        for metric in ("precision", "density"):
            found[metric] = unpaired(a[metric], b[metric], seed=int(draw.integers(2**31)))
        return found

    return simulate


_EQUAL: dict[str, Callable[[Draw], Comparison]] = {
    "accuracy .90, two sets of 400": equal_accuracies_apart,
    "NLL, sets of 300 and 200": equal_nlls_apart,
    "Frechet distance, two sets of 2,000": equal_distances,
    "accuracy .90, 1,000 pairs": equal_accuracies_paired,
    "NLL, 200 pairs": equal_nlls_paired,
}
_DIFFERENT: dict[str, Callable[[Draw], Comparison]] = {
    "accuracy .90 and .87, 5,000 pairs": three_points_paired,
    "accuracy .90 and .87, two sets of 5,000": three_points_apart,
}
_EQUAL_GENERATORS = {
    "{}, generators like the reference": generators(0, 0),
    "{}, generators .15 away from it": generators(0.15, 0.15),
}
_DIFFERENT_GENERATORS = {"{}, generators .45 and .2 away": generators(0.45, 0.2)}


def report(kind: str, name: str, found: list[Comparison]) -> bool:
    """Prints the verdicts of a case; returns whether it failed."""
    verdicts, num = [one.verdict for one in found], len(found)
    apart = verdicts.count("cannot tell apart") / num
    sides = ", ".join(f"{word} {verdicts.count(word) / num:.1%}" for word in ("better", "worse"))
    print(f"{kind:<9}  {name:<40} cannot tell apart {apart:.1%}, {sides} of {num}", flush=True)
    return apart < 0.93 if kind == "equal" else apart > 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000, help="simulated pairs a line (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="decides all draws (default 0)")
    arguments = parser.parse_args()
    begin = time.monotonic()
    failed = False
    for kind, cases in (("equal", _EQUAL), ("different", _DIFFERENT)):
        for name, simulate in cases.items():
            draw = np.random.default_rng(arguments.seed)
            num = arguments.pairs if kind == "equal" else arguments.pairs // 5
            failed |= report(kind, name, [simulate(draw) for _ in range(num)])
    for kind, several in (("equal", _EQUAL_GENERATORS), ("different", _DIFFERENT_GENERATORS)):
        for name, simulate_all in several.items():
            draw = np.random.default_rng(arguments.seed)
            num = arguments.pairs if kind == "equal" else arguments.pairs // 5
            found = [simulate_all(draw) for _ in range(num)]
            for metric in found[0]:
                failed |= report(kind, name.format(metric), [one[metric] for one in found])
    print(f"seed {arguments.seed}, {time.monotonic() - begin:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
