"""The programs of benchmarks/, as modules for tests, and pictures for them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from source_tree import ROOT

BENCHMARKS = ROOT / "benchmarks"


def program(name: str) -> ModuleType:
    """A program as a module, without running it.

    Args:
        name: Its path below benchmarks/, without the ending, such as "peers/measuring".
    """
    path = BENCHMARKS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    beside = str(path.parent)  # where Python looks first for what a program imports
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(beside)
    return module


def grey_noise(folder: Path, num_training: int, num_test: int) -> Path:
    """A file of pictures as mnist.npz has them, of grey noise."""
    generator = np.random.default_rng(5)
    path = folder / "grey.npz"
    arrays = {
        f"{split}_images": generator.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        for split, size in (("train", num_training), ("test", num_test))
    }
    np.savez(path, **arrays)
    return path
