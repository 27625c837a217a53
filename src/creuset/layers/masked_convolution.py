"""Convolutions that see a picture in raster order alone: for each pixel what comes before it, row by row.

Two kinds share the work, so that together they see every earlier pixel, without a blind spot:

    vertical     what lies in the rows above a pixel, on both sides of its column
    horizontal   what lies to the left of a pixel in its own row, and the earlier colours of the pixel itself

Mask A is for the picture: a pixel does not see itself. Mask B is for features, which know no more than what
lies before their pixel, so that those of the pixel itself may be seen too.

Of a picture with several colours a pixel's colours come one after another. Channels of features then belong
to colours: in `repeats` equal parts, each of which holds the channels of the first colour, of the second and
so on. Features of a colour know the earlier colours of their pixel.

Source: van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", section 2.3; masks A
and B and the order of colours: van den Oord et al. 2016, "Pixel Recurrent Neural Networks", section 3.4.
Departure: what a mask hides for all channels is no part of the kernel, so that it costs nothing.

Legend of shapes: B batch, C channels, H height, W width, K kernel size.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Mask = Literal["A", "B"]


class VerticalConvolution(nn.Module):
    """Sees the rows above: of a picture (A) rows i - K // 2 to i - 1, of features (B) row i as well.

    Features of row i may be seen at row i since they know the rows above it alone.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        kernel_size: K, odd; above 1 for mask A.
        mask: What the input is.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int, mask: Mask) -> None:
        super().__init__()
        reach = _reach(kernel_size)
        self.num_rows = reach if mask == "A" else reach + 1
        if not self.num_rows:
            raise ValueError(f"a kernel of {kernel_size} with mask A sees no row")
        self._below = 0 if mask == "A" else 1
        self.convolution = nn.Conv2d(
            channels_in, channels_out, (self.num_rows, kernel_size), padding=(0, reach)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, H, W)."""
        return self.read(functional.pad(x, (0, 0, self.num_rows - self._below, self._below - 1)))

    def read(self, rows: Tensor) -> Tensor:
        """What the next row is given: the `num_rows` rows that it sees, (B, channels_in, num_rows, W) ->
        (B, channels_out, 1, W); of more rows, as many more."""
        out: Tensor = self.convolution(rows)
        return out


class HorizontalConvolution(nn.Module):
    """Sees the pixels j - K // 2 to j of a row, of the last one what the mask allows.

    Args:
        channels_in: Channels of the input, a multiple of `num_colours`.
        channels_out: Channels of the output, a multiple of `num_colours` x `repeats`.
        kernel_size: K, odd; 1 sees the pixel itself alone.
        mask: A: of the pixel itself the earlier colours; B: its own colour too.
        num_colours: Colours of a pixel, which come in this order.
        repeats: How often the order of colours is repeated over the output's channels.
    """

    allowed: Tensor

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int,
        mask: Mask,
        *,
        num_colours: int = 1,
        repeats: int = 1,
    ) -> None:
        super().__init__()
        self.num_taps = _reach(kernel_size) + 1
        self.convolution = nn.Conv2d(channels_in, channels_out, (1, self.num_taps))
        self._masked = mask == "A" or num_colours > 1
        allowed = torch.ones(channels_out, channels_in, 1, self.num_taps)
        allowed[..., -1] = _seen(channels_in, channels_out, mask, num_colours, repeats)[..., None]
        self.register_buffer("allowed", allowed, persistent=False)

    def weight(self) -> Tensor:
        """The kernel (channels_out, channels_in, 1, num_taps), 0 where the mask hides."""
        weight = self.convolution.weight
        return weight * self.allowed if self._masked else weight

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, H, W)."""
        if self.num_taps > 1:
            x = functional.pad(x, (self.num_taps - 1, 0))
        return functional.conv2d(x, self.weight(), self.convolution.bias)

    def matrix(self) -> Tensor:
        """The kernel for the pixels of one place, side by side: (num_taps x channels_in, channels_out)."""
        return self.weight()[:, :, 0].permute(2, 1, 0).flatten(0, 1)


def _reach(kernel_size: int) -> int:
    """Pixels on either side of a kernel's middle."""
    if kernel_size % 2 == 0:
        raise ValueError(f"a masked kernel has a middle; {kernel_size} is even")
    return kernel_size // 2


def _seen(channels_in: int, channels_out: int, mask: Mask, num_colours: int, repeats: int) -> Tensor:
    """1 where a channel of the output sees one of the pixel itself, else 0: (channels_out, channels_in)."""
    seeing = _colours(channels_out, num_colours, repeats)[:, None]
    seen = _colours(channels_in, num_colours, 1)
    return (seen < seeing if mask == "A" else seen <= seeing).float()


def _colours(num_channels: int, num_colours: int, repeats: int) -> Tensor:
    """The colour that each channel belongs to, (num_channels,)."""
    each, left = divmod(num_channels, num_colours * repeats)
    if left:
        raise ValueError(f"{num_channels} channels are not shared by {repeats} x {num_colours} colours")
    return torch.arange(num_colours).repeat_interleave(each).repeat(repeats)
