"""The real starter assets, where they have been pulled."""

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest
from safetensors import safe_open

from creuset.assets import CATALOGUE, resolve, verify

pytestmark = pytest.mark.starter

HOME = Path(os.environ.get("CREUSET_HOME") or Path.home() / ".local/share/creuset")
"""Read when the tests are collected: each test has a home of its own."""


@pytest.fixture(autouse=True)
def real_home(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [asset.name for asset in CATALOGUE.values() if asset.starter]
    missing = [name for name in names if not (HOME / "models" / name / "asset.json").is_file()]
    if missing:
        pytest.skip(f"not pulled: {', '.join(missing)} (creuset models pull starter)")
    monkeypatch.setenv("CREUSET_HOME", str(HOME))


def test_every_byte_is_as_pinned() -> None:
    assert {asset.name: verify(asset.name) for asset in CATALOGUE.values() if asset.starter} == {
        "smollm2-135m": [],
        "minilm": [],
        "efficientnet-lite0": [],
        "mnist-5k": [],
    }


def test_mnist_5k_is_what_it_says() -> None:
    file = resolve("pip:mnist-5k").file
    assert file is not None
    with gzip.open(file, "rt") as lines:
        rows = [line.rstrip("\n").split(",") for line in lines]
    assert {len(row) for row in rows} == {785}
    assert Counter(row[-1] for row in rows) == {str(digit): 500 for digit in range(10)}


def test_weights_open_without_pickle() -> None:
    gguf = resolve("pip:smollm2-135m").file
    assert gguf is not None
    with gguf.open("rb") as stream:
        assert stream.read(4) == b"GGUF"
    for name, tensor, shape in [
        ("minilm", "embeddings.word_embeddings.weight", [30522, 384]),
        ("efficientnet-lite0", "_conv_stem.weight", [32, 3, 3, 3]),
    ]:
        with safe_open(resolve(f"pip:{name}").file, "pt") as weights:
            assert weights.get_slice(tensor).get_shape() == shape
