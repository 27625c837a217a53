"""The masks of layers/masks.py as the pictures of docs/attention.md: what is shaded may be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from creuset.layers.masks import causal_mask, document_mask, padding_mask
from creuset.reporting.charts import NARROW, HeatMap
from creuset.reporting.charts.standalone import standalone

_SENTENCE = ("the", "cat", "sat", "on", "the", "mat", ".", "it", "purred", ".")


@dataclass(frozen=True, kw_only=True)
class MaskPicture:
    """A mask and the tokens that it is for.

    Args:
        title: What it shows.
        mask: bool (T, S), True where a query may read a key.
        tokens: T of them, which are the keys too.
    """

    title: str
    mask: Tensor
    tokens: tuple[str, ...]


def _pictures() -> dict[str, MaskPicture]:
    size = len(_SENTENCE)
    num_tokens = 7
    padded = (*_SENTENCE[:num_tokens], *["padding"] * (size - num_tokens))
    padding = torch.arange(size)[None] < num_tokens
    documents = torch.tensor([[0] * num_tokens + [1] * (size - num_tokens)])
    return {
        "causal_mask": MaskPicture(title="causal mask", mask=causal_mask(size, size), tokens=_SENTENCE),
        "padding_mask": MaskPicture(
            title="padding mask", mask=padding_mask(padding)[0, 0].expand(size, size), tokens=padded
        ),
        "sliding_window_mask": MaskPicture(
            title="sliding window of 4 tokens", mask=causal_mask(size, size, window=4), tokens=_SENTENCE
        ),
        "document_mask": MaskPicture(
            title="block-diagonal mask of two documents",
            mask=document_mask(documents)[0, 0],
            tokens=_SENTENCE,
        ),
    }


MASK_PICTURES: Mapping[str, MaskPicture] = MappingProxyType(_pictures())
"""By the name of their file in docs/pictures/."""


def mask_picture(picture: MaskPicture) -> str:
    """The text of an .svg file."""
    chart = HeatMap(
        title=picture.title,
        values=picture.mask.numpy().astype("float64"),
        measure="may be read",
        row_names=picture.tokens,
        column_names=picture.tokens,
        rows="token that reads",
        columns="token that is read",
        texts=(),
    )
    return standalone(chart, width=NARROW)
