"""What all tests share: one thread, no network, signals as in a terminal, where the development data and the
starter assets lie, and a home and workspace of their own."""

import os
import signal
import sys
from pathlib import Path

import pytest

from loopback_only import refuse_network

ROOT = Path(__file__).resolve().parent.parent
NO_NETWORK = ROOT / "tests" / "support" / "no_network"
STARTER_HOME = Path(os.environ.get("CREUSET_HOME") or Path.home() / ".local" / "share" / "creuset")
"""Read before any test moves it: where `creuset models pull starter` put the assets."""

# Models this small run no faster on two threads, and two workers then share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# transformers imports torchvision where it is installed, as torch-fidelity asks for; its usual wheel does not
# fit torch's processor build, and no test needs it.
sys.modules["torchvision"] = None  # type: ignore[assignment]

# Held to loopback from before the first test, and so is each Python that a test starts.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(NO_NETWORK), os.environ.get("PYTHONPATH")]))
refuse_network()

# A test session begun by nohup, or in a script's background, ignores these, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("CREUSET_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the development data, which is not at {folder}")
    return folder


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a home and a workspace of its own, and is offline."""
    place = tmp_path_factory.mktemp("creuset")
    monkeypatch.setenv("CREUSET_HOME", str(place / "home"))
    monkeypatch.setenv("CREUSET_WORKSPACE", str(place / "workspace"))
    monkeypatch.setenv("CREUSET_OFFLINE", "1")


@pytest.fixture
def starter(own_places: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home with the starter assets; the test is skipped where they were not pulled."""
    if not (STARTER_HOME / "models" / "mnist-5k" / "asset.json").is_file():
        pytest.skip("needs the starter assets (creuset models pull starter)")
    monkeypatch.setenv("CREUSET_HOME", str(STARTER_HOME))
    return STARTER_HOME


@pytest.fixture(scope="module")
def model_file() -> Path:
    """The GGUF file of the SmolLM2 starter; the test is skipped where it was not pulled."""
    from creuset.assets import resolve
    from creuset.errors import BlockedError, NotFoundError

    try:
        found = resolve("smollm2-135m")
    except (NotFoundError, BlockedError):
        pytest.skip("needs the starter assets (creuset models pull starter)")
    assert found.file is not None
    return found.file
