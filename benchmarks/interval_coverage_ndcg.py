"""How often intervals of nDCG@10 over queries hold the truth, in simulation: Student's and the BCa bootstrap.

    python benchmarks/interval_coverage_ndcg.py --trials 1000

Queries are drawn with replacement from made populations of 20,000, whose mean is the truth: one relevant
document a query, as in SciFact, found at rank 1 with some probability and else at a rank of a heavy tail;
and several relevant ones, graded. Prints a line a population and size: coverage and mean width of both.
The exit code is 1 where BCa, which metrics/retrieval.py uses, covers outside 90% to 99%.
"""

import argparse
import sys
import time

import numpy as np
from numpy.typing import NDArray

from creuset.metrics.intervals import bootstrap, mean_estimate

_POPULATION = 20_000
_K = 10


def single(generator: np.random.Generator, at_once: float) -> NDArray[np.float64]:
    """nDCG@10 of queries with one relevant document, at rank 1 with probability `at_once`."""
    rank = np.where(
        generator.random(_POPULATION) < at_once, 1, 1 + np.ceil(generator.pareto(0.6, _POPULATION) * 2)
    )
    return np.where(rank <= _K, 1 / np.log2(rank + 1), 0.0)


def graded(generator: np.random.Generator) -> NDArray[np.float64]:
    """nDCG@10 of queries with five relevant documents of grades 1 to 3, ranked by a noisy score of 30."""
    gains = np.zeros((_POPULATION, 30))
    gains[:, :5] = generator.integers(1, 4, (_POPULATION, 5))
    order = np.argsort(-(gains + generator.normal(0, 1.5, gains.shape)), axis=1)
    discount = 1 / np.log2(np.arange(2, _K + 2))
    found = np.take_along_axis(gains, order, axis=1)[:, :_K] @ discount
    ideal = -np.sort(-gains, axis=1)[:, :_K] @ discount
    values: NDArray[np.float64] = found / ideal
    return values


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="samples of queries a line (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="decides all draws (default 0)")
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    populations = {
        "one relevant, hard": single(generator, 0.3),
        "one relevant, medium": single(generator, 0.55),
        "one relevant, easy": single(generator, 0.9),
        "graded": graded(generator),
    }
    begin = time.monotonic()
    failed = False
    for name, values in populations.items():
        for size in (50, 300):
            covered, widths = coverage(values, size, arguments.trials, generator)
            failed |= not 0.90 <= covered[1] <= 0.99
            print(
                f"{name:<21} mean {values.mean():.3f}  n={size:<4} coverage: Student {covered[0]:.3f}, "
                f"BCa {covered[1]:.3f}; mean width: {widths[0]:.3f}, {widths[1]:.3f}",
                flush=True,
            )
    print(f"{arguments.trials} trials a line, seed {arguments.seed}, {time.monotonic() - begin:.0f} s")
    return int(failed)


def coverage(
    values: NDArray[np.float64], size: int, trials: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The share of intervals that hold the mean of `values`, and their mean widths: (Student, BCa) each."""
    truth = values.mean()
    held, widths = np.zeros((2, trials)), np.zeros((2, trials))
    for trial in range(trials):
        drawn = generator.choice(values, size)
        sampled = bootstrap(drawn[:, None], lambda sums: sums[:, 0] / size, generator=generator)
        for kind, interval in enumerate((mean_estimate(drawn).interval, sampled.interval("bca"))):
            if interval is not None:
                held[kind, trial] = interval[0] <= truth <= interval[1]
                widths[kind, trial] = interval[1] - interval[0]
    return held.mean(axis=1), widths.mean(axis=1)


if __name__ == "__main__":
    sys.exit(main())
