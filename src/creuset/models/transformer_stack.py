"""The blocks of a Transformer's encoder or decoder, with what stands before the first and behind the last.

Blocks may be recomputed: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", section 4.1.

Legend of shapes: B batch, T tokens, S tokens that attention reads, H heads, E features.
"""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from creuset.adapters.lora import drawing
from creuset.device import BatchGenerator
from creuset.layers.attention import AttentionRecord
from creuset.layers.dropout import Dropout
from creuset.layers.key_value_cache import KeyValueCache
from creuset.layers.masks import AttentionMask, cached_attention_mask, self_attention_mask
from creuset.layers.positions import RelativeBias, Rotary, Rotation, sinusoidal_embedding
from creuset.layers.transformer_block import Memory, TransformerBlock
from creuset.models.token_layout import TokenLayout
from creuset.models.transformer_config import TransformerConfig


@dataclass(frozen=True)
class _View:
    """What a block's attention is given: what is hidden, and how queries and keys are turned."""

    mask: AttentionMask
    rotation: Rotation | None


class TransformerStack(nn.Module):
    """Position and segment vectors, the blocks, and the last norm.

    Args:
        config: The model's form.
        num_layers: Blocks.
        causal: Whether no token reads later ones.
        cross_attention: Whether blocks read an encoder's output.
    """

    def __init__(
        self, config: TransformerConfig, *, num_layers: int, causal: bool, cross_attention: bool
    ) -> None:
        super().__init__()
        dim = config.embed_dim
        self.causal = causal
        self.cross_attention = cross_attention
        self.positions = config.positions
        self.position_offset = config.position_offset
        self.position_embedding: nn.Embedding | None = None
        if config.positions == "learned":
            assert config.context_length is not None
            self.position_embedding = nn.Embedding(config.context_length + config.position_offset, dim)
        self.segment_embedding = nn.Embedding(config.num_segments, dim) if config.num_segments else None
        self.embedding_norm = config.norm_config.build(dim) if config.embedding_norm else None
        self.dropout = Dropout(config.dropout)
        self.relative_bias: RelativeBias | None = None
        if config.positions == "relative":
            self.relative_bias = RelativeBias(
                config.num_buckets, config.max_distance, config.num_heads, bidirectional=not causal
            )
        self.rotary, self.sliding_rotary = _rotaries(config)
        self.windows = tuple(
            config.sliding_window if layer in config.sliding_layers else None for layer in range(num_layers)
        )
        block = config.block(cross_attention=cross_attention)
        self.blocks = nn.ModuleList(TransformerBlock(block) for _ in range(num_layers))
        self.norm = config.norm_config.build(dim) if config.final_norm else None
        self.recomputes_blocks = False
        """Whether a gradient keeps what each block is given alone, and makes the rest of it once more."""

    def forward(
        self,
        embedded: Tensor,
        layout: TokenLayout,
        *,
        memory: Memory | None = None,
        cache: KeyValueCache | None = None,
        generator: BatchGenerator | None = None,
        record: AttentionRecord | None = None,
    ) -> Tensor:
        """All blocks.

        Args:
            embedded: Token embeddings, (B, T, E).
            layout: How the tokens lie.
            memory: An encoder's output.
            cache: Keys and values of the tokens before these; it is written to, and not advanced.
            generator: Draws all dropout; nothing is dropped without.
            record: Is given the attention weights.

        Returns:
            The state of each token, (B, T, E).
        """
        x = self._embed(embedded, layout)
        x = self.dropout(x, generator)
        views = {window: self._view(x, window, layout, cache) for window in dict.fromkeys(self.windows)}
        for layer, (block, window) in enumerate(zip(self.blocks, self.windows, strict=True)):
            view = views[window]
            if self.recomputes_blocks and torch.is_grad_enabled() and cache is None and record is None:
                x = _recomputed(block, x, view.mask, view.rotation, memory, generator)
                continue
            x = block(
                x,
                view.mask,
                rotation=view.rotation,
                memory=memory,
                cache=None if cache is None else cache.layers[layer],
                generator=generator,
                record=record,
            )
        states: Tensor = x if self.norm is None else self.norm(x)
        return states

    def _embed(self, embedded: Tensor, layout: TokenLayout) -> Tensor:
        """Token embeddings with the vectors of places and segments."""
        x = embedded
        if self.segment_embedding is not None:
            segments = layout.segments
            x = x + (
                self.segment_embedding.weight[0] if segments is None else self.segment_embedding(segments)
            )
        if self.position_embedding is not None:
            x = x + self.position_embedding(layout.positions + self.position_offset)
        elif self.positions == "sinusoidal":
            x = x + sinusoidal_embedding(layout.positions, x.shape[-1]).to(x.dtype)
        return x if self.embedding_norm is None else self.embedding_norm(x)

    def _view(self, x: Tensor, window: int | None, layout: TokenLayout, cache: KeyValueCache | None) -> _View:
        """What all blocks with the same window are given alike."""
        rotary = self.rotary if window is None else self.sliding_rotary
        rotation = None if rotary is None else rotary(layout.positions)
        num_tokens, lengths = x.shape[1], [0] if cache is None else cache.lengths
        bias = None if self.relative_bias is None else self._bias(self.relative_bias, lengths, num_tokens)
        if cache is not None:
            mask = cached_attention_mask(lengths, num_tokens, window=window, bias=bias, device=x.device)
        else:
            mask = self_attention_mask(
                num_tokens,
                causal=self.causal,
                window=window,
                padding=layout.padding,
                lengths=layout.lengths,
                bias=bias,
                device=x.device,
            )
        return _View(mask, rotation)

    def _bias(self, relative_bias: RelativeBias, lengths: list[int], num_tokens: int) -> Tensor:
        """Biases by distance of new tokens behind those of a cache, (B or 1, H, T, S)."""
        device = relative_bias.embedding.weight.device
        rows = lengths if min(lengths) < max(lengths) else lengths[:1]
        places = torch.tensor(rows, device=device)[:, None] + torch.arange(num_tokens, device=device)
        bias: Tensor = relative_bias(places, max(lengths) + num_tokens)
        return bias


def recompute_blocks(module: nn.Module, on: bool = True) -> None:
    """Whether all blocks within a module are made once more in the backward pass, in place of being kept."""
    for part in module.modules():
        if isinstance(part, TransformerStack):
            part.recomputes_blocks = on


def _recomputed(
    block: nn.Module,
    x: Tensor,
    mask: AttentionMask,
    rotation: Rotation | None,
    memory: Memory | None,
    generator: BatchGenerator | None,
) -> Tensor:
    """A block's step of which its input alone is kept for the gradient: there it is made once more.

    The second time dropout is handed the same draws, that of the block and of its low-rank updates.
    """
    place = 0 if generator is None else generator.place
    is_first = True

    def step(states: Tensor) -> Tensor:
        nonlocal is_first
        draws = nullcontext() if is_first or generator is None else generator.again_from(place)
        is_first = False
        with draws, drawing(block, generator):
            out: Tensor = block(states, mask, rotation=rotation, memory=memory, generator=generator)
        return out

    found: Tensor = checkpoint(step, x, use_reentrant=False, preserve_rng_state=False)
    return found


def _rotaries(config: TransformerConfig) -> tuple[Rotary | None, Rotary | None]:
    """The rotation of layers that read all tokens before, and of those with a sliding window."""
    if config.rope_theta is None:
        return None, None
    rotary = Rotary(config.head_dim, config.rope_theta, config.rope_scaling)
    if config.sliding_rope_theta is None:
        return rotary, rotary
    return rotary, Rotary(config.head_dim, config.sliding_rope_theta)
