"""Masked convolutions against kernels with zeros where the papers have them, and what each pixel sees."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from creuset.layers.masked_convolution import HorizontalConvolution, Mask, VerticalConvolution


def seen(layer: torch.nn.Module, channels: int, height: int, width: int) -> Tensor:
    """Whether the output at a pixel depends on an input: bool (out, H, W, in, H, W), for every pixel."""
    x = torch.randn(1, channels, height, width, dtype=torch.float64, requires_grad=True)
    out = layer.double()(x)[0]
    rows = [torch.autograd.grad(value, x, retain_graph=True)[0][0] for value in out.flatten()]
    return torch.stack(rows).reshape(*out.shape, channels, height, width) != 0


def places(height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Row and column of a pixel that sees, and of one that is seen, to be broadcast."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return rows[..., None, None], columns[..., None, None], rows, columns


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("mask", ["A", "B"])
def test_the_vertical_kernel_sees_the_rows_above(kernel_size: int, mask: Mask) -> None:
    found = seen(VerticalConvolution(1, 1, kernel_size, mask), 1, 6, 7)[0, :, :, 0]
    row, column, other_row, other_column = places(6, 7)
    reach = kernel_size // 2
    last = row - 1 if mask == "A" else row
    expected = (other_row <= last) & (other_row >= row - reach) & ((other_column - column).abs() <= reach)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("mask", ["A", "B"])
def test_the_horizontal_kernel_sees_what_is_left_of_a_pixel(kernel_size: int, mask: Mask) -> None:
    found = seen(HorizontalConvolution(1, 1, kernel_size, mask), 1, 5, 6)[0, :, :, 0]
    row, column, other_row, other_column = places(5, 6)
    last = column - 1 if mask == "A" else column
    inside = (other_column <= last) & (other_column >= column - kernel_size // 2)
    assert torch.equal(found, (other_row == row) & inside)


@pytest.mark.parametrize("mask", ["A", "B"])
def test_of_a_pixel_itself_colours_see_earlier_ones(mask: Mask) -> None:
    layer = HorizontalConvolution(6, 12, 3, mask, num_colours=3, repeats=2)
    found = seen(layer, 6, 1, 3)[:, 0, 1, :, 0]  # (out, in, column), from the middle pixel
    colour_out = torch.tensor([0, 0, 1, 1, 2, 2] * 2)[:, None]
    colour_in = torch.tensor([0, 0, 1, 1, 2, 2])
    assert torch.equal(found[..., 1], colour_in < colour_out if mask == "A" else colour_in <= colour_out)
    assert found[..., 0].all()
    assert not found[..., 2].any()


def test_cut_kernels_are_kernels_with_zeros() -> None:
    """The papers multiply a kernel of K x K by a mask of ones and zeros."""
    x = torch.randn(2, 3, 6, 5)
    vertical = VerticalConvolution(3, 4, 5, "B")
    whole = torch.zeros(4, 3, 5, 5)
    whole[:, :, :3] = vertical.convolution.weight.detach()
    torch.testing.assert_close(vertical(x), functional.conv2d(x, whole, vertical.convolution.bias, padding=2))
    horizontal = HorizontalConvolution(3, 4, 5, "B")
    whole = torch.zeros(4, 3, 1, 5)
    whole[..., :3] = horizontal.convolution.weight.detach()
    torch.testing.assert_close(
        horizontal(x), functional.conv2d(x, whole, horizontal.convolution.bias, padding=(0, 2))
    )


def test_rows_one_by_one_are_the_picture() -> None:
    x = torch.randn(2, 3, 6, 5)
    for mask, num_rows in (("A", 2), ("B", 3)):
        layer = VerticalConvolution(3, 4, 5, mask)  # type: ignore[arg-type]
        assert layer.num_rows == num_rows
        whole = layer(x)
        last = 3 if mask == "A" else 4
        rows = layer.read(x[:, :, last - num_rows : last])
        torch.testing.assert_close(rows, whole[:, :, 3:4])


def test_the_matrix_is_the_kernel() -> None:
    x = torch.randn(2, 3, 4, 6)
    layer = HorizontalConvolution(3, 6, 5, "A", num_colours=3)
    window = x[:, :, 1, 2:5].transpose(1, 2).flatten(1)  # pixels 2, 3 and 4, channels of a pixel together
    torch.testing.assert_close(window @ layer.matrix() + layer.convolution.bias, layer(x)[:, :, 1, 4])


def test_impossible_kernels_are_refused() -> None:
    for kind in (VerticalConvolution, HorizontalConvolution):
        with pytest.raises(ValueError, match="a masked kernel has a middle; 4 is even"):
            kind(1, 1, 4, "B")
    with pytest.raises(ValueError, match="a kernel of 1 with mask A sees no row"):
        VerticalConvolution(1, 1, 1, "A")
    with pytest.raises(ValueError, match="8 channels are not shared by 2 x 3 colours"):
        HorizontalConvolution(6, 8, 3, "B", num_colours=3, repeats=2)
