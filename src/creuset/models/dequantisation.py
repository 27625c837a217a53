"""Pixels of few levels as numbers of a continuous density, and back.

A level stands for the interval of the values nearest to it. Uniform noise within that interval makes a
density out of levels, and what the density has over the interval is at least

    log P(level) >= mean over u of  log p(level + u) + D log width,    u uniform in [-width / 2, width / 2]

with D pixels of a picture; the log of the mean, in place of the mean of the logs, is nearer (Burda et al.
2016, "Importance Weighted Autoencoders").

Source: Theis et al. 2016, "A note on the evaluation of generative models", eq. 2; many draws of u: Ho et al.
2019, "Flow++", section 3.1.

Legend of shapes: B batch, ... the axes of a sample.
"""

import math

import torch
from torch import Tensor


def level_width(num_levels: int) -> float:
    """The distance of neighbouring levels where all of them span [-1, 1]."""
    return 2 / (num_levels - 1)


def nearest_levels(values: Tensor, num_levels: int) -> Tensor:
    """The level nearest to each value, all in [-1, 1]."""
    half = (num_levels - 1) / 2
    return torch.round((values.clamp(-1, 1) + 1) * half) / half - 1


def dequantised(pixels: Tensor, uniform: Tensor, num_levels: int) -> Tensor:
    """Each pixel somewhere in the interval of its level.

    Args:
        pixels: At levels, or between them, (B, ...).
        uniform: In [0, 1), (B, ...).
        num_levels: At least 2.
    """
    return pixels + (uniform - 0.5) * level_width(num_levels)


def log_volume(num_pixels: int, num_levels: int) -> float:
    """D log width: what turns a density at a picture into a probability of its levels, in nats."""
    return num_pixels * math.log(level_width(num_levels))
