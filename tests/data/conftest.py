"""Small sources that the tests of this folder share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.errors import NotFoundError
from creuset.recipe.sections import DataConfig


@pytest.fixture
def pictures() -> Callable[..., NDArray[np.uint8]]:
    """Random pictures (N, H, W) or, with channels, (N, H, W, C); all different."""

    def make(number: int, height: int = 6, width: int = 5, channels: int = 0, seed: int = 0) -> Any:
        shape = (number, height, width) + ((channels,) if channels else ())
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    return make


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Writes {path: pixels or text} below a new folder and returns it."""

    def write(files: Mapping[str, Any]) -> Path:
        root = tmp_path / "pictures"
        root.mkdir()
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                Image.fromarray(content).save(path)
        return root

    return write


@pytest.fixture
def load() -> Callable[..., Dataset]:
    """`load_data` with settings as keywords, where no name but those of `known` can be resolved."""

    def run(
        source: Any, *, seed: int = 0, known: Mapping[str, Path] | None = None, **settings: Any
    ) -> Dataset:
        def resolve(name: str) -> Path:
            if name not in (known or {}):
                raise NotFoundError(f'"{name}" is not there')
            return (known or {})[name]

        return load_data(DataConfig(source=str(source), **settings), seed=seed, resolve=resolve)

    return run
