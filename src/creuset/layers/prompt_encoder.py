"""A short text as one vector: its bytes through a small Transformer, and the mean over them.

Source: Vaswani et al. 2017, "Attention Is All You Need", with norms before each part; bytes as tokens: Xue et
al. 2022, "ByT5".
Departures: learned positions; no dropout.

Legend of shapes: B texts, T bytes, E features.
"""

import torch
from torch import Tensor, nn

from creuset.layers.attention import AttentionConfig
from creuset.layers.masks import AttentionMask, padding_mask
from creuset.layers.norm import NormConfig
from creuset.layers.transformer_block import BlockConfig, TransformerBlock

NUM_TOKENS = 257
"""The bytes, each one higher, and 0 for padding."""
_NUM_HEADS, _WIDENING = 2, 2
_NORM = NormConfig(kind="layer", eps=1e-5, bias=True)


class PromptEncoder(nn.Module):
    """Bytes of short texts to vectors.

    Args:
        length: T, the most bytes of a text.
        embed_dim: E, an even number.
        num_layers: Blocks.
    """

    def __init__(self, length: int, embed_dim: int, num_layers: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(NUM_TOKENS, embed_dim)
        self.positions = nn.Parameter(torch.empty(length, embed_dim))
        nn.init.normal_(self.positions, std=embed_dim**-0.5)
        block = BlockConfig(
            attention=AttentionConfig(
                embed_dim=embed_dim,
                num_heads=_NUM_HEADS,
                num_kv_heads=_NUM_HEADS,
                head_dim=embed_dim // _NUM_HEADS,
            ),
            cross_attention=False,
            feedforward_dim=_WIDENING * embed_dim,
            activation="gelu",
            gated=False,
            feedforward_bias=True,
            norm=_NORM,
            norm_placement="pre",
            dropout=0.0,
        )
        self.blocks = nn.ModuleList(TransformerBlock(block) for _ in range(num_layers))
        self.norm = _NORM.build(embed_dim)

    def forward(self, texts: Tensor) -> Tensor:
        """Bytes plus one, int64 (B, T), 0 behind the end of each text -> (B, E)."""
        there = texts > 0  # (B, T)
        mask = AttentionMask(tensor=padding_mask(there))
        x = self.tokens(texts) + self.positions
        for block in self.blocks:
            x = block(x, mask)
        kept: Tensor = self.norm(x) * there[..., None]
        return kept.sum(1) / there.sum(1, keepdim=True)
