"""Ways between codes: their ends, norms and angles."""

import math

import pytest
import torch

from creuset.errors import UsageError
from creuset.layers.interpolation import interpolate_codes


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_ends_are_the_codes(path: str) -> None:
    first, second = torch.randn(3, 4), torch.randn(3, 4)
    codes = interpolate_codes(first, second, 5, path)  # type: ignore[arg-type]
    assert codes.shape == (3, 5, 4)
    torch.testing.assert_close(codes[:, 0], first)
    torch.testing.assert_close(codes[:, -1], second)


def test_linear_steps_are_even() -> None:
    codes = interpolate_codes(torch.zeros(1, 2), torch.tensor([[4.0, -8.0]]), 5)
    torch.testing.assert_close(codes[0], torch.tensor([[0.0, 0], [1, -2], [2, -4], [3, -6], [4, -8]]))


def test_spherical_steps_turn_by_the_same_angle_at_the_same_norm() -> None:
    codes = interpolate_codes(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), 4, "spherical")[0]
    angles = [step * math.pi / 6 for step in range(4)]
    torch.testing.assert_close(codes, torch.tensor([[2 * math.cos(a), 2 * math.sin(a)] for a in angles]))


@pytest.mark.parametrize("second", [[3.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_spherical_way_without_an_angle_is_the_linear_one(second: list[float]) -> None:
    first, second_code = torch.tensor([[1.0, 0.0]]), torch.tensor([second])
    linear = interpolate_codes(first, second_code, 3)
    spherical = interpolate_codes(first, second_code, 3, "spherical")
    assert torch.isfinite(spherical).all()
    if second != [0.0, 0.0]:
        torch.testing.assert_close(spherical, linear)


def test_one_step_is_refused() -> None:
    with pytest.raises(UsageError, match="got: 1\n  expected: at least 2"):
        interpolate_codes(torch.zeros(1, 2), torch.ones(1, 2), 1)
