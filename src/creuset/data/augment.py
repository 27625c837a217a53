"""Random changes to training pictures: mirrored, rotated, shifted, a patch erased, in this order.

What a change leaves open is background, -1. Each draw has one row a sample, so that the parts of a batch
come out as they do in the whole batch.

Legend of shapes: B batch, C channels, H height, W width.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.recipe.sections import AugmentationConfig

BACKGROUND = -1.0


def augment(images: Tensor, config: AugmentationConfig, generator: BatchGenerator) -> Tensor:
    """New pictures made from `images`, which stay as they are.

    Args:
        images: float (B, C, H, W) in [-1, 1].
        config: What to change and how far; a change that is off draws no numbers.
        generator: The draws, one row a sample.

    Returns:
        The same shape, number type and range.

    Raises:
        UsageError: A shift as large as the picture.
    """
    if config.flip:
        images = flip(images, generator)
    if config.rotate > 0:
        images = rotate(images, config.rotate, generator)
    if config.shift > 0:
        images = shift(images, config.shift, generator)
    if config.erase > 0:
        images = erase(images, config.erase, generator)
    return images


def require_fitting(config: AugmentationConfig, image_shape: tuple[int, ...]) -> None:
    """Refuses a shift that moves pictures (C, H, W) out of sight.

    Raises:
        UsageError: It is as large as a side.
    """
    side = min(image_shape[1:], default=0)
    if config.shift and config.shift >= side:
        raise UsageError(
            "a shift this large moves pictures out of sight",
            where="data.augmentation.shift",
            got=config.shift,
            expected=f"less than {side}, the shorter side of the pictures",
            next_step="an eighth of the side is usual",
        )


def flip(images: Tensor, generator: BatchGenerator) -> Tensor:
    """Each picture mirrored left to right with probability one half."""
    mirrored = generator.uniform() < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def rotate(images: Tensor, degrees: float, generator: BatchGenerator) -> Tensor:
    """Each picture turned about its centre by an angle uniform in [-degrees, degrees), counter-clockwise.

    Pixels are interpolated bilinearly.
    """
    _, _, height, width = images.shape
    angle = (2 * generator.uniform() - 1) * math.radians(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # Where each output pixel looks, in torch's coordinates: x and y run from -1 to 1 over either side.
    looks_at = torch.stack(
        [cos, -sin * height / width, zero, sin * width / height, cos, zero], dim=1
    )  # (B, 6)
    grid = F.affine_grid(
        looks_at.to(images.dtype).view(-1, 2, 3), list(images.shape), align_corners=False
    )  # (B, H, W, 2)
    # grid_sample fills with 0 what lies outside, so the background is moved to 0 and back.
    turned = F.grid_sample(images - BACKGROUND, grid, padding_mode="zeros", align_corners=False)
    return turned.add_(BACKGROUND).clamp_(-1, 1)


def shift(images: Tensor, pixels: int, generator: BatchGenerator) -> Tensor:
    """Each picture moved by whole numbers of pixels, uniform in [-pixels, pixels] along either axis."""
    batch, channels, height, width = images.shape
    moves = generator.integers(2 * pixels + 1, 2)  # (B, 2), where the window begins in the padded picture
    padded = F.pad(images, (pixels,) * 4, value=BACKGROUND)
    rows = moves[:, :1] + torch.arange(height, device=images.device)  # (B, H)
    columns = moves[:, 1:] + torch.arange(width, device=images.device)  # (B, W)
    padded_width = width + 2 * pixels
    places = (rows[:, :, None] * padded_width + columns[:, None, :]).view(batch, 1, height * width)
    moved = padded.flatten(2).gather(2, places.expand(-1, channels, -1))
    return moved.view_as(images)


def erase(images: Tensor, share: float, generator: BatchGenerator) -> Tensor:
    """A patch of each picture set to background; its sides are uniform up to `share` of the picture's."""
    _, _, height, width = images.shape
    draws = generator.uniform(4)
    rows = _stretch(draws[:, 0], draws[:, 1], height, share)
    columns = _stretch(draws[:, 2], draws[:, 3], width, share)
    patch = rows[:, None, :, None] & columns[:, None, None, :]  # (B, 1, H, W)
    return images.masked_fill(patch, BACKGROUND)


def _stretch(length_draw: Tensor, start_draw: Tensor, size: int, share: float) -> Tensor:
    """Which of `size` places a random stretch covers: bool (B, size)."""
    length = (length_draw * (int(share * size) + 1)).floor()
    start = (start_draw * (size - length + 1)).floor()
    places = torch.arange(size, device=start.device)
    return (places >= start[:, None]) & (places < (start + length)[:, None])
