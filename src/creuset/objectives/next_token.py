"""Cross entropy of the next token, without holding the scores of all tokens at once.

The scores of a batch, (B, T, V), are the largest tensor of a language model with a large vocabulary. Above
`max_scores` numbers they are made part by part, and again in the backward pass, so that one part stands in
memory at a time; the price is one more product with the head.

Source: recomputing: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".

Legend of shapes: B batch, T tokens, E features, V vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

MAX_SCORES = 2**24
"""64 MB in float32: larger than any batch of characters, smaller than one sequence of 1,024 subwords."""


def next_token_nats(
    states: Tensor,
    targets: Tensor,
    scores: Callable[[Tensor], Tensor],
    *,
    vocab_size: int,
    ignored: int,
    max_scores: int = MAX_SCORES,
) -> Tensor:
    """-log softmax(scores(state))_target of each token, in nats.

    Args:
        states: What the head reads, (B, T, E).
        targets: The token that follows each, int64 (B, T).
        scores: The head: (n, E) -> (n, V).
        vocab_size: V.
        ignored: The target that stands for none; its tokens cost 0.
        max_scores: Numbers that the scores may have at once.

    Returns:
        float32 at least, (B, T).
    """

    def nats(part: Tensor, wanted: Tensor) -> Tensor:
        logits = scores(part)
        precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return functional.cross_entropy(precise, wanted, ignore_index=ignored, reduction="none")

    rows, wanted = states.flatten(0, 1), targets.flatten()
    size = max(1, max_scores // vocab_size)
    if len(rows) <= size:
        return nats(rows, wanted).view_as(targets)
    pieces = zip(torch.split(rows, size), torch.split(wanted, size), strict=True)
    parts = [
        checkpoint(nats, part, part_wanted, use_reentrant=False, preserve_rng_state=False)
        for part, part_wanted in pieces
    ]
    return torch.cat(parts).view_as(targets)
