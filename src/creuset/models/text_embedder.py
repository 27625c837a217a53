"""A text embedder: an encoder whose vectors of two texts that belong together lie near each other.

It learns from pairs of texts by contrast: each finds its partner among those of the batch
(objectives/contrastive.py). Its encoder has BERT's form, from scratch or from a model that others trained.

Source: Reimers & Gurevych 2019, "Sentence-BERT"; trained as in Henderson et al. 2017, "Efficient Natural
Language Response Suggestion for Smart Reply", section 4.4, both sides by one encoder (`pair_embedder.py`).
"""

from typing import ClassVar

from pydantic import Field, model_validator

from creuset.data.spec import DataSpec
from creuset.models.base import Family
from creuset.models.embedder import Embedder, Pooling
from creuset.models.pair_embedder import PairEmbedder
from creuset.models.requirements import require_kind
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.recipe.sections import FamilyConfig

_NORM_EPS = 1e-12
"""That of BERT."""
_FEEDFORWARD = 4
"""Hidden features of the feed-forward part for each of the width, as in BERT."""


class TextEmbedderConfig(FamilyConfig):
    """The `model` section of a text embedder."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"num_layers": 1, "embed_dim": 32, "num_heads": 2},
        "small": {"num_layers": 2, "embed_dim": 128, "num_heads": 4},
        "base": {"num_layers": 6, "embed_dim": 384, "num_heads": 12},
    }

    num_layers: int = Field(2, ge=1, description="Blocks of the encoder, one on another.")
    embed_dim: int = Field(
        128, ge=1, description="Numbers of a token, and of a text's vector; num_heads divides it."
    )
    num_heads: int = Field(4, ge=1, description="Heads of attention in each block.")
    pooling: Pooling = Field(
        "mean",
        description="A text's vector: the mean of its tokens' states, or that of cls, its first, or last.",
    )
    base: str | None = Field(
        None,
        description="An encoder that others trained, to begin from: a folder, or a name such as minilm. Its "
        "form is taken, and data.tokenizer must name it too.",
    )
    temperature: float = Field(
        0.05, gt=0, description="What cosines are divided by: the lower, the more near wrong texts count."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Probability of a zero in training, everywhere.")

    @property
    def base_name(self) -> str | None:
        return self.base

    @property
    def trains_blocks(self) -> bool:
        return True

    @property
    def base_dropout(self) -> float:
        return self.dropout

    @model_validator(mode="after")
    def _a_base_decides_the_form(self) -> "TextEmbedderConfig":
        usual = {"size": "small", **self.size_defaults("small")}
        changed = [name for name, value in usual.items() if getattr(self, name) != value]
        if self.base is not None and changed:
            raise ValueError(f"{changed[0]} has no effect: the form is that of base; leave the key out")
        return self

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "TextEmbedderConfig":
        if self.embed_dim % self.num_heads:
            raise ValueError(f"num_heads must divide embed_dim ({self.embed_dim})")
        return self


class TextEmbedder(PairEmbedder):
    """Texts to vectors of length 1.

    Args:
        config: The recipe's section.
        spec: The form of the data.
        body: The encoder that others trained, where the section names a base.

    Raises:
        UsageError: The data holds no pairs of texts, or longer ones than the body reads.
    """

    def __init__(self, config: TextEmbedderConfig, spec: DataSpec, body: Transformer | None = None) -> None:
        require_kind(spec, config.family, "pairs")
        if body is None:
            body = Transformer(transformer_config(config, spec))
        embedder = Embedder(body, pooling=config.pooling, normalise=True)
        super().__init__(spec, embedder, temperature=config.temperature)


def transformer_config(config: TextEmbedderConfig, spec: DataSpec) -> TransformerConfig:
    """The form of the encoder that a section and the data ask for: BERT's, without head and pooler."""
    return TransformerConfig(
        architecture="encoder",
        vocab_size=spec.tokenizer_size,
        embed_dim=config.embed_dim,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        num_kv_heads=config.num_heads,
        head_dim=config.embed_dim // config.num_heads,
        feedforward_dim=_FEEDFORWARD * config.embed_dim,
        context_length=len(spec.ids_before) + spec.context + len(spec.ids_behind),
        norm="layer",
        norm_eps=_NORM_EPS,
        norm_bias=True,
        norm_placement="post",
        final_norm=False,
        embedding_norm=True,
        positions="learned",
        qkv_bias=True,
        output_bias=True,
        activation="gelu",
        feedforward_bias=True,
        num_segments=1,
        head="none",
        dropout=config.dropout,
        attention_dropout=config.dropout,
    )


FAMILY = Family(
    name="text_embedder",
    config=TextEmbedderConfig,
    build=TextEmbedder,
    traits=frozenset({"gradient", "embeds_texts"}),
    build_on=TextEmbedder,
)
