"""A text embedder: an encoder whose vectors of two texts that belong together lie near each other.

It learns from pairs of texts by contrast: each finds its partner among those of the batch
(objectives/contrastive.py). Its encoder has BERT's form, from scratch or from a model that others trained.

Source: Reimers & Gurevych 2019, "Sentence-BERT"; trained as in Henderson et al. 2017, "Efficient Natural
Language Response Suggestion for Smart Reply", section 4.4, both sides by one encoder.

Legend of shapes: B pairs, S tokens of a text, T those with what the tokenizer puts around, E features.
"""

from typing import ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.data.token_stream import IGNORED
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.base import Batch, Family, Model
from creuset.models.embedder import Embedder, Pooling
from creuset.models.requirements import require_kind, require_tokens
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.objectives.contrastive import info_nce_nats, sharing
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


class TextEmbedder(Model):
    """Texts to vectors of length 1.

    Args:
        config: The recipe's section.
        spec: The form of the data.
        body: The encoder that others trained, where the section names a base.

    Raises:
        UsageError: The data holds no pairs of texts, or longer ones than the body reads.
    """

    couples_samples = True
    validation_group = 64

    def __init__(self, config: TextEmbedderConfig, spec: DataSpec, body: Transformer | None = None) -> None:
        require_kind(spec, config.family, "pairs")
        super().__init__()
        self.temperature = config.temperature
        self.context = spec.context
        self._before, self._behind = spec.ids_before, spec.ids_behind
        if body is None:
            body = Transformer(transformer_config(config, spec))
        self._require_room(body)
        self.embedder = Embedder(body, pooling=config.pooling, normalise=True)

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """The contrast in nats, and the share of texts whose partner is the nearest of the batch."""
        assert player in self.players
        return {name: values.mean() for name, values in self._told(batch, generator).items()}

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """The same without dropout, each pair among those of its group: `validation_group` in a row.

        So the values do not depend on how many pairs are read at once.
        """
        del generator
        size, number = self.validation_group, self.weight_of(batch)
        groups = [
            self._told({name: rows[start : start + size] for name, rows in batch.items()}, None)
            for start in range(0, number, size)
        ]
        return {name: torch.cat([group[name] for group in groups]).mean() for name in groups[0]}

    @property
    def max_tokens(self) -> int:
        """Tokens of a text, with those that the tokenizer puts around it."""
        return len(self._before) + self.context + len(self._behind)

    @torch.no_grad()
    def embed(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        return self._vectors(tokens, lengths, None).float()

    def _require_room(self, body: Transformer) -> None:
        limit = body.config.context_length
        if limit is not None and self.max_tokens > limit:
            raise UsageError(
                "the texts may be longer than this model reads",
                where="data.context",
                got=f"{self.context} tokens, and {self.max_tokens - self.context} around each text",
                expected=f"at most {limit} in all",
                next_step=f"set data.context: {limit - self.max_tokens + self.context}, or less",
            )

    def _told(self, batch: Batch, generator: BatchGenerator | None) -> dict[str, Tensor]:
        """For each pair, (B,): its loss, and 1 where the partner is the nearest of the batch, else 0."""
        sources, source_lengths = batch["source"], batch["source_lengths"]
        targets, target_lengths = plain_targets(batch["targets"])
        first = self._vectors(sources, source_lengths, generator)
        second = self._vectors(targets, target_lengths, generator)
        shared = sharing(*_padded_alike(sources, source_lengths, targets, target_lengths))
        nats = info_nce_nats(first, second, temperature=self.temperature, not_wrong=shared)
        scores = (first @ second.T).detach()
        places = torch.arange(len(scores), device=scores.device)
        wrong = scores.masked_fill(shared | (places[:, None] == places), -torch.inf).amax(1)
        found = (scores.diagonal() > wrong).to(nats.dtype)
        return {"loss": nats, "partner_nearest": found}

    def _vectors(self, tokens: Tensor, lengths: Tensor, generator: BatchGenerator | None) -> Tensor:
        require_tokens(tokens, self.context)
        whole, padding = with_ids_around(tokens, lengths, self._before, self._behind)
        vectors: Tensor = self.embedder(whole, padding=padding, generator=generator)
        return vectors


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


def plain_targets(targets: Tensor) -> tuple[Tensor, Tensor]:
    """The tokens of targets without their end marks, padded with 0, int64 (B, T - 1), and their lengths (B,).

    Args:
        targets: As `TextPairs.batch` gives them, int64 (B, T).
    """
    inside = targets[:, 1:] != IGNORED  # a token is followed by another one or by the end mark
    return targets[:, :-1].masked_fill(~inside, 0), inside.sum(1)


def with_ids_around(
    tokens: Tensor, lengths: Tensor, before: tuple[int, ...], behind: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Texts with what the tokenizer puts around each, and where a token is.

    Args:
        tokens: int64 (B, S), padded behind.
        lengths: Tokens of each, int64 (B,).
        before, behind: The ids.

    Returns:
        int64 (B, T), padded with 0, and bool (B, T).
    """
    num_before, num_behind = len(before), len(behind)
    wide = torch.nn.functional.pad(tokens, (num_before, num_behind))
    wide[:, :num_before] = torch.tensor(before, dtype=wide.dtype, device=wide.device)
    ends = num_before + lengths[:, None]
    if num_behind:
        places = ends + torch.arange(num_behind, device=wide.device)
        wide.scatter_(1, places, torch.tensor(behind, device=wide.device).expand(len(wide), -1))
    padding = torch.arange(wide.shape[1], device=wide.device) < ends + num_behind
    return wide.masked_fill(~padding, 0), padding


def _padded_alike(
    first: Tensor, first_lengths: Tensor, second: Tensor, second_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Both sides, equally wide, padded with IGNORED."""
    width = max(first.shape[1], second.shape[1])
    places = torch.arange(width, device=first.device)
    sides = []
    for tokens, lengths in ((first, first_lengths), (second, second_lengths)):
        wide = torch.nn.functional.pad(tokens, (0, width - tokens.shape[1]))
        sides.append(wide.masked_fill(places >= lengths[:, None], IGNORED))
    return sides[0], sides[1]


FAMILY = Family(
    name="text_embedder",
    config=TextEmbedderConfig,
    build=TextEmbedder,
    traits=frozenset({"gradient", "embeds_texts"}),
    build_on=TextEmbedder,
)
