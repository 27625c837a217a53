"""Token embeddings: a vector for each word, learned from the words around it (skip-gram).

A block of a corpus is one row of text. In each pass over it frequent words are thinned out, the others move
together, each is given a window of drawn size, and noise words are drawn for the block. Special tokens,
unknown words among them, are never learned, and no window counts them.

Source: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality";
the loss: objectives/skip_gram.py, with what is done otherwise.
Departures:
- Windows do not reach beyond a block: with windows of w, and T words of a block that were kept, about w/(2T)
  of all pairs are left out, other ones in each epoch.
- Both tables begin with small random numbers; in word2vec the one of context words begins with zeros.
- The optimizer is the recipe's, on the mean over a batch, where word2vec takes a step for each pair.

Legend of shapes: B blocks, T words, E features, S noise words, V vocabulary.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.base import Batch, Family, Model
from creuset.models.requirements import require_kind, require_tokens
from creuset.objectives.skip_gram import (
    keep_probabilities,
    noise_distribution,
    skip_gram_nats,
    window_pairs,
)
from creuset.recipe.sections import FamilyConfig

_SHARED_NOISE = 32
"""Noise words that the pairs of a block share: their scores are one small product of matrices."""


class TokenEmbeddingsConfig(FamilyConfig):
    """The `model` section of token embeddings."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"embed_dim": 32},
        "small": {"embed_dim": 100},
        "base": {"embed_dim": 300},
    }

    embed_dim: int = Field(100, ge=1, description="Numbers that a word is turned into.")
    window: int = Field(
        5, ge=1, description="Words to either side that a word is to tell, at most; drawn from 1 to this."
    )
    num_negatives: int = Field(5, ge=1, description="Noise words that each pair is held against.")
    keep_threshold: float = Field(
        1e-3,
        gt=0,
        le=1,
        description="Share of all words above which a word is thinned out; smaller thins out more.",
    )


class TokenEmbeddings(Model):
    """A vector for each word, and a second one for the word beside others, which only training uses.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data is no plain text in words.
    """

    keep: Tensor
    noise: Tensor

    def __init__(self, config: TokenEmbeddingsConfig, spec: DataSpec) -> None:
        require_kind(spec, config.family, "corpus")
        if not any(spec.word_counts):
            raise UsageError(
                f"{config.family} learns words",
                where="data.tokenizer",
                got="tokens that are no whole words",
                expected="words",
                next_step="set data.tokenizer: words",
            )
        super().__init__()
        self.context = spec.context
        self.window, self.num_negatives = config.window, config.num_negatives
        counts = torch.tensor(spec.word_counts)
        keep = keep_probabilities(counts, config.keep_threshold).float()
        self.register_buffer("keep", keep, persistent=False)
        noise = noise_distribution(counts).cumsum(0)
        self.register_buffer("noise", noise.float(), persistent=False)
        self.last_word = int(counts.nonzero().max())
        self.token_embedding = nn.Embedding(spec.vocab_size, config.embed_dim)
        self.context_embedding = nn.Embedding(spec.vocab_size, config.embed_dim)
        for table in (self.token_embedding, self.context_embedding):
            nn.init.uniform_(table.weight, -0.5 / config.embed_dim, 0.5 / config.embed_dim)

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """The skip-gram loss in nats a pair, its noise words counted with it: a mean over blocks."""
        assert player in self.players
        tokens = require_tokens(batch["tokens"], self.context)
        kept = generator.uniform(tokens.shape[1]) < self.keep[tokens]
        words, present = _moved_together(tokens, kept)
        windows = 1 + generator.integers(self.window, tokens.shape[1])[:, : words.shape[1]]
        drawn = torch.searchsorted(
            self.noise, generator.uniform(_SHARED_NOISE).to(self.noise.dtype), right=True
        )
        nats = skip_gram_nats(
            self.token_embedding(words),
            self.context_embedding(words),
            self.context_embedding(drawn.clamp_max(self.last_word)),
            window_pairs(windows, present),
            num_negatives=self.num_negatives,
        )
        return {"loss": nats.mean()}

    def embeddings(self) -> Tensor:
        return self.token_embedding.weight.detach().float()


def _moved_together(tokens: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """The kept tokens of each row at its front, in their order, and where there is one.

    Args:
        tokens: int64 (B, T).
        kept: bool (B, T).

    Returns:
        int64 and bool (B, T'), with the T' of the row that keeps most, 1 at least.
    """
    length = max(1, int(kept.sum(1).max()))
    order = kept.logical_not().int().argsort(dim=1, stable=True)[:, :length]
    return tokens.gather(1, order), kept.gather(1, order)


FAMILY = Family(
    name="token_embeddings",
    config=TokenEmbeddingsConfig,
    build=TokenEmbeddings,
    traits=frozenset({"gradient", "embeds_tokens"}),
)
