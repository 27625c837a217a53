"""A corpus as one stream of tokens, and the blocks of it that a language model reads.

A sample is a block: `context` tokens, and the `context` tokens that follow each of them. The blocks of a part
stand side by side, the last token of one being the first of the next, so that each token but the first of all
is predicted once. What is missing at the end of the last block is IGNORED.

In training the blocks of an epoch begin at an offset that is drawn for it, anew in each: so a token is met at
every place of a block, with much before it and with little. Their number is the same for each offset.

Source: random offsets: Karpathy, nanoGPT (`get_batch`), which draws them for each block; one offset an epoch
gives an epoch its usual meaning: each token once.

Legend of shapes: D documents, M tokens of the stream, N blocks, B batch, T context.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from creuset.device import stream as random_stream

IGNORED = -1
"""In place of a target that is not to be predicted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Document:
    """A text of a corpus, or the piece of it that a split holds.

    Args:
        name: Where it comes from, for people.
        text: What it says.
        ids: Its tokens, int32 (T,).
    """

    name: str
    text: str
    ids: Tensor

    @property
    def num_bytes(self) -> int:
        """Its length in UTF-8."""
        return len(self.text.encode())


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenStream:
    """The documents of a split, one behind another.

    Args:
        documents: In their order.
        ids: All of their tokens, each document behind a separator where there is one, int32 (M,).
        context: T.
        separator: The token that stands before each document; None where the corpus is a single one.
    """

    documents: tuple[Document, ...]
    ids: Tensor
    context: int
    separator: int | None

    @classmethod
    def of(cls, documents: Sequence[Document], *, context: int, separator: int | None) -> "TokenStream":
        """The stream of some documents."""
        before = [] if separator is None else [torch.tensor([separator], dtype=torch.int32)]
        pieces = [piece for document in documents for piece in (*before, document.ids)]
        ids = torch.cat(pieces) if pieces else torch.empty(0, dtype=torch.int32)
        return cls(documents=tuple(documents), ids=ids, context=context, separator=separator)

    @property
    def num_bytes(self) -> int:
        """Bytes of the texts in UTF-8."""
        return sum(document.num_bytes for document in self.documents)

    def shortened(self, num_tokens: int) -> "TokenStream":
        """Its first tokens, the text of the last document cut in proportion: for timing alone."""
        documents: list[Document] = []
        left = num_tokens
        for document in self.documents:
            if left <= 0:
                break
            ids = document.ids[:left]
            text = document.text[: -(-len(document.text) * len(ids) // len(document.ids))]
            documents.append(Document(name=document.name, text=text, ids=ids))
            left -= len(ids)
        return TokenStream.of(documents, context=self.context, separator=self.separator)

    @property
    def num_training_blocks(self) -> int:
        """Blocks of an epoch, whatever its offset."""
        return max(0, len(self.ids) // self.context - 1)

    def training_blocks(self) -> Tensor:
        """The blocks of an epoch whose offset is 0: a view, int32 (N, T + 1)."""
        num_blocks = self.num_training_blocks
        return self.ids[: num_blocks * self.context + 1].unfold(0, self.context + 1, self.context)

    def all_blocks(self) -> Tensor:
        """Blocks with each token but the first as a target once, int32 (N, T + 1); the rest is IGNORED."""
        num_blocks = max(0, -(-(len(self.ids) - 1) // self.context))
        if num_blocks == 0:
            return torch.empty(0, self.context + 1, dtype=torch.int32)
        missing = num_blocks * self.context + 1 - len(self.ids)
        padded = torch.cat([self.ids, torch.full((missing,), IGNORED, dtype=torch.int32)])
        return padded.unfold(0, self.context + 1, self.context)

    def at(self, blocks: Tensor, offsets: Tensor) -> Tensor:
        """Training blocks by number, each shifted by an offset: both int64 (B,) -> int32 (B, T + 1)."""
        starts = blocks * self.context + offsets
        return self.ids[starts[:, None] + torch.arange(self.context + 1)]


class EpochOffsets:
    """The offset of each epoch's blocks, drawn by the seed, in [0, context).

    Args:
        context: T.
        seed: The run's seed.
    """

    def __init__(self, context: int, seed: int) -> None:
        self._context = context
        self._seed = seed
        self._known: dict[int, int] = {}

    def of(self, epochs: Tensor) -> Tensor:
        """The offset of each of these epochs, int64 (B,)."""
        return torch.tensor([self._offset(epoch) for epoch in epochs.tolist()])

    def _offset(self, epoch: int) -> int:
        if epoch not in self._known:
            generator = random_stream(self._seed, "offset", epoch)
            self._known[epoch] = int(torch.randint(self._context, (1,), generator=generator))
        return self._known[epoch]


def block_batch(rows: Tensor) -> Mapping[str, Tensor]:
    """Blocks (B, T + 1) as a model takes them: "tokens" and "targets", int64 (B, T) each.

    Where there is no target there may be no token: id 0 stands there, which nothing before it reads.
    """
    wide = rows.long()
    return {"tokens": wide[:, :-1].clamp_min(0), "targets": wide[:, 1:]}


def block_padding(targets: Tensor) -> Tensor:
    """Where a block holds a token: at its first place, and wherever the one before has a target.

    Args:
        targets: Of `block_batch`, int64 (B, T).

    Returns:
        bool (B, T).
    """
    return functional.pad(targets[:, :-1] != IGNORED, (1, 0), value=True)
