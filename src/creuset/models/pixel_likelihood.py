"""What a network's output says of each pixel: p(x|z) of families that decode a code, or p(x_i|x_<i) of those
that draw a pixel after the other.

    bernoulli    Pixels are binarised: each is on with its grey value as probability, anew at each draw
                 (Salakhutdinov & Murray 2008); a value for pictures is one of these binary pictures.
    discretised  A logistic distribution per pixel over the levels that the stored pixel can take; mean and
                 scale come from the decoder (objectives/reconstruction.py).
    gaussian     A density, with one variance for all pixels, learned or given.
    categorical  A probability for each level that the stored pixel can take; for pixels drawn one by one.

Legend of shapes: C channels, H height, W width.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from creuset.device import BatchGenerator
from creuset.models.base import Likelihood
from creuset.models.dequantisation import nearest_levels
from creuset.objectives.reconstruction import (
    bernoulli_log_likelihood,
    categorical_log_likelihood,
    discretised_logistic_log_likelihood,
    gaussian_log_likelihood,
)

PixelLikelihoodName = Literal["bernoulli", "discretised", "gaussian"]

_MIN_LOG_SCALE = -7.0
"""Floor of the discretised likelihood's log scale, as in PixelCNN++: there a level of 256 is certain."""


class PixelLikelihood(nn.Module):
    """p(x|z) of a picture, given what the decoder made of z. This base leaves pixels as they come.

    form: What the log-likelihood is one of.
    outputs_per_channel: Numbers of the decoder for each pixel and channel.
    """

    form: Likelihood
    outputs_per_channel = 1

    def scale(self, images: Tensor) -> Tensor:
        """Pictures in [-1, 1] on the scale that encoder and likelihood work on."""
        return images

    def unscale(self, pixels: Tensor) -> Tensor:
        """The inverse of `scale`."""
        return pixels

    def observe(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """Pictures in the form whose likelihood is measured, on the scale of `scale`."""
        del generator
        return self.scale(images)

    def log_prob(self, output: Tensor, pixels: Tensor) -> Tensor:
        """log p(x|z) in nats from the decoder's output (..., C, H, W), summed over a picture: (...)."""
        raise NotImplementedError(type(self).__name__)

    def mean(self, output: Tensor) -> Tensor:
        """The mean of p(x|z), clipped to [-1, 1]."""
        return output.clamp(-1, 1)

    def draw(self, output: Tensor, uniform: Tensor) -> Tensor:
        """One pixel on the scale of `scale`, (B,), for likelihoods of levels.

        Args:
            output: The numbers of its pixel and channel, (B, outputs_per_channel).
            uniform: In [0, 1), (B,): the level at which the probabilities, added up, exceed it.
        """
        raise NotImplementedError(type(self).__name__)


class Bernoulli(PixelLikelihood):
    """Each pixel is on or off; grey values are probabilities. The scale is [0, 1]."""

    form = Likelihood(num_levels=2, binarisation="dynamic", bound=True)

    def scale(self, images: Tensor) -> Tensor:
        return (images + 1) * 0.5

    def unscale(self, pixels: Tensor) -> Tensor:
        return 2 * pixels - 1

    def observe(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        return (generator.uniform(*images.shape[1:]) < self.scale(images)).to(images.dtype)

    def log_prob(self, output: Tensor, pixels: Tensor) -> Tensor:
        return bernoulli_log_likelihood(output, pixels)

    def mean(self, output: Tensor) -> Tensor:
        return self.unscale(torch.sigmoid(output))

    def draw(self, output: Tensor, uniform: Tensor) -> Tensor:
        return (uniform < torch.sigmoid(output[:, 0])).to(output.dtype)


class DiscretisedLogistic(PixelLikelihood):
    """A logistic distribution over the levels of a stored pixel, its mean and scale from the decoder."""

    outputs_per_channel = 2

    def __init__(self, num_levels: int) -> None:
        super().__init__()
        self.num_levels = num_levels
        self.form = Likelihood(num_levels=num_levels, bound=True)

    def observe(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """At the nearest level: augmented pictures lie between levels."""
        del generator
        return nearest_levels(images, self.num_levels)

    def log_prob(self, output: Tensor, pixels: Tensor) -> Tensor:
        mean, log_scale = output.chunk(2, dim=-3)
        log_scale = log_scale.clamp(min=_MIN_LOG_SCALE)
        return discretised_logistic_log_likelihood(mean, log_scale, pixels, self.num_levels)

    def mean(self, output: Tensor) -> Tensor:
        return output.chunk(2, dim=-3)[0].clamp(-1, 1)


class Gaussian(PixelLikelihood):
    """A density with one variance for all pixels, learned where none is given."""

    form = Likelihood(num_levels=0, bound=True)
    log_variance: Tensor

    def __init__(self, variance: float | None) -> None:
        super().__init__()
        if variance is None:
            self.log_variance = nn.Parameter(torch.zeros(1))
        else:
            self.register_buffer("log_variance", torch.tensor([math.log(variance)]), persistent=False)

    def log_prob(self, output: Tensor, pixels: Tensor) -> Tensor:
        return gaussian_log_likelihood(output, pixels, self.log_variance)


class Categorical(PixelLikelihood):
    """A probability for each of the levels of a stored pixel; the numbers of a channel lie together."""

    def __init__(self, num_levels: int) -> None:
        super().__init__()
        self.outputs_per_channel = self.num_levels = num_levels
        self.form = Likelihood(num_levels=num_levels, bound=False)

    def observe(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """At the nearest level."""
        del generator
        return _value(_level(images, self.num_levels), self.num_levels)

    def log_prob(self, output: Tensor, pixels: Tensor) -> Tensor:
        *leading, _, height, width = output.shape
        logits = output.reshape(*leading, -1, self.num_levels, height, width)  # (..., C, levels, H, W)
        return categorical_log_likelihood(logits, _level(pixels, self.num_levels).long())

    def draw(self, output: Tensor, uniform: Tensor) -> Tensor:
        shares = torch.softmax(output, dim=-1).cumsum(-1)[:, :-1]
        levels = (uniform[:, None] >= shares).sum(-1)
        return _value(levels.to(output.dtype), self.num_levels)


def _level(pixels: Tensor, num_levels: int) -> Tensor:
    """The nearest of the levels 0 to num_levels - 1 of pixels in [-1, 1], in their number format."""
    return torch.round((pixels + 1) * ((num_levels - 1) / 2))


def _value(levels: Tensor, num_levels: int) -> Tensor:
    """The inverse of `_level`."""
    return levels / ((num_levels - 1) / 2) - 1


def pixel_likelihood(name: PixelLikelihoodName, num_levels: int, variance: float | None) -> PixelLikelihood:
    """The likelihood of that name.

    Args:
        name: Which.
        num_levels: Values that a stored pixel can take, for `discretised`.
        variance: Of `gaussian`, where pixels span [-1, 1]; None to learn it.
    """
    if name == "bernoulli":
        return Bernoulli()
    if name == "discretised":
        return DiscretisedLogistic(num_levels)
    return Gaussian(variance)
