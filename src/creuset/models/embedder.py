"""A vector for each text: a Transformer's states, pooled and normalised.

Source: Reimers & Gurevych 2019, "Sentence-BERT", section 3: mean, and the first token's state; the last
token's state, of a decoder: Neelakantan et al. 2022, "Text and Code Embeddings by Contrastive Pre-Training".

Legend of shapes: B texts, T tokens, E features.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.transformer import Transformer

Pooling = Literal["mean", "cls", "last"]


def pool(states: Tensor, pooling: Pooling, padding: Tensor | None = None) -> Tensor:
    """One vector of the states of each text, whose padding is left out; float32 at least.

    Args:
        states: (B, T, E).
        pooling: "mean" of all tokens; "cls": the first token; "last": the last one.
        padding: bool (B, T), True where a token is, at least one a row; None for tokens everywhere.

    Returns:
        (B, E).
    """
    states = states.to(torch.promote_types(states.dtype, torch.float32))
    if padding is None:
        return {"mean": states.mean(1), "cls": states[:, 0], "last": states[:, -1]}[pooling]
    if pooling == "mean":
        tokens = padding[..., None]
        return states.masked_fill(~tokens, 0).sum(1) / tokens.sum(1)
    places = torch.arange(padding.shape[1], device=padding.device)
    if pooling == "cls":
        chosen = places.where(padding, padding.shape[1]).amin(1)
    else:
        chosen = places.where(padding, -1).amax(1)
    return states[torch.arange(len(states), device=states.device), chosen]


class Embedder(nn.Module):
    """Texts to vectors.

    Args:
        body: An encoder or a decoder; its head, if it has one, is not used.
        pooling: How the states of a text become one vector: "mean", "cls" or "last".
        normalise: Whether vectors have length 1, so that their products are cosines.

    Raises:
        UsageError: An encoder-decoder, which has two kinds of states.
    """

    def __init__(self, body: Transformer, *, pooling: Pooling, normalise: bool) -> None:
        super().__init__()
        if body.config.architecture == "encoder_decoder":
            raise UsageError(
                "an encoder-decoder gives no vector for a text",
                where="Embedder",
                expected="an encoder or a decoder",
            )
        self.body = body
        self.pooling: Pooling = pooling
        self.normalise = normalise

    def forward(
        self, token_ids: Tensor, *, padding: Tensor | None = None, generator: BatchGenerator | None = None
    ) -> Tensor:
        """The vector of each text, with gradients where they are wanted.

        Args:
            token_ids: int64 (B, T).
            padding: bool (B, T), True where a token is; None for tokens everywhere.
            generator: Draws the dropout; nothing is dropped without.

        Returns:
            (B, E), float32 at least.

        Raises:
            UsageError: A text is longer than the context, or has no token.
        """
        if padding is not None and not bool(padding.any(1).all()):
            raise _no_tokens()
        states = self.body.hidden(token_ids, padding=padding, generator=generator)
        return self._finished(pool(states, self.pooling, padding))

    def embed_packed(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """The vectors of texts that are computed as one row, one behind the other, without padding.

        Args:
            texts: The token ids of each.

        Returns:
            (B, E), float32 at least.

        Raises:
            UsageError: A text is longer than the context, or has no token.
        """
        lengths = [len(text) for text in texts]
        if not all(lengths):
            raise _no_tokens()
        device = self.body.token_embedding.weight.device
        token_ids = torch.tensor([list(chain.from_iterable(texts))], dtype=torch.long, device=device)
        documents = torch.repeat_interleave(torch.tensor(lengths, device=device))[None]
        states = self.body.hidden(token_ids, documents=documents)  # (1, all tokens, E)
        pooled = [pool(text, self.pooling) for text in states.split_with_sizes(lengths, dim=1)]
        return self._finished(torch.cat(pooled))

    def _finished(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors, dim=-1) if self.normalise else vectors


def _no_tokens() -> UsageError:
    return UsageError(
        "a text without tokens has no vector", where="Embedder", expected="at least one token a text"
    )
