"""A decoder's weights in the form that generates fastest: same numbers as `Transformer`, for inference alone.

What it does otherwise, all of it once when it is built: the weights of queries, keys and values are one
product, those of gate and up another, each laid out as the processor reads it (weight_formats.py); cosine and
sine of all places are a table. For each step: one mask for all layers, no modules, no dropout, no gradients.
In bfloat16 norms and the sums of all blocks are float32, which halves what rounding costs.

Not covered, and named by `obstacle`: encoders, relative positions, heads with a layer of their own.

Legend of shapes: B rows, T tokens, N = B T, E features, H heads, G key-value heads, D features of a head, F
hidden features, C capacity of the cache, S keys that are read, V vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from creuset.errors import UsageError
from creuset.generation.weight_formats import Linear, WeightFormat, compute_dtype, pack
from creuset.layers.attention import scaled_dot_product_attention
from creuset.layers.gated_feedforward import activate
from creuset.layers.key_value_cache import KeyValueCache
from creuset.layers.masks import AttentionMask, cached_attention_mask
from creuset.layers.positions import Rotary, sinusoidal_embedding
from creuset.models.transformer_config import TransformerConfig

Norm = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """One block's weights; the norms that its form has not are None."""

    attention_norm: Norm
    attention_post_norm: Norm | None
    query_key_value: Linear
    query_norm: Norm | None
    key_norm: Norm | None
    output: Linear
    feedforward_norm: Norm
    feedforward_post_norm: Norm | None
    gate_up: Linear
    down: Linear
    window: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What all blocks need of the tokens that are read now.

    Args:
        shape: B and T.
        stop: S, the longest row with them.
        places: Where keys and values go: a slice of C for rows of one length, else int64 (B, T).
        masks: What is hidden, by window.
        rotations: Cosine and signed sine by window, (B or 1, T, 1, D) each; None without rotation.
    """

    shape: tuple[int, int]
    stop: int
    places: slice | Tensor
    masks: dict[int | None, AttentionMask]
    rotations: dict[int | None, tuple[Tensor, Tensor] | None]


class FastDecoder:
    """A decoder for generation.

    Args:
        config: Its form, one without `obstacle`.
        weights: The tensor of each parameter, as a Transformer's `state_dict` names them. Those of linear
            layers are copied, so they can be let go afterwards.
        precision: How weights are stored. With int8 all else is bfloat16, and so it is slightly another
            model; with the other two it is the same.

    Raises:
        UsageError: The form is not covered.
    """

    def __init__(
        self, config: TransformerConfig, weights: Mapping[str, Tensor], *, precision: WeightFormat
    ) -> None:
        reason = obstacle(config)
        if reason is not None:
            raise UsageError("no fast form of this model", got=reason, next_step="use the Transformer itself")
        self.config, self.precision = config, precision
        self.dtype = compute_dtype(precision)
        self._weights = weights
        self.embedding = weights["token_embedding.weight"].to(self.dtype)
        positions = weights.get("decoder.position_embedding.weight")
        self.position_embedding = None if positions is None else positions.to(self.dtype)
        self.embedding_norm = self._norm("decoder.embedding_norm") if config.embedding_norm else None
        self.blocks = [self._block(layer) for layer in range(config.decoder_layers)]
        self.norm = self._norm("decoder.norm") if config.final_norm else None
        head = "token_embedding.weight" if config.tied_head else "head.weight"
        self.head = pack(weights[head], weights.get("head.bias"), precision)
        self.windows = tuple(dict.fromkeys(block.window for block in self.blocks))
        self._tables: dict[int | None, tuple[Tensor, Tensor]] = {}
        del self._weights

    def new_cache(self, num_rows: int, capacity: int) -> KeyValueCache:
        """An empty cache, of the format that is computed in.

        Raises:
            UsageError: More tokens than the context.
        """
        self._require_context(capacity)
        return KeyValueCache(
            num_layers=len(self.blocks),
            num_rows=num_rows,
            num_kv_heads=self.config.num_kv_heads,
            head_dim=self.config.head_dim,
            capacity=capacity,
            dtype=self.dtype,
        )

    @torch.inference_mode()
    def __call__(
        self,
        token_ids: Tensor,
        *,
        cache: KeyValueCache,
        padding: Tensor | None = None,
        at: Tensor | None = None,
    ) -> Tensor:
        """The logits of tokens behind those of a cache, which is given theirs: as `Transformer.forward`.

        Args:
            token_ids: int64 (B, T).
            cache: Keys and values of the tokens before these.
            padding: bool (B, T), True where a token is, padding behind tokens; None for tokens everywhere.
            at: int64 (B,), the one place of each row where logits are wanted; None for all.

        Returns:
            (B, T, V) or (B, V).

        Raises:
            UsageError: The cache has no room, or is longer than the context.
        """
        states = self.hidden(token_ids, cache=cache, padding=padding)
        if at is not None:
            states = states[torch.arange(len(at)), at]
        flat = states.flatten(0, -2)
        logits = self.head(flat if self.config.head_scale == 1 else flat * self.config.head_scale)
        cap = self.config.logit_softcap
        if cap is not None:
            logits = cap * torch.tanh(logits / cap)
        return logits.view(*states.shape[:-1], -1)

    @torch.inference_mode()
    def hidden(self, token_ids: Tensor, *, cache: KeyValueCache, padding: Tensor | None = None) -> Tensor:
        """The last states before the head, (B, T, E); arguments as for the call."""
        rows, num_tokens = token_ids.shape
        self._require_context(cache.capacity)
        cache.require_room(num_tokens)
        step = self._step(cache, num_tokens)
        x = self._embed(token_ids, cache)
        for layer, block in enumerate(self.blocks):
            x = self._through(x, block, step, cache.keys[layer], cache.values[layer])
        x = x.to(self.dtype) if self.norm is None else self.norm(x)
        cache.advance([num_tokens] * rows if padding is None else padding.sum(1).tolist())
        return x.view(rows, num_tokens, -1)

    def _require_context(self, capacity: int) -> None:
        limit = self.config.context_length
        if limit is not None and capacity > limit:
            raise UsageError(
                "a cache longer than the model's context",
                where="FastDecoder",
                got=f"{capacity} tokens",
                expected=f"at most {limit}",
                next_step="make the cache shorter",
            )

    def _through(self, x: Tensor, block: _Block, step: _Step, keys: Tensor, values: Tensor) -> Tensor:
        """One block: (N, E) -> (N, E)."""
        post = self.config.norm_placement == "post"
        out = self._attend(x if post else block.attention_norm(x), block, step, keys, values)
        x = _added(x, out, block.attention_norm, block.attention_post_norm, post)
        out = self._feed_forward(x if post else block.feedforward_norm(x), block)
        return _added(x, out, block.feedforward_norm, block.feedforward_post_norm, post)

    def _attend(self, x: Tensor, block: _Block, step: _Step, keys: Tensor, values: Tensor) -> Tensor:
        heads, groups, dim = self.config.num_heads, self.config.num_kv_heads, self.config.head_dim
        found = block.query_key_value(x).view(*step.shape, heads + 2 * groups, dim)  # (B, T, H + 2G, D)
        turned, value = found[:, :, : heads + groups], found[:, :, heads + groups :]
        if block.query_norm is not None and block.key_norm is not None:
            parts = block.query_norm(turned[:, :, :heads]), block.key_norm(turned[:, :, heads:])
            turned = torch.cat(parts, dim=2)
        rotation = step.rotations[block.window]
        if rotation is not None:
            cosine, sine = rotation
            turned = torch.addcmul(turned * cosine, turned.roll(dim // 2, -1), sine)
        query, key = turned[:, :, :heads].transpose(1, 2), turned[:, :, heads:]  # (B, H, T, D), (B, T, G, D)
        _write(keys, key, step.places)
        _write(values, value, step.places)
        mask = step.masks[block.window]
        scale = dim**-0.5 if self.config.query_scale is None else self.config.query_scale
        out = scaled_dot_product_attention(
            query, keys[:, :, : step.stop], values[:, :, : step.stop], mask, scale
        )
        return block.output(out.transpose(1, 2).reshape(-1, heads * dim))

    def _feed_forward(self, x: Tensor, block: _Block) -> Tensor:
        hidden = block.gate_up(x)
        if not self.config.gated:
            return block.down(activate(hidden, self.config.activation))
        gate, up = hidden.chunk(2, dim=-1)  # (N, F) each
        return block.down(activate(gate, self.config.activation).mul_(up))

    def _embed(self, token_ids: Tensor, cache: KeyValueCache) -> Tensor:
        """Token embeddings with the vectors of places, (N, E)."""
        x = functional.embedding(token_ids, self.embedding)
        if self.config.embedding_scale != 1:
            x = x * torch.tensor(self.config.embedding_scale, dtype=x.dtype)
        if self.position_embedding is not None or self.config.positions == "sinusoidal":
            places = _places(cache.lengths, token_ids.shape[1])
            if self.position_embedding is None:
                x = x + sinusoidal_embedding(places, x.shape[-1]).to(x.dtype)
            else:
                x = x + self.position_embedding[places + self.config.position_offset]
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        # sums of all blocks are kept in float32; where a norm stands behind each, it ends the sum
        x = x if self.config.norm_placement == "post" else x.float()
        return x.flatten(0, 1)

    def _step(self, cache: KeyValueCache, num_tokens: int) -> _Step:
        lengths = cache.lengths
        stop = max(lengths) + num_tokens
        even = min(lengths) == max(lengths)
        places = slice(lengths[0], stop) if even else _places(lengths, num_tokens)
        return _Step(
            shape=(len(lengths), num_tokens),
            stop=stop,
            places=places,
            masks={window: self._mask(lengths, num_tokens, window) for window in self.windows},
            rotations={window: self._rotation(window, cache.capacity, places) for window in self.windows},
        )

    def _mask(self, lengths: list[int], num_tokens: int, window: int | None) -> AttentionMask:
        mask = cached_attention_mask(lengths, num_tokens, window=window)
        if mask.tensor is None:
            return mask
        # added numbers, since torch's kernels would make them out of truth values in each layer
        zeros = torch.zeros(mask.tensor.shape, dtype=self.dtype)
        return AttentionMask(tensor=zeros.masked_fill_(~mask.tensor, float("-inf")))

    def _rotation(
        self, window: int | None, capacity: int, places: slice | Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """Cosine and sine of the new tokens' places; the first half of the sine is negative."""
        theta = self.config.rope_theta
        if theta is None:
            return None
        table = self._tables.get(window)
        if table is None or len(table[0]) < capacity:
            rotary = Rotary(self.config.head_dim, theta, self.config.rope_scaling)
            if window is not None and self.config.sliding_rope_theta is not None:
                rotary = Rotary(self.config.head_dim, self.config.sliding_rope_theta)
            cosine, sine = (part[0, 0] for part in rotary(torch.arange(capacity)[None]))  # (C, D)
            sine[:, : self.config.head_dim // 2].neg_()
            table = cosine.to(self.dtype)[:, None], sine.to(self.dtype)[:, None]
            # another thread may write a table of its own here: each goes on with the one that it made
            self._tables[window] = table
        cosine, sine = table
        if isinstance(places, slice):
            return cosine[None, places], sine[None, places]
        return cosine[places], sine[places]

    def _block(self, layer: int) -> _Block:
        prefix, config = f"decoder.blocks.{layer}", self.config
        attention = f"{prefix}.attention"
        sandwich = config.norm_placement == "sandwich"
        names = ("gate", "up") if config.gated else ("up",)
        return _Block(
            attention_norm=self._norm(f"{prefix}.attention_norm"),
            attention_post_norm=self._norm(f"{prefix}.attention_post_norm") if sandwich else None,
            query_key_value=self._joined(attention, ("query", "key", "value")),
            query_norm=self._norm(f"{attention}.query_norm") if config.qk_norm else None,
            key_norm=self._norm(f"{attention}.key_norm") if config.qk_norm else None,
            output=self._joined(attention, ("output",)),
            feedforward_norm=self._norm(f"{prefix}.feedforward_norm"),
            feedforward_post_norm=self._norm(f"{prefix}.feedforward_post_norm") if sandwich else None,
            gate_up=self._joined(f"{prefix}.feedforward", names),
            down=self._joined(f"{prefix}.feedforward", ("down",)),
            window=config.sliding_window if layer in config.sliding_layers else None,
        )

    def _joined(self, prefix: str, names: tuple[str, ...]) -> Linear:
        """Layers with the same input as one, whose outputs stand side by side."""
        weight = torch.cat([self._weights[f"{prefix}.{name}.weight"] for name in names])
        biases = [self._weights.get(f"{prefix}.{name}.bias") for name in names]
        given = [bias for bias in biases if bias is not None]
        return pack(weight, torch.cat(given) if given else None, self.precision)

    def _norm(self, prefix: str) -> Norm:
        weight, bias = self._weights[f"{prefix}.weight"], self._weights.get(f"{prefix}.bias")
        eps = self.config.norm_eps
        if self.config.norm_plus_one:
            return partial(_rms_norm, gain=1 + weight.float(), eps=eps, dtype=self.dtype)
        # rounded as the model's format stores them, and computed with in float32
        weight = weight.to(self.dtype).float()
        if self.config.norm == "rms":
            return partial(_rms_norm, gain=weight, eps=eps, dtype=self.dtype)
        bias = None if bias is None else bias.to(self.dtype).float()
        return partial(_layer_norm, gain=weight, bias=bias, eps=eps, dtype=self.dtype)


def obstacle(config: TransformerConfig) -> str | None:
    """Why a form has no FastDecoder, or None where it has one."""
    if config.architecture != "decoder":
        return f"architecture {config.architecture}"
    if config.positions == "relative":
        return "relative positions"
    if config.head != "linear":
        return f"head {config.head}"
    return None


def _added(x: Tensor, out: Tensor, norm: Norm, post_norm: Norm | None, post: bool) -> Tensor:
    """The residual: with what a part of a block gave, and the norms behind it."""
    if post:
        return norm(x + out)
    return x + (out if post_norm is None else post_norm(out))


def _rms_norm(x: Tensor, *, gain: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """RMSNorm in float32 up to and with the gain."""
    return functional.rms_norm(x.float(), gain.shape, gain, eps).to(dtype)


def _layer_norm(x: Tensor, *, gain: Tensor, bias: Tensor | None, eps: float, dtype: torch.dtype) -> Tensor:
    """LayerNorm in float32 up to and with gain and bias."""
    return functional.layer_norm(x.float(), gain.shape, gain, bias, eps).to(dtype)


def _places(lengths: list[int], num_tokens: int) -> Tensor:
    """Where new tokens go: int64 (B, T)."""
    return torch.tensor(lengths)[:, None] + torch.arange(num_tokens)


def _write(held: Tensor, new: Tensor, places: slice | Tensor) -> None:
    """Puts new keys or values (B, T, G, D) into those of a layer, (B, G, C, D)."""
    if isinstance(places, slice):
        held[:, :, places] = new.transpose(1, 2)
    else:
        held[torch.arange(len(held))[:, None], :, places] = new
