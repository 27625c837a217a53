"""Pixels one by one with a cache against one pass over the whole picture."""

import pytest
import torch

from creuset.layers.gated_convolution import GatedStacks, StackConfig
from creuset.layers.raster_cache import RasterCache


@pytest.mark.parametrize("num_colours", [1, 3])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("num_classes", [0, 4])
def test_outputs_are_those_of_one_pass(num_colours: int, kernel_size: int, num_classes: int) -> None:
    torch.manual_seed(0)
    model = GatedStacks(
        StackConfig(
            num_colours=num_colours,
            channels=6,
            num_layers=3,
            kernel_size=kernel_size,
            outputs_per_colour=5,
            num_classes=num_classes,
        )
    )
    labels = torch.tensor([0, 3]) if num_classes else None
    for layer in model.gated_layers():
        if layer.labels is not None:
            torch.nn.init.normal_(layer.labels.weight)
    pixels = torch.rand(2, num_colours, 7, 6) * 2 - 1
    whole = model(pixels, labels).detach().unflatten(1, (num_colours, 5))
    cache = RasterCache(model, 2, 6, labels)
    for row in range(7):
        cache.begin_row()
        for column in range(6):
            for colour in range(num_colours):
                found = cache.outputs(column, colour)
                assert not found.requires_grad
                torch.testing.assert_close(found, whole[:, colour, :, row, column], rtol=1e-5, atol=1e-5)
                cache.put(column, colour, pixels[:, colour, row, column])
