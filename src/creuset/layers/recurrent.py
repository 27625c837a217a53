"""Recurrent layers one on another, with dropout between them.

Source: LSTM: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000; GRU: Cho et al. 2014;
dropout on the connections between layers alone: Zaremba et al. 2014, "Recurrent Neural Network
Regularization", with one mask for all steps of a sequence: Gal & Ghahramani 2016, "A Theoretically Grounded
Application of Dropout in Recurrent Neural Networks".
Departures: the GRU is torch's, whose reset gate acts after the product with the state; no dropout on the
state itself, from one step to the next. A mask that does not depend on the number of steps makes what is
drawn for a sequence independent of the padding behind it.

Legend of shapes: B batch, T time steps, F features, H hidden units.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from creuset.device import BatchGenerator
from creuset.layers.dropout import Dropout

Cell = Literal["gru", "lstm"]
State = tuple[Tensor | tuple[Tensor, Tensor], ...]
"""What each layer keeps from one step to the next, as torch writes it."""


class Recurrent(nn.Module):
    """A stack of GRU or LSTM layers that starts from a zero state.

    Args:
        cell: Which of the two.
        input_dim: F.
        hidden_dim: H.
        num_layers: Layers of the stack.
        dropout: Probability that a unit is zero between two layers, at all steps of a sequence alike.
    """

    def __init__(self, cell: Cell, input_dim: int, hidden_dim: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        layer = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.layers = nn.ModuleList(
            layer(input_dim if depth == 0 else hidden_dim, hidden_dim, batch_first=True)
            for depth in range(num_layers)
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, generator: BatchGenerator | None) -> Tensor:
        """(B, T, F) -> the last layer's state after each step, (B, T, H)."""
        for depth, layer in enumerate(self.layers):
            if depth > 0:
                x = x * self.dropout(torch.ones_like(x[:, :1]), generator)  # (B, 1, H)
            x = layer(x)[0]
        return x

    def go_on(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """As `forward` without dropout, from the state behind earlier steps, which it returns as well.

        Args:
            x: Further steps, (B, T, F).
            state: What the call before returned; None at the beginning.
        """
        kept = []
        for depth, layer in enumerate(self.layers):
            x, last = layer(x, None if state is None else state[depth])
            kept.append(last)
        return x, tuple(kept)
