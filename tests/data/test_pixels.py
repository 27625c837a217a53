import pytest
import torch

from creuset.data.pixels import to_bytes, to_floats


@pytest.mark.parametrize("num_levels", [2, 17, 256])
def test_floats_run_from_minus_one_to_one_exactly(num_levels: int) -> None:
    levels = torch.arange(num_levels, dtype=torch.uint8)
    floats = to_floats(levels, num_levels)
    expected = torch.tensor([2 * x / (num_levels - 1) - 1 for x in range(num_levels)], dtype=torch.float64)
    assert floats.dtype == torch.float32
    assert floats[0] == -1
    assert floats[-1] == 1
    assert torch.allclose(floats.double(), expected, atol=1e-7)


def test_floats_leave_the_stored_pixels_alone() -> None:
    levels = torch.tensor([0, 255], dtype=torch.uint8)
    to_floats(levels, 256)
    assert levels.tolist() == [0, 255]


def test_bytes_spread_the_levels() -> None:
    assert to_bytes(torch.arange(17, dtype=torch.uint8), 17).tolist() == [
        round(x * 255 / 16) for x in range(17)
    ]
    whole = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    assert torch.equal(to_bytes(whole, 256), whole)
