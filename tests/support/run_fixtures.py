"""Small trained runs as fixtures, each a copy in the test's own workspace."""

import os
from pathlib import Path

import pytest

from creuset.runs.folder import RunFolder
from small_runs import trained

__all__ = ["cnn", "denoiser", "linear", "pixelcnn", "runs", "vae", "vqvae", "workspace"]


@pytest.fixture
def workspace(own_places: None) -> Path:
    return Path(os.environ["CREUSET_WORKSPACE"])


@pytest.fixture
def runs(workspace: Path) -> Path:
    folder = workspace / "runs"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def vae(runs: Path) -> RunFolder:
    return trained("vae", runs)


@pytest.fixture
def vqvae(runs: Path) -> RunFolder:
    return trained("vqvae", runs)


@pytest.fixture
def cnn(runs: Path) -> RunFolder:
    return trained("cnn", runs)


@pytest.fixture
def linear(runs: Path) -> RunFolder:
    return trained("linear", runs)


@pytest.fixture
def denoiser(runs: Path) -> RunFolder:
    return trained("denoiser", runs)


@pytest.fixture
def pixelcnn(runs: Path) -> RunFolder:
    return trained("pixelcnn", runs)
