"""A recurrent language model: LSTM or GRU layers that are trained to continue text.

Source: Mikolov et al. 2010, "Recurrent neural network based language model"; the layers: Zaremba et al. 2014,
"Recurrent Neural Network Regularization" (layers/recurrent.py).
Departures: each block of tokens starts from a zero state, in training and when it is measured, as a decoder
reads each block by itself; when a text is generated the state goes on without an end.

Legend of shapes: B batch, T tokens, E features of a token, H hidden units, V vocabulary.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.layers.dropout import Dropout
from creuset.layers.recurrent import Cell, Recurrent, State
from creuset.models.base import Family
from creuset.models.language_model import LanguageModel
from creuset.recipe.sections import FamilyConfig


class RNNLanguageModelConfig(FamilyConfig):
    """The `model` section of a recurrent language model."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"num_layers": 1, "embed_dim": 32, "hidden_dim": 96},
        "small": {"num_layers": 2, "embed_dim": 96, "hidden_dim": 240},
        "base": {"num_layers": 3, "embed_dim": 384, "hidden_dim": 640},
    }

    cell: Cell = Field("lstm", description="The gated cell: lstm or gru.")
    num_layers: int = Field(2, ge=1, description="Recurrent layers one on another.")
    embed_dim: int = Field(96, ge=1, description="Numbers that a token is turned into.")
    hidden_dim: int = Field(240, ge=1, description="Units of the state of each layer.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Probability of a zero before, between and behind the layers."
    )


class RNNLanguageModel(LanguageModel):
    """Tokens to scores of the next one, one token after another.

    Args:
        config: The recipe's section.
        spec: The form of the data.
    """

    def __init__(self, config: RNNLanguageModelConfig, spec: DataSpec) -> None:
        super().__init__(config.family, spec)
        self.token_embedding = nn.Embedding(self.vocab_size, config.embed_dim)
        self.recurrent = Recurrent(
            config.cell, config.embed_dim, config.hidden_dim, config.num_layers, config.dropout
        )
        self.dropout = Dropout(config.dropout)
        self.head = nn.Linear(config.hidden_dim, self.vocab_size)

    def states(self, tokens: Tensor, generator: BatchGenerator | None) -> Tensor:
        embedded = self.dropout(self.token_embedding(tokens), generator)  # (B, T, E)
        states: Tensor = self.dropout(self.recurrent(embedded, generator), generator)  # (B, T, H)
        return states

    def scores(self, states: Tensor) -> Tensor:
        scores: Tensor = self.head(states)
        return scores

    def embeddings(self) -> Tensor:
        return self.token_embedding.weight.detach().float()

    def reader(self, num_rows: int) -> "StateReader":
        del num_rows  # the first tokens say it
        return StateReader(self)


class StateReader:
    """Reads texts and keeps the state behind their last tokens.

    Args:
        model: In evaluation mode.
    """

    def __init__(self, model: RNNLanguageModel) -> None:
        self._model = model
        self._state: State | None = None

    @torch.no_grad()
    def read(self, tokens: Tensor) -> Tensor:
        """As `TokenReader.read`."""
        states, self._state = self._model.recurrent.go_on(self._model.token_embedding(tokens), self._state)
        return self._model.scores(states[:, -1])


FAMILY = Family(
    name="rnn_lm",
    config=RNNLanguageModelConfig,
    build=RNNLanguageModel,
    traits=frozenset({"gradient", "scores_text", "generates_text", "embeds_tokens"}),
)
