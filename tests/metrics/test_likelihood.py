"""Likelihood scores, bits per dimension, and the importance bound of a model whose likelihood is known."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from creuset.errors import DataError, UsageError
from creuset.metrics.intervals import mean_estimate
from creuset.metrics.likelihood import (
    ImportanceBound,
    LikelihoodSetting,
    bits_per_dim,
    elbo,
    importance_bound,
    nll,
    to_bits_per_dim,
)
from creuset.metrics.signature import Context

BINARY = LikelihoodSetting(num_levels=2, binarisation="dynamic", num_importance_samples=200)
BYTES = LikelihoodSetting(num_levels=256)
DENSITY = LikelihoodSetting(num_levels=0)
CONTEXT = Context(data="3f2a9c01", split="test", seed=5)

SLOPE, NOISE = 1.5, 0.5
"""z ~ N(0, 1), x | z ~ N(SLOPE z, NOISE^2), so x ~ N(0, SLOPE^2 + NOISE^2)."""


def exact(x: NDArray[np.float64]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = norm.logpdf(x, 0, math.hypot(SLOPE, NOISE))
    return values


def log_weights(x: NDArray[np.float64], num: int, seed: int = 0, widen: float = 1.4) -> NDArray[np.float64]:
    """log p(x, z) - log q(z | x), (num, N), with q the true posterior at 1, and too wide above."""
    precision = 1 + (SLOPE / NOISE) ** 2
    mean, scale = SLOPE * x / NOISE**2 / precision, widen / math.sqrt(precision)
    z = mean + scale * np.random.default_rng(seed).normal(size=(num, len(x)))
    joint = norm.logpdf(z) + norm.logpdf(x, SLOPE * z, NOISE)
    weights: NDArray[np.float64] = joint - norm.logpdf(z, mean, scale)
    return weights


X = np.linspace(-4, 4, 400)


def test_nll_and_its_interval() -> None:
    values = np.random.default_rng(0).normal(-90, 12, size=300)
    score = nll(values, setting=BINARY, context=CONTEXT)
    assert score.value == pytest.approx(-values.mean())
    assert score.interval == mean_estimate(-values).interval
    assert (score.unit, score.better, score.n) == ("nats", "lower", 300)
    assert score.signature == (
        "nll|v:1|data:3f2a9c01|split:test|n:300|seed:5"
        "|binarisation:dynamic|importance_samples:200|interval:t95|likelihood:levels2"
    )


def test_an_exact_likelihood_of_stored_data_has_no_seed() -> None:
    assert nll([-1.0, -2.0], setting=BYTES, context=CONTEXT).signature == (
        "nll|v:1|data:3f2a9c01|split:test|n:2|binarisation:none|importance_samples:none"
        "|interval:t95|likelihood:levels256"
    )
    fixed = LikelihoodSetting(num_levels=2, binarisation="fixed")
    assert "seed" not in nll([-1.0, -2.0], setting=fixed).signature
    assert "likelihood:density" in nll([1.0], setting=DENSITY).signature


def test_elbo_is_better_higher() -> None:
    score = elbo(torch.tensor([-100.0, -90.0]), setting=BINARY)
    assert (score.value, score.better, score.metric) == (-95, "higher", "elbo")


def test_bits_per_dim_of_a_uniform_model_is_the_number_of_bits() -> None:
    # A uniform model of bytes: D log 256 nats. Of bytes scaled to [0, 1] its density is 1, hence 0 nats;
    # of bytes scaled to [-1, 1] it is 2^-D.
    assert to_bits_per_dim(784 * math.log(256), 784) == pytest.approx(8)
    assert to_bits_per_dim(0.0, 784, bin_width=1 / 256) == pytest.approx(8)
    assert to_bits_per_dim(784 * math.log(2), 784, bin_width=2 / 256) == pytest.approx(8)


def test_bits_per_dim_score() -> None:
    nats = np.array([-1400.0, -1500.0, -1450.0])
    score = bits_per_dim(nats, 784, setting=BYTES, context=CONTEXT)
    reference = nll(nats, setting=BYTES)
    assert reference.interval is not None
    assert score.value == pytest.approx(1450 / (784 * math.log(2)))
    assert score.interval == pytest.approx(tuple(end / (784 * math.log(2)) for end in reference.interval))
    assert "|dims:784|" in score.signature
    density = bits_per_dim(nats + 784 * math.log(256), 784, setting=DENSITY, bin_width=1 / 256)
    assert density.value == pytest.approx(score.value)
    assert "bin_width:0.00390625" in density.signature
    assert bits_per_dim(nats[:1], 784, setting=BYTES).interval is None


def test_bits_per_dim_needs_the_right_bins() -> None:
    with pytest.raises(UsageError, match="density need the width of a stored level"):
        bits_per_dim([1.0], 784, setting=DENSITY)
    with pytest.raises(UsageError, match=r"bin_width=0.5 with 256 levels"):
        bits_per_dim([1.0], 784, setting=BYTES, bin_width=0.5)
    with pytest.raises(UsageError, match="not a number of dimensions\n  got: 0"):
        to_bits_per_dim(1.0, 0)
    with pytest.raises(UsageError, match="not the width of a bin\n  got: 0"):
        to_bits_per_dim(1.0, 1, bin_width=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_levels": 1}, "not a number of levels\n  got: 1"),
        ({"num_levels": 2, "binarisation": "random"}, "no such binarisation\n  got: 'random'"),
        ({"num_levels": 256, "binarisation": "dynamic"}, "256 levels with binarisation dynamic"),
        ({"num_levels": 2, "num_importance_samples": 0}, "not a number of importance samples\n  got: 0"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LikelihoodSetting(**fields)


def test_the_bound_rises_to_the_likelihood_from_below() -> None:
    truth = exact(X).mean()
    gaps = [truth - importance_bound(log_weights(X, num)).mean() for num in (1, 5, 50, 5000)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.1  # one sample: the ELBO of a posterior that is too wide
    assert abs(gaps[-1]) < 1e-3


def test_one_importance_sample_gives_the_elbo() -> None:
    # -KL(q | posterior) below the likelihood, and KL of a Gaussian 1.4 times too wide is known.
    kl = (1.4**2 - 1) / 2 - math.log(1.4)
    gap = exact(X) - importance_bound(log_weights(X, 1))
    assert gap.mean() == pytest.approx(kl, abs=4 * gap.std() / math.sqrt(len(X)))


def test_the_true_posterior_is_exact_at_once() -> None:
    np.testing.assert_allclose(importance_bound(log_weights(X, 1, widen=1.0)), exact(X))


def test_chunks_are_the_whole() -> None:
    weights = log_weights(X, 50) - 1000  # far below what exp can hold
    bound = ImportanceBound()
    for chunk in (weights[:1], weights[1:30], torch.tensor(weights[30:])):
        bound.add(chunk)
    assert bound.num_importance_samples == 50
    np.testing.assert_allclose(bound.log_likelihoods(), importance_bound(weights), rtol=1e-12)
    np.testing.assert_allclose(
        bound.effective_sample_sizes(), ImportanceBound().add(weights).effective_sample_sizes(), rtol=1e-9
    )


def test_effective_sample_size() -> None:
    weights = np.log([[1.0, 1.0, 4.0], [1.0, 1e-30, 2.0]])
    np.testing.assert_allclose(
        ImportanceBound().add(weights).effective_sample_sizes(), [2, 1, 36 / 20], rtol=1e-12
    )


def test_weights_of_zero_count_as_samples() -> None:
    weights = np.array([[0.0, -np.inf], [-np.inf, -np.inf]])
    bound = ImportanceBound().add(weights).add(weights)
    np.testing.assert_array_equal(bound.log_likelihoods(), [math.log(2 / 4), -np.inf])
    np.testing.assert_allclose(bound.effective_sample_sizes(), [2, 0])
    with pytest.raises(DataError, match="log_likelihoods: values that are not finite\n  got: 1 of 2"):
        nll(bound.log_likelihoods(), setting=BINARY)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros((0, 3)), "nothing to measure"),
        (np.zeros(3), "wrong shape"),
        ([[np.nan, -np.inf]], "not finite\n  got: 1 of 2"),
        ([[np.inf]], "not finite\n  got: 1 of 1"),
        ([["a"]], "wrong kind"),
    ],
)
def test_what_is_no_weight_is_refused(weights: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"log_weights: .*{message}"):
        importance_bound(weights)


def test_bounds_of_nothing_or_of_other_samples_are_refused() -> None:
    for question in (ImportanceBound().log_likelihoods, ImportanceBound().effective_sample_sizes):
        with pytest.raises(DataError, match="no importance samples"):
            question()
    with pytest.raises(DataError, match="got: 2 samples\n  expected: 3, as in the chunks before"):
        ImportanceBound().add(np.zeros((1, 3))).add(np.zeros((1, 2)))


def test_the_interval_of_an_exact_nll_begins_at_0() -> None:
    values = [-0.01, -5.0]
    exact = LikelihoodSetting(num_levels=2, binarisation="none")
    for score in (nll(values, setting=exact), bits_per_dim(values, 4, setting=exact)):
        assert score.interval is not None
        assert score.interval[0] == 0 < score.value
    density = nll(values, setting=LikelihoodSetting(num_levels=0, binarisation="none"))
    estimated = nll(
        values, setting=LikelihoodSetting(num_levels=2, binarisation="none", num_importance_samples=5)
    )
    for score in (density, estimated):
        assert score.interval is not None
        assert score.interval[0] < 0
