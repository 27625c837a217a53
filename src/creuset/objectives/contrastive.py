"""Contrast: a text finds its partner among the partners of the other texts of the batch.

    loss = (CE(rows of S) + CE(columns of S)) / 2        S_ij = cos(a_i, b_j) / temperature

with the cross entropy of each row, and of each column, against its place on the diagonal. Hard negatives,
texts that only seem to belong to one of the batch, stand behind the partners in each row: they are wrong for
all. With one direction, the rows alone, this is the loss that sentence-transformers calls
MultipleNegativesRankingLoss, its scale being 1 / temperature.

Source: van den Oord, Li and Vinyals 2018, "Representation Learning with Contrastive Predictive Coding", eq. 4
(InfoNCE); other texts' partners as the wrong ones: Henderson et al. 2017, "Efficient Natural Language
Response Suggestion for Smart Reply", section 4.4; both directions: Radford et al. 2021, "Learning
Transferable Visual Models From Natural Language Supervision", figure 3.
Departure: partners that are wrong only by their place are left out: where two pairs share a text, neither is
the other's wrong answer, and a hard negative that is a text of either is none for both.

Legend of shapes: B pairs, H hard negatives, E features, T tokens.
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
    negatives: Tensor | None = None,
    not_wrong_negatives: Tensor | None = None,
) -> Tensor:
    """The loss of each pair, in nats; log B for vectors that say nothing.

    Args:
        first: The vector of each text, (B, E), of length 1.
        second: The vector of its partner, (B, E), of length 1.
        temperature: What cosines are divided by, above 0: the lower, the more the nearest wrong ones count.
        not_wrong: bool (B, B), True where j is no wrong partner of i (`sharing`); the diagonal is never one.
            None where all others are wrong.
        symmetric: Whether partners look for their texts as well; False for texts alone.
        negatives: The vectors of hard negatives, (H, E), of length 1, which texts tell from their partner;
            None for none.
        not_wrong_negatives: bool (B, H), True where j is no wrong partner of i (`matching`); None where all
            are wrong.

    Returns:
        (B,), float32 at least.
    """
    precise = torch.promote_types(first.dtype, torch.float32)
    scores = (first @ second.T).to(precise) / temperature  # (B, B)
    places = torch.arange(len(scores), device=scores.device)
    if not_wrong is not None:
        others = not_wrong & (places[:, None] != places)
        scores = scores.masked_fill(others, -torch.inf)
    rows = scores
    if negatives is not None:
        hard = (first @ negatives.T).to(precise) / temperature  # (B, H)
        if not_wrong_negatives is not None:
            hard = hard.masked_fill(not_wrong_negatives, -torch.inf)
        rows = torch.cat([scores, hard], dim=1)
    forth = functional.cross_entropy(rows, places, reduction="none")
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
    one, other = _numbers(first, second)
    same = (one[:, None] == one, other[:, None] == other, one[:, None] == other, other[:, None] == one)
    return torch.stack(same).any(0)


def matching(first: Tensor, second: Tensor, negatives: Tensor) -> Tensor:
    """Which hard negatives are a text of a pair that shares one with a pair: bool (B, H).

    Args:
        first, second: As of `sharing`.
        negatives: The tokens of each, padded alike and as wide, int64 (H, T).
    """
    one, other, wrong = _numbers(first, second, negatives)
    held = (one[:, None] == wrong) | (other[:, None] == wrong)  # (B, H): a text of that very pair
    return sharing(first, second).float() @ held.float() > 0


def _numbers(*sides: Tensor) -> tuple[Tensor, ...]:
    """A number for each text of some sides, (N,) each, equal where texts are."""
    _, numbers = torch.unique(torch.cat(sides), dim=0, return_inverse=True)
    return torch.split(numbers, [len(side) for side in sides])
