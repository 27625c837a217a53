"""How often the 95% intervals of accuracy and BLEU hold the true value, over many test sets drawn at random.

    .venv/bin/python benchmarks/interval_coverage.py [accuracy] [bleu]

accuracy    right answers drawn with a known probability; Wilson's interval
bleu        sentence pairs drawn out of a corpus of 50,000 synthetic ones, whose BLEU is the true value;
            BCa bootstrap over sentences

Prints a line a case with the share of intervals that hold the true value, and how many missed it below and
above; exit code 1 where a share is outside 90% to 99%. Two minutes on one core.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from creuset.metrics import Context, bleu_rows, wilson_interval

BOUNDS = (0.90, 0.99)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What the intervals of one case did.

    Args:
        case: The case in words.
        below, above: Intervals that ended below the true value, and that began above it.
        num: Intervals made; a set without one, since it says nothing about the spread, is not counted.
    """

    case: str
    below: int
    above: int
    num: int

    @property
    def share(self) -> float:
        return 1 - (self.below + self.above) / self.num

    def __str__(self) -> str:
        return (
            f"{self.case:<42} {100 * self.share:6.2f}%   too low {self.below}, too high {self.above}, "
            f"of {self.num}"
        )


def accuracy(num_sets: int = 100_000) -> Iterator[Coverage]:
    """Wilson's interval for p in .5, .9, .99 and n in 100, 1,000."""
    rng = np.random.default_rng(0)
    for p in (0.5, 0.9, 0.99):
        for n in (100, 1000):
            counts = np.bincount(rng.binomial(n, p, size=num_sets), minlength=n + 1)
            ends = np.array([wilson_interval(right, n) for right in range(n + 1)])
            yield Coverage(
                case=f"accuracy, wilson95, p={p}, n={n}",
                below=int(counts[ends[:, 1] < p].sum()),
                above=int(counts[ends[:, 0] > p].sum()),
                num=num_sets,
            )


def bleu(num_sets: int = 500, corpus_size: int = 50_000) -> Iterator[Coverage]:
    """The bootstrap interval of BLEU for sets of 100 and of 500 pairs."""
    corpus = bleu_rows(*synthetic_pairs(corpus_size))
    for n in (100, 500):
        rng = np.random.default_rng(n)
        intervals = []
        for seed in range(num_sets):
            drawn = replace(corpus, rows=corpus.rows[rng.integers(corpus_size, size=n)])
            interval = drawn.score(context=Context(seed=seed)).interval
            if interval is not None:
                intervals.append(interval)
        lows, highs = np.array(intervals).T
        yield Coverage(
            case=f"BLEU, bca95, true {corpus.value:.2f}, n={n}",
            below=int(np.sum(highs < corpus.value)),
            above=int(np.sum(lows > corpus.value)),
            num=len(intervals),
        )


def synthetic_pairs(num: int) -> tuple[list[str], list[str]]:
    """References of 1 to 60 words, frequent as Zipf has it; hypotheses damaged, some more than others."""
    rng = np.random.default_rng(1)
    frequencies = 1 / np.arange(1, 5001)
    frequencies /= frequencies.sum()
    hypotheses, references = [], []
    for length, damage in zip(rng.gamma(3, 7, size=num), rng.beta(1, 3, size=num), strict=True):
        size = int(np.clip(length, 1, 60))
        words = rng.choice(5000, size=size, p=frequencies)
        wrong = rng.choice(5000, size=size, p=frequencies)
        said = np.where(rng.random(size) < damage, wrong, words)[rng.random(size) > 0.1 * damage]
        references.append(" ".join(f"w{word}" for word in words))
        hypotheses.append(" ".join(f"w{word}" for word in said))
    return hypotheses, references


CASES = {"accuracy": accuracy, "bleu": bleu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="default: all")
    chosen = parser.parse_args().cases or list(CASES)
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    print(f"{platform.platform()}, {os.cpu_count()} cores, {versions}")
    failed = False
    for name in chosen:
        begin = time.perf_counter()
        for coverage in CASES[name]():
            failed |= not BOUNDS[0] <= coverage.share <= BOUNDS[1]
            print(coverage, flush=True)
        print(f"{name}: {time.perf_counter() - begin:.0f} s")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
