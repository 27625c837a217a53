"""What language models share: the loss, what is measured, and reading a text to go on with it.

A model reads the tokens of a block and says of each which token follows. Each block is read by itself, from
nothing: so models that keep a state and models that read all of a block are trained and measured alike.

Legend of shapes: B batch, T tokens, E features, V vocabulary.
"""

import math
from abc import abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.data.token_stream import IGNORED
from creuset.device import BatchGenerator
from creuset.models.base import Batch
from creuset.models.requirements import require_tokens
from creuset.models.token_model import TokenModel
from creuset.objectives.next_token import next_token_nats


class TokenReader(Protocol):
    """Reads texts of equal length token by token, and says what comes next."""

    def read(self, tokens: Tensor) -> Tensor:
        """Further tokens of each text, int64 (B, T), to the scores of the token behind them, (B, V)."""


class LanguageModel(TokenModel):
    """Tokens to scores of the token that follows each.

    Args:
        family: The family's name, for errors.
        spec: The form of the data.

    Raises:
        UsageError: The data is no plain text.
    """

    def __init__(self, family: str, spec: DataSpec) -> None:
        super().__init__(family, spec)
        self.bytes_per_token = spec.bytes_per_token
        self.start_token = spec.start_token
        """What a text from nothing goes on from; None where the data does not say."""
        self._loses_text = spec.loses_text

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """Cross entropy of the next token, in nats a token."""
        assert player in self.players
        return {"loss": self._mean_nats(batch, generator)}

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """The same without dropout, and in bits a byte of text, which does not depend on the tokenizer.

        Where that loses something of the text there are none: what is lost is told by no token.
        """
        del generator
        nats = self._mean_nats(batch, None)
        if self._loses_text:
            return {"loss": nats}
        return {"loss": nats, "bits_per_byte": nats / (math.log(2) * self.bytes_per_token)}

    @torch.no_grad()
    def token_nats(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """-log p of the token that follows each, in nats, float32 (B, T); 0 where the target is IGNORED.

        Args:
            tokens: int64 (B, T), at most `context` of them a row.
            targets: int64 (B, T).
        """
        return self._nats(tokens, targets, None).float()

    @abstractmethod
    def reader(self, num_rows: int) -> TokenReader:
        """What reads `num_rows` texts from their beginning; in evaluation mode, without gradients."""

    @abstractmethod
    def states(self, tokens: Tensor, generator: BatchGenerator | None) -> Tensor:
        """What the head reads of each token.

        Args:
            tokens: int64 (B, T).
            generator: Draws all dropout, one row a sample; nothing is dropped without.

        Returns:
            (B, T, E).
        """

    @abstractmethod
    def scores(self, states: Tensor) -> Tensor:
        """The head: (..., E) -> (..., V)."""

    def _mean_nats(self, batch: Batch, generator: BatchGenerator | None) -> Tensor:
        targets = batch["targets"]
        nats = self._nats(batch["tokens"], targets, generator)
        return nats.sum() / (targets != IGNORED).sum()

    def _nats(self, tokens: Tensor, targets: Tensor, generator: BatchGenerator | None) -> Tensor:
        require_tokens(tokens, self.context)
        states = self.states(tokens, generator)
        return next_token_nats(states, targets, self.scores, vocab_size=self.vocab_size, ignored=IGNORED)
