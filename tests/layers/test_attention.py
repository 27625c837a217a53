"""Attention against a slow twin of loops, in each of its cheap forms, and its gradients."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from creuset.device import BatchGenerator
from creuset.layers.attention import (
    AttentionConfig,
    MultiHeadAttention,
    attention_weights,
    scaled_dot_product_attention,
)
from creuset.layers.masks import AttentionMask, causal_mask, self_attention_mask
from creuset.layers.norm import NormConfig
from creuset.layers.positions import Rotary

CONFIG = AttentionConfig(embed_dim=10, num_heads=4, num_kv_heads=2, head_dim=6)


def slow_attention(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, scale: float) -> Tensor:
    """Equation 1 of the paper for each row, head and query, with loops; allowed (B, T, S) bool."""
    batch, num_heads, num_queries, head_dim = query.shape
    group = num_heads // key.shape[1]
    out = torch.zeros(batch, num_heads, num_queries, head_dim, dtype=query.dtype)
    for row in range(batch):
        for head in range(num_heads):
            for place in range(num_queries):
                scores = {}
                for other in range(key.shape[2]):
                    if allowed[row, place, other]:
                        product = query[row, head, place] @ key[row, head // group, other]
                        scores[other] = scale * product.item()
                total = sum(math.exp(score) for score in scores.values())
                for other, score in scores.items():
                    out[row, head, place] += math.exp(score) / total * value[row, head // group, other]
    return out


def heads(num_kv_heads: int, num_queries: int = 7, num_keys: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, 4, num_queries, 6), (2, num_kv_heads, num_keys, 6), (2, num_kv_heads, num_keys, 6))
    query, key, value = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return query, key, value


BIDIRECTIONAL = torch.ones(2, 7, 7, dtype=torch.bool)
PADDING = torch.tensor([[False, False, True, True, True, True, True], [True] * 7])
MASKS = {
    "all": AttentionMask(),
    "causal": AttentionMask(causal=True),
    "window": AttentionMask(causal=True, window=3),
    "wide window": AttentionMask(causal=True, window=9),
    "packed": AttentionMask(causal=True, lengths=(3, 4, 1, 6)),
    "packed, both ways": AttentionMask(lengths=(3, 4, 1, 6)),
    "packed, window": AttentionMask(causal=True, window=2, lengths=(3, 4, 7)),
    "padded": self_attention_mask(7, causal=True, padding=PADDING),
    "padded, both ways": self_attention_mask(7, causal=False, padding=PADDING),
}


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("name", MASKS)
def test_agrees_with_its_slow_twin(name: str, num_kv_heads: int) -> None:
    mask = MASKS[name]
    query, key, value = heads(num_kv_heads)
    dense = mask.dense(7, 7)
    allowed = BIDIRECTIONAL if dense is None else dense.expand(2, 1, 7, 7)[:, 0]
    expected = slow_attention(query, key, value, allowed, 0.3)
    torch.testing.assert_close(scaled_dot_product_attention(query, key, value, mask, 0.3), expected)
    weights = attention_weights(query, key, mask, 0.3)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 7, dtype=torch.float64))
    torch.testing.assert_close(weights @ value.repeat_interleave(4 // num_kv_heads, 1), expected)


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_one_query_reads_all_keys(num_kv_heads: int) -> None:
    query, key, value = heads(num_kv_heads, num_queries=1)
    expected = slow_attention(query, key, value, BIDIRECTIONAL[:, :1], 0.3)
    for mask in (AttentionMask(causal=True), AttentionMask(tensor=torch.zeros(1, 4, 1, 7).double())):
        torch.testing.assert_close(scaled_dot_product_attention(query, key, value, mask, 0.3), expected)


@pytest.mark.parametrize("num_queries", [1, 7])
def test_biases_of_scores_are_added_for_each_head(num_queries: int) -> None:
    query, key, value = heads(2, num_queries=num_queries)
    bias = torch.randn(1, 4, num_queries, 7, dtype=torch.float64)
    mask = AttentionMask(tensor=bias)
    scores = query @ key.repeat_interleave(2, 1).transpose(-1, -2) * 0.3 + bias
    expected = scores.softmax(-1) @ value.repeat_interleave(2, 1)
    torch.testing.assert_close(scaled_dot_product_attention(query, key, value, mask, 0.3), expected)
    torch.testing.assert_close(attention_weights(query, key, mask, 0.3), scores.softmax(-1))


def test_fewer_queries_than_keys_stand_at_the_end() -> None:
    query, key, value = heads(2, num_queries=3)
    allowed = causal_mask(3, 7).expand(2, 3, 7)
    expected = slow_attention(query, key, value, allowed, 1.0)
    found = scaled_dot_product_attention(query, key, value, AttentionMask(causal=True), 1.0)
    torch.testing.assert_close(found, expected)


def test_the_layer_is_projections_around_attention() -> None:
    norm = NormConfig(kind="rms", eps=1e-6)
    layer = MultiHeadAttention(replace(CONFIG, scale=0.7, qkv_bias=True, output_bias=True, qk_norm=norm))
    for weight in layer.parameters():
        torch.nn.init.normal_(weight)
    x, rotary = torch.randn(2, 5, 10), Rotary(6, 100.0)
    rotation = rotary(torch.arange(5)[None])

    def split(states: Tensor) -> Tensor:
        return torch.stack(states.split(6, dim=-1), dim=1)

    def turned(states: Tensor) -> Tensor:
        cosine, sine = rotation
        return states * cosine + torch.cat([-states[..., 3:], states[..., :3]], -1) * sine

    query = turned(layer.query_norm(split(layer.query(x))))  # type: ignore[misc]
    key = turned(layer.key_norm(split(layer.key(x))))  # type: ignore[misc]
    attended = slow_attention(query, key, split(layer.value(x)), causal_mask(5, 5).expand(2, 5, 5), 0.7)
    expected = layer.output(torch.cat(attended.unbind(1), dim=-1))
    torch.testing.assert_close(layer(x, AttentionMask(causal=True), rotation=rotation), expected)


def test_recorded_weights_make_the_same_output() -> None:
    layer, x = MultiHeadAttention(CONFIG), torch.randn(2, 5, 10)
    record: list[Tensor] = []
    mask = AttentionMask(causal=True)
    torch.testing.assert_close(layer(x, mask, record=record), layer(x, mask))
    assert record[0].shape == (2, 4, 5, 5)
    assert (record[0].triu(1) == 0).all()


def test_dropout_acts_on_weights_and_is_scaled() -> None:
    layer, x = MultiHeadAttention(replace(CONFIG, dropout=0.5)), torch.randn(400, 3, 10)
    mask = AttentionMask()
    plain = MultiHeadAttention(CONFIG)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x, mask), plain(x, mask))
    alike = x[:1].expand(400, 3, 10)
    dropped = layer(alike, mask, generator=BatchGenerator(0, size=400))
    assert not torch.equal(dropped[0], dropped[1])
    torch.testing.assert_close(dropped.mean(0), layer(alike, mask)[0], atol=0.1, rtol=0)


@pytest.mark.parametrize("added", [False, True])
def test_a_row_of_padding_alone_has_weights_of_0(added: bool) -> None:
    layer, x = MultiHeadAttention(CONFIG), torch.randn(2, 3, 10, requires_grad=True)
    there = torch.tensor([[True, True, False], [False, False, False]])[:, None, None]
    bias = torch.zeros(2, 1, 1, 3).masked_fill(~there, float("-inf"))
    mask, record = AttentionMask(tensor=bias if added else there), list[Tensor]()
    found = layer(x, mask, record=record)
    assert not record[0][1].any()
    torch.testing.assert_close(record[0][0].sum(-1), torch.ones(4, 3))
    torch.testing.assert_close(found, layer(x, mask))
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.isfinite().all()


def test_attention_to_an_encoder_s_output() -> None:
    layer, x, memory = MultiHeadAttention(CONFIG), torch.randn(2, 3, 10), torch.randn(2, 5, 10)
    padding = torch.tensor([[True] * 5, [True, True, False, False, False]])
    mask = AttentionMask(tensor=padding[:, None, None])
    found = layer.cross(x, layer.keys_values(memory), mask)
    torch.testing.assert_close(
        found[1:], layer.cross(x[1:], layer.keys_values(memory[1:, :2]), AttentionMask())
    )


@pytest.mark.parametrize("num_tokens", [63, 64, 130])
@torch.no_grad()
def test_rounded_attention_is_about_as_near_as_torch_s(num_tokens: int) -> None:
    query, key, value = torch.randn(3, 2, 4, num_tokens, 6, generator=torch.Generator().manual_seed(0))
    exact = scaled_dot_product_attention(query, key, value, AttentionMask(), 0.7)
    rounded = [tensor.bfloat16() for tensor in (query, key, value)]
    fused = torch.nn.functional.scaled_dot_product_attention(*rounded, scale=0.7)
    found = scaled_dot_product_attention(*rounded, AttentionMask(), 0.7)
    assert found.dtype == torch.bfloat16
    assert (found - exact).abs().mean() <= 2 * (fused - exact).abs().mean()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("by_products", [False, True])
def test_rounded_attention_has_the_gradients_of_exact_attention(
    monkeypatch: pytest.MonkeyPatch, causal: bool, by_products: bool
) -> None:
    if by_products:
        monkeypatch.setattr("creuset.layers.attention._LEAST_SCORES_KEPT", 0)
    else:
        monkeypatch.setattr("creuset.layers.attention._MOST_SCORES_KEPT", 0)
    drawn = torch.randn(3, 1, 2, 70, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    outputs, gradients = [], []
    for inputs in (drawn.clone(), drawn.double()):
        inputs.requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            output = scaled_dot_product_attention(*inputs.unbind(), AttentionMask(causal=causal), 0.5)
        output.square().sum().backward()
        assert output.dtype == inputs.dtype
        assert inputs.grad is not None
        outputs.append(output.detach().double())
        gradients.append(inputs.grad.double())
    for rounded, exact in (outputs, gradients):
        assert exact.abs().mean() > 0.01
        assert (rounded - exact).abs().mean() < 0.03 * exact.abs().mean()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_one_product_for_queries_keys_and_values_changes_nothing(bias: bool, num_kv_heads: int) -> None:
    torch.manual_seed(0)
    config = AttentionConfig(
        embed_dim=12,
        num_heads=4,
        num_kv_heads=num_kv_heads,
        head_dim=5,
        qkv_bias=bias,
        qk_norm=NormConfig(kind="rms", eps=1e-5),
    )
    layer = MultiHeadAttention(config).double()
    x = torch.randn(2, 7, 12, dtype=torch.float64)
    with torch.no_grad():
        apart = layer(x, AttentionMask(causal=True))
    joined = layer(x, AttentionMask(causal=True))
    torch.testing.assert_close(joined, apart)
    joined.sum().backward()
    for name in ("query", "key", "value"):
        weight = getattr(layer, name).weight
        assert weight.grad.shape == weight.shape
        assert weight.grad.abs().max() > 0


@pytest.mark.parametrize(("num_texts", "by_products"), [(1, False), (8, True)])
def test_training_makes_the_scores_itself_only_where_that_gains(
    monkeypatch: pytest.MonkeyPatch, num_texts: int, by_products: bool
) -> None:
    made: list[torch.Size] = []

    def noted(query: torch.Tensor, *_: object, causal: bool = False) -> torch.Tensor:
        made.append(query.shape)
        return query

    monkeypatch.setattr("creuset.layers.attention._by_products", noted)
    query = torch.ones(num_texts, 2, 64, 4, dtype=torch.bfloat16, requires_grad=True)
    scaled_dot_product_attention(query, query, query, AttentionMask(causal=True), 0.5)
    assert made == [query.shape] * by_products
