"""How often 95% intervals of distances hold what is expected of as many generated samples from one reference.

    .venv/bin/python benchmarks/fixed_reference_intervals.py [--draws 200] [--references 3]

Frechet distance, precision, recall, density and coverage, of features as `creuset eval` measures them. For
each reference, sets of generated samples are drawn; the mean of their values is what is expected, and the
share of intervals that hold it is printed, over all references, beside the mean width of an interval over
that of 95% of the values. Intervals of a jackknife are wider rather than narrower than they should be (Efron
and Stein 1981); exit code 1 where a share is below 90%, or where an interval is on average more than three
times as wide as the values spread (where those vary by more than a hundredth). Eight minutes on one core.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from creuset.metrics.feature_sets import FeatureSets, Measuring
from creuset.metrics.score import Score
from creuset.metrics.signature import Context

Rows = NDArray[np.float64]
Generate = Callable[[np.random.Generator, int, int], Rows]
METRICS = ("fd", "precision", "recall", "density", "coverage")
LEAST, WIDEST = 0.90, 3.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """A generator beside a reference of normal features.

    Args:
        name: In words.
        generate: (draws, N, D) to features (N, D).
        num, num_reference, dims: N, M, D.
    """

    name: str
    generate: Generate
    num: int
    num_reference: int
    dims: int


def equal(draws: np.random.Generator, num: int, dims: int) -> Rows:
    return draws.normal(size=(num, dims))


def narrow(draws: np.random.Generator, num: int, dims: int) -> Rows:
    """Shifted, with less spread."""
    return 0.8 * draws.normal(size=(num, dims)) + 0.2


def heavy(draws: np.random.Generator, num: int, dims: int) -> Rows:
    """Some samples much farther out than others."""
    return draws.normal(size=(num, dims)) * np.exp(0.5 * draws.normal(size=(num, 1)))


def few_modes(draws: np.random.Generator, num: int, dims: int) -> Rows:
    """Around one of five places each."""
    return 2 * np.eye(5, dims)[draws.integers(5, size=num)] + 0.7 * draws.normal(size=(num, dims))


CASES = [
    Case(name=kind.__name__, generate=kind, num=num, num_reference=num_reference, dims=dims)
    for num, num_reference, dims in ((400, 400, 16), (500, 300, 64), (250, 250, 400), (1000, 60, 16))
    for kind in (equal, narrow, heavy, few_modes)
]


def measured(case: Case, draws: np.random.Generator, reference: Rows, seed: int) -> list[Score]:
    """The scores of one set of generated samples, in the order of METRICS."""
    generated = case.generate(draws, case.num, case.dims)
    measuring = Measuring(FeatureSets(generated=generated, reference=reference), Context(seed=seed))
    return [score for name in METRICS for score in measuring.scores(name)]


def held(case: Case, num_draws: int, num_references: int) -> dict[str, tuple[float, float]]:
    """The share of intervals that hold what is expected, and their width, by metric."""
    hits: dict[str, list[bool]] = {name: [] for name in METRICS}
    widths: dict[str, list[float]] = {name: [] for name in METRICS}
    for number in range(num_references):
        draws = np.random.default_rng([number, case.dims])
        reference = draws.normal(size=(case.num_reference, case.dims))
        sets = [measured(case, draws, reference, seed) for seed in range(num_draws)]
        for place, name in enumerate(METRICS):
            values = np.array([scores[place].value for scores in sets])
            intervals = [scores[place].interval for scores in sets]
            told = np.array([pair for pair in intervals if pair is not None])
            if len(told):  # a value that is the same without any block has none
                expected, spread = values.mean(), np.diff(np.quantile(values, [0.025, 0.975]))[0]
                hits[name].extend((told[:, 0] <= expected) & (expected <= told[:, 1]))
                widths[name].append(float(np.diff(told).mean() / spread) if spread > 0.01 else float("nan"))
    return {
        name: (float(np.mean(hits[name])), float(np.mean(widths[name]))) for name in METRICS if hits[name]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=200, help="sets of generated samples (default 200)")
    parser.add_argument("--references", type=int, default=3, help="references (default 3)")
    options = parser.parse_args()
    begin = time.perf_counter()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}; share held, width")
    print(f"{'case':<10} {'N':>5} {'M':>5} {'D':>5}  " + "".join(f"{name:<16}" for name in METRICS))
    least, widest = 1.0, 0.0
    for case in CASES:
        found = held(case, options.draws, options.references)
        least = min(least, *(share for share, _ in found.values()))
        widest = np.nanmax([widest, *(width for _, width in found.values())])
        told = "".join(
            f"{f'{found[name][0]:.3f}  {found[name][1]:.2f}' if name in found else '-':<16}"
            for name in METRICS
        )
        print(f"{case.name:<10} {case.num:5} {case.num_reference:5} {case.dims:5}  {told}", flush=True)
    print(f"{time.perf_counter() - begin:.0f} s")
    sys.exit(int(least < LEAST or widest > WIDEST))


if __name__ == "__main__":
    main()
