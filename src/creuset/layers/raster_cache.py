"""What a Gated PixelCNN has computed of pixels already drawn, so that the next costs one pixel's work.

The vertical stack of a row depends on the rows above alone: it is computed once a row, from the last rows of
each layer, which are kept. The horizontal stack of a pixel depends on that and on the pixels to its left: of
each layer the row's features so far are kept, and a pixel is one product of a vector in each layer. In all a
picture costs what one pass through the stacks costs, where a pass for each pixel costs that H x W times.

Source: Ramachandran et al. 2017, "Fast Generation for Convolutional Autoregressive Models".

Legend of shapes: B batch, C channels of a stack, W width, T taps, O numbers for a pixel's colour.
"""

import torch
from torch import Tensor
from torch.nn import functional

from creuset.layers.gated_convolution import GatedLayer, GatedStacks, gate
from creuset.layers.masked_convolution import HorizontalConvolution


class RasterCache:
    """Reads pictures in raster order: for each row `begin_row`, for each of its pixels and colours `outputs`,
    then `put`. It builds no graph.

    Args:
        stacks: Whose activations are kept; its weights must not change meanwhile.
        num_pictures: B, drawn side by side.
        width: W.
        labels: int64 (B,), where there are classes.
    """

    @torch.no_grad()
    def __init__(
        self, stacks: GatedStacks, num_pictures: int, width: int, labels: Tensor | None = None
    ) -> None:
        config = stacks.config
        self._stacks, self._labels = stacks, labels
        self._size = config.outputs_per_colour
        like = stacks.first_vertical.convolution.weight
        self._row = like.new_zeros(num_pictures, config.num_inputs, 1, width)
        rows = stacks.first_vertical.num_rows
        self._pixels_above = like.new_zeros(num_pictures, config.num_inputs, rows, width)
        self._first = _Places(stacks.first_horizontal, num_pictures, width, like)
        self._layers = [_LayerCache(layer, num_pictures, width, like) for layer in stacks.gated_layers()]
        self._hidden = _Places(stacks.hidden, num_pictures, 1, like)
        self._outputs = _Places(stacks.outputs, num_pictures, 1, like)

    @torch.no_grad()
    def begin_row(self) -> None:
        """Computes the vertical stack of the next row from the rows that were put."""
        self._pixels_above = _pushed(self._pixels_above, self._row)
        vertical = self._stacks.first_vertical.read(self._pixels_above)
        for layer in self._layers:
            vertical = layer.begin_row(vertical, self._labels)

    @torch.no_grad()
    def outputs(self, column: int, colour: int) -> Tensor:
        """The numbers (B, O) for a colour of a pixel, from what was put before it."""
        features = self._first.at(column)
        for layer in self._layers:
            features = layer.at(column, features)
        hidden = self._hidden.of(functional.relu(features))
        out = self._outputs.of(functional.relu(hidden))
        return out[:, colour * self._size : (colour + 1) * self._size]

    @torch.no_grad()
    def put(self, column: int, colour: int, values: Tensor) -> None:
        """Says what a colour of a pixel is, (B,) in [-1, 1]."""
        if self._stacks.symbols is None:
            self._row[:, colour, 0, column] = values
            self._first.put_colour(column, colour, values)
        else:
            seen = self._stacks.seen(values[:, None, None, None])[:, :, 0, 0]
            self._row[:, :, 0, column] = seen
            self._first.put(column, seen)


class _Places:
    """A horizontal convolution over a row that grows from left to right, (B, T - 1 + W, channels_in)."""

    def __init__(self, layer: HorizontalConvolution, num_pictures: int, width: int, like: Tensor) -> None:
        self._matrix = layer.matrix().contiguous()
        bias = layer.convolution.bias
        assert bias is not None
        self.bias = bias
        self._num_taps = layer.num_taps
        # What lies left of the picture stays 0; what lies right of a pixel is the row above, and is not read.
        self._row = like.new_zeros(num_pictures, width + layer.num_taps - 1, layer.convolution.in_channels)

    def at(self, column: int, bias: Tensor | None = None) -> Tensor:
        """The output (B, channels_out) at a pixel; `bias` (B, channels_out) in place of the layer's own."""
        window = self._row[:, column : column + self._num_taps].flatten(1)  # a view
        return torch.addmm(self.bias if bias is None else bias, window, self._matrix)

    def put(self, column: int, features: Tensor) -> None:
        """The input (B, channels_in) at a pixel."""
        self._row[:, column + self._num_taps - 1] = features

    def put_colour(self, column: int, colour: int, values: Tensor) -> None:
        """One channel of it, (B,)."""
        self._row[:, column + self._num_taps - 1, colour] = values

    def of(self, features: Tensor) -> Tensor:
        """The output for the pixel alone, of a layer with one tap: (B, channels_in) -> (B, channels_out)."""
        return torch.addmm(self.bias, features, self._matrix)


class _LayerCache:
    """What is kept of a layer: the last rows of its vertical input, and the row of its horizontal input."""

    def __init__(self, layer: GatedLayer, num_pictures: int, width: int, like: Tensor) -> None:
        self._layer = layer
        channels = layer.vertical.convolution.in_channels
        self._above = like.new_zeros(num_pictures, channels, layer.vertical.num_rows, width)
        self._row = _Places(layer.horizontal, num_pictures, width, like)
        self._output = _Places(layer.output, num_pictures, 1, like)
        self._linked: Tensor | None = None

    def begin_row(self, vertical: Tensor, labels: Tensor | None) -> Tensor:
        """The vertical features of a row, (B, C, 1, W), one layer on."""
        self._above = _pushed(self._above, vertical)
        above, linked = self._layer.linked(self._layer.vertical.read(self._above), labels)
        self._linked = (linked[:, :, 0] + self._row.bias[:, None]).permute(2, 0, 1).contiguous()  # (W, B, 2C)
        return vertical + gate(above)

    def at(self, column: int, features: Tensor) -> Tensor:
        """The horizontal features of a pixel, (B, C), one layer on."""
        assert self._linked is not None, "begin_row comes first"
        self._row.put(column, features)
        return features + self._output.of(gate(self._row.at(column, self._linked[column])))


def _pushed(rows: Tensor, new: Tensor) -> Tensor:
    """Rows (B, C, N, W) without the first of them, and with a new one, (B, C, 1, W), at the end."""
    return torch.cat([rows[:, :, 1:], new], dim=2)
