"""Masked tokens: some tokens of a text are hidden, and are to be told from all others.

Of the tokens that are chosen, 80% are read as the mask token, 10% as a random token and 10% as they are, so
that a model, which cannot know which ones it reads, has to say something of every token.

Source: Devlin et al. 2019, "BERT", section 3.1 and appendix A.1; how many are chosen: the released code,
which rounds the share of a text's tokens, and takes one at least.
Departures: special tokens are neither chosen nor drawn as random tokens; what is hidden is drawn anew each
time a text is met, as in Liu et al. 2019, "RoBERTa", section 4.1.

Legend of shapes: B batch, T tokens, E features, V vocabulary, N chosen places, R tokens to draw from.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from creuset.objectives.next_token import next_token_nats

MASK_SHARE = 0.15
"""The share of the tokens that are chosen, as in BERT."""
MASKED, RANDOM = 0.8, 0.1
"""The shares of the chosen tokens that are read as the mask token and as a random one."""


@dataclass(frozen=True, kw_only=True)
class HiddenTokens:
    """Texts of which some tokens are hidden.

    Args:
        tokens: As they are read, int64 (B, T).
        targets: What stands at the chosen places, int64 (B, T); the ignored target everywhere else.
    """

    tokens: Tensor
    targets: Tensor


def choose_places(candidates: Tensor, draws: Tensor, share: float) -> Tensor:
    """Which tokens are to be told: round(share C) of the C candidates of each row, one at least.

    Args:
        candidates: bool (B, T), True where a token may be chosen.
        draws: Uniform in [0, 1), (B, T): the candidates with the lowest ones are chosen.
        share: In (0, 1].

    Returns:
        bool (B, T); a row without candidates has no place.
    """
    num_candidates = candidates.sum(1, keepdim=True)
    wanted = (share * num_candidates).round().clamp(min=1)
    ranks = draws.masked_fill(~candidates, 2.0).argsort(dim=1, stable=True).argsort(dim=1)
    return candidates & (ranks < wanted)


def mask_places(tokens: Tensor, places: Tensor, *, mask_token: int, ignored: int) -> HiddenTokens:
    """All chosen tokens read as the mask token: for measuring, where each has to be hidden.

    Args:
        tokens: int64 (B, T).
        places: bool (B, T), True where a token is hidden.
        mask_token: Its id.
        ignored: The target that stands for none.
    """
    return HiddenTokens(
        tokens=tokens.masked_fill(places, mask_token), targets=tokens.masked_fill(~places, ignored)
    )


def corrupt_places(
    tokens: Tensor,
    places: Tensor,
    *,
    mask_token: int,
    draws: Tensor,
    random_tokens: Tensor,
    ignored: int,
) -> HiddenTokens:
    """The chosen tokens read as the mask token, as another token or as they are: for training.

    Args:
        tokens: int64 (B, T).
        places: bool (B, T), True where a token is chosen.
        mask_token: Its id.
        draws: Uniform in [0, 1), (B, T): below MASKED the mask token is read, below MASKED + RANDOM a random
            one.
        random_tokens: What is read there, int64 (B, T).
        ignored: The target that stands for none.
    """
    masked = places & (draws < MASKED)
    replaced = places & (draws >= MASKED) & (draws < MASKED + RANDOM)
    read = torch.where(replaced, random_tokens, tokens).masked_fill(masked, mask_token)
    return HiddenTokens(tokens=read, targets=tokens.masked_fill(~places, ignored))


def masked_token_nats(
    states: Tensor,
    targets: Tensor,
    scores: Callable[[Tensor], Tensor],
    *,
    vocab_size: int,
    ignored: int,
) -> Tensor:
    """-log softmax(scores(state))_target of the chosen tokens, in nats; scores are made of these alone.

    Args:
        states: What the head reads, (B, T, E).
        targets: int64 (B, T), `ignored` where no token was chosen.
        scores: The head: (n, E) -> (n, V).
        vocab_size: V.
        ignored: The target that stands for none.

    Returns:
        float32 at least, (B, T); 0 where no token was chosen.
    """
    chosen = targets != ignored
    found = next_token_nats(
        states[chosen][None], targets[chosen][None], scores, vocab_size=vocab_size, ignored=ignored
    )  # (1, N)
    return found.new_zeros(targets.shape).masked_scatter(chosen, found)
