"""What tests share: where the development data lies, and a home and workspace of their own."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("CREUSET_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the development data, which is not at {folder}")
    return folder


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a home and a workspace of its own, and no network."""
    place = tmp_path_factory.mktemp("creuset")
    monkeypatch.setenv("CREUSET_HOME", str(place / "home"))
    monkeypatch.setenv("CREUSET_WORKSPACE", str(place / "workspace"))
    monkeypatch.setenv("CREUSET_OFFLINE", "1")
