"""Shares of clusters: their value, an interval at both ends, and what is compared."""

import numpy as np
import pytest

from creuset.evaluation.shares import mean_share_score, ratio_score, rows_of_ratio
from creuset.metrics.comparison import compare_paired
from creuset.metrics.intervals import wilson_interval
from creuset.metrics.score import Score
from creuset.metrics.signature import Context

CONTEXT = Context(data="0" * 64, split="test")


def ratio(hits: list[int], sizes: list[int]) -> Score:
    return ratio_score(
        "hits",
        hits,
        sizes,
        unit="fraction",
        better="higher",
        clusters="blocks",
        fields={},
        context=CONTEXT,
    )


@pytest.mark.parametrize("end", [0, 1])
def test_shares_that_are_all_0_or_all_1_have_wilson_s_interval_of_the_clusters(end: int) -> None:
    sizes = [3, 4, 1, 2]
    found = ratio([end * size for size in sizes], sizes)
    assert found.value == end
    assert found.n == 4
    assert found.interval == wilson_interval(4 * end, 4)
    assert "|interval_at_0_and_1:wilson95" in found.signature
    mean = mean_share_score("mean", np.full(7, float(end)), fields={}, context=CONTEXT, trials=False)
    assert mean.interval == wilson_interval(7 * end, 7)
    assert "|interval_at_0_and_1:wilson95" in mean.signature


def test_the_signature_does_not_depend_on_what_a_model_reached() -> None:
    names = [ratio(hits, [3, 4]).signature for hits in ([0, 0], [1, 2], [3, 4])]
    assert len(set(names)) == 1
    assert "|rows:blocks" in names[0]
    assert "|interval:bca95" in names[0]


def test_intervals_of_clusters_that_hang_together_cover() -> None:
    """Blocks of 20 things that are all told or all not: an interval of single things is far too narrow."""
    draws = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        hits = 20 * (draws.random(60) < 0.5)
        interval = ratio(hits.tolist(), [20] * 60).interval
        assert interval is not None
        covered += interval[0] <= 0.5 <= interval[1]
    assert covered >= 52
    assert interval[1] - interval[0] > 3 * np.subtract(*wilson_interval(int(hits.sum()), 1200)[::-1])


def test_rows_give_the_ratio_and_are_compared_by_clusters() -> None:
    sizes = [3, 4, 1, 2] * 5
    ours, theirs = [1, 2, 0, 2] * 5, [2, 2, 1, 2] * 5
    assert rows_of_ratio(ours, sizes).mean() == pytest.approx(25 / 50, rel=1e-12)
    found = compare_paired(
        ratio(ours, sizes), ratio(theirs, sizes), rows_of_ratio(ours, sizes), rows_of_ratio(theirs, sizes)
    )
    assert found.n == 20
    assert found.difference == pytest.approx(0.2)


def test_trials_have_wilson_s_interval_whatever_they_reach() -> None:
    for hits in (0, 3, 5):
        values = (np.arange(5) < hits).astype(np.float64)
        found = mean_share_score("found", values, fields={}, context=CONTEXT, trials=True)
        assert found.interval == wilson_interval(hits, 5)
        assert "|interval:wilson95" in found.signature
