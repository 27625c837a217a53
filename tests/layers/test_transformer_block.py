"""A block is its parts with residuals, in the order that its norms say."""

from typing import Any

import pytest
import torch
from torch import Tensor

from creuset.device import BatchGenerator
from creuset.layers.attention import AttentionConfig
from creuset.layers.masks import AttentionMask
from creuset.layers.norm import NormConfig
from creuset.layers.transformer_block import BlockConfig, Memory, NormPlacement, TransformerBlock

MASK = AttentionMask(causal=True)


def block(placement: NormPlacement, *, cross: bool = False, dropout: float = 0.0) -> TransformerBlock:
    config = BlockConfig(
        attention=AttentionConfig(embed_dim=6, num_heads=2, num_kv_heads=1, head_dim=4),
        cross_attention=cross,
        feedforward_dim=5,
        activation="gelu",
        gated=True,
        feedforward_bias=False,
        norm=NormConfig(kind="layer", eps=1e-5, bias=True),
        norm_placement=placement,
        dropout=dropout,
    )
    made = TransformerBlock(config)
    for weight in made.parameters():
        torch.nn.init.normal_(weight, mean=0.3)
    return made


def by_hand(layer: Any, x: Tensor, placement: NormPlacement, memory: Tensor | None) -> Tensor:
    parts = [(layer.attention_norm, lambda y: layer.attention(y, MASK), layer.attention_post_norm)]
    if memory is not None:
        keys_values = layer.cross_attention.keys_values(memory)
        cross = (
            layer.cross_attention_norm,
            lambda y: layer.cross_attention.cross(y, keys_values, AttentionMask()),
            layer.cross_attention_post_norm,
        )
        parts.append(cross)
    parts.append((layer.feedforward_norm, layer.feedforward, layer.feedforward_post_norm))
    for norm, part, post_norm in parts:
        if placement == "pre":
            x = x + part(norm(x))
        elif placement == "post":
            x = norm(x + part(x))
        else:
            x = x + post_norm(part(norm(x)))
    return x


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("placement", ["pre", "post", "sandwich"])
def test_norms_stand_where_they_should(placement: NormPlacement, cross: bool) -> None:
    layer, x = block(placement, cross=cross), torch.randn(2, 3, 6)
    states = torch.randn(2, 4, 6) if cross else None
    memory = None if states is None else Memory(states=states, mask=AttentionMask())
    torch.testing.assert_close(layer(x, MASK, memory=memory), by_hand(layer, x, placement, states))


def test_dropout_draws_for_each_sample() -> None:
    layer = block("pre", dropout=0.5)
    x = torch.randn(1, 3, 6).expand(4, 3, 6)
    dropped = layer(x, MASK, generator=BatchGenerator(0, size=4))
    assert not torch.equal(dropped[0], dropped[1])
    assert torch.equal(dropped, layer(x, MASK, generator=BatchGenerator(0, size=4)))
    torch.testing.assert_close(layer(x, MASK)[0], layer(x, MASK)[1])
