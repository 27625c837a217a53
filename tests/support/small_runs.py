"""Small trainings on scikit-learn's digits: a second each, made once and copied."""

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.workflows.train import Run, train

VAE = """
model: {family: vae, size: tiny}
data: {source: digits, batch_size: 64}
training: {num_steps: 40, learning_rate: 2e-3, ema_decay: 0.9, log_every: 7, validate_every: 10,
           sample_every: 20, checkpoint_every: 8}
evaluation: {num_importance_samples: 3}
"""
CNN = """
model: {family: cnn, size: tiny}
data: {source: digits, batch_size: 64}
training: {num_steps: 40, learning_rate: 3e-3}
"""
LINEAR = """
model: {family: linear}
data: {source: digits}
"""
DENOISER = """
model: {family: autoencoder, size: tiny, noise: gaussian, noise_level: 0.3}
data: {source: digits, batch_size: 64}
training: {num_steps: 40, learning_rate: 2e-3}
"""
PIXELCNN = """
model: {family: pixelcnn, size: tiny, condition: class}
data: {source: digits, batch_size: 64}
training: {num_steps: 60, learning_rate: 5e-3}
evaluation: {suite: none}
"""
VQVAE = """
model: {family: vqvae, size: tiny, num_codes: 16, codebook_decay: 0.9}
data: {source: digits, batch_size: 64}
training: {num_steps: 60, learning_rate: 5e-3, checkpoint_every: 8}
"""
RECIPES = {
    "vae": VAE,
    "cnn": CNN,
    "linear": LINEAR,
    "denoiser": DENOISER,
    "pixelcnn": PIXELCNN,
    "vqvae": VQVAE,
}


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def write_recipe(folder: Path, text: str = VAE, name: str = "vae") -> Path:
    """A recipe's file below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def trained(name: str, folder: Path) -> RunFolder:
    """A copy, below `folder`, of the run that the recipe of this name gives; trained once a process."""
    copy = folder / name
    shutil.copytree(_original(name), copy)
    return RunFolder(copy)


@cache
def _original(name: str) -> Path:
    place = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, place)
    with mock.patch.dict(os.environ, CREUSET_HOME=str(place / "home"), CREUSET_WORKSPACE=str(place)):
        run: Run = train(write_recipe(place, RECIPES[name], name), name=place / name)
    return run.path


def journal(run: RunFolder) -> list[dict[str, Any]]:
    """The journal's lines without what depends on time, and without resume and stop events."""
    lines = [json.loads(line) for line in run.journal_path.read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key != "clock"}
        for line in lines
        if line["event"] not in ("resume", "stop")
    ]


def tensors(run: RunFolder) -> dict[str, bytes]:
    """The bytes of each tensor file of each checkpoint."""
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in run.checkpoints.glob("step-*/*.safetensors")
    }


def leftovers(folder: Path) -> list[str]:
    """Temporary files that something left."""
    return sorted(path.name for path in folder.rglob("*.tmp"))


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """Within the block no file grows beyond so many bytes: writing more fails as on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
