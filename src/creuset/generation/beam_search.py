"""Beam search: of the most likely continuations the best few are kept, and the best finished one wins.

    score of a finished text = sum of its log-probabilities / (number of its tokens) ** length_penalty

Source: Sutskever et al. 2014, "Sequence to Sequence Learning with Neural Networks", section 3.2; length
penalty and early stopping as in transformers, whose results it reproduces: a text counts as finished when its
end is among the best `num_beams` continuations, and the search ends

    early_stopping True     when num_beams texts are finished
    early_stopping False    when no open beam's score at its present length is above the worst finished one's
    early_stopping "never"  when none could be, at the length that suits it best

Legend of shapes: R texts, K beams, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from creuset.errors import UsageError
from creuset.generation.decoding import padded_batch, require_room
from creuset.models.transformer import Transformer


@dataclass(frozen=True, kw_only=True)
class BeamSettings:
    """How to search.

    Args:
        num_beams: K, at least 1.
        max_tokens: The most tokens that are generated, at least 1.
        length_penalty: Above 0 favours longer texts, below 0 shorter ones.
        early_stopping: When the search ends, see the head of this file.

    Raises:
        UsageError: A number out of its range.
    """

    num_beams: int
    max_tokens: int
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False

    def __post_init__(self) -> None:
        for name in ("num_beams", "max_tokens"):
            value = getattr(self, name)
            if value < 1:
                raise UsageError("out of range", where=name, got=value, expected="at least 1")


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished text.

    Args:
        token_ids: What was generated, with the end token, if it has one.
        score: See the head of this file, in nats.
    """

    token_ids: tuple[int, ...]
    score: float


@torch.inference_mode()
def beam_search(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    settings: BeamSettings,
    *,
    eos_ids: Sequence[int],
    decoder_start: Sequence[int] = (),
) -> list[list[Finished]]:
    """The best texts for each prompt, best first, at most `num_beams`.

    Args:
        model: An encoder with its decoder, or a decoder alone.
        prompts: What the encoder reads, or what the decoder continues; of one length for a decoder alone.
        settings: How to search.
        eos_ids: The tokens that end a text.
        decoder_start: What the decoder beside an encoder begins with; empty for a decoder alone.

    Raises:
        UsageError: The text would be longer than the model's context, or prompts of unequal length for a
            decoder alone.
    """
    starts, memory = _start(model, prompts, settings, decoder_start)
    num_beams, length = settings.num_beams, len(starts[0])
    searches = [_Search(settings, tuple(eos_ids)) for _ in prompts]
    cache = model.new_cache(len(prompts) * num_beams, length + settings.max_tokens)
    device = model.token_embedding.weight.device
    token_ids = torch.tensor(starts, device=device).repeat_interleave(num_beams, dim=0)
    while True:
        last = torch.full((len(token_ids),), token_ids.shape[1] - 1, device=device)
        logits = model(token_ids, cache=cache, at=last, **memory)
        memory = {}
        log_probs = logits.float().cpu().log_softmax(-1).unflatten(0, (-1, num_beams))  # (R, K, V)
        parents = [search.advance(found) for search, found in zip(searches, log_probs, strict=True)]
        if all(search.done for search in searches):
            return [search.finished for search in searches]
        rows = [row * num_beams + beam for row, beams in enumerate(parents) for beam in beams]
        cache.select(rows)
        last_tokens = [[beam.tokens[-1]] for search in searches for beam in search.open]
        token_ids = torch.tensor(last_tokens, device=device)


@dataclass(frozen=True)
class _Beam:
    """An open text: its tokens, and the sum of their log-probabilities."""

    tokens: tuple[int, ...]
    total: float


class _Search:
    """The search for one prompt."""

    def __init__(self, settings: BeamSettings, eos_ids: tuple[int, ...]) -> None:
        self.settings, self.eos_ids = settings, eos_ids
        # all beams but the first begin as good as impossible, since they are equal
        totals = [0.0] + [-1e9] * (settings.num_beams - 1)
        self.open = [_Beam((), total) for total in totals]
        self.finished: list[Finished] = []
        self.done = False

    def advance(self, log_probs: Tensor) -> list[int]:
        """One token more for each beam, from (K, V); returns which beam each new one came from."""
        num_beams = self.settings.num_beams
        totals = log_probs + torch.tensor([beam.total for beam in self.open])[:, None]
        num_kept = min(max(2, 1 + len(self.eos_ids)) * num_beams, totals.numel())
        values, places = totals.flatten().topk(num_kept)
        candidates, parents = [], []
        for total, place in zip(values.tolist(), places.tolist(), strict=True):
            parent, token = divmod(place, totals.shape[1])
            candidates.append(_Beam((*self.open[parent].tokens, token), total))
            parents.append(parent)
        ended = [self._ended(beam) for beam in candidates]
        if not self.done:
            self._keep([beam for beam, end in zip(candidates[:num_beams], ended, strict=False) if end])
        going = [place for place, end in enumerate(ended) if not end]
        going = [*going, *(place for place, end in enumerate(ended) if end)][:num_beams]
        self.open = [candidates[place] for place in going]
        self.done = self.done or all(ended) or self._is_decided()
        return [parents[place] for place in going]

    def _ended(self, beam: _Beam) -> bool:
        return beam.tokens[-1] in self.eos_ids or len(beam.tokens) == self.settings.max_tokens

    def _keep(self, beams: list[_Beam]) -> None:
        """Adds finished texts, and keeps the best of all."""
        penalty = self.settings.length_penalty
        new = [Finished(token_ids=one.tokens, score=one.total / len(one.tokens) ** penalty) for one in beams]
        merged = sorted([*self.finished, *new], key=lambda one: -one.score)
        self.finished = merged[: self.settings.num_beams]

    def _is_decided(self) -> bool:
        """Whether further steps cannot, or need not, change the finished texts."""
        settings = self.settings
        if len(self.finished) < settings.num_beams:
            return False
        if settings.early_stopping is True:
            return True
        to_the_end = settings.early_stopping == "never" and settings.length_penalty > 0
        length = settings.max_tokens if to_the_end else len(self.open[0].tokens)
        best: float = self.open[0].total / length**settings.length_penalty
        return best <= self.finished[-1].score


def _start(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    settings: BeamSettings,
    decoder_start: Sequence[int],
) -> tuple[list[Sequence[int]], dict[str, Tensor | None]]:
    """What the decoder begins with for each prompt, and the encoder's output for each beam."""
    limit = model.config.context_length
    if not prompts or not all(prompts):
        raise UsageError("a prompt has no token", where="beam_search", expected="at least one")
    longest = max(len(ids) for ids in prompts)
    if decoder_start:
        require_room(longest, 0, limit, "beam_search")
        require_room(len(decoder_start), settings.max_tokens, limit, "beam_search")
        token_ids, padding, _ = padded_batch(prompts)
        device = model.token_embedding.weight.device
        token_ids, padding = token_ids.to(device), None if padding is None else padding.to(device)
        repeated = {"memory": model.encode(token_ids, padding=padding), "memory_padding": padding}
        beams = settings.num_beams
        memory = {
            name: None if part is None else part.repeat_interleave(beams, dim=0)
            for name, part in repeated.items()
        }
        return [decoder_start] * len(prompts), memory
    require_room(longest, settings.max_tokens, limit, "beam_search")
    if any(len(ids) < longest for ids in prompts):
        raise UsageError(
            "prompts of unequal length for a decoder alone",
            where="beam_search",
            got=[len(ids) for ids in prompts],
            next_step="search for each prompt on its own",
        )
    return list(prompts), {}
