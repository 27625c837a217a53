"""Which keys a query may read.

A mask is a boolean tensor, True where a query may read a key. Where a sequence needs less than that, an
AttentionMask says so, and attention computes less: a plain causal mask is never made, and packed documents
are attended to one by one, at a cost that grows with the square of a document and not of the pack.

Legend of shapes: B batch, H heads, T queries, S keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


def causal_mask(
    num_queries: int, num_keys: int, *, window: int | None = None, device: torch.device | str = "cpu"
) -> Tensor:
    """bool (T, S): a query reads itself and what stands before it; the last query stands at the last key.

    Args:
        num_queries: T.
        num_keys: S, at least T.
        window: Keys that a query reads at most, itself among them; None for all before it.
        device: Where the mask is needed.
    """
    queries = torch.arange(num_keys - num_queries, num_keys, device=device)[:, None]
    return _behind(queries, torch.arange(num_keys, device=device), window)


def _behind(queries: Tensor, keys: Tensor, window: int | None) -> Tensor:
    """Whether each key's place is at a query's or before it, within the window."""
    mask = keys <= queries
    return mask if window is None else mask & (keys > queries - window)


def padding_mask(padding: Tensor) -> Tensor:
    """bool (B, 1, 1, S): no query reads padding.

    Args:
        padding: bool (B, S), True where a token is.
    """
    return padding[:, None, None, :]


def document_mask(documents: Tensor) -> Tensor:
    """bool (B, 1, T, T), block-diagonal: a query reads its own document alone.

    Args:
        documents: int64 (B, T), the id of each token's document, which begins where the id changes.
    """
    changes = functional.pad(documents[:, 1:] != documents[:, :-1], (1, 0)).cumsum(1)
    return changes[:, None, :, None] == changes[:, None, None, :]


def document_lengths(documents: Tensor) -> tuple[int, ...]:
    """Tokens of each document, row after row, for ids int64 (B, T); they add up to B T."""
    begins = functional.pad(documents[:, 1:] != documents[:, :-1], (1, 0), value=True)
    places = begins.flatten().nonzero()[:, 0].tolist()
    return tuple(stop - start for start, stop in zip(places, [*places[1:], documents.numel()], strict=True))


def padding_is_behind(padding: Tensor) -> bool:
    """Whether in each row of bool (B, T) all tokens come before all padding."""
    return not bool((padding[:, 1:] & ~padding[:, :-1]).any())


@dataclass(frozen=True, kw_only=True)
class AttentionMask:
    """What attention hides, in the cheapest form; nothing by default.

    Args:
        causal: Whether a query reads what stands before it and itself alone, the last query standing at the
            last key.
        window: Keys that a query reads at most, itself among them; `causal` goes with it.
        lengths: Tokens of each packed document, row after row; attention is within a document.
        tensor: bool, True where a query may read a key, or float, added to the scores; (B or 1, H or 1, T or
            1, S). It stands for the whole mask: the other three are then left out.
    """

    causal: bool = False
    window: int | None = None
    lengths: tuple[int, ...] = ()
    tensor: Tensor | None = None

    def dense(self, num_queries: int, num_keys: int, device: torch.device | str = "cpu") -> Tensor | None:
        """The whole mask as a tensor, (B or 1, H or 1, T or 1, S), or None where nothing is hidden."""
        if self.tensor is not None:
            return self.tensor
        mask = None
        window = None if self.window is None or self.window >= num_keys else self.window
        if self.causal and (num_queries > 1 or window is not None):
            mask = causal_mask(num_queries, num_keys, window=window, device=device)
        if self.lengths:
            ids = torch.repeat_interleave(torch.tensor(self.lengths, device=device))
            packed = document_mask(ids.view(-1, num_queries))
            return packed if mask is None else packed & mask
        return None if mask is None else mask[None, None]


def self_attention_mask(
    num_tokens: int,
    *,
    causal: bool,
    window: int | None = None,
    padding: Tensor | None = None,
    lengths: tuple[int, ...] = (),
    bias: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> AttentionMask:
    """The mask of tokens that attend to each other, in the cheapest form.

    Padding behind all tokens needs no mask where attention is causal: no token reads it. A query that is
    padding reads itself at least, so that its output, which nobody should use, is a number.

    Args:
        num_tokens: T.
        causal: Whether a query reads no later key.
        window: Keys that a query reads at most where attention is causal; None for all.
        padding: bool (B, T), True where a token is; left out where there is none.
        lengths: Tokens of each packed document, padding being documents of its own; goes without `padding`.
        bias: (B or 1, H, T, T), added to the scores.
        device: Where the mask is needed.
    """
    if torch.compiler.is_exporting() and causal and padding is None and not lengths:
        # what is exported is for texts of any length, and cannot choose by that of one
        every = causal_mask(num_tokens, num_tokens, window=window, device=device)
        return AttentionMask(tensor=_with_bias(every[None, None], bias))
    if padding is not None and causal and padding_is_behind(padding):
        padding = None
    cheap = AttentionMask(causal=causal, window=window, lengths=lengths)
    covered = window is None or window >= num_tokens or bool(lengths)
    if padding is None and bias is None and covered:
        return cheap
    allowed = cheap.dense(num_tokens, num_tokens, device)
    if padding is not None:
        itself = torch.eye(num_tokens, dtype=torch.bool, device=device)
        readable = padding_mask(padding) | itself if causal else padding_mask(padding)
        allowed = readable if allowed is None else allowed & readable
    return AttentionMask(tensor=_with_bias(allowed, bias))


def cached_attention_mask(
    lengths: Sequence[int],
    num_tokens: int,
    *,
    window: int | None = None,
    bias: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> AttentionMask:
    """The mask of new tokens behind those of a cache, the same number a row; S is the longest row with them.

    Args:
        lengths: Tokens that the cache holds of each row.
        num_tokens: T.
        window: Keys that a query reads at most; None for all before it.
        bias: (B or 1, H, T, S), added to the scores.
        device: Where the mask is needed.
    """
    num_keys = max(lengths) + num_tokens
    if min(lengths) == max(lengths):
        mask = AttentionMask(causal=True, window=window)
        covered = window is None or window >= num_keys
        if bias is None and covered and num_tokens in (1, num_keys):
            return mask
        return AttentionMask(tensor=_with_bias(mask.dense(num_tokens, num_keys, device), bias))
    places = torch.tensor(lengths, device=device)[:, None] + torch.arange(num_tokens, device=device)
    allowed = _behind(places[:, None, :, None], torch.arange(num_keys, device=device), window)  # (B, 1, T, S)
    return AttentionMask(tensor=_with_bias(allowed, bias))


def memory_mask(padding: Tensor | None) -> AttentionMask:
    """The mask of queries that read an encoder's output, with padding bool (B, S), True where a token is."""
    return AttentionMask() if padding is None else AttentionMask(tensor=padding_mask(padding))


def _with_bias(allowed: Tensor | None, bias: Tensor | None) -> Tensor | None:
    if bias is None or allowed is None:
        return allowed if bias is None else bias
    return bias.masked_fill(~allowed, float("-inf"))
