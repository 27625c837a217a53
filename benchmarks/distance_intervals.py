"""How often the 95% intervals of Frechet intercept and kernel distance hold the true distance, by simulation.

    .venv/bin/python benchmarks/distance_intervals.py [--pairs 200]

Pairs of sets of 64 features from two normal distributions whose distances are known in closed form: equal
ones, ones that are shifted, and ones of unequal spread. Asked for is 90 to 99%; the exit code is 1 otherwise.
Beside it stands how often an interval of the same width around the plain Frechet distance would.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from creuset.metrics import Context, Score, frechet_distance, frechet_intercept, kernel_distance

DIMS = 64
NUMS = (500, 1000, 2000, 5000)


@dataclass(frozen=True, kw_only=True)
class Case:
    """N(shift, spread^2) against N(0, I)."""

    name: str
    shift: float
    spread: NDArray[np.float64]

    def frechet(self) -> float:
        return DIMS * self.shift**2 + float(np.square(self.spread - 1).sum())

    def kernel(self) -> float:
        """E k over pairs, from the first three moments of x.y/D for independent normal x and y."""
        mine, one = self.spread**2, np.ones(DIMS)
        at, zero = np.full(DIMS, self.shift), np.zeros(DIMS)
        return (
            _mean_kernel(at, mine, at, mine)
            + _mean_kernel(zero, one, zero, one)
            - 2 * _mean_kernel(at, mine, zero, one)
        )


def _mean_kernel(
    a: NDArray[np.float64], v: NDArray[np.float64], b: NDArray[np.float64], w: NDArray[np.float64]
) -> float:
    """E (x.y/D + 1)^3 for x ~ N(a, diag v), y ~ N(b, diag w): each x_i y_i is independent of the others."""
    first = a * b
    variance = v * w + a**2 * w + b**2 * v
    third_central = 6 * a * b * v * w
    mean = first.sum() / DIMS + 1
    second = variance.sum() / DIMS**2
    third = third_central.sum() / DIMS**3
    return float(mean**3 + 3 * mean * second + third)


CASES = (
    Case(name="equal", shift=0.0, spread=np.ones(DIMS)),
    Case(name="shifted", shift=0.1, spread=np.ones(DIMS)),
    Case(name="unequal spread", shift=0.1, spread=np.linspace(0.5, 1.5, DIMS)),
)


def holds(score: Score, truth: float) -> bool:
    assert score.interval is not None
    return score.interval[0] <= truth <= score.interval[1]


def measure(case: Case, num: int, pairs: int) -> tuple[float, float, float]:
    """The shares of pairs whose interval holds the truth: intercept, plain value, kernel distance."""
    intercept = plain = kernel = 0
    for seed in range(pairs):
        rng = np.random.default_rng(seed)
        generated = rng.normal(size=(num, DIMS)) * case.spread + case.shift
        reference = rng.normal(size=(num, DIMS))
        score = frechet_intercept(generated, reference, context=Context(seed=seed))
        assert score.interval is not None
        half = (score.interval[1] - score.interval[0]) / 2
        intercept += holds(score, case.frechet())
        plain += abs(frechet_distance(generated, reference).value - case.frechet()) <= half
        kernel += holds(kernel_distance(generated, reference), case.kernel())
    return intercept / pairs, plain / pairs, kernel / pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    arguments = parser.parse_args()
    print(f"{arguments.pairs} pairs each, {DIMS} features, 95% intervals")
    print(f"{'case':16}{'N':>6}{'frechet':>10}{'intercept':>11}{'plain':>8}{'kernel':>10}{'holds':>8}")
    outside = []
    for case in CASES:
        for num in NUMS:
            intercept, plain, kernel = measure(case, num, arguments.pairs)
            print(
                f"{case.name:16}{num:6}{case.frechet():10.3f}{intercept:11.1%}{plain:8.1%}"
                f"{case.kernel():10.5f}{kernel:8.1%}",
                flush=True,
            )
            for what, share in (("intercept", intercept), ("kernel distance", kernel)):
                if not 0.9 <= share <= 0.99:
                    outside.append(f"{what}, {case.name}, N={num}: {share:.1%}")
    if outside:
        raise SystemExit("not 90 to 99%: " + "; ".join(outside))


if __name__ == "__main__":
    main()
