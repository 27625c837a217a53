"""Pictures to vectors and back, with and without convolution stages."""

import pytest
import torch
from torch import nn

from creuset.layers.encoder import PictureDecoder, PictureEncoder


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (2, 9, 15)])
@pytest.mark.parametrize("channels", [(), (4,), (4, 6)])
@pytest.mark.parametrize("hidden_dims", [(), (10, 7)])
def test_shapes(shape: tuple[int, int, int], channels: tuple[int, ...], hidden_dims: tuple[int, ...]) -> None:
    images = torch.randn(2, *shape)
    codes = PictureEncoder(shape, channels, hidden_dims, 5)(images)
    assert codes.shape == (2, 5)
    assert PictureDecoder(5, hidden_dims, channels, shape)(codes).shape == images.shape


def test_dense_encoder_is_the_stack_of_the_literature() -> None:
    encoder = PictureEncoder((1, 28, 28), (), (500, 500), 40)
    decoder = PictureDecoder(40, (500, 400), (), (1, 28, 28))
    widths = [
        (layer.in_features, layer.out_features)
        for layer in [*encoder.modules(), *decoder.modules()]
        if isinstance(layer, nn.Linear)
    ]
    assert widths == [(784, 500), (500, 500), (500, 40), (40, 400), (400, 500), (500, 784)]
