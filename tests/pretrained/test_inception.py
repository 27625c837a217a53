"""Inception v3 against torch-fidelity's, with the same random weights."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from creuset.pretrained.inception import InceptionV3, resize
from fidelity import fidelity


@pytest.fixture(scope="module")
def network() -> InceptionV3:
    """Random weights under which features still tell pictures apart: He's for the convolutions."""
    torch.manual_seed(0)
    network = InceptionV3().eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return network


@pytest.fixture(scope="module")
def peer(network: InceptionV3, tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    path: Path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(network.state_dict(), path)
    module = fidelity("feature_extractor_inceptionv3")
    return module.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
    )


@pytest.mark.parametrize("size", [(28, 28), (33, 75), (299, 299), (400, 310)])
def test_features_and_logits_are_those_of_torch_fidelity(
    network: InceptionV3, peer: nn.Module, size: tuple[int, int]
) -> None:
    pictures = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8)
    expected, expected_logits = peer(pictures)
    found = network(pictures.float())
    assert expected.std(dim=0).max() > 0.01, "the pictures must not look alike to the network"
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network.logits(found), expected_logits, rtol=1e-4, atol=1e-4)


def test_resize_is_that_of_tensorflow_1() -> None:
    other = fidelity("interpolate_compat_tensorflow").interpolate_bilinear_2d_like_tensorflow1x
    for height, width in [(8, 8), (28, 31), (299, 299), (333, 500)]:
        pictures = torch.randint(0, 256, (2, 3, height, width)).float()
        expected = other(pictures, size=(299, 299), align_corners=False)
        torch.testing.assert_close(resize(pictures, 299), expected, rtol=0, atol=1e-4)


def test_resize_keeps_the_first_pixel_in_its_corner() -> None:
    """By hand: two pixels to four are 0, 1/2, 1, 1 of the way, with no shift by half a pixel."""
    row = torch.tensor([0.0, 10.0]).view(1, 1, 1, 2).expand(1, 1, 2, 2)
    assert resize(row, 4)[0, 0, 0].tolist() == [0, 5, 10, 10]


def test_folding_leaves_the_function_as_it_is(network: InceptionV3) -> None:
    pictures = torch.randint(0, 256, (2, 3, 40, 30)).float()
    before = network(pictures)
    folded = copy.deepcopy(network)
    folded.fold()
    torch.testing.assert_close(folded(pictures), before, rtol=1e-3, atol=1e-3)
