"""Random changes to pictures through which gradients pass, for real and generated ones alike.

    brightness   a number in [-0.5, 0.5) is added
    contrast     differences from the picture's mean are multiplied by a number in [0.5, 1.5)
    translate    a shift by up to an eighth of the height and width, empty places are 0
    cutout       a square of half the height and width is set to 0

Source: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", section 4.1 and the
authors' program, which also has the saturation of colours.

Legend of shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from creuset.device import BatchGenerator

DifferentiableAugmentation = Literal["brightness", "contrast", "translate", "cutout"]

_SHIFT_SHARE, _CUT_SHARE = 0.125, 0.5


def augmented(
    images: Tensor, kinds: Sequence[DifferentiableAugmentation], generator: BatchGenerator
) -> Tensor:
    """The pictures (B, C, H, W) with each change in turn, each picture's its own."""
    for kind in kinds:
        match kind:
            case "brightness":
                images = images + _uniform(generator, images)[:, :1, None, None] - 0.5
            case "contrast":
                mean = images.mean((1, 2, 3), keepdim=True)
                images = (images - mean) * (_uniform(generator, images)[:, :1, None, None] + 0.5) + mean
            case "translate":
                images = _translated(images, generator)
            case "cutout":
                images = _cut_out(images, generator)
    return images


def _uniform(generator: BatchGenerator, images: Tensor) -> Tensor:
    """Two numbers in [0, 1) for each picture, (B, 2)."""
    return generator.uniform(2).to(images.device, images.dtype)


def _translated(images: Tensor, generator: BatchGenerator) -> Tensor:
    size = torch.tensor(images.shape[2:], device=images.device)
    most = (size * _SHIFT_SHARE + 0.5).long()
    shifts = (_uniform(generator, images) * (2 * most + 1)).long() - most  # (B, 2)
    rows, row_inside = _places(shifts[:, 0], images.shape[2])
    columns, column_inside = _places(shifts[:, 1], images.shape[3])
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    inside = (row_inside[:, :, None] & column_inside[:, None, :])[:, None]  # (B, 1, H, W)
    return moved * inside


def _places(shifts: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where each place of a shifted axis comes from, (B, size), and whether that lies on the picture."""
    places = torch.arange(size, device=shifts.device) - shifts[:, None]
    return places.clamp(0, size - 1), (places >= 0) & (places < size)


def _cut_out(images: Tensor, generator: BatchGenerator) -> Tensor:
    sides = torch.tensor(images.shape[2:], device=images.device)
    cut = (sides * _CUT_SHARE + 0.5).long()
    # its middle may lie on the edge, so that a part of the square falls outside
    starts = (_uniform(generator, images) * (sides + 1 - cut % 2)).long() - cut // 2  # (B, 2)
    hit = []
    for axis, size in enumerate(images.shape[2:]):
        places = torch.arange(size, device=images.device)
        start = starts[:, axis, None]
        hit.append((places >= start) & (places < start + cut[axis]))  # (B, size)
    hidden = hit[0][:, :, None] & hit[1][:, None, :]
    return images * ~hidden[:, None]
