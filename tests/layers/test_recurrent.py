"""Recurrent stacks against torch's own."""

import pytest
import torch
from torch import nn

from creuset.device import BatchGenerator
from creuset.layers.recurrent import Recurrent


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_agrees_with_torch_s_stack(cell: str) -> None:
    ours = Recurrent(cell, 5, 7, 3, dropout=0.0)  # type: ignore[arg-type]
    theirs = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](5, 7, num_layers=3, batch_first=True)
    state = theirs.state_dict()
    for depth, layer in enumerate(ours.layers):
        layer.load_state_dict({name: state[name.replace("_l0", f"_l{depth}")] for name in layer.state_dict()})
    x = torch.randn(4, 6, 5)
    torch.testing.assert_close(ours(x, None), theirs(x)[0])


def test_dropout_acts_between_layers_only() -> None:
    x = torch.randn(4, 6, 5)
    one, two = Recurrent("gru", 5, 7, 1, dropout=0.5), Recurrent("gru", 5, 7, 2, dropout=0.5)
    assert torch.equal(one(x, BatchGenerator(0, size=4)), one(x, None))
    assert not torch.equal(two(x, BatchGenerator(0, size=4)), two(x, None))


def test_a_step_depends_on_no_later_step() -> None:
    recurrent = Recurrent("lstm", 5, 7, 2, dropout=0.0)
    x = torch.randn(2, 6, 5)
    changed = x.clone()
    changed[:, 4:] = 0
    torch.testing.assert_close(recurrent(changed, None)[:, :4], recurrent(x, None)[:, :4])


def test_dropout_takes_the_same_units_at_each_step() -> None:
    recurrent = Recurrent("gru", 5, 7, 2, dropout=0.5)
    seen: list[torch.Tensor] = []
    recurrent.layers[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0] == 0))
    recurrent(torch.randn(4, 6, 5), BatchGenerator(0, size=4))
    assert torch.equal(seen[0], seen[0][:, :1].expand(4, 6, 7))
    assert 0 < seen[0].float().mean() < 1
