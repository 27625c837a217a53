"""The comparison with pythae compares like with like; pythae itself is not needed here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark_programs import BENCHMARKS, grey_noise, program

NUM_PARAMETERS = 2 * (784 * 500 + 500 * 500) + 784 + 4 * 500 + 500 * 80 + 80 + 40 * 500


driver = program("vae_against_pythae")
measuring = program("peers/measuring")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """350 training and 30 test pictures of grey noise."""
    return grey_noise(tmp_path, 350, 30)


def row(**values: Any) -> dict[str, Any]:
    return {"num_pictures": 100, "num_steps": 1, "num_parameters": 7, "torch": "2", **values}


def test_both_sides_read_binary_pictures_in_whole_batches(pictures: Path, tmp_path: Path) -> None:
    with np.load(driver.prepare(pictures, tmp_path, None)) as arrays:
        sizes = {name: array.shape for name, array in arrays.items()}
        values = {name: set(np.unique(array)) for name, array in arrays.items()}
        train = arrays["train_images"]
    assert sizes == {
        "train_images": (200, 28, 28),
        "validation_images": (100, 28, 28),
        "test_images": (30, 28, 28),
    }
    assert all(found == {0, 255} for found in values.values())
    with np.load(pictures) as arrays:
        grey = arrays["train_images"][:200]
    assert abs(train.mean() - grey.mean()) < 1


def test_the_binary_pictures_are_the_same_each_time(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    with (
        np.load(driver.prepare(pictures, tmp_path, None)) as first,
        np.load(driver.prepare(pictures, tmp_path / "again", None)) as second,
    ):
        assert all((first[name] == second[name]).all() for name in first)


def test_too_few_pictures_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="199 training pictures; at least 200 are needed"):
        driver.prepare(pictures, tmp_path, 199)


@pytest.mark.parametrize("name", driver.EQUAL)
def test_unequal_work_is_refused(name: str) -> None:
    rows = {"pythae": [row(), row()], "creuset float32": [row(), row(**{name: 8})]}
    with pytest.raises(SystemExit, match=f"not the same work: {name} differs: pythae"):
        driver.require_equal(rows, driver.EQUAL)


def test_the_summary_tells_times_memory_loss_and_ratios() -> None:
    times = {"loop_seconds": 2.0, "whole_seconds": 9.0, "peak_memory_bytes": 5e6, "test_loss_nats": 99.0}
    rows = {
        "pythae": [row(**times)],
        "creuset float32": [row(**{**times, "loop_seconds": 1.0, "whole_seconds": 3.0})],
    }
    document = {
        "machine": {"processor": "P", "threads": 2, "system": "S", "python": "3"},
        "versions": {"pythae": "1", "creuset": "2"},
        "rounds": 1,
        "rows": rows,
        "ratios": driver.times_as_fast(rows, driver.TIMES),
    }
    assert driver.summary(document).splitlines() == [
        "P, threads 2, S, Python 3",
        "pythae 1, creuset 2",
        "7 parameters, 100 binary pictures, 1 steps of 100, rounds 1",
        "pythae            loop    2.00 s (    50 pictures/s)  whole    9.00 s  peak     5 MB  "
        "test loss 99.00 nats",
        "creuset float32   loop    1.00 s (   100 pictures/s)  whole    3.00 s  peak     5 MB  "
        "test loss 99.00 nats",
        "creuset float32 against pythae, loop: 2.00 times as fast (2.00 to 2.00)",
        "creuset float32 against pythae, whole: 3.00 times as fast (3.00 to 3.00)",
    ]


def test_negative_elbo_of_a_model_that_knows_nothing() -> None:
    """q = N(m, 1) and each pixel an even chance: 4 log 2 + 2 m^2 / 2."""
    pixels = torch.tensor([0.0, 1.0, 1.0, 0.0]).reshape(1, 1, 2, 2).repeat(600, 1, 1, 1)
    loss = measuring.negative_elbo(
        pixels,
        lambda part: (torch.full((len(part), 2), 0.5), torch.zeros(len(part), 2)),
        lambda codes: torch.zeros(len(codes), 4),
    )
    assert loss == pytest.approx(4 * np.log(2) + 0.25, abs=1e-6)


def test_negative_elbo_is_the_loss_that_creuset_trains() -> None:
    from creuset.data.spec import DataSpec
    from creuset.device import BatchGenerator
    from creuset.models.vae import VAE, VAEConfig

    torch.manual_seed(0)
    spec = DataSpec(kind="images", shape=(1, 8, 8), num_levels=256, class_names=(), class_counts=())
    model = VAE(VAEConfig(family="vae", hidden_dims=(20,), latent_dim=3), spec)
    pixels = (torch.rand(2000, 1, 8, 8) < 0.3).float()
    loss = measuring.negative_elbo(pixels, lambda part: model.encoder(part).chunk(2, dim=1), model.decoder)
    own = model.loss({"images": 2 * pixels - 1}, "model", BatchGenerator(0, "test", size=2000))
    assert loss == pytest.approx(float(own["loss"].detach()), rel=2e-3)


def test_creuset_s_side_trains_the_model_of_the_comparison(pictures: Path, tmp_path: Path) -> None:
    data = driver.prepare(pictures, tmp_path, None)
    program = BENCHMARKS / "peers" / "vae_creuset.py"
    done = subprocess.run(
        [sys.executable, str(program), str(data), "2", "1", "float32"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["num_parameters"] == NUM_PARAMETERS
    assert found["num_pictures"] == 200
    assert found["num_steps"] == 4
    assert 0 < found["loop_seconds"] < found["whole_seconds"]
    assert 0 < found["test_loss_nats"] < 784
