"""A GAN's critic: one score a sample, higher for what looks real.

Pictures are read as in DCGAN: stages that halve them by a convolution of 4 x 4 with stride 2, and leaky ReLU;
rows by dense layers. What it sees beside a single sample is a setting: several samples at once (`pack`), how
much samples differ (minibatch deviation), how like each other they are (minibatch discrimination).

Source: Radford et al. 2016 (DCGAN), section 3; packing: Lin et al. 2018, "PacGAN", section 3; a class by
projection: Miyato & Koyama 2018, "cGANs with Projection Discriminator", eq. 4; spectral norm: Miyato et al.
2018, "Spectral Normalization for GANs" (spectral_norm.py); see minibatch_discrimination.py for the others.
Departures: the score has no sigmoid: losses take it as it is.

Legend of shapes: B batch, m samples of a pack, C channels, H height, W width, F features.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from creuset.layers.channels_last import ChannelsLast
from creuset.layers.convolution import num_groups
from creuset.layers.generator import AdversarialNorm
from creuset.layers.minibatch_discrimination import MinibatchDiscrimination, with_minibatch_deviation
from creuset.layers.spectral_norm import with_spectral_norm

_SLOPE = 0.2
"""Of leaky ReLU below 0, as in DCGAN."""
_KERNEL_DIM = 16
"""Numbers of a kernel of minibatch discrimination."""


class Critic(nn.Module):
    """Samples to scores.

    Args:
        input_shape: (C, H, W) of a picture, or (F,) of a row.
        hidden_dims: Units of each hidden dense layer, behind the maps.
        channels: Channels of each map, from the picture on; empty for a dense network.
        norm: What follows each layer but the first and the last.
        spectral: Whether each layer's weights are divided by their largest singular value.
        num_kernels: Of minibatch discrimination; 0 for none.
        group: Samples of a group of minibatch deviation; 0 for none.
        pack: m, samples that are judged together.
        num_classes: Classes that are told; 0 for none.
        bias: Whether the score has one, which losses of differences of scores do not see.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        hidden_dims: Sequence[int],
        channels: Sequence[int],
        *,
        norm: AdversarialNorm = "none",
        spectral: bool = False,
        num_kernels: int = 0,
        group: int = 0,
        pack: int = 1,
        num_classes: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.pack, self.group = pack, group
        made: Callable[[nn.Module], nn.Module] = with_spectral_norm if spectral else _as_it_is
        depth, *size = input_shape
        self.maps = nn.Sequential(*_downward([depth * pack, *channels], norm, made))
        features = channels[-1] if channels else depth * pack
        deviation = 1 if group else 0
        for side in size:
            features, deviation = features * (side >> len(channels)), deviation * (side >> len(channels))
        self.dense = nn.Sequential(*_dense([features + deviation, *hidden_dims], norm, made))
        features = hidden_dims[-1] if hidden_dims else features + deviation
        self.likeness = MinibatchDiscrimination(features, num_kernels, _KERNEL_DIM) if num_kernels else None
        self.score = made(nn.Linear(features + num_kernels, 1, bias=bias))
        self.embedding = made(nn.Embedding(num_classes, features + num_kernels)) if num_classes else None

    def features(self, samples: Tensor) -> Tensor:
        """What the score is made of, (B / m, F)."""
        packed = samples.reshape(-1, self.pack * samples.shape[1], *samples.shape[2:])
        maps = self.maps(packed)
        if self.group:
            maps = with_minibatch_deviation(maps if maps.ndim == 4 else maps[:, :, None, None], self.group)
        found: Tensor = self.dense(maps.flatten(1))
        return found if self.likeness is None else self.likeness(found)

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, C, H, W) or (B, F), and of a class-conditional one labels (B,) -> (B / m,), any real number."""
        features = self.features(samples)
        scores: Tensor = self.score(features)[:, 0]
        if self.embedding is not None:
            scores = scores + (self.embedding(labels) * features).sum(1)
        return scores


def _downward(
    channels: Sequence[int], norm: AdversarialNorm, made: Callable[[nn.Module], nn.Module]
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for number, (channels_in, channels_out) in enumerate(pairwise(channels)):
        layers.append(made(nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1)))
        if not number:
            layers.append(ChannelsLast())  # a picture of one channel has no such order
        if norm != "none" and number:
            layers.append(
                nn.BatchNorm2d(channels_out)
                if norm == "batch"
                else nn.GroupNorm(num_groups(channels_out), channels_out)
            )
        layers.append(nn.LeakyReLU(_SLOPE))
    return layers


def _dense(
    widths: Sequence[int], norm: AdversarialNorm, made: Callable[[nn.Module], nn.Module]
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for features_in, features_out in pairwise(widths):
        layers.append(made(nn.Linear(features_in, features_out)))
        if norm != "none":
            layers.append(
                nn.BatchNorm1d(features_out)
                if norm == "batch"
                else nn.GroupNorm(num_groups(features_out), features_out)
            )
        layers.append(nn.LeakyReLU(_SLOPE))
    return layers


def _as_it_is(layer: nn.Module) -> nn.Module:
    return layer
