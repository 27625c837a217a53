"""The comparison of GANs' steps trains like networks on like pictures; torch-mimicry is not needed here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark_programs import BENCHMARKS, grey_noise, program

driver = program("gan_steps")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"NUM_TRAINING": 200, "NUM_HELD_OUT": 100, "NUM_TESTED": 100}.items():
        monkeypatch.setattr(driver, name, size)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """300 training and 120 test pictures of grey noise."""
    return grey_noise(tmp_path, 300, 120)


def trained(peer: str, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "peers" / f"gan_{peer}.py"), *words],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.usefixtures("few")
def test_pictures_are_kept_apart_and_coloured(pictures: Path, tmp_path: Path) -> None:
    with np.load(driver.prepare(pictures, tmp_path)) as arrays, np.load(pictures) as grey:
        shapes = {name: array.shape for name, array in arrays.items()}
        first = arrays["train_images"][0]
        np.testing.assert_array_equal(first[2:-2, 2:-2, 1], grey["train_images"][0])
        np.testing.assert_array_equal(
            arrays["validation_images"][0, 2:-2, 2:-2, 0], grey["train_images"][200]
        )
    assert shapes == {
        "train_images": (200, 32, 32, 3),
        "validation_images": (100, 32, 32, 3),
        "test_images": (100, 32, 32, 3),
    }
    assert not first[:2].any()


def test_too_few_pictures_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="300 training pictures; at least 5500 are needed"):
        driver.prepare(pictures, tmp_path)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("kind", ["dcgan", "wgan_gp"])
def test_both_sides_train_networks_of_one_size(kind: str, pictures: Path, tmp_path: Path) -> None:
    data = str(driver.prepare(pictures, tmp_path))
    rows = {
        "plain torch": [trained("plain", kind, data, "1", "1", "0")],
        "creuset float32": [trained("creuset", "float32", kind, data, "1", "1", "0")],
    }
    driver.require_equal(rows, driver.EQUAL)
    for (row,) in rows.values():
        assert (row["num_pictures"], row["num_steps"]) == (200, 1)
        assert row["loop_seconds"] > 0
        assert np.isfinite(row["picture_distance"])
