"""Span corruption: spans of a text are taken out, and a decoder is to write them.

    text     the cat sat on the mat today
    source   the <1> on the mat <2>
    target   <1> cat sat <2> today <end>

Each span is replaced by a sentinel of its own, in their order; the target is the sentinels, each with what
stood there, and an end mark. Of L tokens round(density L) are taken out, in round(density L / mean_span)
spans whose lengths, and those of what stays before, between and behind them, are drawn uniformly among all
ways to cut; something stays between two spans, but need not before the first or behind the last.

Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
Transformer", section 3.1.4, and its `random_spans_noise_mask`.
Departures: a text may begin with a span and end with what stays, where there it never does, so that gaps
anywhere can be filled in later; an end mark in place of the last sentinel; texts of unequal lengths.

Legend of shapes: B batch, T tokens of a text, S tokens of a source, D tokens of a target with its end, K
spans of the text that has most.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from creuset.device import BatchGenerator

_NEVER = 2.0
"""Above all uniform draws."""


@dataclass(frozen=True, kw_only=True)
class SpanCorruption:
    """How texts are corrupted, and the ids of what is put into them.

    Args:
        density: Share of the tokens that is taken out, in (0, 1).
        mean_span: Tokens of a span on average, from 1.
        start: What the decoder begins with.
        end: What ends a target.
        first_sentinel: The id of the first span's sentinel; those of the others follow.
        ignored: In place of a target where a row is padded.
    """

    density: float
    mean_span: float
    start: int
    end: int
    first_sentinel: int
    ignored: int

    def num_hidden(self, length: int) -> tuple[int, int]:
        """How many tokens of a text of `length`, at least 2, are taken out, and in how many spans."""
        hidden, spans = self._num_hidden(torch.tensor([length]))
        return int(hidden), int(spans)

    def num_targets(self, length: int) -> int:
        """Tokens of the target of a text of `length`, with sentinels and end mark."""
        return sum(self.num_hidden(length)) + 1

    def corrupt(self, texts: Tensor, lengths: Tensor, generator: BatchGenerator) -> dict[str, Tensor]:
        """Texts to sources and targets.

        Args:
            texts: int64 (B, T); what stands behind a text's length counts for nothing.
            lengths: Tokens of each, int64 (B,), from 2 to T.
            generator: Decides what is taken out, a row a text.

        Returns:
            "source" int64 (B, S) padded behind with 0, "source_lengths" int64 (B,), "tokens" int64 (B, D)
            from the start mark on, padded with 0, and "targets" int64 (B, D), padded with `ignored`.
        """
        span = self._spans(texts.shape[1], lengths, generator)  # (B, T): 0 where a token stays, else from 1
        inside = torch.arange(texts.shape[1], device=texts.device) < lengths[:, None]
        taken = inside & (span > 0)
        begins = taken & (span != functional.pad(span, (1, 0))[:, :-1])
        source = texts.masked_scatter(begins, (self.first_sentinel + span - 1)[begins])
        source, source_lengths = _packed(source, inside & (begins | ~taken), filling=0)
        # a sentinel before each span: its tokens stand as many places later as there are spans up to it
        places = taken.cumsum(1) - 1 + span
        width = int(places.masked_fill(~taken, 0).max()) + 2
        targets = texts.new_full((len(texts), width), self.ignored)
        rows = torch.arange(len(texts), device=texts.device)[:, None].expand_as(texts)
        targets[rows[taken], places[taken]] = texts[taken]
        targets[rows[begins], places[begins] - 1] = self.first_sentinel + span[begins] - 1
        ends = taken.sum(1) + span.masked_fill(~taken, 0).amax(1)
        targets.scatter_(1, ends[:, None], self.end)
        started = functional.pad(targets[:, :-1], (1, 0), value=self.start)
        return {
            "source": source,
            "source_lengths": source_lengths,
            "tokens": started.masked_fill((started == self.ignored) | (started == self.end), 0),
            "targets": targets,
        }

    def _num_hidden(self, lengths: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.minimum((lengths * self.density).round().long().clamp_min(1), lengths - 1)
        spans = (hidden / self.mean_span).round().long().clamp_min(1)
        return hidden, torch.minimum(torch.minimum(spans, hidden), lengths - hidden + 1)

    def _spans(self, width: int, lengths: Tensor, generator: BatchGenerator) -> Tensor:
        """The number of the span that each place is in, from 1, and 0 where its token stays: (B, T)."""
        hidden, num_spans = self._num_hidden(lengths)
        taken = _cut(hidden, num_spans, generator.uniform(width))  # (B, K)
        stays = _cut(lengths - hidden + 2, num_spans + 1, generator.uniform(width + 2))  # (B, K + 1)
        stays[:, 0] -= 1  # the first and the last piece may be empty
        stays.scatter_add_(1, num_spans[:, None], -torch.ones_like(num_spans)[:, None])
        pieces = torch.stack([stays, functional.pad(taken, (0, 1))], dim=2).flatten(1)  # (B, 2 K + 2)
        ends = pieces.cumsum(1)
        places = torch.arange(width, device=lengths.device).expand(len(lengths), -1)
        piece = torch.searchsorted(ends, places.contiguous(), right=True)
        return torch.where(piece % 2 == 1, piece // 2 + 1, 0).masked_fill(places >= lengths[:, None], 0)


def _cut(totals: Tensor, num_pieces: Tensor, draws: Tensor) -> Tensor:
    """Each total cut into so many pieces of 1 at least, all ways being equally likely.

    Args:
        totals: int64 (B,).
        num_pieces: From 1 to the total, int64 (B,).
        draws: Uniform in [0, 1), (B, T), with T no less than any total.

    Returns:
        The pieces in their order, then 0, int64 (B, K).
    """
    gaps = torch.arange(draws.shape[1], device=draws.device) < totals[:, None] - 1
    ranks = draws.masked_fill(~gaps, _NEVER).argsort(dim=1, stable=True).argsort(1)
    is_cut = ranks < num_pieces[:, None] - 1  # behind the token at this place
    piece = functional.pad(is_cut.cumsum(1), (1, 0))[:, :-1]
    inside = torch.arange(draws.shape[1], device=draws.device) < totals[:, None]
    sizes = totals.new_zeros(len(totals), int(num_pieces.max()))
    return sizes.scatter_add_(1, piece, inside.long())


def _packed(rows: Tensor, kept: Tensor, *, filling: int) -> tuple[Tensor, Tensor]:
    """What is kept of each row moved together to its beginning; and how many these are, (B,)."""
    lengths = kept.sum(1)
    packed = rows.new_full((len(rows), int(lengths.max())), filling)
    places = kept.cumsum(1) - 1
    numbers = torch.arange(len(rows), device=rows.device)[:, None].expand_as(rows)
    packed[numbers[kept], places[kept]] = rows[kept]
    return packed, lengths
