"""Comparisons by standard errors, against SciPy and DeLong's covariances written out."""

import math

import numpy as np
import pytest
import scipy.stats

from creuset.errors import DataError, GateError
from creuset.metrics.comparison import welch
from creuset.metrics.inputs import FloatArray
from creuset.metrics.intervals import mean_estimate
from creuset.metrics.predictions import Predictions
from creuset.metrics.replicates import Replicates, compare_replicates, compare_shares
from creuset.metrics.roc import auroc, auroc_shares
from creuset.metrics.score import Score
from creuset.metrics.signature import Context

CONTEXT = Context(data="0" * 64, split="test")


def mean_score(values: FloatArray, context: Context = CONTEXT) -> Score:
    estimate = mean_estimate(values)
    return context.score(
        metric="nll",
        value=estimate.mean,
        unit="nats",
        better="lower",
        interval=estimate.interval,
        n=estimate.n,
        fields={"interval": "t95"},
    )


def test_replicates_give_the_error_of_a_mean() -> None:
    drawn = np.random.default_rng(0)
    a, b = drawn.normal(0, 1, 400), drawn.normal(0.3, 1, 400)

    def jackknife(values: FloatArray) -> Replicates:
        blocks = values.reshape(20, 20)
        return Replicates(values=(values.sum() - blocks.sum(axis=1)) / 380, kind="jackknife")

    found = compare_replicates(mean_score(a), mean_score(b), jackknife(a), jackknife(b))
    expected = scipy.stats.ttest_ind(
        b.reshape(20, 20).mean(axis=1), a.reshape(20, 20).mean(axis=1), equal_var=False
    )
    assert found.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert found.interval == pytest.approx((interval.low, interval.high))
    again = Replicates(values=drawn.normal(0, 0.1, 500), kind="bootstrap")
    assert again.squared_error() == pytest.approx(0.01, rel=0.2)
    assert compare_replicates(mean_score(a), mean_score(b), again, again).p_value == pytest.approx(
        2 * scipy.stats.norm.sf((b.mean() - a.mean()) / math.sqrt(2 * again.squared_error()))
    )
    with pytest.raises(DataError, match="one replicate has no spread"):
        compare_replicates(
            mean_score(a), mean_score(b), Replicates(values=np.ones(1), kind="jackknife"), again
        )


def test_a_shared_reference_adds_the_error_of_the_difference() -> None:
    # means of differences to one reference's mean, which cancels: what is left is Welch's test of the means
    drawn = np.random.default_rng(0)
    a, b, reference = drawn.normal(0, 1, 90), drawn.normal(0.2, 1, 90), drawn.normal(0, 30, 50)

    def without_each(values: FloatArray) -> FloatArray:
        return (values.sum() - values) / (len(values) - 1)

    parts = [Replicates(values=without_each(one) - reference.mean(), kind="jackknife") for one in (a, b)]
    of_reference = [one.mean() - without_each(reference) for one in (a, b)]
    shared = Replicates(values=of_reference[1] - of_reference[0], kind="jackknife")
    scores = [mean_score(one - reference.mean()) for one in (a, b)]
    found = compare_replicates(*scores, *parts, shared=shared)
    expected = scipy.stats.ttest_ind(b, a, equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert "|pairing:reference|" in found.signature
    moving = Replicates(values=without_each(drawn.normal(size=50)), kind="jackknife")
    added = compare_replicates(*scores, *parts, shared=moving)
    squared = sum(part.squared_error() for part in (*parts, moving))
    assert added.p_value == pytest.approx(
        2 * scipy.stats.norm.sf(abs(found.difference) / math.sqrt(squared)), rel=0.05
    )


def rankings(seed: int, skills: tuple[float, float], n: int = 80) -> list[Predictions]:
    """Two rankers of the same samples, whose errors are alike in part."""
    drawn = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    common = drawn.normal(size=n)
    margins = [skill * labels + common + drawn.normal(size=n) for skill in skills]
    return [Predictions.from_scores(np.stack([-one, one], axis=1).round(2), labels) for one in margins]


def test_areas_are_tested_as_delong_wrote() -> None:
    a, b = rankings(0, (0.8, 1.6))
    positive = a.labels == 1
    placed = []  # of each sample, the part of the other kind against which it is ranked right
    for one in (a, b):
        scores = one.scores[:, 1]
        wins = (scores[positive][:, None] > scores[~positive]) + 0.5 * (
            scores[positive][:, None] == scores[~positive]
        )
        placed.append((wins.mean(axis=1), wins.mean(axis=0)))
    covariance = sum(np.cov(placed[0][kind], placed[1][kind]) / 40 for kind in (0, 1))
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    found = compare_shares(
        auroc(a, context=CONTEXT), auroc(b, context=CONTEXT), auroc_shares(a), auroc_shares(b)
    )
    difference = placed[1][0].mean() - placed[0][0].mean()
    assert found.difference == pytest.approx(difference)
    assert found.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(difference) / math.sqrt(variance)))
    assert found.interval == pytest.approx(
        [difference - 1.959964 * math.sqrt(variance), difference + 1.959964 * math.sqrt(variance)]
    )
    assert found.paired
    assert "|interval:normal95|pairing:samples|test:delong" in found.signature


def test_equal_rankers_are_seldom_told_apart() -> None:
    told = 0
    for seed in range(1000, 1400):
        a, b = rankings(seed, (1, 1))
        scores = [auroc(one, context=CONTEXT) for one in (a, b)]
        told += compare_shares(*scores, auroc_shares(a), auroc_shares(b)).verdict != "cannot tell apart"
    assert told / 400 <= 0.07


def test_without_any_error_p_is_0_or_1() -> None:
    assert welch(0.5, [0.0, 0.0], [9, 9]) == (None, 0.0)
    assert welch(0.0, [0.0, 0.0], [9, 9]) == (None, 1.0)


def test_unlike_scores_and_shares_are_refused() -> None:
    a = np.arange(4.0)
    other = mean_score(a, Context(data="1" * 64, split="test"))
    replicates = Replicates(values=a, kind="jackknife")
    with pytest.raises(GateError, match="they differ in data"):
        compare_replicates(mean_score(a), other, replicates, replicates)
    with pytest.raises(GateError, match="they differ in data"):
        compare_shares(mean_score(a), other, a, a)
    with pytest.raises(DataError, match="unequal numbers of samples\n  got: shares_a 4, shares_b 3"):
        compare_shares(mean_score(a), mean_score(a), a, a[:3])
