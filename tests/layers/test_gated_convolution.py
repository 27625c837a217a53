"""No pixel of a Gated PixelCNN sees itself or its future, and all see all of their past."""

from typing import Any

import pytest
import torch
from torch import Tensor

from creuset.layers.gated_convolution import GatedStacks, StackConfig, gate


def stacks(**settings: Any) -> GatedStacks:
    defaults = {
        "num_colours": 1,
        "channels": 6,
        "num_layers": 3,
        "kernel_size": 3,
        "outputs_per_colour": 1,
    }
    torch.manual_seed(0)
    return GatedStacks(StackConfig(**{**defaults, **settings}))


def dependencies(model: GatedStacks, height: int, width: int) -> Tensor:
    """How much each number of the output depends on each number of the picture, by autograd.

    Both in the order of drawing: pixels row by row, the colours of a pixel one after another. An output's row
    is that of its colour, summed over the numbers of that colour: (pixels x colours, pixels x colours).
    """
    colours, numbers = model.config.num_colours, model.config.outputs_per_colour
    x = torch.randn(1, colours, height, width, dtype=torch.float64, requires_grad=True)
    labels = torch.zeros(1, dtype=torch.int64) if model.config.num_classes else None
    out = model.double()(x, labels).unflatten(1, (colours, numbers))[0]  # (colours, numbers, H, W)
    in_order = out.permute(2, 3, 0, 1).flatten(0, 2)  # (pixels x colours, numbers)
    rows = []
    for place in in_order:
        total = torch.zeros_like(x)
        for value in place:
            total += torch.autograd.grad(value, x, retain_graph=True)[0].abs()
        rows.append(total[0].permute(1, 2, 0).flatten())
    return torch.stack(rows)


@pytest.mark.parametrize("num_colours", [1, 3])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("num_classes", [0, 2])
def test_no_pixel_sees_itself_or_its_future(num_colours: int, kernel_size: int, num_classes: int) -> None:
    model = stacks(
        num_colours=num_colours,
        kernel_size=kernel_size,
        num_classes=num_classes,
        outputs_per_colour=2,
    )
    found = dependencies(model, 6, 7)
    assert not found.triu().any()


@pytest.mark.parametrize("num_colours", [1, 3])
def test_every_pixel_sees_all_of_its_past(num_colours: int) -> None:
    """Without a blind spot: as deep as the picture is wide, everything earlier has an influence."""
    found = dependencies(stacks(num_colours=num_colours, channels=24, num_layers=6), 6, 6)
    past = torch.ones_like(found, dtype=torch.bool).tril(-1)
    assert (found[past] > 0).all()


def test_a_leak_would_be_seen() -> None:
    model = stacks(channels=24)
    model.first_horizontal.allowed.fill_(1)  # mask B where A belongs
    assert dependencies(model, 4, 4).diagonal().all()


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_gate_is_tanh_times_sigmoid(channels_last: bool) -> None:
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    expected = torch.tanh(x[:, :3]) * torch.sigmoid(x[:, 3:])
    torch.testing.assert_close(gate(x), expected)
    weights = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(out, x, weights)[0] for out in (gate(x), expected))
    torch.testing.assert_close(ours, theirs)


def test_labels_change_every_pixel_once_they_are_learned() -> None:
    model = stacks(num_classes=3)
    x, labels = torch.randn(2, 1, 5, 5), torch.tensor([0, 2])
    assert torch.equal(model(x, labels), model(x, labels.flip(0)))  # they begin without influence
    with torch.no_grad():
        for layer in model.gated_layers():
            assert layer.labels is not None
            layer.labels.weight.normal_()
    assert (model(x, labels) != model(x, labels.flip(0))).all()
