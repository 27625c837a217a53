"""Each signal against a slow twin or a case whose value is known."""

import math
import time

import pytest
import torch
from torch import Tensor

from creuset.metrics.precision_recall import BallCounts
from creuset.metrics.rke import rke_mode_count
from creuset.training.collapse_signals import (
    RealSamples,
    as_rows,
    copies,
    largest_singular_value,
    ranked_higher,
    real_samples,
    sample_signals,
)

NUM = 64


def normal(number: int, width: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(number, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def real() -> RealSamples:
    return real_samples(normal(NUM), normal(400, seed=1), normal(100, seed=2), normal(80, seed=3))


def test_the_signals_of_samples_are_those_of_slow_twins(real: RealSamples) -> None:
    drawn = 0.7 * normal(NUM, seed=4)
    found = sample_signals(drawn, real)
    upper = torch.triu_indices(NUM, NUM, 1)

    def spread(rows: Tensor) -> float:
        return float(torch.cdist(rows, rows)[upper[0], upper[1]].mean())

    assert found["spread"] == pytest.approx(spread(drawn) / spread(real.rows))
    assert found["deviation"] == pytest.approx(float(drawn.std(0).mean() / real.rows.std(0).mean()))
    modes = [rke_mode_count(rows.numpy(), bandwidth=real.bandwidth).value for rows in (drawn, real.rows)]
    assert found["modes"] == pytest.approx(modes[0] / modes[1])
    assert modes[1] == pytest.approx(math.sqrt(NUM), rel=1e-3)
    balls = BallCounts.from_features(drawn.numpy(), real.rows.numpy(), k=5)
    assert found["coverage"] == pytest.approx(balls.covered.mean())
    assert found["recall"] == pytest.approx(balls.recalled.mean())
    assert found["realism"] == pytest.approx((balls.real_balls > 0).mean())
    nearest = torch.cdist(drawn, drawn).fill_diagonal_(math.inf).min(1).values
    assert found["near_duplicates"] == pytest.approx(float((nearest**2 <= real.near).double().mean()))
    cells = torch.bincount(torch.cdist(drawn, real.centres).argmin(1), minlength=len(real.centres)) / NUM
    terms = [float(p * (p / q).log()) for p, q in zip(cells, real.cell_shares, strict=True) if p > 0]
    assert found["cells"] == pytest.approx(sum(terms) - (len(real.centres) - 1) / (2 * NUM))


def test_real_samples_are_like_real_samples(real: RealSamples) -> None:
    found = sample_signals(normal(NUM, seed=9), real)
    for name in ("spread", "deviation", "modes"):
        assert found[name] == pytest.approx(1, abs=0.15)
    assert found["near_duplicates"] < 0.2
    assert abs(found["cells"]) < 0.15
    assert abs(found["copies_z"]) < 3


def test_samples_that_are_all_alike(real: RealSamples) -> None:
    found = sample_signals(torch.zeros(NUM, 5, dtype=torch.float64), real)
    assert (found["spread"], found["deviation"], found["near_duplicates"]) == (0, 0, 1)
    assert found["modes"] == pytest.approx(1 / real.modes)
    assert found["cells"] > 1
    assert found["copies_z"] < 2  # at one place: that alone is no copying


def test_copies_of_training_samples_are_seen(real: RealSamples) -> None:
    found = sample_signals(real.training[:NUM] + 1e-6, real)
    assert found["copies"] == pytest.approx(1)
    assert found["copies_z"] > 5
    half = torch.cat([real.training[: NUM // 2], normal(NUM // 2, seed=7)])
    assert sample_signals(half, real)["copies"] == pytest.approx(0.5, abs=0.2)


def test_the_deviation_of_copies_is_that_of_permutations() -> None:
    generator = torch.Generator().manual_seed(0)
    distances = torch.rand(40, 50, generator=generator)
    nearest = distances.argmin(1)
    shares = []
    for _ in range(4000):
        order = torch.randperm(50, generator=generator)
        shares.append(float((order[nearest] < 30).double().mean()))
    twin = torch.tensor(shares)
    share, z = copies(distances, 30)
    observed = float((nearest < 30).double().mean())
    assert float(twin.mean()) == pytest.approx(0.6, abs=0.01)
    assert z == pytest.approx((observed - 0.6) / float(twin.std()), rel=0.06)
    assert share == pytest.approx((observed - 0.6) / 0.4)


def test_modes_of_points_are_cells() -> None:
    means = torch.tensor([[math.cos(a), math.sin(a)] for a in torch.arange(8) * math.pi / 4])
    rows = means.double()[torch.arange(1024) % 8] + 0.01 * normal(1024, 2)
    found = real_samples(rows[:256], rows[256:], rows[:9], rows[:0])
    assert len(found.centres) == 8
    lost = rows[torch.arange(1024) % 8 < 4][:256]
    assert sample_signals(lost, found)["cells"] == pytest.approx(math.log(2), abs=0.03)


def test_ranks_and_singular_values() -> None:
    assert ranked_higher(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])) == 0.875
    weights = [normal(30, 20, seed=5), normal(8, 12, seed=6).reshape(8, 3, 2, 2)]
    exact = max(float(torch.linalg.matrix_norm(one.flatten(1), 2)) for one in weights)
    assert 0.9 * exact <= largest_singular_value(weights) <= exact * (1 + 1e-9)


def test_large_pictures_are_averaged_down() -> None:
    pictures = torch.rand(3, 1, 64, 64)
    assert torch.allclose(as_rows(pictures), torch.nn.functional.avg_pool2d(pictures, 4).flatten(1))
    assert as_rows(torch.rand(3, 1, 28, 28)).shape == (3, 196)
    assert as_rows(torch.rand(3, 2)).dtype == torch.float64


def test_all_signals_of_digits_take_milliseconds() -> None:
    """Ten signals, each below 10 ms; a wide bound here, for a machine that is busy."""
    rows = torch.rand(2048, 784)
    reference = real_samples(rows[:256], rows[256:1000], rows[:512], rows[1000:1512])
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        sample_signals(rows[1600:1856], reference)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.1
