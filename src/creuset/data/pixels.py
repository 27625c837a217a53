"""Stored pixels (uint8 levels) to what models see (float32 in [-1, 1]) and to what picture files hold."""

import torch
from torch import Tensor


def to_floats(pixels: Tensor, num_levels: int) -> Tensor:
    """2 x / (num_levels - 1) - 1.

    Args:
        pixels: uint8 in [0, num_levels), any shape.
        num_levels: Values that a pixel can take.

    Returns:
        float32 in [-1, 1], the same shape; both ends are exact.
    """
    return pixels.to(torch.float32).mul_(2).div_(num_levels - 1).sub_(1)


def to_bytes(pixels: Tensor, num_levels: int) -> Tensor:
    """Levels spread over 0..255, as picture files hold them: uint8, the same shape."""
    if num_levels == 256:
        return pixels
    return pixels.to(torch.float32).mul_(255 / (num_levels - 1)).round_().to(torch.uint8)
