"""Convolution stages that halve or double a picture, with group norm.

Source: Wu & He 2018, "Group Normalization". Batch norm is not used here: it makes what a sample gives
depend on the other samples of its slice.

Legend of shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from creuset.layers.feedforward import Activation, make_activation

_MAX_GROUPS = 8
_MIN_GROUP_CHANNELS = 4
"""Channels of a group, where there are as many: a group of one channel on a map of one pixel is a single
number, of which a norm leaves nothing."""


class ConvBlock(nn.Module):
    """3x3 convolution, group norm, activation.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: 1 keeps the picture's size, 2 halves it, rounding up.
        activation: What follows the norm.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, stride: int = 1, activation: Activation = "relu"
    ) -> None:
        super().__init__()
        # The norm subtracts what a bias adds, up to differences within a group, and brings its own.
        self.convolution = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.GroupNorm(num_groups(channels_out), channels_out)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, ceil(H / stride), ceil(W / stride))."""
        out: Tensor = self.activation(self.norm(self.convolution(x)))
        return out


def num_groups(channels: int) -> int:
    """The groups of a norm over so many channels: at most 8, of equal sizes, of 4 channels or more."""
    fitting = range(1, min(_MAX_GROUPS, channels // _MIN_GROUP_CHANNELS) + 1)
    return max((number for number in fitting if channels % number == 0), default=1)


class ConvEncoder(nn.Module):
    """One stage for each number of `channels`: a block that halves the picture, and one that keeps its size.

    Args:
        channels_in: Channels of the picture.
        channels: Channels of each stage.
        activation: What follows each norm.
    """

    def __init__(self, channels_in: int, channels: Sequence[int], activation: Activation = "relu") -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for channels_out in channels:
            blocks.append(ConvBlock(channels_in, channels_out, stride=2, activation=activation))
            blocks.append(ConvBlock(channels_out, channels_out, activation=activation))
            channels_in = channels_out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, channels[-1], h, w), with h and w as `stage_sizes` tells."""
        out: Tensor = self.blocks(x)
        return out


class ConvDecoder(nn.Module):
    """The mirror of ConvEncoder: each stage repeats pixels to the size before and convolves.

    Args:
        channels: Channels of each stage of the encoder, from the picture on; the decoder goes through them
            from the last to the first.
        channels_out: Channels of the result.
        image_size: Height and width of the result.
        activation: What follows each norm.
    """

    def __init__(
        self,
        channels: Sequence[int],
        channels_out: int,
        image_size: tuple[int, int],
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.sizes = stage_sizes(image_size, len(channels))[-2::-1]
        narrower = [channels[0], *channels[:-1]][::-1]
        self.blocks = nn.ModuleList(
            ConvBlock(wide, narrow, activation=activation)
            for wide, narrow in zip(reversed(channels), narrower, strict=True)
        )
        self.output = nn.Conv2d(channels[0], channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels[-1], h, w) -> (B, channels_out, H, W), any real number."""
        for size, block in zip(self.sizes, self.blocks, strict=True):
            x = block(functional.interpolate(x, size=size, mode="nearest"))
        out: Tensor = self.output(x)
        return out


def stage_sizes(image_size: tuple[int, int], num_stages: int) -> list[tuple[int, int]]:
    """Height and width before the first and after each of `num_stages` stages, each half, rounded up."""
    sizes = [image_size]
    for _ in range(num_stages):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes
