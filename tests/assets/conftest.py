"""The fake index that the tests of assets share."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load_fakes() -> ModuleType:
    path = Path(__file__).with_name("fake_wheels.py")
    spec = importlib.util.spec_from_file_location("fake_wheels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fake_wheels"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fakes() -> ModuleType:
    """The module fake_wheels.py."""
    return _load_fakes()


@pytest.fixture
def shelf(fakes: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An index of small wheels that pip can download from, their catalogue, and an empty hub cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("CREUSET_OFFLINE")
    shelf = fakes.Shelf(tmp_path / "index")
    for variable, value in fakes.pip_environment(shelf.folder).items():
        monkeypatch.setenv(variable, value)
    return shelf
