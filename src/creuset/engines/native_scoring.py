"""What the native driver tells of given texts: how likely their tokens are, vectors of them, bytes of tokens.

Legend of shapes: T tokens, E features.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from creuset.data.byte_level import bytes_of
from creuset.data.tokenizer import Tokenizer
from creuset.engines.base import TextLogProbs
from creuset.generation.fast_decoder import FastDecoder
from creuset.models.transformer import Transformer

NativePooling = Literal["mean", "cls", "last"]
"""How one vector is made of a text's states: their mean, the first one, or the last one."""

_READ_AT_ONCE = 128
"""Tokens of a text that are read in one step: each has as many logits as there are tokens."""


@torch.inference_mode()
def score_text(decoder: Transformer | FastDecoder, ids: list[int], start: int, num_top: int) -> TextLogProbs:
    """How likely each token from `start` on is, read in parts of _READ_AT_ONCE tokens."""
    cache = decoder.new_cache(1, len(ids))
    read = ids[:-1]
    parts = (read[begin : begin + _READ_AT_ONCE] for begin in range(0, len(read), _READ_AT_ONCE))
    logits = (decoder(torch.tensor([part]), cache=cache)[0] for part in parts)
    return scored(logits, ids, start, num_top)


def scored(parts: Iterable[Tensor], ids: list[int], start: int, num_top: int) -> TextLogProbs:
    """How likely each token of a text from `start` on is.

    Args:
        parts: Logits of all of the text's tokens but the last, in order, (T, V) each.
        ids: The text.
        start: The first token that is scored.
        num_top: The likeliest tokens that are told of each place.
    """
    begin = 0
    found: list[Tensor] = []
    tops = []
    for part in parts:
        skipped = max(0, start - 1 - begin)
        log_probs = part[skipped:].float().log_softmax(-1)  # of the tokens behind those of the part
        targets = torch.tensor(ids[begin + skipped + 1 : begin + len(part) + 1], dtype=torch.int64)
        found.append(log_probs.gather(-1, targets[:, None])[:, 0])
        tops.append(log_probs.topk(num_top, dim=-1))
        begin += len(part)
    empty = torch.zeros(0, num_top)
    return TextLogProbs(
        token_ids=np.array(ids, np.int64),
        start=start,
        log_probs=torch.cat([empty[:, :0].flatten(), *found]).double().numpy(),
        top_ids=torch.cat([empty.long(), *(top.indices for top in tops)]).numpy(),
        top_log_probs=torch.cat([empty, *(top.values for top in tops)]).double().numpy(),
    )


@torch.inference_mode()
def text_states(decoder: Transformer | FastDecoder, ids: list[int]) -> Tensor:
    """The last state of each token, float32 (T, E)."""
    cache = decoder.new_cache(1, len(ids))
    return decoder.hidden(torch.tensor([ids]), cache=cache)[0].float()


def pooled(states: Tensor, pooling: NativePooling) -> Tensor:
    """One vector out of states (T, E), float32 (E,)."""
    if pooling == "mean":
        return states.mean(0)
    return states[0] if pooling == "cls" else states[-1]


def token_bytes(tokenizer: Tokenizer, token: int) -> bytes:
    """What a token stands for; empty for special tokens and ids of none."""
    if token >= tokenizer.vocab_size or token in tokenizer.skipped_ids:
        return b""
    content = tokenizer.token(token)
    found = bytes_of(content) if tokenizer.is_byte_level else None
    return tokenizer.readable(token).encode() if found is None else found
