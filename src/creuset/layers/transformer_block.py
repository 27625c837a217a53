"""One block of a Transformer: attention, to an encoder's output too, and feed-forward, with residuals.

    pre        x + part(norm(x))
    post       norm(x + part(x))
    sandwich   x + post_norm(part(norm(x)))

Source: post: Vaswani et al. 2017, "Attention Is All You Need", section 3.1; pre: Xiong et al. 2020, "On Layer
Normalization in the Transformer Architecture"; sandwich: Ding et al. 2021, "CogView", section 2.4.

Legend of shapes: B batch, T tokens, S tokens of the encoder, E features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from creuset.device import BatchGenerator
from creuset.layers.attention import AttentionConfig, AttentionRecord, MultiHeadAttention
from creuset.layers.dropout import Dropout
from creuset.layers.gated_feedforward import FeedForward, FeedForwardActivation
from creuset.layers.key_value_cache import LayerCache
from creuset.layers.masks import AttentionMask
from creuset.layers.norm import LayerNorm, NormConfig, RMSNorm
from creuset.layers.positions import Rotation

NormPlacement = Literal["pre", "post", "sandwich"]


@dataclass(frozen=True, kw_only=True)
class BlockConfig:
    """The form of one block.

    Args:
        attention: The form of its attention, to the own sequence and to an encoder's output alike.
        cross_attention: Whether it attends to an encoder's output.
        feedforward_dim: Hidden features of the feed-forward part.
        activation: Its function.
        gated: Whether it is gated.
        feedforward_bias: Whether its linear layers have a bias.
        norm: How vectors are normalised.
        norm_placement: Where, see the head of this file.
        dropout: Probability of a zero in what each part adds.
    """

    attention: AttentionConfig
    cross_attention: bool
    feedforward_dim: int
    activation: FeedForwardActivation
    gated: bool
    feedforward_bias: bool
    norm: NormConfig
    norm_placement: NormPlacement
    dropout: float


@dataclass(frozen=True, kw_only=True)
class Memory:
    """An encoder's output as a decoder's blocks read it.

    Args:
        states: (B, S, E), or None where each layer's cache holds its keys and values already.
        mask: What is hidden of it.
    """

    states: Tensor | None
    mask: AttentionMask


class TransformerBlock(nn.Module):
    """Attention and feed-forward with residuals and norms.

    Args:
        config: Its form.
    """

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        dim = config.attention.embed_dim

        def norm() -> LayerNorm | RMSNorm:
            return config.norm.build(dim)

        sandwich, cross = config.norm_placement == "sandwich", config.cross_attention
        self.norm_placement = config.norm_placement
        self.attention_norm = norm()
        self.attention = MultiHeadAttention(config.attention)
        self.attention_post_norm = norm() if sandwich else None
        self.cross_attention_norm = norm() if cross else None
        self.cross_attention = MultiHeadAttention(config.attention) if cross else None
        self.cross_attention_post_norm = norm() if cross and sandwich else None
        self.feedforward_norm = norm()
        self.feedforward = FeedForward(
            dim,
            config.feedforward_dim,
            activation=config.activation,
            gated=config.gated,
            bias=config.feedforward_bias,
        )
        self.feedforward_post_norm = norm() if sandwich else None
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        mask: AttentionMask,
        *,
        rotation: Rotation | None = None,
        memory: Memory | None = None,
        cache: LayerCache | None = None,
        generator: BatchGenerator | None = None,
        record: AttentionRecord | None = None,
    ) -> Tensor:
        """One block's step.

        Args:
            x: (B, T, E).
            mask: What attention to the own sequence hides.
            rotation: Turns its queries and keys.
            memory: An encoder's output; a block with cross attention needs it, one without ignores it.
            cache: Keys and values of this layer for the tokens before `x`.
            generator: Draws all dropout; nothing is dropped without.
            record: Is given the attention weights.

        Returns:
            (B, T, E).
        """

        def attend(states: Tensor) -> Tensor:
            own = None if record is None else record.own
            out: Tensor = self.attention(
                states, mask, rotation=rotation, cache=cache, generator=generator, record=own
            )
            return out

        def attend_to_memory(states: Tensor) -> Tensor:
            return self._cross(states, memory, cache, generator, record)

        x = self._residual(x, attend, self.attention_norm, self.attention_post_norm, generator)
        if self.cross_attention_norm is not None:
            x = self._residual(
                x, attend_to_memory, self.cross_attention_norm, self.cross_attention_post_norm, generator
            )
        return self._residual(
            x, self.feedforward, self.feedforward_norm, self.feedforward_post_norm, generator
        )

    def _residual(
        self,
        x: Tensor,
        part: Callable[[Tensor], Tensor],
        norm: Callable[[Tensor], Tensor],
        post_norm: Callable[[Tensor], Tensor] | None,
        generator: BatchGenerator | None,
    ) -> Tensor:
        post = self.norm_placement == "post"
        out = part(x) if post else part(norm(x))
        if post_norm is not None:
            out = post_norm(out)
        out = x + self.dropout(out, generator)
        return norm(out) if post else out

    def _cross(
        self,
        x: Tensor,
        memory: Memory | None,
        cache: LayerCache | None,
        generator: BatchGenerator | None,
        record: AttentionRecord | None,
    ) -> Tensor:
        """Attention to the memory, whose keys and values are made once for each cache."""
        assert self.cross_attention is not None
        assert memory is not None
        keys_values = None if cache is None else cache.memory
        if keys_values is None:
            assert memory.states is not None
            keys_values = self.cross_attention.keys_values(memory.states)
            if cache is not None:
                cache.memory = keys_values
        weights = None if record is None else record.cross
        return self.cross_attention.cross(x, keys_values, memory.mask, generator=generator, record=weights)
