"""A decoder: a causal Transformer that is trained to continue text.

Source: Vaswani et al. 2017, "Attention Is All You Need", the decoder alone as in Radford et al. 2019,
"Language Models are Unsupervised Multitask Learners". With the defaults its form is that of nanoGPT: norms
before each part, no biases, learned positions, GELU, a head that shares the embedding's weights. Rotary
positions, RMSNorm and a gated feed-forward part make it one of Llama's kind.

Legend of shapes: B batch, T tokens, E features, V vocabulary.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.base import Family
from creuset.models.language_model import LanguageModel
from creuset.models.requirements import require_tokens
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.recipe.sections import FamilyConfig

_NORM_EPS = 1e-5
_ROPE_THETA = 10_000.0
_GATED_MULTIPLE = 8
"""A gated feed-forward part has three matrices for two, so 8/3 of the width for 4, rounded up to this."""


class DecoderConfig(FamilyConfig):
    """The `model` section of a decoder."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"num_layers": 2, "embed_dim": 64, "num_heads": 2},
        "small": {"num_layers": 4, "embed_dim": 128, "num_heads": 4},
        "base": {"num_layers": 6, "embed_dim": 384, "num_heads": 6},
    }

    num_layers: int = Field(4, ge=1, description="Blocks one on another.")
    embed_dim: int = Field(
        128, ge=1, description="Numbers that a token is turned into; num_heads divides it."
    )
    num_heads: int = Field(4, ge=1, description="Heads of attention in each block.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Probability of a zero in training, everywhere.")
    positions: Literal["learned", "sinusoidal", "rotary"] = Field(
        "learned", description="How a token's place is told."
    )
    norm: Literal["layer", "rms"] = Field("layer", description="LayerNorm without a bias, or RMSNorm.")
    gated: bool = Field(
        False, description="A SwiGLU feed-forward part of the same size in place of one with GELU."
    )
    tied_head: bool = Field(True, description="Whether the head shares the token embedding's weights.")

    @property
    def trains_blocks(self) -> bool:
        return True

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "DecoderConfig":
        if self.embed_dim % self.num_heads:
            raise ValueError(f"num_heads must divide embed_dim ({self.embed_dim})")
        if self.positions == "rotary" and (self.embed_dim // self.num_heads) % 2:
            raise ValueError("num_heads leaves heads of an odd width, which positions: rotary cannot turn")
        return self


class Decoder(LanguageModel):
    """Tokens to scores of the next one, each reading all before it.

    Args:
        config: The recipe's section.
        spec: The form of the data.
    """

    def __init__(self, config: DecoderConfig, spec: DataSpec) -> None:
        super().__init__(config.family, spec)
        self.transformer = Transformer(transformer_config(config, spec))

    def states(self, tokens: Tensor, generator: BatchGenerator | None) -> Tensor:
        return self.transformer.hidden(tokens, generator=generator)

    def scores(self, states: Tensor) -> Tensor:
        return self.transformer.logits(states)

    def attention(self, tokens: Tensor) -> Sequence[Tensor]:
        require_tokens(tokens, self.context)
        return self.transformer.attention_weights(tokens).own

    def embeddings(self) -> Tensor:
        return self.transformer.token_embedding.weight.detach().float()

    def reader(self, num_rows: int) -> "CachedReader":
        return CachedReader(self.transformer, num_rows, self.context)


def transformer_config(config: DecoderConfig, spec: DataSpec) -> TransformerConfig:
    """The form of the Transformer that a section and the data ask for."""
    width = config.embed_dim
    hidden = 4 * width
    if config.gated:
        hidden = -(-(8 * width // 3) // _GATED_MULTIPLE) * _GATED_MULTIPLE
    return TransformerConfig(
        architecture="decoder",
        vocab_size=spec.vocab_size,
        embed_dim=width,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        num_kv_heads=config.num_heads,
        head_dim=width // config.num_heads,
        feedforward_dim=hidden,
        context_length=spec.context,
        norm=config.norm,
        norm_eps=_NORM_EPS,
        positions=config.positions,
        rope_theta=_ROPE_THETA if config.positions == "rotary" else None,
        activation="silu" if config.gated else "gelu",
        gated=config.gated,
        tied_head=config.tied_head,
        dropout=config.dropout,
        attention_dropout=config.dropout,
    )


class CachedReader:
    """Reads texts with the keys and values of earlier tokens at hand.

    A text that outgrows the context is read on from its last tokens, half a context of them, as if it began
    there: each place was only ever met by tokens with less before them than the context.

    Args:
        transformer: In evaluation mode.
        num_rows: B.
        context: Tokens that it reads at most.
    """

    def __init__(self, transformer: Transformer, num_rows: int, context: int) -> None:
        self._transformer = transformer
        self._num_rows = num_rows
        self._context = context
        self._cache = transformer.new_cache(num_rows, context)
        self._seen: Tensor | None = None

    @torch.no_grad()
    def read(self, tokens: Tensor) -> Tensor:
        """As `TokenReader.read`.

        Raises:
            UsageError: More tokens at once than the context.
        """
        num_tokens = tokens.shape[1]
        if num_tokens > self._context:
            raise UsageError(
                "this text is longer than the model's context",
                got=f"{num_tokens:,} tokens",
                expected=f"at most {self._context:,} tokens",
                next_step="shorten the prompt, or train with a larger data.context",
            )
        seen = tokens if self._seen is None else torch.cat([self._seen, tokens], dim=1)
        self._seen = seen[:, -self._context :]
        if self._cache.lengths[0] + num_tokens > self._context:
            tokens = self._seen[:, -max(num_tokens, self._context // 2) :]
            self._cache = self._transformer.new_cache(self._num_rows, self._context)
        states = self._transformer.hidden(tokens, cache=self._cache)
        return self._transformer.logits(states[:, -1])


FAMILY = Family(
    name="decoder",
    config=DecoderConfig,
    build=Decoder,
    traits=frozenset({"gradient", "scores_text", "generates_text", "embeds_tokens"}),
)
