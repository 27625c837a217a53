"""Extractors, and features kept under all that decides them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from creuset.errors import BlockedError, DataError, NotFoundError
from creuset.metrics.features import INCEPTION_SHA256, Extractor
from creuset.pretrained.efficientnet import EfficientNetLite0
from creuset.pretrained.features import FeatureNetwork, efficientnet_lite0, extract, inception_v3


class Mean:
    """An extractor of the mean of each channel; counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return pictures.mean(dim=(2, 3))


def mean_extractor(
    network: Mean, weights: str = "0" * 64, shape: tuple[int, int, int] | None = None
) -> FeatureNetwork:
    return FeatureNetwork(
        extractor=Extractor(name="mean", sha256=weights),
        num_features=3 if shape is None else shape[0],
        features=network,
        logits=lambda found: found,
        shape=shape,
    )


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (10, 3, 4, 5), dtype=np.uint8)


def test_features_come_in_the_order_of_the_pictures(pictures: np.ndarray) -> None:
    found = extract(pictures, mean_extractor(Mean()), batch_size=3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pictures.mean(axis=(2, 3)), rtol=1e-6)


def test_a_grey_picture_is_copied_to_three_channels(pictures: np.ndarray) -> None:
    grey = pictures[:, :1]
    found = extract(grey, mean_extractor(Mean()))
    np.testing.assert_allclose(found, np.repeat(grey.mean(axis=(2, 3)), 3, axis=1), rtol=1e-6)


def test_a_network_of_one_shape_gets_pictures_as_they_are(pictures: np.ndarray) -> None:
    grey = pictures[:, :1]
    found = extract(grey, mean_extractor(Mean(), shape=(1, 4, 5)))
    np.testing.assert_allclose(found, grey.mean(axis=(2, 3)), rtol=1e-6)
    with pytest.raises(DataError, match=r"got: 4 x 5 .height x width., colour\n  expected: 4 x 5 .*, grey"):
        extract(pictures, mean_extractor(Mean(), shape=(1, 4, 5)))


def test_kept_features_are_used_for_the_same_pictures_and_weights_only(
    pictures: np.ndarray, tmp_path: Path
) -> None:
    network = Mean()
    first = extract(pictures, mean_extractor(network), cache=tmp_path, batch_size=10)
    assert network.calls == 1
    again = extract(pictures, mean_extractor(network), cache=tmp_path, batch_size=10)
    assert network.calls == 1
    np.testing.assert_array_equal(first, again)
    extract(pictures, mean_extractor(network, weights="1" * 64), cache=tmp_path, batch_size=10)
    changed = pictures.copy()
    changed[9, 2, 3, 4] ^= 1
    extract(changed, mean_extractor(network), cache=tmp_path, batch_size=10)
    assert network.calls == 3


def test_a_damaged_file_of_kept_features_is_made_again(pictures: np.ndarray, tmp_path: Path) -> None:
    network = Mean()
    first = np.array(extract(pictures, mean_extractor(network), cache=tmp_path, batch_size=10))
    (kept,) = tmp_path.glob("*.npy")
    kept.write_bytes(kept.read_bytes()[:-20])
    np.testing.assert_array_equal(
        extract(pictures, mean_extractor(network), cache=tmp_path, batch_size=10), first
    )
    assert network.calls == 2


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (np.zeros((2, 3, 4, 4), np.float32), "got: float32"),
        (np.zeros((2, 2, 4, 4), np.uint8), "expected: uint8 .pictures, 1 or 3 channels"),
        (np.zeros((0, 3, 4, 4), np.uint8), "no pictures"),
    ],
)
def test_what_is_no_pictures_is_refused(wrong: np.ndarray, text: str) -> None:
    with pytest.raises(DataError, match=text):
        extract(wrong, mean_extractor(Mean()))


def test_efficientnet_reads_its_own_weights_strictly(tmp_path: Path) -> None:
    network = EfficientNetLite0().eval()
    path = tmp_path / "model.safetensors"
    save_file(network.state_dict(), path)
    network_of_features = efficientnet_lite0(tmp_path)
    found = extract(np.full((2, 1, 28, 28), 7, np.uint8), network_of_features)
    assert found.shape == (2, 1280)
    assert not network_of_features.extractor.is_inception
    tensors = network.state_dict()
    del tensors["_conv_head.weight"]
    save_file(tensors, path)
    with pytest.raises(BlockedError, match="_conv_head"):
        efficientnet_lite0(tmp_path)


def test_weights_that_are_not_there_or_not_inception(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="creuset models pull efficientnet-lite0"):
        efficientnet_lite0(tmp_path)
    with pytest.raises(NotFoundError, match="Inception v3"):
        inception_v3(tmp_path / "none.pth")
    other = tmp_path / "other.pth"
    other.write_bytes(b"something else")
    with pytest.raises(BlockedError, match=re.escape(INCEPTION_SHA256)):
        inception_v3(other)
