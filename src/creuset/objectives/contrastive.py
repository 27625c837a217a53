"""Contrast: a text finds its partner among the partners of the other texts of the batch.

    loss = (CE(rows of S) + CE(columns of S)) / 2        S_ij = cos(a_i, b_j) / temperature

with the cross entropy of each row, and of each column, against its place on the diagonal.

Source: van den Oord, Li and Vinyals 2018, "Representation Learning with Contrastive Predictive Coding", eq. 4
(InfoNCE); other texts' partners as the wrong ones: Henderson et al. 2017, "Efficient Natural Language
Response Suggestion for Smart Reply", section 4.4; both directions: Radford et al. 2021, "Learning
Transferable Visual Models From Natural Language Supervision", figure 3.
Departure: partners that are wrong only by their place are left out: where two pairs share a text, neither is
the other's wrong answer.

Legend of shapes: B pairs, E features, T tokens.
"""

import torch
from torch import Tensor
from torch.nn import functional


def info_nce_nats(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float,
    not_wrong: Tensor | None = None,
    symmetric: bool = True,
) -> Tensor:
    """The loss of each pair, in nats; log B for vectors that say nothing.

    Args:
        first: The vector of each text, (B, E), of length 1.
        second: The vector of its partner, (B, E), of length 1.
        temperature: What cosines are divided by, above 0: the lower, the more the nearest wrong ones count.
        not_wrong: bool (B, B), True where j is no wrong partner of i (`sharing`); the diagonal is never one.
            None where all others are wrong.
        symmetric: Whether partners look for their texts as well; False for texts alone.

    Returns:
        (B,), float32 at least.
    """
    precise = torch.promote_types(first.dtype, torch.float32)
    scores = (first @ second.T).to(precise) / temperature  # (B, B)
    places = torch.arange(len(scores), device=scores.device)
    if not_wrong is not None:
        others = not_wrong & (places[:, None] != places)
        scores = scores.masked_fill(others, -torch.inf)
    forth = functional.cross_entropy(scores, places, reduction="none")
    if not symmetric:
        return forth
    return (forth + functional.cross_entropy(scores.T, places, reduction="none")) / 2


def sharing(first: Tensor, second: Tensor) -> Tensor:
    """Which pairs share a text: bool (B, B), symmetric, True on the diagonal.

    A text of one pair counts on both sides: the first of one may be the second of another.

    Args:
        first: The tokens of each text, padded with a number that is no token, int64 (B, T).
        second: Those of its partner, int64 (B, T), padded alike and as wide.
    """
    texts = torch.cat([first, second])  # (2B, T)
    _, numbers = torch.unique(texts, dim=0, return_inverse=True)
    one, other = numbers.chunk(2)
    same = (one[:, None] == one, other[:, None] == other, one[:, None] == other, other[:, None] == one)
    return torch.stack(same).any(0)
