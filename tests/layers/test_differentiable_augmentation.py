"""Differentiable augmentation: what each change does, each picture its own, and gradients pass."""

import pytest
import torch
from torch import Tensor

from creuset.device import BatchGenerator
from creuset.layers.differentiable_augmentation import DifferentiableAugmentation, augmented

KINDS: tuple[DifferentiableAugmentation, ...] = ("brightness", "contrast", "translate", "cutout")


def draws(size: int, seed: int = 0) -> BatchGenerator:
    return BatchGenerator(seed, "augment", size=size)


def pictures(size: int = 50) -> Tensor:
    return torch.rand(size, 2, 16, 24, generator=torch.Generator().manual_seed(0)) + 1


def test_brightness_adds_one_number_to_a_picture() -> None:
    change = augmented(pictures(), ["brightness"], draws(50)) - pictures()
    torch.testing.assert_close(change, change[:, :1, :1, :1].expand_as(change), atol=1e-5, rtol=0)
    numbers = change[:, 0, 0, 0]
    assert -0.5 <= float(numbers.min()) < -0.3
    assert 0.3 < float(numbers.max()) < 0.5


def test_contrast_keeps_the_mean_and_scales_the_rest() -> None:
    found, before = augmented(pictures(), ["contrast"], draws(50)), pictures()
    torch.testing.assert_close(found.mean((1, 2, 3)), before.mean((1, 2, 3)))
    factors = found.std((1, 2, 3)) / before.std((1, 2, 3))
    assert 0.5 <= float(factors.min()) < 0.7
    assert 1.3 < float(factors.max()) < 1.5


def test_translate_moves_by_whole_pixels_and_fills_with_nothing() -> None:
    found, before, shifts = augmented(pictures(), ["translate"], draws(50)), pictures(), set()
    for picture, moved in zip(before, found, strict=True):
        rows = torch.nonzero(moved.sum((0, 2)))[:, 0]
        columns = torch.nonzero(moved.sum((0, 1)))[:, 0]
        down = int(rows[0]) if int(rows[0]) else int(rows[-1]) - 15
        right = int(columns[0]) if int(columns[0]) else int(columns[-1]) - 23
        expected = torch.zeros_like(picture)
        expected[:, max(down, 0) : 16 + min(down, 0), max(right, 0) : 24 + min(right, 0)] = picture[
            :, max(-down, 0) : 16 - max(down, 0), max(-right, 0) : 24 - max(right, 0)
        ]
        assert torch.equal(moved, expected)
        shifts.add((down, right))
    assert {down for down, _ in shifts} == set(range(-2, 3))
    assert {right for _, right in shifts} == set(range(-3, 4))


def test_cutout_hides_one_square_of_half_the_sides() -> None:
    found = augmented(pictures(), ["cutout"], draws(50))
    hidden = (found == 0).all(1)
    assert torch.equal(found, pictures() * ~hidden[:, None])
    for picture in hidden:
        places = torch.nonzero(picture)
        (top, left), (bottom, right) = places.min(0).values, places.max(0).values
        assert bool(picture[top : bottom + 1, left : right + 1].all())
        assert int(bottom - top) + 1 <= 8
        assert int(right - left) + 1 <= 12
    assert int(hidden.flatten(1).sum(1).max()) == 8 * 12


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_pass_and_pictures_are_told_apart(kind: DifferentiableAugmentation) -> None:
    images = pictures(6).double().requires_grad_()
    augmented(images, [kind], draws(6)).square().sum().backward()
    assert images.grad is not None
    assert bool((images.grad.flatten(1).abs().sum(1) > 0).all())
    same = augmented(pictures(1).expand(6, -1, -1, -1), [kind], draws(6))
    assert not torch.equal(same[0], same[1])
    parts = draws(6)
    cut = [augmented(pictures(6)[a:b], [kind], parts.slice(a, b)) for a, b in ((0, 2), (2, 6))]
    torch.testing.assert_close(torch.cat(cut), augmented(pictures(6), [kind], draws(6)))
