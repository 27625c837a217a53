"""EfficientNet-Lite0: padding by hand, and ImageNet's classes on what they are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import nn

from creuset.assets import resolve
from creuset.pretrained.efficientnet import EfficientNetLite0, SameConv
from creuset.pretrained.features import efficientnet_lite0, extract

PLACES = {"china.jpg": 442, "flower.jpg": 985}
"""ImageNet's class of a bell cote, and of a daisy."""


@pytest.mark.parametrize(("size", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (9, 5, 2), (6, 5, 1)])
def test_same_padding_gives_more_to_the_right_and_lower_side(size: int, kernel: int, stride: int) -> None:
    conv = SameConv(1, 1, kernel, stride)
    nn.init.ones_(conv.weight)
    found = conv(torch.ones(1, 1, size, size))[0, 0]
    places = -(-size // stride)
    total = max((places - 1) * stride + kernel - size, 0)
    before = total // 2
    inside = [
        sum(0 <= place * stride - before + offset < size for offset in range(kernel))
        for place in range(places)
    ]
    expected = torch.tensor(inside)[:, None] * torch.tensor(inside)
    assert found.tolist() == expected.tolist()


def test_folding_leaves_the_function_as_it_is() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0().eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    pictures = torch.randint(0, 256, (2, 3, 30, 20)).float()
    before = network(pictures)
    network.fold()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(network(pictures), before, rtol=1e-4, atol=1e-5)


def test_the_layout_is_the_published_one() -> None:
    """4,652,008 trained numbers, as the authors of the Lite variants state (4.7M)."""
    assert sum(parameter.numel() for parameter in EfficientNetLite0().parameters()) == 4_652_008


@pytest.mark.starter
def test_the_trained_weights_see_what_is_in_a_picture(starter: Path) -> None:
    """A photograph that scikit-learn ships: a Chinese pavilion, to be told from a dahlia."""
    extractor = efficientnet_lite0(resolve("efficientnet-lite0").path)
    photographs = np.stack([load_sample_image("china.jpg"), load_sample_image("flower.jpg")])
    found = extract(photographs.transpose(0, 3, 1, 2), extractor)
    likeliest = extractor.logits(torch.from_numpy(np.array(found))).argmax(dim=1)
    assert likeliest.tolist() == [PLACES["china.jpg"], PLACES["flower.jpg"]]
