"""Comparisons against exact tests, SciPy, and their promise: equal systems are seldom told apart."""

import json
import math

import numpy as np
import pytest
import scipy.stats

from creuset.errors import DataError, GateError, UsageError
from creuset.metrics.classification import accuracy, f1_macro
from creuset.metrics.comparison import (
    Comparison,
    compare_paired,
    compare_unpaired,
    correct_together,
)
from creuset.metrics.inputs import FloatArray
from creuset.metrics.intervals import mean_estimate
from creuset.metrics.permutation import deal_test, flip_test, holm, sign_test
from creuset.metrics.predictions import Predictions
from creuset.metrics.rows import macro_f1_rows
from creuset.metrics.score import Score
from creuset.metrics.signature import Context

CONTEXT = Context(data="0" * 64, split="test")


def mean_score(values: FloatArray, context: Context = CONTEXT, better: str = "lower") -> Score:
    estimate = mean_estimate(values)
    return context.score(
        metric="nll",
        value=estimate.mean,
        unit="nats",
        better=better,  # type: ignore[arg-type]
        interval=estimate.interval,
        n=estimate.n,
        fields={"interval": "t95"},
    )


def paired(a: FloatArray, b: FloatArray, better: str = "lower", num_permutations: int = 2000) -> Comparison:
    return compare_paired(
        mean_score(a, better=better),
        mean_score(b, better=better),
        a,
        b,
        num_permutations=num_permutations,
    )


def test_a_difference_of_means_is_tested_as_scipy_does() -> None:
    drawn = np.random.default_rng(0)
    a = drawn.gamma(2, size=60)
    b = a + drawn.normal(0.2, 0.8, size=60)
    found = paired(a, b, num_permutations=20_000)
    peer = scipy.stats.permutation_test(
        (a, b),
        lambda x, y, axis: y.mean(axis) - x.mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    assert found.p_value == pytest.approx(peer.pvalue, abs=0.02)  # each is off by some 0.004
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert found.effect_size == pytest.approx((b - a).mean() / (b - a).std(ddof=1))
    expected = scipy.stats.ttest_rel(b, a).confidence_interval()
    assert found.interval == pytest.approx((expected.low, expected.high), abs=0.05)
    assert found.n == 60
    assert "|interval:bca95|pairing:samples|test:sign_flip20000" in found.signature
    assert found.paired


def test_accuracies_are_tested_by_mcnemar_exactly() -> None:
    a = np.array([1.0] * 70 + [0] * 20 + [1] * 2 + [0] * 8)
    b = np.array([1.0] * 70 + [1] * 20 + [0] * 2 + [0] * 8)
    found = paired(a, b, better="higher")
    assert found.p_value == pytest.approx(scipy.stats.binomtest(2, 22).pvalue, rel=1e-9)
    assert found.verdict == "better"
    assert "test:mcnemar_exact" in found.signature
    # the sampled sign flips are the same test
    flipped = flip_test(
        a[:, None], b[:, None], lambda s: s[:, 0] / 100, 0.18, np.random.default_rng(0), 20_000
    )
    assert flipped == pytest.approx(found.p_value, abs=3e-4)
    assert paired(b, a, better="higher").verdict == "worse"
    assert sign_test(0, 0) == 1


@pytest.mark.parametrize(
    ("better", "shift", "verdict"),
    [
        ("lower", -0.5, "better"),
        ("lower", 0.5, "worse"),
        ("higher", 0.5, "better"),
        ("higher", -0.5, "worse"),
    ],
)
def test_the_direction_of_a_metric_decides_what_is_better(better: str, shift: float, verdict: str) -> None:
    drawn = np.random.default_rng(0)
    a = drawn.normal(size=200)
    found = paired(a, a + shift + drawn.normal(0, 0.3, size=200), better=better)
    assert found.verdict == verdict
    assert found.more_samples is None


def test_a_system_against_itself_cannot_be_told_apart() -> None:
    a = np.random.default_rng(0).normal(size=50)
    found = paired(a, a)
    assert (found.difference, found.p_value, found.interval, found.effect_size) == (0, 1, None, None)
    assert (found.verdict, found.more_samples) == ("cannot tell apart", None)
    json.dumps(found.to_json(), allow_nan=False)


def test_the_samples_that_would_tell_have_the_stated_power() -> None:
    drawn = np.random.default_rng(1)
    a = np.zeros(40)
    b = drawn.normal(size=40)
    b += 0.2 - b.mean()
    found = paired(a, b)
    assert found.verdict == "cannot tell apart"
    assert found.more_samples is not None
    n = found.n + found.more_samples
    assert found.effect_size is not None
    beyond = scipy.stats.nct.sf(scipy.stats.t.ppf(0.975, n - 1), n - 1, found.effect_size * math.sqrt(n))
    assert beyond == pytest.approx(0.8, abs=0.02)
    together = correct_together([found] * 4)[0]
    assert together.more_samples is not None
    assert together.more_samples > found.more_samples  # a stricter level needs more


def test_no_fewer_samples_would_tell_than_let_the_test_reach_its_level() -> None:
    """5 pairs that all rise give 2/2^5, above 5%; 6 would give 2/2^6."""
    rising = paired(np.zeros(5), np.array([1.0, 1.1, 0.9, 1.0, 1.2]))
    assert (rising.verdict, rising.p_value > 0.05, rising.more_samples) == ("cannot tell apart", True, 1)
    assert [correct_together([rising] * number)[0].more_samples for number in (2, 4, 100)] == [2, 3, 7]
    # of 0 and 1: pairs that agree say nothing, so half of them leave half of the chances
    exact = paired(np.zeros(8), np.array([1.0, 1, 1, 1, 0, 0, 0, 0]))
    assert exact.p_value == 2 / 2**4
    assert exact.more_samples == 12 - 8
    assert "num_differing" not in exact.to_json()


def test_a_function_of_sums_is_compared_by_its_rows() -> None:
    drawn = np.random.default_rng(0)
    labels = drawn.integers(0, 3, 300)

    def classifier(noise: float) -> Predictions:
        return Predictions.from_logits(np.eye(3)[labels] * 2 + drawn.normal(0, noise, (300, 3)), labels)

    a, b = classifier(2.0), classifier(1.0)
    rows = [macro_f1_rows(one.labels, one.predicted, 3) for one in (a, b)]
    found = compare_paired(
        f1_macro(a, context=CONTEXT),
        f1_macro(b, context=CONTEXT),
        rows[0].rows,
        rows[1].rows,
        statistic=rows[0].statistic,
        num_permutations=500,
    )
    assert found.difference == pytest.approx(f1_macro(b).value - f1_macro(a).value)
    assert found.verdict == "better"
    assert found.p_value == 1 / 501
    low, high = found.interval or (0, 0)
    assert 0 < low < found.difference < high


def test_independent_samples_are_tested_as_scipy_does() -> None:
    drawn = np.random.default_rng(2)
    a, b = drawn.exponential(1, 40), drawn.exponential(1.6, 70)
    found = compare_unpaired(mean_score(a), mean_score(b), a, b, num_permutations=20_000)
    welch = scipy.stats.ttest_ind(b, a, equal_var=False)
    expected = welch.confidence_interval()
    assert found.interval == pytest.approx((expected.low, expected.high))
    peer = scipy.stats.permutation_test(
        (a, b),
        lambda x, y: scipy.stats.ttest_ind(y, x, equal_var=False).statistic,
        n_resamples=1000,
        rng=np.random.default_rng(1),
    )
    assert found.p_value == pytest.approx(peer.pvalue, abs=0.025)
    pooled = math.sqrt((39 * a.var(ddof=1) + 69 * b.var(ddof=1)) / 108)
    assert found.effect_size == pytest.approx((b.mean() - a.mean()) / pooled)
    assert "|pairing:none|" in found.signature
    assert not found.paired
    assert not found.to_json()["paired"]


def test_constant_samples_of_two_kinds_are_far_apart() -> None:
    generator = np.random.default_rng(0)
    assert deal_test(np.ones(9), np.ones(9), generator, 100) == 1
    assert deal_test(np.ones(9), np.zeros(9), generator, 100) < 0.05


def test_holm_by_hand() -> None:
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(DataError, match="not p values"):
        holm([1.2])


def test_a_correction_can_take_a_verdict_back() -> None:
    drawn = np.random.default_rng(5)
    a = np.zeros(100)
    b = drawn.normal(size=100)
    b += 0.22 * b.std() - b.mean()
    one = paired(a, b)
    assert one.verdict == "worse"
    assert {two.verdict for two in correct_together([one, paired(a, a), paired(a, a)])} == {
        "cannot tell apart"
    }


def test_equal_systems_are_seldom_told_apart() -> None:
    drawn = np.random.default_rng(0)
    told = [0, 0]
    for _ in range(300):
        a, b = drawn.exponential(size=(2, 30))
        told[0] += paired(a, b, num_permutations=400).verdict != "cannot tell apart"
        told[1] += (
            compare_unpaired(mean_score(a), mean_score(b), a, b, num_permutations=400).verdict
            != "cannot tell apart"
        )
    assert max(told) / 300 <= 0.08


def test_unlike_scores_are_refused_first() -> None:
    a = np.arange(4.0)
    other = mean_score(a, Context(data="1" * 64, split="test"))
    with pytest.raises(GateError, match="they differ in data"):
        compare_paired(mean_score(a), other, a, a[:2])
    elsewhere = mean_score(a, Context(data="1" * 64, split="validation"))
    with pytest.raises(GateError, match="they differ in split"):
        compare_unpaired(mean_score(a), elsewhere, a, a)


def test_rows_that_do_not_fit_are_refused() -> None:
    a = np.arange(4.0)
    with pytest.raises(DataError, match="unequal numbers of samples\n  got: rows_a 4, rows_b 3"):
        compare_paired(mean_score(a), mean_score(a), a, a[:3])
    with pytest.raises(DataError, match=r"these rows do not give the score nll\n  got: 2\.5 from the rows"):
        compare_paired(mean_score(a), mean_score(a), a, a + 1)
    with pytest.raises(DataError, match="a comparison needs samples\n  got: 1 and 4"):
        compare_unpaired(mean_score(a[:1]), mean_score(a), a[:1], a)
    with pytest.raises(UsageError, match="a permutation test needs permutations"):
        paired(a, a + np.array([0.3, 0.1, 0.2, 0.5]), num_permutations=0)


def test_accuracy_rows_pair() -> None:
    drawn = np.random.default_rng(0)
    labels = drawn.integers(0, 2, 5000)

    def answers(accuracy_wanted: float) -> Predictions:
        right = drawn.random(5000) < accuracy_wanted
        return Predictions.from_scores(np.eye(2)[np.where(right, labels, 1 - labels)], labels)

    a, b = answers(0.90), answers(0.87)
    found = compare_paired(accuracy(a, context=CONTEXT), accuracy(b, context=CONTEXT), a.correct, b.correct)
    assert found.verdict == "worse"  # three points at n = 5,000 are found
    assert found.difference == pytest.approx(-0.03, abs=0.015)
