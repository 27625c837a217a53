"""What models share that are trained to fill masks: the loss, and the scores of what may stand at a place.

A model reads a block of tokens of which some are hidden, and says of each hidden one which token it was; it
may read what stands on either side. Documents lie behind each other in a block, each behind the separator of
its corpus (data/token_stream.py), and are not kept apart: a token may be told from another document's.

Legend of shapes: B batch, T tokens, E features, V vocabulary, N places.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.data.token_stream import IGNORED, block_padding
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.base import Batch
from creuset.models.requirements import require_tokens
from creuset.models.token_model import TokenModel
from creuset.objectives.masked_tokens import (
    HiddenTokens,
    choose_places,
    corrupt_places,
    mask_places,
    masked_token_nats,
)


class MaskedLanguageModel(TokenModel):
    """Tokens to scores of the hidden ones.

    Args:
        family: The family's name, for errors.
        spec: The form of the data.
        mask_share: The share of the tokens of a block that are hidden in training, in (0, 1].

    Raises:
        UsageError: The data is no plain text, its tokenizer has no mask token, or nothing but special tokens.
    """

    reads_ahead = True

    def __init__(self, family: str, spec: DataSpec, mask_share: float) -> None:
        super().__init__(family, spec)
        self.mask_token = _mask_token(spec, family)
        self.mask_share = mask_share
        ordinary = torch.ones(spec.vocab_size, dtype=torch.bool)
        ordinary[list({*spec.special_tokens, self.mask_token})] = False
        if not ordinary.any():
            raise UsageError(f"{family} has no token to hide: all are special ones", where="data.tokenizer")
        self.register_buffer("is_ordinary", ordinary, persistent=False)
        self.register_buffer("ordinary_tokens", ordinary.nonzero()[:, 0], persistent=False)

    is_ordinary: Tensor
    """bool (V,), True for tokens that stand for text."""
    ordinary_tokens: Tensor
    """Their ids."""

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """Cross entropy of the chosen tokens, in nats: the mean of each block's mean over its own.

        So the loss of a batch is the mean of those of its parts, also where blocks have unequal numbers of
        tokens that can be chosen.
        """
        assert player in self.players
        return {"loss": self._block_nats(batch, generator, generator).mean()}

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """The same without dropout, each block counting by its tokens."""
        num_tokens = (batch["targets"] != IGNORED).sum(1)
        nats = self._block_nats(batch, generator, None)
        return {"loss": (nats * num_tokens).sum() / num_tokens.sum()}

    @torch.no_grad()
    def fill(self, tokens: Tensor, places: Tensor, *, padding: Tensor | None = None) -> Tensor:
        """The scores of all tokens at some places, in their order, row by row: float32 (N, V).

        Args:
            tokens: int64 (B, T), at most `context` of them a row, the mask token where one is to be guessed.
            places: bool (B, T), True where scores are wanted.
            padding: bool (B, T), True where a token is; None for tokens everywhere.
        """
        require_tokens(tokens, self.context)
        return self.scores(self.states(tokens, None, padding)[places]).float()

    def hide(
        self, tokens: Tensor, padding: Tensor | None, share: float, generator: BatchGenerator
    ) -> HiddenTokens:
        """Texts of which a share of the tokens is masked, special ones never.

        Args:
            tokens: int64 (B, T).
            padding: bool (B, T), True where a token is; None for tokens everywhere.
            share: In (0, 1].
            generator: Decides which, one row a text.
        """
        places = self._choose(tokens, padding, share, generator)
        return mask_places(tokens, places, mask_token=self.mask_token, ignored=IGNORED)

    @abstractmethod
    def states(self, tokens: Tensor, generator: BatchGenerator | None, padding: Tensor | None) -> Tensor:
        """What the head reads of each token.

        Args:
            tokens: int64 (B, T).
            generator: Draws all dropout, one row a sample; nothing is dropped without.
            padding: bool (B, T), True where a token is; None for tokens everywhere.

        Returns:
            (B, T, E).
        """

    @abstractmethod
    def scores(self, states: Tensor) -> Tensor:
        """The head: (..., E) -> (..., V)."""

    def _block_nats(self, batch: Batch, draws: BatchGenerator, dropout: BatchGenerator | None) -> Tensor:
        """The mean nats of the chosen tokens of each block, (B,); 0 for one without."""
        tokens, padding = batch["tokens"], block_padding(batch["targets"])
        require_tokens(tokens, self.context)
        num_tokens = tokens.shape[1]
        places = self._choose(tokens, padding, self.mask_share, draws)
        random = self.ordinary_tokens[draws.integers(len(self.ordinary_tokens), num_tokens)]
        hidden = corrupt_places(
            tokens,
            places,
            mask_token=self.mask_token,
            draws=draws.uniform(num_tokens),
            random_tokens=random,
            ignored=IGNORED,
        )
        states = self.states(hidden.tokens, dropout, None if bool(padding.all()) else padding)
        nats = masked_token_nats(
            states, hidden.targets, self.scores, vocab_size=self.vocab_size, ignored=IGNORED
        )
        return nats.sum(1) / places.sum(1).clamp(min=1)

    def _choose(
        self, tokens: Tensor, padding: Tensor | None, share: float, generator: BatchGenerator
    ) -> Tensor:
        candidates = self.is_ordinary[tokens]
        if padding is not None:
            candidates = candidates & padding
        return choose_places(candidates, generator.uniform(tokens.shape[1]), share)


def _mask_token(spec: DataSpec, family: str) -> int:
    if spec.mask_token is None:
        raise UsageError(
            f"{family} needs a mask token, and this tokenizer has none",
            where="data.tokenizer",
            got=f"a tokenizer of {spec.vocab_size:,} tokens, {spec.tokenizer[:16]}",
            expected="one with a mask_token",
            next_step="load the data with needs_mask, as creuset train does: the tokenizer is given one",
        )
    return spec.mask_token
