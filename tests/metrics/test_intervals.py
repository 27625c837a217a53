"""Intervals against closed forms, SciPy, and their promise: 95% of them hold the truth."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray
from creuset.metrics.intervals import bootstrap, mean_estimate, student_estimate, wilson_interval, within


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (495, 500), (1, 1)])
def test_wilson_is_scipys(successes: int, n: int) -> None:
    expected = scipy.stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [100, 1000])
def test_wilson_covers(p: float, n: int) -> None:
    # Exactly, not by simulation: the probability of all counts whose interval holds p.
    held = [k for k in range(n + 1) if wilson_interval(k, n)[0] <= p <= wilson_interval(k, n)[1]]
    assert 0.90 <= scipy.stats.binom.pmf(held, n, p).sum() <= 0.99


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_proportion(successes: int, n: int) -> None:
    with pytest.raises(DataError, match=f"not a proportion\n  got: {successes} of {n}"):
        wilson_interval(successes, n)


def test_mean_is_scipys() -> None:
    values = np.random.default_rng(0).exponential(size=12)
    estimate = mean_estimate(values)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert estimate.interval == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert estimate.standard_error == pytest.approx(scipy.stats.sem(values))
    assert (estimate.mean, estimate.n) == (pytest.approx(values.mean()), 12)


def test_one_sample_has_a_mean_and_no_interval() -> None:
    estimate = mean_estimate([2.5])
    assert (estimate.mean, estimate.standard_error, estimate.interval) == (2.5, None, None)


def test_a_confidence_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="not a confidence level\n  got: 95"):
        wilson_interval(1, 2, confidence=95)


def test_bootstrap_standard_deviation_of_a_mean_is_known() -> None:
    values = np.random.default_rng(0).normal(size=200)
    sampled = bootstrap(
        values[:, None],
        lambda sums: sums[:, 0] / 200,
        generator=np.random.default_rng(1),
        num_resamples=4000,
    )
    assert sampled.estimate == pytest.approx(values.mean())
    assert sampled.resampled.std() == pytest.approx(values.std() / math.sqrt(200), rel=0.04)
    assert sampled.resampled.mean() == pytest.approx(
        values.mean(), abs=4 * values.std() / math.sqrt(200 * 4000)
    )


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_intervals_are_scipys(method: str) -> None:
    # A ratio of means of skewed values: bias and acceleration both matter.
    values = np.random.default_rng(3).lognormal(size=(25, 2))
    sampled = bootstrap(
        values, lambda sums: sums[:, 0] / sums[:, 1], generator=np.random.default_rng(0), num_resamples=20_000
    )
    expected = scipy.stats.bootstrap(
        (values[:, 0], values[:, 1]),
        lambda a, b, axis: a.mean(axis) / b.mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method=method,
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = expected.high - expected.low
    assert sampled.interval(method) == pytest.approx((expected.low, expected.high), abs=0.03 * width)  # type: ignore[arg-type]


def test_bca_leans_to_the_long_tail() -> None:
    values = np.random.default_rng(0).exponential(size=(40, 1)) ** 2
    sampled = bootstrap(values, lambda sums: sums[:, 0] / 40, generator=np.random.default_rng(0))
    percentile, bca = sampled.interval("percentile"), sampled.interval("bca")
    assert percentile is not None
    assert bca is not None
    assert bca[0] > percentile[0]
    assert bca[1] > percentile[1]


def test_grouped_rows_are_their_samples() -> None:
    # The same statistic, jackknife and distribution as with each sample written out.
    rows = np.array([[1.0], [2.0], [5.0], [9.0]])
    counts = np.array([65, 12, 3, 0])

    def mean(sums: FloatArray) -> FloatArray:
        return sums[:, 0] / 80

    grouped = bootstrap(rows, mean, counts=counts, generator=np.random.default_rng(0), num_resamples=20_000)
    written_out = bootstrap(
        np.repeat(rows, counts, axis=0), mean, generator=np.random.default_rng(1), num_resamples=20_000
    )
    assert grouped.estimate == written_out.estimate
    np.testing.assert_allclose(np.repeat(grouped.jackknife, grouped.counts), written_out.jackknife)
    resampled_alike = replace(written_out, resampled=grouped.resampled)
    assert grouped.interval() == pytest.approx(resampled_alike.interval(), abs=1e-12)
    assert grouped.interval() == pytest.approx(written_out.interval(), abs=0.03)


def test_the_generator_decides_and_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 2))

    def resampled(seed: int) -> FloatArray:
        return bootstrap(rows, lambda s: s[:, 0], generator=np.random.default_rng(seed)).resampled

    whole = resampled(0)
    monkeypatch.setattr("creuset.metrics.intervals._CHUNK_ELEMENTS", 30 * 7)
    np.testing.assert_allclose(resampled(0), whole, rtol=1e-12)
    assert not np.allclose(resampled(1), whole)


def test_two_models_on_the_same_samples_are_resampled_alike() -> None:
    # What a paired test needs: the difference of two resamplings is the resampling of the difference.
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 1)), rng.normal(size=(50, 1))

    def total(rows: FloatArray, sign: FloatArray) -> FloatArray:
        return bootstrap(rows, lambda sums: sums @ sign, generator=np.random.default_rng(7)).resampled

    apart = total(a, np.array([1.0])) - total(b, np.array([1.0]))
    np.testing.assert_allclose(total(np.hstack([a, b]), np.array([1.0, -1.0])), apart, atol=1e-9)


def test_a_statistic_that_never_varies_has_no_interval() -> None:
    sampled = bootstrap(np.ones((20, 1)), lambda sums: sums[:, 0] / 20, generator=np.random.default_rng(0))
    assert sampled.estimate == 1
    assert sampled.interval("bca") is None
    assert sampled.interval("percentile") is None


def test_bootstraps_of_nothing_are_refused() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(DataError, match="nothing to measure"):
        bootstrap(np.zeros((0, 1)), lambda s: s[:, 0], generator=generator)
    with pytest.raises(DataError, match="counts: nothing to measure"):
        bootstrap(np.zeros((2, 1)), lambda s: s[:, 0], generator=generator, counts=[0, 0])
    with pytest.raises(DataError, match="rows 2, counts 3"):
        bootstrap(np.zeros((2, 1)), lambda s: s[:, 0], generator=generator, counts=[1, 1, 1])
    with pytest.raises(UsageError, match="needs resamples"):
        bootstrap(np.zeros((2, 1)), lambda s: s[:, 0], generator=generator, num_resamples=1)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e5])
def test_values_that_never_vary_have_no_interval(value: float) -> None:
    estimate = mean_estimate([value] * 7)
    assert (estimate.mean, estimate.interval) == (pytest.approx(value), None)
    assert student_estimate(value, 0.0, 7).interval is None
    assert mean_estimate([value, value + 1e-3]).interval is not None


def test_an_interval_is_cut_at_what_can_be() -> None:
    assert within((-0.5, 1.5), 0, 1) == (0, 1)
    assert within((0.2, 1.5), 0) == (0.2, 1.5)
    assert within(None, 0, 1) is None
