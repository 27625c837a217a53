"""From a picture to a vector and back: convolution stages, or none, then dense layers.

Without convolution stages both are dense networks over the flattened pixels.

Legend of shapes: B batch, C channels, H height, W width, O outputs, L numbers of a code.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from creuset.layers.convolution import ConvDecoder, ConvEncoder, stage_sizes
from creuset.layers.feedforward import MLP, Activation, make_activation


class PictureEncoder(nn.Module):
    """Pictures to vectors.

    Args:
        image_shape: (C, H, W).
        channels: Channels of each convolution stage; none for a dense network.
        hidden_dims: Units of each dense layer behind the stages.
        output_dim: O.
        activation: What stands between layers.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        channels: Sequence[int],
        hidden_dims: Sequence[int],
        output_dim: int,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.stages = ConvEncoder(image_shape[0], channels, activation)
        features = math.prod(_inner_shape(image_shape, channels))
        self.dense = MLP([features, *hidden_dims, output_dim], activation)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O)."""
        out: Tensor = self.dense(self.stages(images).flatten(1))
        return out


class PictureDecoder(nn.Module):
    """Vectors to pictures: the mirror of PictureEncoder.

    Args:
        code_dim: L.
        hidden_dims: Units of the encoder's dense layers, gone through from the last to the first.
        channels: Channels of the encoder's stages, gone through from the last to the first.
        output_shape: (C, H, W) of the result; C may be a multiple of the pictures' channels.
        activation: What stands between layers.
    """

    def __init__(
        self,
        code_dim: int,
        hidden_dims: Sequence[int],
        channels: Sequence[int],
        output_shape: tuple[int, int, int],
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        inner_shape = _inner_shape(output_shape, channels)
        self.dense = MLP([code_dim, *reversed(hidden_dims), math.prod(inner_shape)], activation)
        self.unflatten = nn.Unflatten(1, inner_shape)
        height, width = output_shape[1:]
        self.stages = (
            nn.Sequential(
                make_activation(activation),
                ConvDecoder(channels, output_shape[0], (height, width), activation),
            )
            if channels
            else nn.Identity()
        )

    def forward(self, codes: Tensor) -> Tensor:
        """(B, L) -> (B, C, H, W), any real number."""
        out: Tensor = self.stages(self.unflatten(self.dense(codes)))
        return out


def _inner_shape(image_shape: tuple[int, int, int], channels: Sequence[int]) -> tuple[int, int, int]:
    """The shape between stages and dense layers; with no stages that of the picture."""
    last = channels[-1] if channels else image_shape[0]
    height, width = stage_sizes((image_shape[1], image_shape[2]), len(channels))[-1]
    return last, height, width
