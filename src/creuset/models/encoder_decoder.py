"""An encoder with its decoder: a text is read as a whole, and another one written from it.

Source: Vaswani et al. 2017, "Attention Is All You Need"; learning by denoising: Raffel et al. 2020,
"Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer".
Departures: norms before each part, no biases, GELU, as in `decoder.py`; embeddings are scaled, and tied to
the head, as in the first paper.

On pairs of texts it learns to write the target from the source; on a corpus it learns to fill in the spans
that are taken out of a block (`objectives/span_corruption.py`). Rows of its token embedding, in their order:
the tokenizer's ids, the start mark and the end mark (`data/text_pairs.py`), and of a corpus one sentinel for
each span that a block can have.

Legend of shapes: B batch, S tokens of a source, T tokens of a target, E features, V vocabulary.
"""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.data.text_pairs import NUM_MARKS, end_mark, start_mark
from creuset.data.token_stream import IGNORED, block_padding
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.base import Batch, Family, Model, num_targets
from creuset.models.requirements import require_kind, require_tokens
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.objectives.next_token import next_token_nats
from creuset.objectives.span_corruption import SpanCorruption
from creuset.recipe.sections import FamilyConfig

_NORM_EPS = 1e-5
_NUM_BUCKETS, _MAX_DISTANCE = 32, 128
"""Of relative positions, as in T5."""


class EncoderDecoderConfig(FamilyConfig):
    """The `model` section of an encoder with its decoder."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"num_layers": 2, "embed_dim": 64, "num_heads": 2},
        "small": {"num_layers": 3, "embed_dim": 128, "num_heads": 4},
        "base": {"num_layers": 6, "embed_dim": 384, "num_heads": 6},
    }
    only_for: ClassVar[dict[str, Literal["images", "table", "texts", "corpus", "pairs"]]] = {
        "noise_share": "corpus",
        "mean_span": "corpus",
    }

    num_layers: int = Field(3, ge=1, description="Blocks of the encoder, and as many of the decoder.")
    embed_dim: int = Field(
        128, ge=2, description="Numbers that a token is turned into; num_heads divides it."
    )
    num_heads: int = Field(4, ge=1, description="Heads of attention in each block.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Probability of a zero in training, everywhere.")
    positions: Literal["relative", "sinusoidal", "learned"] = Field(
        "relative", description="How a token's place is told; relative: by learned biases, as in T5."
    )
    noise_share: float = Field(
        0.15, gt=0, lt=1, description="Share of a text's tokens that is taken out, to be filled in."
    )
    mean_span: float = Field(3.0, ge=1, description="Tokens that are taken out in one place, on average.")

    @property
    def trains_blocks(self) -> bool:
        return True

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "EncoderDecoderConfig":
        if self.embed_dim % self.num_heads:
            raise ValueError(f"num_heads must divide embed_dim ({self.embed_dim})")
        if self.positions == "sinusoidal" and self.embed_dim % 2:
            raise ValueError("embed_dim must be even where positions are sinusoidal")
        return self


class EncoderDecoder(Model):
    """A source to scores of its target's tokens, each reading all of the source and the target before it.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data is neither pairs nor plain text, or blocks of one token.
    """

    def __init__(self, config: EncoderDecoderConfig, spec: DataSpec) -> None:
        require_kind(spec, config.family, "pairs", "corpus")
        super().__init__()
        self.context = spec.context
        self.tokenizer_size = spec.tokenizer_size
        self.start, self.end = start_mark(spec.tokenizer_size), end_mark(spec.tokenizer_size)
        self.first_sentinel = spec.tokenizer_size + NUM_MARKS
        self.corruption = _corruption(config, spec, self.first_sentinel) if spec.kind == "corpus" else None
        num_sentinels = 0
        self.mean_targets = spec.target_tokens
        if self.corruption is not None:
            num_sentinels = self.corruption.num_hidden(spec.context)[1]
            self.mean_targets = self.corruption.num_targets(spec.context)
        self.vocab_size = self.first_sentinel + num_sentinels
        self.transformer = Transformer(_transformer_config(config, spec.context, self.vocab_size))

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """Cross entropy of the target's tokens, in nats a token.

        Each sample counts by its number of tokens: the sum over a batch is divided by the tokens that as many
        samples have on average, so that a batch's loss is the mean of those of its parts.
        """
        assert player in self.players
        pairs = self.as_pairs(batch, generator)
        nats = self._nats(pairs, generator)
        return {"loss": nats.sum() / (len(nats) * self.mean_targets)}

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """The same without dropout, divided by the very number of tokens."""
        pairs = self.as_pairs(batch, generator)
        return {"loss": self._nats(pairs, None).sum() / (pairs["targets"] != IGNORED).sum()}

    def weight_of(self, batch: Batch) -> int:
        """The tokens of the targets; of blocks, those of the spans that are taken out of each."""
        if self.corruption is None:
            return num_targets(batch)
        lengths = Counter(_num_tokens(batch).tolist())
        return sum(number * self.corruption.num_targets(length) for length, number in lengths.items())

    def as_pairs(self, batch: Batch, generator: BatchGenerator) -> Batch:
        """Pairs as they are (`TextPairs.batch`); blocks of a corpus with spans taken out, as such pairs.

        Args:
            batch: Of the data.
            generator: Decides what is taken out of blocks; a row a sample.
        """
        if self.corruption is None:
            return batch
        tokens = batch["tokens"]
        require_tokens(tokens, self.context)
        return self.corruption.corrupt(tokens, _num_tokens(batch), generator)

    @torch.no_grad()
    def target_nats(self, pairs: Batch) -> Tensor:
        """-log p of each token of the targets with their ends, in nats, float32 (B, T); 0 where IGNORED.

        Args:
            pairs: As of `as_pairs`.
        """
        return self._nats(pairs, None).float()

    @torch.no_grad()
    def cross_attention(self, pairs: Batch) -> Sequence[Tensor]:
        """From which tokens of the source each token of the target is written, a tensor a layer.

        Args:
            pairs: As of `as_pairs`.

        Returns:
            (B, H, T, S) each: head, query, key; a row over keys sums to 1.
        """
        memory, padding = self._memory(pairs, None)
        record = self.transformer.attention_weights(pairs["tokens"], memory=memory, memory_padding=padding)
        return record.cross

    def _nats(self, pairs: Batch, generator: BatchGenerator | None) -> Tensor:
        require_tokens(pairs["source"], self.context)
        require_tokens(pairs["tokens"], self.context + 1)
        memory, padding = self._memory(pairs, generator)
        states = self.transformer.hidden(
            pairs["tokens"], memory=memory, memory_padding=padding, generator=generator
        )
        return next_token_nats(
            states,
            pairs["targets"],
            self.transformer.logits,
            vocab_size=self.vocab_size,
            ignored=IGNORED,
        )

    def _memory(self, pairs: Batch, generator: BatchGenerator | None) -> tuple[Tensor, Tensor | None]:
        """The encoder's states, (B, S, E), and where tokens are, (B, S), None for everywhere."""
        source, lengths = pairs["source"], pairs["source_lengths"]
        padding = torch.arange(source.shape[1], device=source.device) < lengths[:, None]
        shown = None if bool(padding.all()) else padding
        return self.transformer.encode(source, padding=shown, generator=generator), shown


def _num_tokens(blocks: Batch) -> Tensor:
    """How many tokens each block of a corpus holds, int64 (B,)."""
    return block_padding(blocks["targets"]).sum(1)


def _corruption(config: EncoderDecoderConfig, spec: DataSpec, first_sentinel: int) -> SpanCorruption:
    if spec.context < 2:
        raise UsageError(
            "a block of one token has nothing that could be filled in",
            where="data.context",
            got=spec.context,
            expected="at least 2",
        )
    return SpanCorruption(
        density=config.noise_share,
        mean_span=config.mean_span,
        start=start_mark(spec.tokenizer_size),
        end=end_mark(spec.tokenizer_size),
        first_sentinel=first_sentinel,
        ignored=IGNORED,
    )


def _transformer_config(config: EncoderDecoderConfig, context: int, vocab_size: int) -> TransformerConfig:
    width = config.embed_dim
    relative = config.positions == "relative"
    return TransformerConfig(
        architecture="encoder_decoder",
        vocab_size=vocab_size,
        embed_dim=width,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        num_kv_heads=config.num_heads,
        head_dim=width // config.num_heads,
        feedforward_dim=4 * width,
        context_length=context + 1,  # a target with its end mark
        norm="layer",
        norm_eps=_NORM_EPS,
        positions=config.positions,
        num_buckets=_NUM_BUCKETS if relative else 0,
        max_distance=_MAX_DISTANCE if relative else 0,
        embedding_scale=width**0.5 if config.positions == "sinusoidal" else 1.0,
        activation="gelu",
        tied_head=True,
        dropout=config.dropout,
        attention_dropout=config.dropout,
    )


FAMILY = Family(
    name="encoder_decoder",
    config=EncoderDecoderConfig,
    build=EncoderDecoder,
    traits=frozenset({"gradient", "transduces_text"}),
)
