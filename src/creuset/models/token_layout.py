"""How the tokens of a batch lie in its rows: padded, packed, or behind those of a cache.

Legend of shapes: B batch, T tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from creuset.errors import UsageError
from creuset.layers.key_value_cache import KeyValueCache
from creuset.layers.masks import document_lengths, padding_is_behind
from creuset.layers.positions import document_positions, padded_positions
from creuset.models.transformer_config import TransformerConfig


@dataclass(frozen=True, kw_only=True)
class TokenLayout:
    """How the tokens of a batch lie in its rows.

    Args:
        positions: int64 (B or 1, T), the place of each token in its text, from 0.
        padding: bool (B, T), True where a token is; None without padding or with documents.
        lengths: Tokens of each packed document, row after row; empty where a row is one text.
        segments: int64 (B, T), the kind of segment of each token; None for kind 0.
    """

    positions: Tensor
    padding: Tensor | None = None
    lengths: tuple[int, ...] = ()
    segments: Tensor | None = None


def lay_out(
    config: TransformerConfig,
    token_ids: Tensor,
    positions: Tensor | None,
    documents: Tensor | None,
    padding: Tensor | None,
    segments: Tensor | None,
    cache: KeyValueCache | None = None,
) -> TokenLayout:
    """The layout of what a Transformer's caller gave; for the arguments see `Transformer.hidden`.

    Padding among packed documents becomes documents of its own, which no other one reads.

    Raises:
        UsageError: A text is longer than the context or the cache, or an argument has no use.
    """
    if segments is not None and not config.num_segments:
        raise impossible("this Transformer knows no segments", "segments=None")
    if positions is not None and config.positions in ("none", "relative"):
        raise impossible(f"{config.positions} positions are not told from outside", "positions=None")
    if cache is not None:
        _check_cached(token_ids, documents, padding, cache)
    tokens = padding
    if documents is not None and padding is not None:
        documents = documents.masked_fill(~padding, int(documents.min()) - 1)
        padding = None
    lengths = () if documents is None else document_lengths(documents)
    longest = max(lengths, default=token_ids.shape[1]) + (0 if cache is None else max(cache.lengths))
    given = positions is not None
    if positions is None:
        positions = _positions(token_ids, documents, padding, cache)
        if tokens is not None:
            positions = positions.masked_fill(~tokens, 0)  # padding counts for nothing
    if config.context_length is not None and (given or longest > config.context_length):
        longest = int(positions.max()) + 1
        _check_context(longest, config.context_length)
    return TokenLayout(positions=positions, padding=padding, lengths=lengths, segments=segments)


_MOST_FILLING = 64
"""A packed row is filled up to a multiple of it at most."""


def filled_row(
    config: TransformerConfig, token_ids: Tensor, documents: Tensor, segments: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """A row of packed documents with a last document of nothing behind them, so that lengths come again.

    On a processor kernels are made for each length that is new, and stay in memory: 11 MB a step of SmolLM2.
    A row becomes longer by a sixteenth at most.

    Args:
        config: Of the Transformer.
        token_ids: int64 (1, T).
        documents: int64 (1, T).
        segments: int64 (1, T), or None.

    Returns:
        The same three, (1, T or more).
    """
    num_tokens = token_ids.shape[1]
    most = min(_MOST_FILLING, config.context_length or _MOST_FILLING)
    block = 1
    while block * 2 <= most and block * 32 <= num_tokens:
        block *= 2
    missing = -num_tokens % block
    if not missing:
        return token_ids, documents, segments
    return (
        functional.pad(token_ids, (0, missing)),
        functional.pad(documents, (0, missing), value=int(documents[0, -1]) + 1),
        None if segments is None else functional.pad(segments, (0, missing)),
    )


def impossible(message: str, expected: str) -> UsageError:
    """The error for what a Transformer was asked and, by its form, cannot do."""
    return UsageError(message, where="Transformer", expected=expected)


def _positions(
    token_ids: Tensor, documents: Tensor | None, padding: Tensor | None, cache: KeyValueCache | None
) -> Tensor:
    """int64 (B or 1, T): the place of each token in its text."""
    if documents is not None:
        return document_positions(documents)
    places = torch.arange(token_ids.shape[1], device=token_ids.device)[None]
    if cache is not None:
        rows = cache.lengths if min(cache.lengths) < max(cache.lengths) else cache.lengths[:1]
        return places + torch.tensor(rows, device=token_ids.device)[:, None]
    return places if padding is None else padded_positions(padding)


def _check_cached(
    token_ids: Tensor, documents: Tensor | None, padding: Tensor | None, cache: KeyValueCache
) -> None:
    """UsageError for tokens that cannot be put behind those of a cache."""
    if len(token_ids) != len(cache.lengths):
        raise impossible(f"{len(token_ids)} rows of tokens for a cache of {len(cache.lengths)}", "as many")
    if documents is not None or (padding is not None and not padding_is_behind(padding)):
        raise impossible("a cache takes one text a row, from its first token on", "padding behind the tokens")
    cache.require_room(token_ids.shape[1])


def _check_context(longest: int, context_length: int) -> None:
    if longest > context_length:
        raise UsageError(
            "a text is longer than the model's context",
            got=f"{longest} tokens",
            expected=f"at most {context_length}",
            next_step="shorten the text, or cut it into pieces of its own",
        )
