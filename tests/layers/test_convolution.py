"""Convolution stages: their sizes, and that samples do not influence each other."""

import pytest
import torch

from creuset.layers.convolution import ConvBlock, ConvDecoder, ConvEncoder, stage_sizes


def test_stage_sizes_round_up() -> None:
    assert stage_sizes((28, 9), 3) == [(28, 9), (14, 5), (7, 3), (4, 2)]


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (9, 13)])
@pytest.mark.parametrize("channels", [(4,), (6, 8, 5)])
def test_decoder_mirrors_the_encoder(size: tuple[int, int], channels: tuple[int, ...]) -> None:
    images = torch.randn(2, 3, *size)
    maps = ConvEncoder(3, channels)(images)
    assert maps.shape == (2, channels[-1], *stage_sizes(size, len(channels))[-1])
    assert ConvDecoder(channels, 6, size)(maps).shape == (2, 6, *size)


def test_a_sample_s_map_is_its_own() -> None:
    block = ConvBlock(2, 8, stride=2).double()
    images = torch.randn(5, 2, 7, 7, dtype=torch.float64)
    torch.testing.assert_close(block(images)[1:3], block(images[1:3]))


def test_norm_does_not_depend_on_the_scale_of_the_input() -> None:
    block = ConvBlock(1, 8).double()
    images = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(block(1000 * images), block(100 * images), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("channels", "groups"), [(64, 8), (12, 3), (8, 2), (5, 1), (40, 8), (3, 1)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert ConvBlock(1, channels).norm.num_groups == groups


def test_a_map_of_one_pixel_still_tells_pictures_apart() -> None:
    block = ConvBlock(1, 8, stride=2)
    one, other = block(torch.randn(2, 1, 1, 1)), block(torch.randn(1, 1, 2, 2))
    assert other.shape == (1, 8, 1, 1)
    assert not torch.allclose(one[0], one[1])
