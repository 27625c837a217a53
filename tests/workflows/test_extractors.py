"""Extractors by name: a classifier's features are what its last layer reads, under its weights' hash."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from creuset.errors import BlockedError, DataError, NotFoundError, UsageError
from creuset.metrics.features import INCEPTION_SHA256
from creuset.pretrained.features import extract
from creuset.runs.folder import RunFolder
from creuset.workflows.extractors import open_extractor
from creuset.workflows.load import load
from creuset.workflows.train import train
from small_runs import CNN, write_recipe


def digits(num: int = 40) -> np.ndarray:
    """Grey pictures (N, 1, 8, 8)."""
    return np.random.default_rng(0).integers(0, 256, (num, 1, 8, 8), dtype=np.uint8)


def read_by_last_layer(model: Any, images: torch.Tensor) -> np.ndarray:
    seen = []
    hook = model.output.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    model.logits(images)
    hook.remove()
    return torch.cat(seen).numpy()


@pytest.mark.parametrize("name", ["cnn", "run:cnn"])
def test_a_classifier_gives_what_its_last_layer_reads(name: str, cnn: RunFolder) -> None:
    network, loaded = open_extractor(name), load(cnn)
    found = extract(digits(), network)
    images = torch.from_numpy(digits()).float() / 127.5 - 1
    assert found.shape == (40, network.num_features)
    np.testing.assert_allclose(found, read_by_last_layer(loaded.model, images), rtol=1e-5, atol=1e-5)
    scores = network.logits(torch.from_numpy(found)).numpy()
    np.testing.assert_allclose(scores, loaded.logits(digits().transpose(0, 2, 3, 1)), rtol=1e-4, atol=1e-5)
    assert (network.extractor.name, network.extractor.preprocessing) == ("cnn", "none")
    assert network.extractor.sha256 == loaded.checkpoint_hash


def test_it_takes_pictures_of_its_own_form_alone(cnn: RunFolder) -> None:
    network = open_extractor(str(cnn.path))
    message = (
        "the extractor cnn takes pictures of one form\n"
        "  got: 8 x 9 .height x width., colour\n"
        "  expected: 8 x 8 .height x width., grey, as it was trained on"
    )
    with pytest.raises(DataError, match=message):
        extract(np.zeros((2, 3, 8, 9), np.uint8), network)


def test_running_means_are_weights_of_their_own(workspace: Path) -> None:
    """The file of weights is the same with and without them, the features are not."""
    averaged, plain = (
        train(
            write_recipe(workspace, CNN, name),
            settings={"training.num_steps": 3, "training.ema_decay": decay},
            name=workspace / "runs" / name,
            measure=False,
        ).path
        for name, decay in (("averaged", 0.9), ("plain", 0.0))
    )
    assert load(averaged).checkpoint_hash == load(plain).checkpoint_hash
    first, second = open_extractor(str(averaged)), open_extractor(str(plain))
    assert first.extractor.sha256 != second.extractor.sha256
    assert first.extractor.sha256 == open_extractor(str(averaged)).extractor.sha256
    assert not np.array_equal(extract(digits(), first), extract(digits(), second))


@pytest.mark.parametrize(("name", "kind"), [("linear", "linear on images"), ("vae", "vae on images")])
def test_a_run_without_such_features_is_refused(
    name: str, kind: str, linear: RunFolder, vae: RunFolder
) -> None:
    message = f"{name}: this run gives no features of pictures\n  got: the family {kind}\n"
    with pytest.raises(UsageError, match=message):
        open_extractor(name)


def test_what_is_no_extractor_is_refused(tmp_path: Path, cnn: RunFolder) -> None:
    with pytest.raises(NotFoundError, match='no extractor "efficientnet-lite"; did you mean "efficientnet-l'):
        open_extractor("efficientnet-lite")
    with pytest.raises(NotFoundError, match='no run here; did you mean "cnn"'):
        open_extractor("cnm")
    with pytest.raises(NotFoundError, match=r"none\.pth: the weights of Inception v3 are not there"):
        open_extractor(str(tmp_path / "none.pth"))
    other = tmp_path / "other.pth"
    other.write_bytes(b"something else")
    with pytest.raises(BlockedError, match=INCEPTION_SHA256):
        open_extractor(str(other))


def test_an_asset_that_is_not_there_is_named_with_its_command() -> None:
    with pytest.raises(BlockedError, match="creuset models pull efficientnet-lite0"):
        open_extractor("efficientnet-lite0")


def test_the_asset_of_the_store(starter: Path) -> None:
    if not (starter / "models" / "efficientnet-lite0" / "model.safetensors").is_file():
        pytest.skip("needs efficientnet-lite0 (creuset models pull efficientnet-lite0)")
    network = open_extractor("efficientnet-lite0")
    grey = digits(2)
    found = extract(grey, network)
    assert found.shape == (2, network.num_features) == (2, 1280)
    np.testing.assert_allclose(found, extract(np.repeat(grey, 3, axis=1), network), rtol=1e-5, atol=1e-5)
