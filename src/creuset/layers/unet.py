"""The U-Net: pictures to pictures, steered by a vector that says the time and what is asked for.

    patches -> stage -> half -> stage -> half -> ... -> middle -> ... -> double -> stage -> patches

A stage on the way up reads what the stage of its size gave on the way down.

Source: Ronneberger et al. 2015, "U-Net"; residual blocks with group norm: Ho et al. 2020, "Denoising
Diffusion Probabilistic Models", appendix B; scale and shift behind the second norm: Dhariwal & Nichol 2021,
"Diffusion Models Beat GANs on Image Synthesis", section 3.
Departures, for speed on a processor: patches of pixels become channels before the first stage; each stage,
not each block, hands its result across; attention at the coarsest stage alone; no dropout.

Legend of shapes: B batch, C channels, H height, W width, P pixels of a patch's side, E features of the
vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.layers.attention import AttentionConfig, MultiHeadAttention
from creuset.layers.convolution import num_groups
from creuset.layers.masks import AttentionMask

_MOST_HEAD_FEATURES = 32


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """The form of a U-Net.

    Args:
        channels: Channels of each stage, from the finest on; each but the last is followed by a halving.
        num_blocks: Residual blocks of a stage, each way.
        patch_size: P; height and width are multiples of it.
        attention: Whether the pixels of the coarsest stage attend to each other.
        embed_dim: E.
        num_outputs: Numbers that come out for each channel of a pixel, side by side as channels.
    """

    channels: tuple[int, ...]
    num_blocks: int
    patch_size: int
    attention: bool
    embed_dim: int
    num_outputs: int = 1


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))) (1 + scale) + shift)), scale and shift from the vector.

    Args:
        channels_in: Channels of the input; where they are not those of the output, x goes through a 1 x 1
            convolution.
        channels_out: Channels of the output.
        embed_dim: E.
    """

    def __init__(self, channels_in: int, channels_out: int, embed_dim: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(num_groups(channels_in), channels_in)
        # the second norm subtracts what a bias adds, and the vector's shift brings another
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.modulation = nn.Linear(embed_dim, 2 * channels_out)
        self.second_norm = nn.GroupNorm(num_groups(channels_out), channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        same = channels_in == channels_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(B, channels_in, H, W) and (B, E) -> (B, channels_out, H, W)."""
        scale, shift = self.modulation(vector)[:, :, None, None].chunk(2, dim=1)  # (B, C, 1, 1)
        hidden = self.first(functional.silu(self.first_norm(x)))
        hidden = functional.silu(torch.addcmul(shift, self.second_norm(hidden), 1 + scale))
        out: Tensor = self.shortcut(x) + self.second(hidden)
        return out


class PixelAttention(nn.Module):
    """x + attention(norm(x)), each pixel reading all others of its picture.

    Args:
        channels: Channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        num_heads = max(1, channels // _MOST_HEAD_FEATURES)
        self.norm = nn.GroupNorm(num_groups(channels), channels)
        self.attention = MultiHeadAttention(
            AttentionConfig(
                embed_dim=channels,
                num_heads=num_heads,
                num_kv_heads=num_heads,
                head_dim=channels // num_heads,
                output_bias=True,
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        pixels = self.norm(x).flatten(2).transpose(1, 2)  # (B, H W, C)
        attended = self.attention(pixels, AttentionMask())
        out: Tensor = x + attended.transpose(1, 2).unflatten(2, x.shape[2:])
        return out


class Stage(nn.Module):
    """Residual blocks one after another.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of each block's output.
        num_blocks: At least 1.
        embed_dim: E.
    """

    def __init__(self, channels_in: int, channels_out: int, num_blocks: int, embed_dim: int) -> None:
        super().__init__()
        widths = [channels_in, *[channels_out] * num_blocks]
        self.blocks = nn.ModuleList(ResidualBlock(a, b, embed_dim) for a, b in pairwise(widths))

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(B, channels_in, H, W) and (B, E) -> (B, channels_out, H, W)."""
        for block in self.blocks:
            x = block(x, vector)
        return x


class UNet(nn.Module):
    """Pictures to pictures of the same size. Sizes that do not halve evenly are rounded up on the way down.

    Args:
        image_shape: (C, H, W), H and W multiples of the patches' side.
        config: Its form.
    """

    def __init__(self, image_shape: tuple[int, int, int], config: UNetConfig) -> None:
        super().__init__()
        channels, embed_dim = config.channels, config.embed_dim
        numbers = image_shape[0] * config.patch_size**2
        self.patch_size = config.patch_size
        self.input = nn.Conv2d(numbers, channels[0], 3, padding=1)
        self.down = nn.ModuleList(Stage(c, c, config.num_blocks, embed_dim) for c in channels[:-1])
        self.halve = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(channels))
        self.middle = Stage(channels[-1], channels[-1], config.num_blocks, embed_dim)
        self.attention = PixelAttention(channels[-1]) if config.attention else None
        self.last = Stage(channels[-1], channels[-1], config.num_blocks, embed_dim)
        self.refine = _refinements(channels)
        self.up = nn.ModuleList(Stage(2 * c, c, config.num_blocks, embed_dim) for c in channels[-2::-1])
        self.norm = nn.GroupNorm(num_groups(channels[0]), channels[0])
        self.output = nn.Conv2d(channels[0], numbers * config.num_outputs, 3, padding=1)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(B, C, H, W) and (B, E) -> (B, C num_outputs, H, W)."""
        vector = functional.silu(vector)
        # pixels beside their channels: a processor convolves this order without copying it
        x = functional.pixel_unshuffle(x, self.patch_size).contiguous(memory_format=torch.channels_last)
        x = self.input(x)
        kept = []
        for stage, halve in zip(self.down, self.halve, strict=True):
            x = stage(x, vector)
            kept.append(x)
            x = halve(x)
        x = self.middle(x, vector)
        if self.attention is not None:
            x = self.attention(x)
        x = self.last(x, vector)
        for refine, stage in zip(self.refine, self.up, strict=True):
            across = kept.pop()
            x = functional.interpolate(refine(x), size=across.shape[2:], mode="nearest")
            x = stage(torch.cat([x, across], dim=1), vector)
        out = self.output(functional.silu(self.norm(x)))
        return functional.pixel_shuffle(out, self.patch_size).contiguous()


def _refinements(channels: Sequence[int]) -> nn.ModuleList:
    """What brings each stage's channels to those of the next finer one, before pixels are repeated."""
    pairs = list(pairwise(channels))
    return nn.ModuleList(nn.Conv2d(wide, narrow, 3, padding=1) for narrow, wide in reversed(pairs))
