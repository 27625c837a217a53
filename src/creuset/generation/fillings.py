"""What a model puts into the masks of a text: the likeliest tokens of each place, with their probabilities.

Several masks of a text are filled each by itself: the model sees the others as masks, whatever is put there.

Legend of shapes: V vocabulary.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from creuset.data.token_stream import IGNORED, TokenStream
from creuset.data.tokenizer import MASK, Tokenizer
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.generation.continuations import prompt_ids
from creuset.models.masked_language_model import MaskedLanguageModel
from creuset.objectives.masked_tokens import MASK_SHARE

_TOKENS = 48
"""Tokens of a passage at most: as many as are read at a glance."""


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A token that may stand at a place.

    Args:
        token: As people read it, with the space before a word where the token holds it.
        probability: By the model, among all tokens, in [0, 1].
    """

    token: str
    probability: float

    def __str__(self) -> str:
        return f"{quoted(self.token)} {self.probability:.3f}"


@dataclass(frozen=True, kw_only=True)
class Filling:
    """What a model makes of one mask.

    Args:
        guesses: The likeliest tokens, the likeliest first; tokens that stand for no text are left out.
        true: The token that was hidden; None where nobody knows.
    """

    guesses: tuple[Guess, ...]
    true: str | None = None


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A text with masks, and what a model makes of each of them, in order."""

    text: str
    fillings: tuple[Filling, ...]


def fill_masks(
    model: MaskedLanguageModel, tokenizer: Tokenizer, prompt: str, *, num: int, device: torch.device
) -> tuple[Filling, ...]:
    """What a model puts into the masks of a prompt.

    Args:
        model: In evaluation mode, on `device`.
        tokenizer: The one that it was trained with.
        prompt: With a mask at least: MASK, or the mask token of the tokenizer.
        num: Guesses of each mask, from 1; there are no more than tokens that stand for text.
        device: Where the model is.

    Raises:
        UsageError: No mask, a number below 1, a prompt longer than the context, or with what no token stands
            for.
    """
    if num < 1:
        raise UsageError("no mask would be filled", where="num", got=num, expected="at least 1")
    written = tokenizer.token(model.mask_token)
    ids = torch.tensor(prompt_ids(tokenizer, prompt.replace(MASK, written)))
    places = ids == model.mask_token
    if not places.any():
        raise UsageError(
            "the prompt holds no mask, and this model fills masks",
            where="prompt",
            got=repr(prompt[:80]),
            expected=f"{MASK} in place of each token that is to be guessed",
            next_step=f'write for example "... {MASK} ..."',
        )
    if len(ids) > model.context:
        raise UsageError(
            "this text is longer than the model's context",
            where="prompt",
            got=f"{len(ids):,} tokens",
            expected=f"at most {model.context:,} tokens",
            next_step="shorten the prompt, or train with a larger data.context",
        )
    guesses = _guesses(model, tokenizer, ids, places, num, device)
    return tuple(Filling(guesses=found) for found in guesses)


def held_out_passages(
    model: MaskedLanguageModel,
    tokenizer: Tokenizer,
    stream: TokenStream,
    *,
    num_passages: int,
    num: int,
    seed: int,
    device: torch.device,
) -> list[Passage]:
    """Passages of a split, evenly spread over it, a share of their tokens hidden, and what a model makes of
    them.

    Args:
        model: In evaluation mode, on `device`.
        tokenizer: The one that it was trained with.
        stream: The split.
        num_passages: How many at most; a split of fewer tokens gives fewer.
        num: Guesses of each mask, from 1.
        seed: Decides which tokens are hidden.
        device: Where the model is.
    """
    length = min(model.context, _TOKENS, len(stream.ids))
    pieces = stream.ids.long()[: len(stream.ids) // length * length].view(-1, length)
    num_passages = min(num_passages, len(pieces))
    passages = []
    for number in range(num_passages):
        piece = pieces[len(pieces) * number // num_passages][None]
        draws = BatchGenerator(seed, "passage", number, size=1, device=device)
        hidden = model.hide(piece.to(device), None, MASK_SHARE, draws)
        targets = hidden.targets[0].cpu()
        places = targets != IGNORED
        guesses = _guesses(model, tokenizer, hidden.tokens[0].cpu(), places, num, device)
        true = [tokenizer.readable(target) for target in targets[places].tolist()]
        passages.append(
            Passage(
                text=_shown(tokenizer, hidden.tokens[0].tolist(), model.mask_token),
                fillings=tuple(
                    Filling(guesses=found, true=token) for found, token in zip(guesses, true, strict=True)
                ),
            )
        )
    return passages


def passage_sheet(passages: Sequence[Passage]) -> str:
    """Passages one below another, each with its hidden tokens and what was guessed, as one file."""
    sheets = []
    for number, passage in enumerate(passages, 1):
        lines = [
            f"  {place}. {quoted(filling.true or '')}: {', '.join(map(str, filling.guesses))}"
            for place, filling in enumerate(passage.fillings, 1)
        ]
        sheets.append("\n".join([f"--- {number}", passage.text.strip(), *lines, ""]))
    return "\n".join(sheets)


def quoted(token: str) -> str:
    """A token between quotes, so that its spaces are seen and line ends written out."""
    return json.dumps(token, ensure_ascii=False)


def _guesses(
    model: MaskedLanguageModel,
    tokenizer: Tokenizer,
    ids: Tensor,
    places: Tensor,
    num: int,
    device: torch.device,
) -> list[tuple[Guess, ...]]:
    """The likeliest tokens of each place, for ids int64 (T,) and places bool (T,)."""
    scores = model.fill(ids[None].to(device), places[None].to(device))  # (N, V)
    probabilities = scores.softmax(-1).masked_fill(~model.is_ordinary, 0.0).cpu()
    likeliest = probabilities.topk(min(num, int(model.is_ordinary.sum())))
    return [
        tuple(
            Guess(token=tokenizer.readable(token), probability=probability)
            for token, probability in zip(tokens, values, strict=True)
        )
        for tokens, values in zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
    ]


def _shown(tokenizer: Tokenizer, ids: Sequence[int], mask_token: int) -> str:
    """The text of ids, its masks numbered: "a [1] is a [2]"."""
    first, *others = tokenizer.decode(ids, skip_special=False).split(tokenizer.token(mask_token))
    return first + "".join(f"[{number}]{text}" for number, text in enumerate(others, 1))
