"""Pairs of texts as tokens: what an encoder reads (the source), and what a decoder writes (the target).

A target is written from a start mark on and ends with an end mark. Tokenizers differ in what special tokens
they have, and a text may spell these out; so the marks are two ids of their own behind the tokenizer's, and a
model that uses them has as many rows more.

    source          s1 s2 s3          read by the encoder, padded behind with 0
    tokens   start  t1 t2             what the decoder reads
    targets     t1  t2 end            what is to follow each, IGNORED where a row is padded

Pairs that a text embedder is tuned on may have a third text, the negative, which only seems to belong to the
source.

Legend of shapes: N pairs, B batch, S tokens of a source, T tokens of a target with its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.token_stream import IGNORED

NUM_MARKS = 2
"""Ids behind the tokenizer's."""


def start_mark(tokenizer_size: int) -> int:
    """The id that a target begins behind."""
    return tokenizer_size


def end_mark(tokenizer_size: int) -> int:
    """The id that ends a target."""
    return tokenizer_size + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenRows:
    """Texts of unequal length as ids, one behind another.

    Args:
        ids: All of them, int32 (M,).
        ends: One past the last id of each text, behind a leading 0, int64 (N + 1,).
    """

    ids: Tensor
    ends: Tensor

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]]) -> "TokenRows":
        """The ids of some texts, each perhaps empty."""
        lengths = np.array([0, *map(len, texts)], dtype=np.int64)
        ids = np.concatenate([np.empty(0, dtype=np.int32), *(np.array(row, dtype=np.int32) for row in texts)])
        return cls(ids=torch.from_numpy(ids), ends=torch.from_numpy(np.cumsum(lengths)))

    @property
    def lengths(self) -> Tensor:
        """Tokens of each text, int64 (N,)."""
        return self.ends.diff()

    def row(self, number: int) -> Tensor:
        """The ids of one text, int32."""
        return self.ids[int(self.ends[number]) : int(self.ends[number + 1])]

    def padded(self, indices: Tensor, filling: int) -> Tensor:
        """Some of the texts, filled up behind to the longest of them: int64 (B,) -> int64 (B, longest)."""
        lengths = self.lengths[indices]
        places = torch.arange(int(lengths.max()))
        inside = places < lengths[:, None]
        found = self.ids[torch.where(inside, self.ends[indices][:, None] + places, 0)]
        return torch.where(inside, found.long(), filling)

    def select(self, indices: Tensor) -> "TokenRows":
        """These texts only."""
        lengths = self.lengths[indices]
        ends = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        begins = (self.ends[indices] - ends[:-1]).repeat_interleave(lengths)
        return TokenRows(ids=self.ids[begins + torch.arange(int(ends[-1]))], ends=ends)


@dataclass(frozen=True, kw_only=True, eq=False)
class TextPairs:
    """The pairs of a split, in their order.

    Args:
        sources, targets: The texts.
        source_rows, target_rows: Their tokens, without marks; each has one at least.
        tokenizer_size: Ids of the tokenizer, behind which the marks are.
        negatives: What only seems to belong to each source, "" where there is nothing; empty where no pair of
            the data has one.
        negative_rows: Their tokens, none where there is nothing; None where no pair of the data has one.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    source_rows: TokenRows
    target_rows: TokenRows
    tokenizer_size: int
    negatives: tuple[str, ...] = ()
    negative_rows: TokenRows | None = None

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Pairs as a model takes them.

        Args:
            indices: Which pairs, int64 (B,).

        Returns:
            "source" int64 (B, S) padded behind with 0, "source_lengths" int64 (B,), "tokens" int64 (B, T)
            from the start mark on, padded with 0, and "targets" int64 (B, T) up to the end mark, then
            IGNORED; of data with negatives "negative", padded with 0, and "negative_lengths" like those of
            the sources, 0 where a pair has none.
        """
        lengths = self.target_rows.lengths[indices]
        written = self.target_rows.padded(indices, IGNORED)
        column = torch.full((len(indices), 1), IGNORED)
        targets = torch.cat([written, column], dim=1)
        targets.scatter_(1, lengths[:, None], end_mark(self.tokenizer_size))
        started = torch.full((len(indices), 1), start_mark(self.tokenizer_size))
        batch = {
            "source": self.source_rows.padded(indices, 0),
            "source_lengths": self.source_rows.lengths[indices],
            "tokens": torch.cat([started, written.clamp_min(0)], dim=1),
            "targets": targets,
        }
        if self.negative_rows is not None:
            batch["negative"] = self.negative_rows.padded(indices, 0)
            batch["negative_lengths"] = self.negative_rows.lengths[indices]
        return batch

    def select(self, indices: NDArray[np.int64]) -> "TextPairs":
        """These pairs only."""
        places = torch.from_numpy(indices)
        return TextPairs(
            sources=tuple(self.sources[index] for index in indices),
            targets=tuple(self.targets[index] for index in indices),
            source_rows=self.source_rows.select(places),
            target_rows=self.target_rows.select(places),
            tokenizer_size=self.tokenizer_size,
            negatives=tuple(self.negatives[index] for index in indices) if self.negatives else (),
            negative_rows=None if self.negative_rows is None else self.negative_rows.select(places),
        )
