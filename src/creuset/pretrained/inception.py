"""Inception v3 as the Fréchet inception distance uses it: the network of 2015-12-05, written out as tables.

Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", table 1; the weights
are those of the TensorFlow graph "2015-12-05", converted to torch as pt_inception-2015-12-05-6726825d.pth.
Departures from the paper that belong to these weights: average pools leave the padding out of the mean; the
last block pools by maximum; 1,008 classes; no auxiliary classifier. Names of modules are those of the file.

Legend of shapes: B batch, H height, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIDE = 299
"""Height and width of what the network reads."""
NUM_FEATURES = 2048
NUM_CLASSES = 1008

Size = int | tuple[int, int]


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, batch norm and ReLU; padded to keep its input's size where its stride is 1.

    Args:
        name: The module's name in the weights.
        channels: Channels out.
        kernel: Height and width.
        stride: 2 halves the picture, without padding.
    """

    name: str
    channels: int
    kernel: Size = 1
    stride: int = 1
    padded: bool = True


@dataclass(frozen=True)
class Fork:
    """Two convolutions side by side on one input, their channels joined."""

    left: Conv
    right: Conv


Pool = Literal["average", "maximum", "halve"]
"""3 x 3: an average or a maximum that keep the size, or a maximum of stride 2 without padding."""
Branch = tuple[Conv | Fork | Pool, ...]


def _block_35(pool_channels: int) -> tuple[Branch, ...]:
    """The block on 35 x 35 maps (the paper's figure 5)."""
    return (
        (Conv("branch1x1", 64),),
        (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, 5)),
        (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, 3), Conv("branch3x3dbl_3", 96, 3)),
        ("average", Conv("branch_pool", pool_channels)),
    )


def _block_17(inner: int) -> tuple[Branch, ...]:
    """The block on 17 x 17 maps, 7 x 7 as 1 x 7 and 7 x 1 (figure 6)."""
    return (
        (Conv("branch1x1", 192),),
        (
            Conv("branch7x7_1", inner),
            Conv("branch7x7_2", inner, (1, 7)),
            Conv("branch7x7_3", 192, (7, 1)),
        ),
        (
            Conv("branch7x7dbl_1", inner),
            Conv("branch7x7dbl_2", inner, (7, 1)),
            Conv("branch7x7dbl_3", inner, (1, 7)),
            Conv("branch7x7dbl_4", inner, (7, 1)),
            Conv("branch7x7dbl_5", 192, (1, 7)),
        ),
        ("average", Conv("branch_pool", 192)),
    )


def _block_8(pool: Pool) -> tuple[Branch, ...]:
    """The block on 8 x 8 maps, with forks (figure 7)."""
    return (
        (Conv("branch1x1", 320),),
        (
            Conv("branch3x3_1", 384),
            Fork(Conv("branch3x3_2a", 384, (1, 3)), Conv("branch3x3_2b", 384, (3, 1))),
        ),
        (
            Conv("branch3x3dbl_1", 448),
            Conv("branch3x3dbl_2", 384, 3),
            Fork(Conv("branch3x3dbl_3a", 384, (1, 3)), Conv("branch3x3dbl_3b", 384, (3, 1))),
        ),
        (pool, Conv("branch_pool", 192)),
    )


_HALVE_35: tuple[Branch, ...] = (
    (Conv("branch3x3", 384, 3, stride=2),),
    (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, 3), Conv("branch3x3dbl_3", 96, 3, stride=2)),
    ("halve",),
)
_HALVE_17: tuple[Branch, ...] = (
    (Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, 3, stride=2)),
    (
        Conv("branch7x7x3_1", 192),
        Conv("branch7x7x3_2", 192, (1, 7)),
        Conv("branch7x7x3_3", 192, (7, 1)),
        Conv("branch7x7x3_4", 192, 3, stride=2),
    ),
    ("halve",),
)

_STEM: tuple[Conv | Pool, ...] = (
    Conv("Conv2d_1a_3x3", 32, 3, stride=2),
    Conv("Conv2d_2a_3x3", 32, 3, padded=False),
    Conv("Conv2d_2b_3x3", 64, 3),
    "halve",
    Conv("Conv2d_3b_1x1", 80),
    Conv("Conv2d_4a_3x3", 192, 3, padded=False),
    "halve",
)

_BLOCKS: dict[str, tuple[Branch, ...]] = {
    "Mixed_5b": _block_35(32),
    "Mixed_5c": _block_35(64),
    "Mixed_5d": _block_35(64),
    "Mixed_6a": _HALVE_35,
    "Mixed_6b": _block_17(128),
    "Mixed_6c": _block_17(160),
    "Mixed_6d": _block_17(160),
    "Mixed_6e": _block_17(192),
    "Mixed_7a": _HALVE_17,
    "Mixed_7b": _block_8("average"),
    "Mixed_7c": _block_8("maximum"),
}


class ConvUnit(nn.Module):
    """What a `Conv` of the tables says."""

    def __init__(self, in_channels: int, unit: Conv) -> None:
        super().__init__()
        kernel = (unit.kernel, unit.kernel) if isinstance(unit.kernel, int) else unit.kernel
        keeps_size = unit.padded and unit.stride == 1
        padding = (kernel[0] // 2, kernel[1] // 2) if keeps_size else 0
        self.conv = nn.Conv2d(in_channels, unit.channels, kernel, unit.stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(unit.channels, eps=0.001)

    def fold(self) -> None:
        """Works the batch norm into the convolution, for use only: the same function up to rounding."""
        assert isinstance(self.bn, nn.BatchNorm2d)
        self.conv, self.bn = fuse_conv_bn_eval(self.conv, self.bn), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class Block(nn.Module):
    """Branches side by side on one input, their channels joined.

    Args:
        in_channels: Channels of the input.
        branches: What each branch does, from its first step to its last.
    """

    def __init__(self, in_channels: int, branches: Sequence[Branch]) -> None:
        super().__init__()
        self.branches = tuple(branches)
        self.out_channels = 0
        for branch in branches:
            channels = in_channels
            for step in branch:
                for unit in _units(step):
                    self.add_module(unit.name, ConvUnit(channels, unit))
                channels = sum(unit.channels for unit in _units(step)) or channels
            self.out_channels += channels

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for branch in self.branches:
            hidden = x
            for step in branch:
                hidden = self._step(step, hidden)
            outputs.append(hidden)
        return torch.cat(outputs, dim=1)

    def _step(self, step: Conv | Fork | Pool, x: Tensor) -> Tensor:
        if isinstance(step, str):
            return _pool(step, x)
        return torch.cat([self.get_submodule(unit.name)(x) for unit in _units(step)], dim=1)


class InceptionV3(nn.Module):
    """Pictures to 2,048 features and to logits of 1,008 classes."""

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for step in _STEM:
            if isinstance(step, Conv):
                self.add_module(step.name, ConvUnit(channels, step))
                channels = step.channels
        for name, branches in _BLOCKS.items():
            block = Block(channels, branches)
            self.add_module(name, block)
            channels = block.out_channels
        self.fc = nn.Linear(NUM_FEATURES, NUM_CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Features (B, 2048), the mean over the last maps.

        Args:
            pictures: uint8 values as floats in [0, 255], RGB, (B, 3, H, W) of any size.
        """
        x = (resize(pictures, SIDE) - 128) / 128
        for step in _STEM:
            x = self.get_submodule(step.name)(x) if isinstance(step, Conv) else _pool(step, x)
        for name in _BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean(dim=(2, 3))

    def fold(self) -> None:
        """Works each batch norm into its convolution, for use only."""
        for module in self.modules():
            if isinstance(module, ConvUnit):
                module.fold()

    def logits(self, features: Tensor) -> Tensor:
        """Unnormalised log probabilities (B, 1008) without the last layer's bias, as the Inception score
        takes them."""
        return features @ self.fc.weight.T


def resize(pictures: Tensor, side: int) -> Tensor:
    """Bilinear interpolation as TensorFlow 1 made it: pixel i of the result lies at i x (old / new), with no
    shift by half a pixel and no smoothing (B, C, H, W) -> (B, C, side, side)."""
    for axis in (2, 3):
        length = pictures.shape[axis]
        # the product in float32, as in TensorFlow: its rounding decides which two pixels are mixed
        places = torch.arange(side, device=pictures.device, dtype=torch.float32) * (length / side)
        low = places.long()
        high = (low + 1).clamp(max=length - 1)
        share = (places - low).to(pictures.dtype)
        share = share[:, None] if axis == 2 else share
        below = pictures.index_select(axis, low)
        pictures = below + (pictures.index_select(axis, high) - below) * share
    return pictures


def _units(step: Conv | Fork | Pool) -> tuple[Conv, ...]:
    if isinstance(step, Fork):
        return (step.left, step.right)
    return (step,) if isinstance(step, Conv) else ()


def _pool(kind: Pool, x: Tensor) -> Tensor:
    if kind == "average":
        return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    if kind == "maximum":
        return functional.max_pool2d(x, 3, stride=1, padding=1)
    return functional.max_pool2d(x, 3, stride=2)
