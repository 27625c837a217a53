"""Each change against a slow twin that says pixel by pixel what should come out."""

import math

import pytest
import torch
from torch import Tensor

from creuset.data.augment import augment, erase, flip, require_fitting, rotate, shift
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.recipe.sections import AugmentationConfig

EVERYTHING = AugmentationConfig(shift=2, rotate=20.0, erase=0.4, flip=True)


def random_images(batch: int = 16, channels: int = 3, height: int = 7, width: int = 9) -> Tensor:
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def draws(size: int = 16, seed: int = 0) -> BatchGenerator:
    return BatchGenerator(seed, "augment", size=size)


def test_flip_mirrors_those_whose_draw_is_below_one_half() -> None:
    images, numbers = random_images(), draws().uniform()
    flipped = flip(images, draws())
    assert 0 < (numbers < 0.5).sum() < len(images)
    for image, result, number in zip(images, flipped, numbers, strict=True):
        for column in range(9):
            source = 8 - column if number < 0.5 else column
            assert torch.equal(result[:, :, column], image[:, :, source])


def test_shift_moves_by_whole_pixels_and_fills_with_background() -> None:
    images, moves = random_images(), draws().integers(7, 2) - 3
    shifted = shift(images, 3, draws())
    assert {int(move) for move in moves.flatten()} == set(range(-3, 4))
    for image, result, (down, right) in zip(images, shifted, moves.tolist(), strict=True):
        for row in range(7):
            for column in range(9):
                source = (row + down, column + right)
                inside = 0 <= source[0] < 7 and 0 <= source[1] < 9
                expected = image[:, source[0], source[1]] if inside else torch.full((3,), -1.0)
                assert torch.equal(result[:, row, column], expected)


def bilinear(image: Tensor, row: float, column: float) -> Tensor:
    """One interpolated pixel; what lies outside is background."""
    top, left = math.floor(row), math.floor(column)
    total = torch.zeros(len(image), dtype=torch.float64)
    for i in (top, top + 1):
        for j in (left, left + 1):
            weight = (1 - abs(row - i)) * (1 - abs(column - j))
            inside = 0 <= i < image.shape[1] and 0 <= j < image.shape[2]
            value = image[:, i, j].double() if inside else torch.full((len(image),), -1.0)
            total += weight * value
    return total


def test_rotate_turns_counter_clockwise_about_the_centre() -> None:
    images = random_images(batch=4)
    angles = (2 * draws(4).uniform() - 1).double() * math.radians(50)
    turned = rotate(images, 50, draws(4))
    middle_row, middle_column = 3, 4
    for image, result, angle in zip(images, turned, angles.tolist(), strict=True):
        for row in range(7):
            for column in range(9):
                # A point at (right, up) from the centre came from where turning it back leads.
                right, up = column - middle_column, middle_row - row
                back_right = math.cos(angle) * right + math.sin(angle) * up
                back_up = -math.sin(angle) * right + math.cos(angle) * up
                expected = bilinear(image, middle_row - back_up, middle_column + back_right)
                assert torch.allclose(result[:, row, column].double(), expected, atol=1e-4)


def test_a_quarter_turn_is_exact_on_a_square() -> None:
    image = random_images(batch=1, height=6, width=6)

    class Quarter(BatchGenerator):
        def uniform(self, *shape: int) -> Tensor:
            return torch.ones(1, *shape)

    turned = rotate(image, 90, Quarter(0, size=1))
    assert torch.allclose(turned, torch.rot90(image, 1, (2, 3)), atol=1e-5)


def test_erase_covers_one_patch_no_larger_than_asked() -> None:
    images = random_images(batch=200)
    erased = erase(images, 0.5, draws(200))
    numbers = draws(200).uniform(4)
    sizes = set()
    for image, result, (a, b, c, d) in zip(images, erased, numbers.tolist(), strict=True):
        height, width = math.floor(a * (int(0.5 * 7) + 1)), math.floor(c * (int(0.5 * 9) + 1))
        top, left = math.floor(b * (7 - height + 1)), math.floor(d * (9 - width + 1))
        expected = image.clone()
        expected[:, top : top + height, left : left + width] = -1
        assert torch.equal(result, expected)
        sizes.add((height, width))
    assert sizes == {(height, width) for height in range(4) for width in range(5)}


def test_parts_of_a_batch_come_out_as_in_the_whole_batch() -> None:
    images = random_images()
    whole = augment(images, EVERYTHING, draws())
    generator = draws()
    parts = [augment(images[i : i + 4], EVERYTHING, generator.slice(i, i + 4)) for i in range(0, 16, 4)]
    assert torch.equal(torch.cat(parts), whole)


def test_input_form_and_range_are_kept() -> None:
    images = random_images()
    before = images.clone()
    changed = augment(images, EVERYTHING, draws())
    assert torch.equal(images, before)
    assert changed.shape == images.shape
    assert changed.dtype == images.dtype
    assert -1 <= changed.min() <= changed.max() <= 1
    assert not torch.equal(changed, images)


def test_the_seed_decides() -> None:
    images = random_images()
    assert torch.equal(augment(images, EVERYTHING, draws()), augment(images, EVERYTHING, draws()))
    assert not torch.equal(augment(images, EVERYTHING, draws()), augment(images, EVERYTHING, draws(seed=1)))


def test_what_is_off_changes_nothing_and_draws_nothing() -> None:
    images, generator = random_images(), draws()
    assert torch.equal(augment(images, AugmentationConfig(), generator), images)
    assert torch.equal(generator.uniform(), draws().uniform())


def test_a_shift_out_of_sight_is_refused() -> None:
    with pytest.raises(UsageError, match=r"data\.augmentation\.shift: a shift this large") as raised:
        require_fitting(AugmentationConfig(shift=7), (1, 7, 9))
    assert "less than 7, the shorter side" in str(raised.value)
