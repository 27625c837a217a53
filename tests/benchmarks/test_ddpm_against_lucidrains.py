"""The comparison with denoising-diffusion-pytorch compares like with like; the peer is not needed here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark_programs import BENCHMARKS, grey_noise, program

driver = program("ddpm_against_lucidrains")
measuring = program("peers/measuring")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """700 training and 30 test pictures of grey noise."""
    return grey_noise(tmp_path, 700, 30)


def row(**values: Any) -> dict[str, Any]:
    return {"num_pictures": 100, "num_steps": 2, "num_parameters": 1000, "torch": "2", **values}


def test_pictures_are_kept_apart(pictures: Path, tmp_path: Path) -> None:
    with np.load(driver.prepare(pictures, tmp_path, None)) as arrays:
        sizes = {name: len(array) for name, array in arrays.items()}
    assert sizes == {"train_images": 200, "validation_images": 500, "test_images": 30}
    with pytest.raises(SystemExit, match="563 training pictures; at least 564 are needed"):
        driver.prepare(pictures, tmp_path, 563)


def test_networks_of_another_size_are_refused() -> None:
    driver.require_near({"peer": [row()], "own": [row(num_parameters=1040)]})
    with pytest.raises(SystemExit, match="numbers of parameters differ: peer 1,000, own 1,100"):
        driver.require_near({"peer": [row()], "own": [row(num_parameters=1100)]})


def test_the_summary_tells_speed_memory_loss_and_ratios() -> None:
    figures = {"loop_seconds": 2.0, "steps_per_second": 1.0, "peak_memory_bytes": 5e6, "noise_error": 0.05}
    rows = {
        driver.PEER: [row(**figures)],
        "creuset float32": [row(**{**figures, "loop_seconds": 1.0, "steps_per_second": 2.0})],
    }
    document = {
        "machine": {"processor": "P", "threads": 2, "system": "S", "python": "3"},
        "versions": {"peer": "1", "creuset": "2"},
        "rounds": 1,
        "rows": rows,
        "ratios": driver.times_as_fast(rows, ("loop",)),
    }
    assert driver.summary(document).splitlines() == [
        "P, threads 2, S, Python 3",
        "peer 1, creuset 2",
        "100 pictures, 2 steps of 64, rounds 1",
        "denoising-diffusion-pytorch     1,000 parameters    1.00 steps/s  peak     5 MB  test loss 0.0500",
        "creuset float32                 1,000 parameters    2.00 steps/s  peak     5 MB  test loss 0.0500",
        "creuset float32 against denoising-diffusion-pytorch, loop: 2.00 times as fast (2.00 to 2.00)",
    ]


def test_noise_error_is_0_for_who_knows_the_pictures_and_1_for_who_says_nothing() -> None:
    pixels = torch.zeros(1200, 1, 4, 4)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0).float()

    def know(x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        return x / (1 - kept[steps]).sqrt().view(-1, 1, 1, 1)

    assert measuring.noise_error(pixels, know) < 1e-8
    assert measuring.noise_error(pixels, lambda x, _: torch.zeros_like(x)) == pytest.approx(1, abs=0.05)


def test_noise_error_is_the_loss_that_creuset_trains() -> None:
    from creuset.data.spec import DataSpec
    from creuset.device import BatchGenerator
    from creuset.models.diffusion import Diffusion, DiffusionConfig

    torch.manual_seed(0)
    config = DiffusionConfig(family="diffusion", size="tiny", prediction="epsilon", schedule="linear")
    model = Diffusion(config, DataSpec(kind="images", shape=(1, 8, 8), num_levels=256))
    pixels = 2 * torch.rand(2000, 1, 8, 8) - 1
    loss = measuring.noise_error(pixels, lambda x, steps: model.denoiser(x, (steps + 1) / 1000, None))
    with torch.no_grad():
        own = model.loss({"images": pixels}, "model", BatchGenerator(0, "test", size=2000))
    assert loss == pytest.approx(float(own["loss"]), rel=0.01)


def test_creuset_s_side_trains_the_model_of_the_comparison(pictures: Path, tmp_path: Path) -> None:
    data = driver.prepare(pictures, tmp_path, None)
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "peers" / "ddpm_creuset.py"), "float32", str(data), "2", "1"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["num_pictures"] == 200
    assert found["num_steps"] == 2
    assert found["loop_seconds"] > 0
    assert 0 < found["noise_error"] < 3
