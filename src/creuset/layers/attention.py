"""Attention: softmax(Q K^T / sqrt(D)) V, in many heads.

Source: Vaswani et al. 2017, "Attention Is All You Need", eq. 1 and section 3.2.2; heads that share keys and
values: Ainslie et al. 2023, "GQA", section 2.2; normalised queries and keys: Dehghani et al. 2023, "Scaling
Vision Transformers to 22 Billion Parameters", section 2.1.
Departures: the heads' total width may differ from the model's; the scale of the scores is a setting; dropout
of weights draws from a BatchGenerator.
Not to be confused with torch.nn.MultiheadAttention, whose boolean masks mean the opposite.

Legend of shapes: B batch, H heads, G key-value heads, T tokens or queries, S keys, D features of a head, E
features of a token.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.device import BatchGenerator
from creuset.layers.dropout import Dropout
from creuset.layers.kept_small import attention_in_float32
from creuset.layers.key_value_cache import LayerCache
from creuset.layers.masks import AttentionMask
from creuset.layers.norm import NormConfig
from creuset.layers.positions import Rotation, rotate


@dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """The form of one attention layer.

    Args:
        embed_dim: E, features of a token.
        num_heads: H.
        num_kv_heads: G, heads of keys and values; H is a multiple of it.
        head_dim: D; H D may differ from E.
        scale: What scores are multiplied by; None for 1 / sqrt(D).
        qkv_bias: Whether queries, keys and values have a bias.
        output_bias: Whether the output has a bias.
        qk_norm: How each head's queries and keys are normalised before they are rotated, or None.
        dropout: Probability that a weight is zero in training; above 0, training makes all
            weights, (B, H, T, S).
    """

    embed_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    scale: float | None = None
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: NormConfig | None = None
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class AttentionRecord:
    """The weights of each attention layer, in order, (B, H, T, S) each; a row over keys sums to 1, or to 0
    where a query may read none.

    Args:
        own: Of attention to the own sequence.
        cross: Of attention to an encoder's output; empty without.
    """

    own: list[Tensor] = field(default_factory=list)
    cross: list[Tensor] = field(default_factory=list)


def attention_weights(query: Tensor, key: Tensor, mask: AttentionMask, scale: float) -> Tensor:
    """softmax(scale Q K^T) over the keys that the mask leaves, computed in float32 at least.

    Where it leaves none to a query, as in a row of padding alone, all weights are 0, as in the fused kernels.

    Args:
        query: (B, H, T, D).
        key: (B, G, S, D); a key-value head serves H / G heads that follow each other.
        mask: What is hidden.
        scale: What scores are multiplied by.

    Returns:
        (B, H, T, S), in the format of `query`.
    """
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)  # (B, H, S, D)
    scores = (query @ key.transpose(-2, -1)) * scale  # (B, H, T, S)
    hidden = mask.dense(query.shape[2], key.shape[2], query.device)
    if hidden is None:
        return _softmax(scores)
    added = hidden.is_floating_point()
    scores = scores + hidden if added else scores.masked_fill(~hidden, float("-inf"))
    blind = ~(hidden > float("-inf") if added else hidden).any(-1, keepdim=True)
    return _softmax(scores.masked_fill(blind, 0.0)).masked_fill(blind, 0.0)


def _softmax(scores: Tensor) -> Tensor:
    precise = torch.promote_types(scores.dtype, torch.float32)
    return scores.softmax(dim=-1, dtype=precise).to(scores.dtype)


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: AttentionMask, scale: float
) -> Tensor:
    """attention_weights V by torch's fused kernels, without making the weights.

    Args:
        query: (B, H, T, D).
        key: (B, G, S, D).
        value: (B, G, S, D).
        mask: What is hidden.
        scale: What scores are multiplied by.

    Returns:
        (B, H, T, D).
    """
    if not mask.lengths:
        return _fused(query, key, value, mask, scale)
    within = AttentionMask(causal=mask.causal, window=mask.window)
    queries, keys, values = (
        torch.split(_one_row(tensor), list(mask.lengths), dim=2) for tensor in (query, key, value)
    )
    documents = zip(queries, keys, values, strict=True)
    joined = torch.cat([_fused(q, k, v, within, scale) for q, k, v in documents], dim=2)  # (1, H, B T, D)
    if len(query) == 1:
        return joined
    return joined.view(joined.shape[1], len(query), -1, joined.shape[3]).transpose(0, 1)  # (B, H, T, D)


def _one_row(tensor: Tensor) -> Tensor:
    """All rows behind each other: (B, H, T, D) -> (1, H, B T, D)."""
    return tensor if len(tensor) == 1 else tensor.transpose(0, 1).flatten(1, 2)[None]


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: AttentionMask, scale: float) -> Tensor:
    num_queries, num_keys = query.shape[2], key.shape[2]
    covered = mask.window is None or mask.window >= num_keys
    causal = mask.tensor is None and mask.causal and covered and 1 < num_queries == num_keys
    tensor = None if causal else mask.dense(num_queries, num_keys, query.device)
    num_groups = query.shape[1] // key.shape[1]
    if num_queries == 1 and num_groups > 1:
        # the heads of a key-value head become its queries: nothing is repeated, and one query has no order
        query = query.reshape(len(query), -1, num_groups, query.shape[-1])  # (B, G, H/G, D)
        if tensor is not None and tensor.shape[1] > 1:
            tensor = tensor.reshape(len(tensor), -1, num_groups, num_keys)  # (B, G, H/G, S)
        out = functional.scaled_dot_product_attention(query, key, value, attn_mask=tensor, scale=scale)
        return out.flatten(1, 2)[:, :, None]  # (B, H, 1, D)
    if query.dtype == torch.bfloat16 and query.device.type == "cpu" and torch.is_grad_enabled():
        with torch.autocast("cpu", enabled=False):
            worth = _LEAST_SCORES_KEPT <= _num_scores(query, key) <= _MOST_SCORES_KEPT
            if tensor is None and num_groups == 1 and worth:
                return _by_products(query, key, value, scale, causal=causal)
            # torch's backward pass in bfloat16 takes ten times as long on a processor as that in float32
            if tensor is None:
                return attention_in_float32(query, key, value, scale, causal=causal)
            return functional.scaled_dot_product_attention(
                query.float(),
                key.float(),
                value.float(),
                attn_mask=tensor if tensor.dtype == torch.bool else tensor.float(),
                scale=scale,
                enable_gqa=num_groups > 1,
            ).to(torch.bfloat16)
    if tensor is None and not causal and num_groups == 1 and _products_are_faster(query, key):
        return _by_products(query, key, value, scale)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=tensor, is_causal=causal, scale=scale, enable_gqa=num_groups > 1
    )


_LEAST_FOR_PRODUCTS = 64
"""Queries from which on two products and a softmax take less time than torch's fused kernel."""
_MOST_SCORES = 2**20
"""Of all heads together: 2 MB in bfloat16, beyond which they no longer lie in a processor's cache."""
_MOST_SCORES_KEPT = 2**22
"""The same for training, whose backward pass reads them again: 8 MB a layer."""
_LEAST_SCORES_KEPT = 2**16
"""In training, where fewer are made faster by torch's fused kernel: 32 texts of 16 tokens, 4 heads of 16
features, take 0.85 ms by it and 1.01 by products."""


def _products_are_faster(query: Tensor, key: Tensor) -> bool:
    """Whether `_by_products` gains: on a processor, in bfloat16, without gradients, for usual lengths."""
    return (
        query.dtype == torch.bfloat16
        and query.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and query.shape[2] >= _LEAST_FOR_PRODUCTS
        and _num_scores(query, key) <= _MOST_SCORES
    )


def _num_scores(query: Tensor, key: Tensor) -> int:
    return query.shape[:3].numel() * key.shape[2]


def _by_products(query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool = False) -> Tensor:
    """Attention without a mask, or a causal one, by plain products, (B, H, T, D).

    torch's fused kernel multiplies in bfloat16 at a fraction of the speed of its plain products: on an AMD
    EPYC with AVX-512, one thread, 12 heads of 32 features, 128 tokens take 0.39 ms against 0.59, and 240
    tokens 1.26 against 1.75; forth and back on two threads, 4 causal heads of 32 features, 12 texts of 64
    tokens take 1.25 ms against 2.25 of the fused kernel in float32. Scores are rounded to bfloat16, as
    queries and keys are.
    """
    # copied once here: the products of heads that lie apart are slower than the copies and they together
    query, key, value = (tensor.contiguous() for tensor in (query, key, value))
    scores = (query * scale) @ key.transpose(-2, -1)  # (B, H, T, S)
    if causal:
        hidden = torch.full(scores.shape[-2:], float("-inf"), dtype=scores.dtype, device=scores.device)
        scores = scores + hidden.triu_(1)
    return scores.softmax(-1) @ value


class MultiHeadAttention(nn.Module):
    """Attention of tokens to each other, or to an encoder's output.

    Args:
        config: Its form.
    """

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.scale = config.head_dim**-0.5 if config.scale is None else config.scale
        width, kv_width = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        self.query = nn.Linear(config.embed_dim, width, bias=config.qkv_bias)
        self.key = nn.Linear(config.embed_dim, kv_width, bias=config.qkv_bias)
        self.value = nn.Linear(config.embed_dim, kv_width, bias=config.qkv_bias)
        self.output = nn.Linear(width, config.embed_dim, bias=config.output_bias)
        norm = config.qk_norm
        self.query_norm = None if norm is None else norm.build(config.head_dim)
        self.key_norm = None if norm is None else norm.build(config.head_dim)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        mask: AttentionMask,
        *,
        rotation: Rotation | None = None,
        cache: LayerCache | None = None,
        generator: BatchGenerator | None = None,
        record: list[Tensor] | None = None,
    ) -> Tensor:
        """Attention of tokens to each other, and to those before them in a cache.

        Args:
            x: (B, T, E).
            mask: What is hidden, of the T new tokens and the S that the cache holds with them.
            rotation: Turns queries and keys.
            cache: Is given the keys and values of `x`, and gives those of all tokens.
            generator: Draws the dropout; nothing is dropped without.
            record: Is given the weights, (B, H, T, S).

        Returns:
            (B, T, E).
        """
        query, key, value = self._queries_keys_values(x, rotation)
        if cache is not None:
            key, value = cache.write(key, value)
        return self.attend(query, key, value, mask, generator=generator, record=record)

    def cross(
        self,
        x: Tensor,
        keys_values: tuple[Tensor, Tensor],
        mask: AttentionMask,
        *,
        generator: BatchGenerator | None = None,
        record: list[Tensor] | None = None,
    ) -> Tensor:
        """Attention of tokens (B, T, E) to what `keys_values` made of an encoder's output, (B, T, E)."""
        return self.attend(self._queries(x, None), *keys_values, mask, generator=generator, record=record)

    def keys_values(self, x: Tensor, rotation: Rotation | None = None) -> tuple[Tensor, Tensor]:
        """Keys and values of tokens (B, S, E), (B, G, S, D) each."""
        key = self._turned(self._heads(self.key(x)), self.key_norm, rotation)
        return key, self._heads(self.value(x))

    def _queries_keys_values(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """All three of tokens that attend to each other; in training by one product, which is quicker."""
        parts = (self.query, self.key, self.value)
        if not (torch.is_grad_enabled() and all(type(part) is nn.Linear for part in parts)):
            return self._queries(x, rotation), *self.keys_values(x, rotation)
        weight = torch.cat([part.weight for part in parts])
        biases: list[Tensor] = [part.bias for part in parts if part.bias is not None]
        joined = functional.linear(x, weight, torch.cat(biases) if biases else None)
        widths = [part.out_features for part in parts]
        query, key, value = map(self._heads, torch.split(joined, widths, dim=-1))
        query = self._turned(query, self.query_norm, rotation)
        return query, self._turned(key, self.key_norm, rotation), value

    def _queries(self, x: Tensor, rotation: Rotation | None) -> Tensor:
        return self._turned(self._heads(self.query(x)), self.query_norm, rotation)

    @staticmethod
    def _turned(heads: Tensor, norm: nn.Module | None, rotation: Rotation | None) -> Tensor:
        """Queries or keys (B, heads, T, D), normalised and rotated where this layer does so."""
        if norm is not None:
            heads = norm(heads)
        return heads if rotation is None else rotate(heads, rotation)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)  # (B, heads, T, D)

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: AttentionMask,
        *,
        generator: BatchGenerator | None,
        record: list[Tensor] | None,
    ) -> Tensor:
        """The output (B, T, E) for queries (B, H, T, D), and keys and values (B, G, S, D)."""
        if record is None and (generator is None or self.dropout.p == 0):
            heads = scaled_dot_product_attention(query, key, value, mask, self.scale)
        else:
            weights = attention_weights(query, key, mask, self.scale)
            if record is not None:
                record.append(weights)
            repeated = value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)  # (B, H, S, D)
            heads = self.dropout(weights, generator) @ repeated
        out: Tensor = self.output(heads.transpose(1, 2).flatten(2))  # (B, T, E)
        return out
