"""The kernel distance against torch-fidelity, sums written out, and the coverage of its intervals."""

import numpy as np
import pytest
import torch

from creuset.errors import DataError, UsageError
from creuset.metrics import blocks
from creuset.metrics.features import INCEPTION_SHA256, Extractor
from creuset.metrics.kernel import KernelSums, kernel_distance
from creuset.metrics.signature import Context
from fidelity import fidelity


def features(num: int, dims: int = 6, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, dims)) + shift


def torch_fidelity(first: np.ndarray, second: np.ndarray, size: int, subsets: int) -> float:
    kid = fidelity("metric_kid")
    value: float = kid.kid_features_to_metric(
        torch.from_numpy(first),
        torch.from_numpy(second),
        kid_subsets=subsets,
        kid_subset_size=size,
        verbose=False,
        rng_seed=0,
    )[kid.KEY_METRIC_KID_MEAN]
    return value


def test_torch_fidelity_agrees_on_one_subset_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks.row_slices, "__defaults__", (13,))
    for shift in (0.0, 0.5):
        first, second = features(50, seed=1), features(50, seed=2, shift=shift)
        assert kernel_distance(first, second).value == pytest.approx(torch_fidelity(first, second, 50, 1))


def test_unequal_numbers_written_out() -> None:
    x, y = features(5), features(8, seed=1)
    xx, yy, xy = ((a @ b.T / 6 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    expected = (xx.sum() - np.trace(xx)) / 20 + (yy.sum() - np.trace(yy)) / 56 - 2 * xy.mean()
    assert kernel_distance(x, y).value == pytest.approx(expected)


def test_leaving_a_sample_out_is_measuring_the_others() -> None:
    x, y = features(5), features(8, seed=1)
    without_x, without_y = KernelSums.from_features(x, y).left_out()
    for i in range(5):
        rest = KernelSums.from_features(np.delete(x, i, axis=0), y)
        assert without_x[i] == pytest.approx(rest.distance)
    for j in range(8):
        rest = KernelSums.from_features(x, np.delete(y, j, axis=0))
        assert without_y[j] == pytest.approx(rest.distance)


def test_it_is_unbiased_and_falls_below_0() -> None:
    values = [
        kernel_distance(features(20, seed=2 * s), features(30, seed=2 * s + 1)).value for s in range(200)
    ]
    assert min(values) < 0
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)


@pytest.mark.parametrize("shift", [0.1, 0.3])
@pytest.mark.parametrize(("in_full", "tag"), [(10_000, "full"), (10, "blocks10")])
def test_intervals_cover(in_full: int, tag: str, shift: float) -> None:
    # E k(x, y) with x ~ N(a, I), y ~ N(b, I) by the moments of x.y: truth without a simulation of the metric.
    rng = np.random.default_rng(0)
    dims, repeats = 6, 300
    truth = population_distance(dims, shift)
    covered = 0
    for seed in range(repeats):
        x, y = rng.normal(size=(100, dims)) + shift, rng.normal(size=(120, dims))
        score = kernel_distance(x, y, context=Context(seed=seed), most_in_full=in_full, samples_per_block=10)
        assert f"estimator:{tag}" in score.signature
        assert score.interval is not None
        covered += score.interval[0] <= truth <= score.interval[1]
    assert 0.9 * repeats <= covered <= 0.99 * repeats


def test_intervals_cover_where_distributions_are_equal() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(200):
        interval = kernel_distance(*rng.normal(size=(2, 80, 6))).interval
        assert interval is not None
        covered += interval[0] <= 0 <= interval[1]
    assert 0.9 * 200 <= covered <= 0.99 * 200


def population_distance(dims: int, shift: float) -> float:
    """For N(shift, I) against N(0, I): given y, x.y is normal; the moments over y in closed form.

    E (s + 1)^3 with s = x.y/D is 1 + 3 E s + 3 E s^2 + E s^3. With means a and b:
    E s = a.b/D; E s^2 = ((a.b)^2 + |a|^2 + |b|^2 + D)/D^2;
    E s^3 = ((a.b)^3 + 3 a.b (|a|^2 + |b|^2 + D + 2))/D^3 + 0 (odd moments of the centred parts vanish).
    """

    def kernel(ab: float, aa: float, bb: float) -> float:
        first = ab / dims
        second = (ab**2 + aa + bb + dims) / dims**2
        third = (ab**3 + 3 * ab * (aa + bb + dims + 2)) / dims**3
        return 1 + 3 * first + 3 * second + third

    norm = dims * shift**2
    return kernel(norm, norm, norm) + kernel(0, 0, 0) - 2 * kernel(0, norm, 0)


def test_blocks_are_stated_and_share_no_sample() -> None:
    x, y = features(60), features(90, seed=1, shift=0.5)
    score = kernel_distance(x, y, most_in_full=50, samples_per_block=20, context=Context(seed=4))
    assert "|seed:4|estimator:blocks3|" in score.signature
    assert score.value == pytest.approx(kernel_distance(x, y).value, rel=0.5)
    assert "seed" not in kernel_distance(x, y).signature


def test_only_inception_features_give_a_kid() -> None:
    x, y = features(20), features(30, seed=1)
    assert kernel_distance(x, y).metric == "kd"
    inception = Extractor(name="inception-2015", sha256=INCEPTION_SHA256)
    assert kernel_distance(x, y, extractor=inception).metric == "kid"


def test_bad_features_are_refused() -> None:
    x = features(20)
    with pytest.raises(DataError, match="generated 6, reference 5"):
        kernel_distance(x, x[:, :5])
    with pytest.raises(DataError, match="reference: a kernel distance needs 2 samples"):
        kernel_distance(x, x[:1])
    with pytest.raises(DataError, match="an interval needs 3 samples"):
        kernel_distance(x, x[:2])
    with pytest.raises(DataError, match=r"not enough samples for two blocks(.|\n)*40 or more"):
        kernel_distance(x, x, most_in_full=10, samples_per_block=20)
    with pytest.raises(UsageError, match="samples_per_block 1"):
        kernel_distance(x, x, most_in_full=10, samples_per_block=1)


def test_equal_samples_have_no_interval() -> None:
    for value in (0.0, 0.3, 40.0):
        same = np.full((5, 4), value)
        score = kernel_distance(same, same)
        assert score.interval is None
        assert score.value == pytest.approx(0, abs=1e-9 * (value**2 + 1) ** 3)
    assert kernel_distance(features(5), features(5, seed=1)).interval is not None
