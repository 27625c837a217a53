"""Log-likelihoods of pictures under a decoder's output, in nats, summed over all pixels of a picture.

The sum over pixels is part of the definition: a mean over them would shrink the reconstruction against the
KL term by the number of pixels and make the posterior collapse. Families take the mean over the batch.

Legend of shapes: pictures are (..., C, H, W); results are (...). All arguments broadcast.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

_PIXEL_AXES = (-3, -2, -1)
_LEAST_SHARE = 1e-30
"""Keeps the logarithm of a bin's share finite where float32 sees none."""


def squared_error(predicted: Tensor, target: Tensor) -> Tensor:
    """The mean of (predicted - target)^2 over the numbers of each sample: (B, ...) -> (B,)."""
    return (predicted - target).square().flatten(1).mean(1)


def bernoulli_log_likelihood(logits: Tensor, pixels: Tensor) -> Tensor:
    """sum x log s(l) + (1 - x) log(1 - s(l)) = sum x l - softplus(l), with the logistic function s.

    A log-likelihood where `pixels` are 0 or 1; for grey values between, minus a cross entropy, which is
    largest where s(l) = x but no probability of the grey values.

    Args:
        logits: l, (..., C, H, W).
        pixels: x, in [0, 1].

    Source: Kingma & Welling 2014, appendix C.1.
    """
    return (pixels * logits - functional.softplus(logits)).sum(_PIXEL_AXES)


def gaussian_log_likelihood(mean: Tensor, pixels: Tensor, log_variance: Tensor) -> Tensor:
    """sum -1/2 ((x - mean)^2 exp(-log_variance) + log_variance + log 2 pi): a density, not a probability.

    Args:
        mean: (..., C, H, W), on the scale of `pixels`.
        pixels: x, (..., C, H, W).
        log_variance: One number for all pixels, or any shape that broadcasts.

    Source: Kingma & Welling 2014, appendix C.2; one learned variance: Rybkin et al. 2021, "Simple and
    Effective VAE Training with Calibrated Decoders".
    """
    squares = (pixels - mean).square() * torch.exp(-log_variance)
    return -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(_PIXEL_AXES)


def discretised_gaussian_log_likelihood(
    mean: Tensor, deviation: Tensor, pixels: Tensor, num_levels: int
) -> Tensor:
    """sum log P(level of x) under a Gaussian, integrated over the bin of each level.

    P = F((x + h - mean) / deviation) - F((x - h - mean) / deviation) with the normal distribution function F
    and half a bin h = 1 / (num_levels - 1); the lowest and the highest bin reach to infinity.

    Args:
        mean: (..., C, H, W), on the scale of `pixels`.
        deviation: The standard deviation, above 0; any shape that broadcasts.
        pixels: x in [-1, 1], one of `num_levels` evenly spaced values, -1 and 1 among them.
        num_levels: At least 2.

    Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 13. Departure: the difference is
    taken in logarithms, on the side of the mean where it loses no digits.
    """
    half_bin = 1 / (num_levels - 1)
    upper = (pixels + half_bin - mean) / deviation
    lower = (pixels - half_bin - mean) / deviation
    # F(u) - F(l) = F(-l) - F(-u): of the two, the one in the lower tail
    flip = lower > 0
    upper, lower = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
    lowest = torch.where(flip, pixels > 1 - half_bin, pixels < half_bin - 1)
    highest = torch.where(flip, pixels < half_bin - 1, pixels > 1 - half_bin)
    below = torch.special.log_ndtr(torch.where(highest, 0.0, upper)).masked_fill(highest, 0.0)
    beyond = torch.special.log_ndtr(lower)
    inside = below + torch.log(-torch.expm1((beyond - below).clamp(max=-_LEAST_SHARE)))
    return torch.where(lowest, below, inside).sum(_PIXEL_AXES)


def discretised_logistic_log_likelihood(
    mean: Tensor, log_scale: Tensor, pixels: Tensor, num_levels: int
) -> Tensor:
    """sum log P(level of x) under a logistic distribution, integrated over the bin of each level.

    P = s((x + h - mean) / scale) - s((x - h - mean) / scale) with half a bin h = 1 / (num_levels - 1); the
    lowest and the highest bin reach to infinity, so that the probabilities of all levels sum to 1.

    Args:
        mean: (..., C, H, W), on the scale of `pixels`.
        log_scale: (..., C, H, W), natural logarithm of the scale.
        pixels: x in [-1, 1], one of `num_levels` evenly spaced values, -1 and 1 among them.
        num_levels: At least 2.

    Source: Salimans et al. 2017, "PixelCNN++", eq. 2. Departure: s(a) - s(b) is taken as
    s(a) s(-b) (1 - exp(b - a)), exact in logarithms, where PixelCNN++ needs a floor and a fallback.
    """
    half_bin = 1 / (num_levels - 1)
    inverse_scale = torch.exp(-log_scale)
    upper = (pixels + half_bin - mean) * inverse_scale
    lower = (pixels - half_bin - mean) * inverse_scale
    below = functional.logsigmoid(upper)
    above = functional.logsigmoid(-lower)
    inside = below + above + torch.log(-torch.expm1(-2 * half_bin * inverse_scale))
    log_probs = torch.where(pixels < half_bin - 1, below, torch.where(pixels > 1 - half_bin, above, inside))
    return log_probs.sum(_PIXEL_AXES)


def categorical_log_likelihood(logits: Tensor, levels: Tensor) -> Tensor:
    """sum log softmax(l)[level of x]: a probability of its own for each level.

    Args:
        logits: l, (..., C, levels, H, W).
        levels: int64 (..., C, H, W) in [0, levels).

    Source: van den Oord et al. 2016, "Pixel Recurrent Neural Networks", section 2.3.
    """
    log_probs = functional.log_softmax(logits, dim=-3)
    return log_probs.gather(-3, levels.unsqueeze(-3)).squeeze(-3).sum(_PIXEL_AXES)
