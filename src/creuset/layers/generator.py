"""A GAN's generator: noise to a picture, or to a row of a table.

Pictures are made as in DCGAN: a dense layer to a small map, then stages that double it by a transposed
convolution of 4 x 4 with stride 2; the last has no norm and ends in tanh. Rows are made by dense layers.

Source: Radford, Metz & Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks", section 3.
Departures: the norm is a setting; hidden dense layers may stand before the map; a class is told by an
embedding that is joined to the noise.

Legend of shapes: B batch, L numbers of noise, E of a class's embedding, C channels, H height, W width.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from creuset.layers.channels_last import ChannelsLast
from creuset.layers.convolution import num_groups
from creuset.layers.feedforward import Activation, make_activation

AdversarialNorm = Literal["none", "batch", "group"]
"""Batch norm mixes the samples of a batch; group norm works on each by itself."""

_CLASS_DIM = 16


class Generator(nn.Module):
    """Noise to samples.

    Args:
        latent_dim: L.
        output_shape: (C, H, W) of a picture, or (F,) of a row.
        hidden_dims: Units of each hidden dense layer.
        channels: Channels of each map, from the picture's side to the smallest: each stage halves it when
            read so. Empty for a dense network.
        norm: What follows each layer but the last.
        activation: What follows each norm.
        num_classes: Classes that can be asked for; 0 for none.
    """

    def __init__(
        self,
        latent_dim: int,
        output_shape: tuple[int, ...],
        hidden_dims: Sequence[int],
        channels: Sequence[int],
        *,
        norm: AdversarialNorm,
        activation: Activation,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.output_shape = output_shape
        self.embedding = nn.Embedding(num_classes, _CLASS_DIM) if num_classes else None
        layers: list[nn.Module] = []
        widths = [latent_dim + (_CLASS_DIM if num_classes else 0), *hidden_dims]
        for features_in, features_out in pairwise(widths):
            layers += [nn.Linear(features_in, features_out), *_norm(norm, features_out, spatial=False)]
            layers.append(make_activation(activation))
        if not channels:
            layers += [
                nn.Linear(widths[-1], int(torch.Size(output_shape).numel())),
                nn.Unflatten(1, output_shape),
            ]
        else:
            layers += _upward(widths[-1], output_shape, channels, norm, activation)
        if len(output_shape) > 1:
            layers.append(nn.Tanh())
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, L), and of a class-conditional one labels (B,) -> (B, *output_shape), pictures in [-1, 1]."""
        if self.embedding is not None:
            noise = torch.cat([noise, self.embedding(labels).to(noise.dtype)], dim=1)
        out: Tensor = self.layers(noise)
        return out


def _upward(
    features: int,
    output_shape: tuple[int, ...],
    channels: Sequence[int],
    norm: AdversarialNorm,
    activation: Activation,
) -> list[nn.Module]:
    """From a vector to a map of the smallest size, and from there to the picture."""
    height, width = (side >> len(channels) for side in output_shape[1:])
    layers: list[nn.Module] = [
        nn.Linear(features, channels[-1] * height * width),
        nn.Unflatten(1, (channels[-1], height, width)),
        ChannelsLast(),
        *_norm(norm, channels[-1], spatial=True),
        make_activation(activation),
    ]
    narrower = [output_shape[0], *channels[:-1]]
    for number in reversed(range(len(channels))):
        layers.append(nn.ConvTranspose2d(channels[number], narrower[number], 4, stride=2, padding=1))
        if number:
            layers += [*_norm(norm, narrower[number], spatial=True), make_activation(activation)]
    return layers


def _norm(norm: AdversarialNorm, features: int, *, spatial: bool) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm2d(features) if spatial else nn.BatchNorm1d(features)]
    return [nn.GroupNorm(num_groups(features), features)] if norm == "group" else []
