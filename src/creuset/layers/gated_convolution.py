"""The two stacks of a Gated PixelCNN: layers of masked convolutions with gates.

    gate(x)      = tanh(first half of the channels) * sigmoid(second half)
    vertical'    = vertical + gate(V)             V = vertical convolution of `vertical` + label
    horizontal'  = horizontal + output(gate(U))   U = horizontal convolution of `horizontal` + link(V) + label

`link` carries what lies above to the horizontal stack, whose last features know all pixels before their own.

Source: van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", section 2 and
figure 2; a first layer of 7 x 7 and two layers of 1 x 1 at the end: van den Oord et al. 2016, "Pixel
Recurrent Neural Networks", table 1.
Departures: the vertical stack has residual connections too, which let many narrow layers train; a label's
bias of the vertical stack reaches the horizontal one as well.

Symbols, whose numbers have no order, are seen as learned vectors, as tokens are.

Legend of shapes: B batch, C channels of a stack, H height, W width, Y classes, O numbers for a colour, I
channels of what the first layer sees.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.device import BatchGenerator
from creuset.layers.dropout import Dropout
from creuset.layers.masked_convolution import HorizontalConvolution, VerticalConvolution

_FIRST_KERNEL = 7
"""Of the layer that sees the picture itself."""
_SYMBOL_DIM = 32
"""Numbers of the vector of a symbol."""


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """The form of both stacks.

    Args:
        num_colours: Colours of a pixel, 1 or 3.
        channels: C, a multiple of num_colours.
        num_layers: Gated layers behind the first one.
        kernel_size: Of these, odd and above 1.
        outputs_per_colour: O.
        num_classes: Y; 0 for stacks that no label is given to.
        dropout: Probability of a zero behind each gate, in [0, 1).
        num_symbols: Where pixels are symbols without an order, how many there are, evenly spaced in [-1, 1];
            0 where they are shades. Of one colour.
    """

    num_colours: int
    channels: int
    num_layers: int
    kernel_size: int
    outputs_per_colour: int
    num_classes: int = 0
    dropout: float = 0.0
    num_symbols: int = 0

    @property
    def num_inputs(self) -> int:
        """I: the colours, or the numbers of a symbol's vector."""
        return _SYMBOL_DIM if self.num_symbols else self.num_colours


class GatedLayer(nn.Module):
    """One layer of both stacks.

    Args:
        config: The form of the stacks.
    """

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        width, colours = config.channels, config.num_colours
        self.vertical = VerticalConvolution(width, 2 * width, config.kernel_size, "B")
        self.horizontal = HorizontalConvolution(
            width, 2 * width, config.kernel_size, "B", num_colours=colours, repeats=2
        )
        # The horizontal convolution brings the bias.
        self.link = nn.Conv2d(2 * width, 2 * width, 1, bias=False)
        self.output = HorizontalConvolution(width, width, 1, "B", num_colours=colours)
        self.labels = nn.Embedding(config.num_classes, 4 * width) if config.num_classes else None
        if self.labels is not None:
            nn.init.zeros_(self.labels.weight)
        self.dropout = Dropout(config.dropout)

    def forward(
        self, vertical: Tensor, horizontal: Tensor, labels: Tensor | None, generator: BatchGenerator | None
    ) -> tuple[Tensor, Tensor]:
        """The features of both stacks, (B, C, H, W) each, one layer on; `labels` int64 (B,)."""
        above, linked = self.linked(self.vertical(vertical), labels)
        gated = self.dropout(gate(self.horizontal(horizontal) + linked), generator)
        vertical = vertical + self.dropout(gate(above), generator)
        return vertical, horizontal + self.output(gated)

    def linked(self, above: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the vertical convolution gives, (B, 2C, H, W), with the label, and what of it the horizontal
        stack is told."""
        if self.labels is None:
            return above, self.link(above)
        biases = self.labels(labels).to(above.dtype)[..., None, None]  # (B, 4C, 1, 1)
        vertical_bias, horizontal_bias = biases.chunk(2, dim=1)
        above = above + vertical_bias
        return above, self.link(above) + horizontal_bias


class GatedStacks(nn.Module):
    """Pictures to O numbers for each pixel and colour, of which each knows the pixels and colours before.

    Args:
        config: The form of the stacks.
    """

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        colours, width = config.num_colours, config.channels
        self.config = config
        if config.num_symbols and colours > 1:
            raise ValueError(f"symbols have one colour, not {colours}")
        self.symbols = nn.Embedding(config.num_symbols, _SYMBOL_DIM) if config.num_symbols else None
        inputs = config.num_inputs
        self.first_vertical = VerticalConvolution(inputs, width, _FIRST_KERNEL, "A")
        self.first_horizontal = HorizontalConvolution(inputs, width, _FIRST_KERNEL, "A", num_colours=colours)
        self.layers = nn.ModuleList(GatedLayer(config) for _ in range(config.num_layers))
        self.hidden = HorizontalConvolution(width, width, 1, "B", num_colours=colours)
        self.outputs = HorizontalConvolution(
            width, colours * config.outputs_per_colour, 1, "B", num_colours=colours
        )

    def forward(
        self, pixels: Tensor, labels: Tensor | None = None, generator: BatchGenerator | None = None
    ) -> Tensor:
        """(B, num_colours, H, W) -> (B, num_colours x O, H, W), those of a colour together.

        Args:
            pixels: In [-1, 1].
            labels: int64 (B,), where there are classes.
            generator: Draws what is dropped; None drops nothing.
        """
        seen = self.seen(pixels)
        # The features of a pixel side by side: the order in which convolutions on a processor are fast.
        vertical = self.first_vertical(seen).contiguous(memory_format=torch.channels_last)
        horizontal = self.first_horizontal(seen).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            vertical, horizontal = layer(vertical, horizontal, labels, generator)
        hidden = self.hidden(functional.relu(horizontal))
        out: Tensor = self.outputs(functional.relu(hidden))
        return out

    def seen(self, pixels: Tensor) -> Tensor:
        """What the first layer sees of pixels (B, num_colours, H, W) in [-1, 1]: (B, I, H, W)."""
        if self.symbols is None:
            return pixels
        numbers = torch.round((pixels[:, 0] + 1) * ((self.config.num_symbols - 1) / 2)).long()
        vectors: Tensor = self.symbols(numbers)
        return vectors.permute(0, 3, 1, 2)

    def gated_layers(self) -> list[GatedLayer]:
        """The layers behind the first one, in order."""
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]


def gate(x: Tensor) -> Tensor:
    """tanh of the first half of the channels times sigmoid of the second: (B, 2C, ...) -> (B, C, ...)."""
    signal, opening = x.chunk(2, dim=1)
    # Copied, since both functions take a third longer on numbers that do not lie side by side.
    return torch.tanh(signal.clone()) * torch.sigmoid(opening.clone())
