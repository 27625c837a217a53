"""The Frechet distance against torch-fidelity's formula and closed forms; its intercept's coverage."""

import numpy as np
import pytest
import torch

from creuset.errors import DataError, GateError, UsageError
from creuset.metrics import blocks
from creuset.metrics.features import INCEPTION_SHA256, Extractor
from creuset.metrics.frechet import (
    frechet_curve,
    frechet_distance,
    frechet_floor,
    frechet_intercept,
    frechet_left_out,
)
from creuset.metrics.jackknife import random_blocks
from creuset.metrics.moments import BlockMoments, FeatureMoments
from creuset.metrics.signature import Context, Signature, require_comparable
from fidelity import fidelity

INCEPTION = Extractor(name="inception-2015", sha256=INCEPTION_SHA256)


def features(num: int, dims: int, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num, dims)) @ rng.normal(size=(dims, dims)) / np.sqrt(dims) + shift


def torch_fidelity(first: np.ndarray, second: np.ndarray) -> float:
    fid = fidelity("metric_fid")
    statistics = [fid.fid_features_to_statistics(torch.from_numpy(rows)) for rows in (first, second)]
    value: float = fid.fid_statistics_to_metric(*statistics, verbose=False)[fid.KEY_METRIC_FID]
    return value


CASES = [
    (num, num_reference, dims)
    for dims in (8, 96)
    for num, num_reference in (
        (500, 500),
        (100, 300),
        (97, 97),
        (40, 300),
        (300, 40),
        (40, 60),
        (60, 40),
        (5, 7),
        (9, 1000),
        (2, 3),
    )
]


@pytest.mark.parametrize(("num", "num_reference", "dims"), CASES)
def test_torch_fidelity_agrees_above_and_below_d(num: int, num_reference: int, dims: int) -> None:
    first, second = features(num, dims, 1), features(num_reference, dims, 2, shift=0.1)
    expected = torch_fidelity(first, second)
    assert frechet_distance(first, second).value == pytest.approx(expected, rel=1e-6)
    moments = FeatureMoments.from_features(first), FeatureMoments.from_features(second)
    assert frechet_distance(*moments).value == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(first, moments[1]).value == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(moments[0], second).value == pytest.approx(expected, rel=1e-6)


def test_closed_form_of_diagonal_gaussians() -> None:
    cross = np.sqrt(3) * np.concatenate([np.eye(3), -np.eye(3)])  # mean 0, covariance 6/5 I
    value = frechet_distance(cross * [1, 2, 3], cross + np.array([2, 0, 0])).value
    assert value == pytest.approx(4 + 6 / 5 * (0 + 1 + 4))


def test_it_is_symmetric_and_0_for_the_same_set() -> None:
    first, second = features(50, 8, 1), features(60, 8, 2)
    assert frechet_distance(first, second).value == pytest.approx(frechet_distance(second, first).value)
    assert frechet_distance(first, first).value == pytest.approx(0, abs=1e-9)
    few = features(6, 8)
    assert frechet_distance(few, few).value == pytest.approx(0, abs=1e-9)


def test_features_that_never_vary_do_no_harm() -> None:
    first, second = features(50, 8, 1), features(60, 8, 2)
    padded = [np.concatenate([rows, np.ones((len(rows), 3))], axis=1) for rows in (first, second)]
    assert frechet_distance(*padded).value == pytest.approx(frechet_distance(first, second).value)


@pytest.mark.parametrize(("num", "dims"), [(100, 4), (60, 50), (60, 90)])
def test_what_is_left_without_blocks_gives_the_interval(num: int, dims: int) -> None:
    generated, reference = features(num, dims), features(80, dims, seed=1)
    left_out = frechet_left_out(generated, reference, generator=np.random.default_rng(3))
    blocks = random_blocks(num, 20, np.random.default_rng(3))
    by_rows = [frechet_distance(np.delete(generated, block, axis=0), reference).value for block in blocks]
    assert left_out == pytest.approx(by_rows, rel=1e-6)
    score = frechet_distance(generated, reference, left_out=left_out)
    error = np.sqrt(19 / 20 * np.square(left_out - left_out.mean()).sum())
    half = 2.093024 * error  # Student's t with 19 degrees of freedom
    assert score.interval == pytest.approx((max(0, score.value - half), score.value + half), rel=1e-5)
    assert "|interval:jackknife20_t95_fixed_reference|" in score.signature


@pytest.mark.parametrize("dims", [4, 60])
def test_an_interval_holds_what_is_expected_of_as_many_samples(dims: int) -> None:
    """Of samples like the reference's, whose distance itself is 0: far below what 50 samples are expected to
    have."""
    rng = np.random.default_rng(dims)
    reference = rng.normal(size=(80, dims))
    found = []
    for _ in range(120):
        generated = rng.normal(size=(50, dims))
        left_out = frechet_left_out(generated, reference, generator=rng)
        found.append(frechet_distance(generated, reference, left_out=left_out))
    expected = np.mean([score.value for score in found])
    held = [low <= expected <= high for low, high in (score.interval or (1, 0) for score in found)]
    assert np.mean(held) >= 0.9
    width = np.mean([high - low for low, high in (score.interval or (0, 0) for score in found)])
    assert 0.8 < width / np.diff(np.quantile([score.value for score in found], [0.025, 0.975]))[0] < 2.5
    assert not any(low <= 0 for low, _ in (score.interval or (0, 0) for score in found if dims == 60))


def test_only_inception_features_give_a_fid() -> None:
    rows = features(50, 8)
    score = frechet_distance(rows, rows[:40], extractor=Extractor(name="lite0"))
    assert (score.metric, score.n, score.interval, score.better) == ("fd", 50, None, "lower")
    extra = dict(Signature.parse(score.signature).extra)
    assert extra == {
        "extractor": "lite0",
        "preprocessing": "none",
        "reference_n": "40",
        "weights": "none",
    }
    fid = frechet_distance(rows, rows[:40], extractor=INCEPTION)
    assert fid.metric == "fid"
    with pytest.raises(GateError, match="differ in metric, extractor, weights"):
        require_comparable(score.signature, fid.signature)
    assert frechet_intercept(rows, rows, extractor=INCEPTION).metric == "fid_intercept"


def test_the_intercept_covers_a_known_distance_and_the_plain_value_does_not() -> None:
    dims, num, repeats = 8, 120, 200
    spread = np.linspace(0.6, 1.4, dims)
    truth = dims * 0.1**2 + float(np.square(spread - 1).sum())
    covered = plain = 0
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        first, second = rng.normal(size=(num, dims)) * spread + 0.1, rng.normal(size=(num, dims))
        score = frechet_intercept(first, second, context=Context(seed=seed))
        assert score.interval is not None
        low, high = score.interval
        value = frechet_distance(first, second).value
        covered += low <= truth <= high
        plain += abs(value - truth) <= (high - low) / 2
    assert 0.9 * repeats <= covered <= 0.99 * repeats
    assert plain < 0.9 * repeats


def test_the_intercept_of_equal_distributions_is_around_0() -> None:
    values, plain = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        first, second = rng.normal(size=(2, 100, 8))
        values.append(frechet_intercept(first, second).value)
        plain.append(frechet_distance(first, second).value)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(40)
    assert min(values) < 0 < min(plain)


def test_the_intercept_of_fixed_moments_says_what_it_extrapolates() -> None:
    first, second = features(100, 8, 1), features(100, 8, 2)
    fixed = frechet_intercept(first, FeatureMoments.from_features(second))
    both = frechet_intercept(first, second)
    assert "extrapolated:generated|interval:jackknife20_corrected_t95" in fixed.signature
    assert "extrapolated:both" in both.signature
    assert both.value < fixed.value < frechet_distance(first, second).value


def test_the_intercept_from_ready_blocks_is_the_same() -> None:
    first, second = features(100, 8, 1), features(100, 8, 2)
    draws = Context(seed=3).generator()
    ready = [BlockMoments.from_features(rows, generator=draws) for rows in (first, second)]
    assert frechet_intercept(*ready).value == frechet_intercept(first, second, context=Context(seed=3)).value
    with pytest.raises(DataError, match="20 and 10"):
        frechet_intercept(ready[0], second, num_blocks=10)


def test_too_few_samples_for_the_intercept_name_the_number_needed() -> None:
    with pytest.raises(DataError, match=r"generated: not enough samples(.|\n)*31 samples(.|\n)*32 or more"):
        frechet_intercept(features(31, 8), features(50, 8))
    with pytest.raises(DataError, match=r"reference: not enough samples"):
        frechet_intercept(features(50, 8), features(31, 8))
    with pytest.raises(DataError, match=r"reference: not enough samples"):
        frechet_intercept(features(50, 8), FeatureMoments.from_features(features(31, 8)))


def test_the_floor_is_real_against_other_real_samples() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 8))
    floor = frechet_floor(rows, num_samples=100, num_reference=300)
    again = frechet_floor(rows, num_samples=100, num_reference=300, context=Context(seed=1))
    assert (floor.metric, floor.n) == ("fd_floor", 100)
    assert "|seed:0|" in floor.signature
    assert 0 < floor.value != again.value
    assert floor.value == pytest.approx(
        frechet_distance(rng.normal(size=(100, 8)), rng.normal(size=(300, 8))).value, rel=0.7
    )
    with pytest.raises(DataError, match=r"got: 400\n  expected: 200 \+ 300 = 500"):
        frechet_floor(rows, num_samples=200, num_reference=300)
    with pytest.raises(UsageError, match="samples on both sides"):
        frechet_floor(rows, num_samples=1, num_reference=300)


def test_the_curve_ends_at_the_distance() -> None:
    first, second = features(200, 8, 1), FeatureMoments.from_features(features(200, 8, 2))
    blocked = BlockMoments.from_features(first, generator=np.random.default_rng(0), num_blocks=5)
    curve = frechet_curve(blocked, second)
    assert [num for num, _ in curve] == [40, 80, 120, 160, 200]
    assert curve[-1][1] == pytest.approx(frechet_distance(first, second).value)
    assert curve[0][1] > curve[-1][1]


def test_bad_features_are_refused() -> None:
    with pytest.raises(DataError, match="generated 4, reference 5"):
        frechet_distance(np.zeros((10, 4)), np.zeros((10, 5)))
    with pytest.raises(DataError, match="generated: a covariance needs 2 samples"):
        frechet_distance(np.zeros((1, 4)), np.zeros((10, 4)))
    with pytest.raises(DataError, match="reference: values that are not finite"):
        frechet_distance(np.zeros((10, 4)), np.full((10, 4), np.inf))


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = features(50, 8, 1), features(60, 8, 2)
    expected = frechet_distance(first, second).value
    monkeypatch.setattr(blocks.row_slices, "__defaults__", (7,))
    assert frechet_distance(first, second).value == pytest.approx(expected)


def test_rounding_takes_no_distance_below_0() -> None:
    rng = np.random.default_rng(0)
    for rank in (3, 10, 20):
        flat = 10 * rng.normal(size=(400, rank)) @ rng.normal(size=(rank, 40))
        assert frechet_distance(flat, flat).value >= 0
        assert frechet_distance(flat[:30], flat[:30]).value >= 0
        moments = FeatureMoments.from_features(flat)
        assert frechet_distance(moments, moments).value >= 0
