"""What is said of the difference between a tuned model and its base."""

from dataclasses import replace

import numpy as np
import pytest

from creuset.evaluation.tuned_answers import verdict
from creuset.metrics.text.answers import exact_match_rows


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([0.0, 0.0, 0.0], "no difference (exact_match, n=3)"),
        ([0.5, 0.5, 0.5], "each row changed alike, by 0.5 (exact_match, n=3)"),
        ([0.5], "one row says nothing of a difference"),
    ],
)
def test_a_difference_without_an_interval(differences: list[float], said: str) -> None:
    rows = exact_match_rows(["a"] * len(differences), [["a"]] * len(differences))
    values = np.stack([np.array(differences), np.ones(len(differences))], axis=1)
    score = replace(rows, rows=values, spread="bca", statistic=lambda sums: sums[:, 0] / sums[:, 1]).score()
    assert score.interval is None
    assert verdict("answers", score) == f"answers: {said}"
