"""The recurrent classifier reads rows from the top, all channels of a row at once."""

import pytest
import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.models.rnn import RNN, RNNConfig


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_scores_are_read_from_the_state_after_the_last_row(cell: str) -> None:
    spec = DataSpec(
        kind="images", shape=(3, 5, 4), num_levels=256, class_names=("a", "b"), class_counts=(1, 1)
    )
    model = RNN(RNNConfig(family="rnn", cell=cell, hidden_dim=6, num_layers=1), spec)  # type: ignore[arg-type]
    images = torch.randn(2, 3, 5, 4)
    cells = {"gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}[cell](12, 6)
    layer = model.recurrent.layers[0].state_dict()
    cells.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.items()})
    state: Tensor | tuple[Tensor, Tensor] | None = None
    for row in range(5):
        values = torch.cat([images[:, channel, row] for channel in range(3)], dim=1)
        state = cells(values, state)
    assert state is not None
    last = state[0] if isinstance(state, tuple) else state
    torch.testing.assert_close(model.logits(images), model.output(last).detach())


def test_dropout_acts_in_training_alone(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    model = RNN(RNNConfig(family="rnn", hidden_dim=16, num_layers=2, dropout=0.5), digit_spec)
    batch = {name: values[:16] for name, values in digits.items()}
    losses = [float(model.loss(batch, "model", BatchGenerator(s, size=16))["loss"].detach()) for s in (0, 1)]
    assert losses[0] != losses[1]
    held = [float(model.validation_loss(batch, BatchGenerator(s, size=16))["loss"].detach()) for s in (0, 1)]
    assert held[0] == held[1]
