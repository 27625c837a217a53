"""The case of precision, recall, density and coverage that prdc publishes, over many seeds.

    .venv/bin/python benchmarks/published_precision_recall.py [--seeds 8]

10,000 against 10,000 rows, standard normal in 1,000 dimensions, k = 5. prdc's README gives .4772, .4705,
1.0555 and .9735 without a seed. Printed are the values of each seed by creuset, those of the first seed by
prdc as well, the standard deviation over the seeds, and for how many seeds all four lie within .015 of what
is published.
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from prdc import compute_prdc

from creuset.metrics import BallCounts, precision_recall_scores

PUBLISHED = {"precision": 0.4772, "recall": 0.4705, "density": 1.0555, "coverage": 0.9735}
TOLERANCE = 0.015


def sets(seed: int) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = np.random.default_rng(seed).normal(size=(2, 10_000, 1000)).astype(np.float32)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    arguments = parser.parse_args()
    print(f"{'':12}" + "".join(f"{name:>12}" for name in PUBLISHED))
    print(f"{'published':12}" + "".join(f"{value:12.4f}" for value in PUBLISHED.values()))
    found, within = [], 0
    for seed in range(arguments.seeds):
        real, generated = sets(seed)
        scores = precision_recall_scores(BallCounts.from_features(generated, real))
        values = {score.metric: score.value for score in scores}
        print(f"seed {seed:<7}" + "".join(f"{values[name]:12.4f}" for name in PUBLISHED), flush=True)
        if seed == 0:
            theirs = compute_prdc(real_features=real, fake_features=generated, nearest_k=5)
            print(f"{'prdc, 0':12}" + "".join(f"{theirs[name]:12.4f}" for name in PUBLISHED), flush=True)
        found.append([values[name] for name in PUBLISHED])
        within += all(abs(values[name] - PUBLISHED[name]) <= TOLERANCE for name in PUBLISHED)
    deviations = np.std(found, axis=0, ddof=1)
    print(f"{'deviation':12}" + "".join(f"{value:12.4f}" for value in deviations))
    print(f"all four within {TOLERANCE} of what is published: {within} of {arguments.seeds} seeds")


if __name__ == "__main__":
    main()
