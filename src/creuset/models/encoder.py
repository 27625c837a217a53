"""An encoder: a Transformer whose tokens all read each other, trained to fill masks.

Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding". With the defaults its form is BERT's: norms behind each part, biases, GELU, learned positions,
a head of a dense layer and a norm, which shares the embedding's weights. Such a model can be saved as a
Hugging Face folder (pretrained/folder.py).
Departures: no prediction of the next sentence, and so one kind of segment, no pooler and no token that begins
a text; Liu et al. 2019, "RoBERTa", found that to be no loss.
Not to be confused with the encoder of pictures, layers/encoder.py.

Legend of shapes: B batch, T tokens, E features, V vocabulary.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.models.base import Family
from creuset.models.masked_language_model import MaskedLanguageModel
from creuset.models.requirements import require_tokens
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.objectives.masked_tokens import MASK_SHARE
from creuset.recipe.sections import FamilyConfig

_NORM_EPS = 1e-12
"""As BERT has it."""
_ROPE_THETA = 10_000.0
_INIT_STD = 0.02


class EncoderConfig(FamilyConfig):
    """The `model` section of an encoder."""

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
        "learned", description="How a token's place is told; learned as in BERT."
    )
    norm: Literal["layer", "rms"] = Field("layer", description="LayerNorm as in BERT, or RMSNorm.")
    mask_share: float = Field(
        MASK_SHARE, gt=0, le=1, description="Share of the tokens of a sample that are hidden in training."
    )

    @property
    def trains_blocks(self) -> bool:
        return True

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "EncoderConfig":
        if self.embed_dim % self.num_heads:
            raise ValueError(f"num_heads must divide embed_dim ({self.embed_dim})")
        if self.positions == "rotary" and (self.embed_dim // self.num_heads) % 2:
            raise ValueError("num_heads leaves heads of an odd width, which positions: rotary cannot turn")
        return self


class Encoder(MaskedLanguageModel):
    """Tokens to scores of the hidden ones, each reading all others.

    Args:
        config: The recipe's section.
        spec: The form of the data.
    """

    def __init__(self, config: EncoderConfig, spec: DataSpec) -> None:
        super().__init__(config.family, spec, config.mask_share)
        self.transformer = Transformer(transformer_config(config, spec))

    def states(self, tokens: Tensor, generator: BatchGenerator | None, padding: Tensor | None) -> Tensor:
        return self.transformer.hidden(tokens, generator=generator, padding=padding)

    def scores(self, states: Tensor) -> Tensor:
        return self.transformer.logits(states)

    def attention(self, tokens: Tensor) -> Sequence[Tensor]:
        require_tokens(tokens, self.context)
        return self.transformer.attention_weights(tokens).own


def transformer_config(config: EncoderConfig, spec: DataSpec) -> TransformerConfig:
    """The form of the Transformer that a section and the data ask for."""
    width = config.embed_dim
    return TransformerConfig(
        architecture="encoder",
        vocab_size=spec.vocab_size,
        embed_dim=width,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        num_kv_heads=config.num_heads,
        head_dim=width // config.num_heads,
        feedforward_dim=4 * width,
        context_length=spec.context,
        norm=config.norm,
        norm_eps=_NORM_EPS,
        norm_bias=config.norm == "layer",
        norm_placement="post",
        final_norm=False,
        embedding_norm=True,
        # as wide as the sinusoids beside them, which would drown them; Vaswani et al. 2017, section 3.4
        embedding_scale=1 / _INIT_STD if config.positions == "sinusoidal" else 1.0,
        positions=config.positions,
        rope_theta=_ROPE_THETA if config.positions == "rotary" else None,
        qkv_bias=True,
        output_bias=True,
        activation="gelu",
        feedforward_bias=True,
        num_segments=1,
        head="transformed",
        head_bias=True,
        tied_head=True,
        dropout=config.dropout,
        attention_dropout=config.dropout,
        init_std=_INIT_STD,
    )


FAMILY = Family(
    name="encoder",
    config=EncoderConfig,
    build=Encoder,
    traits=frozenset({"gradient", "fills_masks"}),
)
