"""What text embedders that learn from pairs are made of: an encoder of texts, and the contrast of a batch.

Each text finds its partner among those of the batch (objectives/contrastive.py), and tells it from the hard
negatives that pairs may have.

Source: Henderson et al. 2017, "Efficient Natural Language Response Suggestion for Smart Reply", section 4.4,
both sides by one encoder.

Legend of shapes: B pairs, S tokens of a text, T those with what the tokenizer puts around, E features.
"""

import copy

import torch
from torch import Tensor
from torch.nn import functional

from creuset.data.spec import DataSpec
from creuset.data.token_stream import IGNORED
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.base import Batch, Model
from creuset.models.embedder import Embedder
from creuset.models.requirements import require_tokens
from creuset.objectives.contrastive import info_nce_nats, matching, sharing


class PairEmbedder(Model):
    """Texts to vectors of length 1.

    Args:
        spec: The form of the data, pairs of texts.
        embedder: The encoder, on which cosines are compared, whether its vectors have length 1 or not.
        temperature: What cosines are divided by.
        symmetric: Whether partners look for their texts as well.

    Raises:
        UsageError: The texts may be longer than the encoder reads.
    """

    couples_samples = True
    validation_group = 64

    def __init__(
        self, spec: DataSpec, embedder: Embedder, *, temperature: float, symmetric: bool = True
    ) -> None:
        super().__init__()
        self.temperature, self.symmetric = temperature, symmetric
        self.context = spec.context
        self._before, self._behind = spec.ids_before, spec.ids_behind
        self._require_room(embedder.body.config.context_length)
        self.embedder = embedder

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """The contrast in nats, and the share of texts whose partner is the nearest of the batch.

        Raises:
            UsageError: A single pair without a negative, which is told from nothing.
        """
        assert player in self.players
        if self.weight_of(batch) < 2 and "negative" not in batch:
            raise UsageError(
                "a pair is told from the others of its batch, and there are none",
                where="data.batch_size",
                got=1,
                expected="2 at least; the more, the more there is to tell apart",
            )
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

    def plain_embedder(self) -> Embedder:
        """An embedder of its own that computes what this one does."""
        return copy.deepcopy(self.embedder)

    def _require_room(self, limit: int | None) -> None:
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
        sides = [(sources, source_lengths), (targets, target_lengths)]
        if "negative" in batch and bool((batch["negative_lengths"] > 0).any()):
            sides.append((batch["negative"], batch["negative_lengths"]))
        alike = _padded_alike(sides)
        shared = sharing(alike[0], alike[1])
        # a pair without a negative has one token in its place, which counts for nothing
        vectors = [self._vectors(tokens, lengths.clamp_min(1), generator) for tokens, lengths in sides]
        hard = not_hard = None
        if len(sides) == 3:
            hard = vectors[2]
            not_hard = matching(*alike) | (batch["negative_lengths"] == 0)
        nats = info_nce_nats(
            vectors[0],
            vectors[1],
            temperature=self.temperature,
            not_wrong=shared,
            symmetric=self.symmetric,
            negatives=hard,
            not_wrong_negatives=not_hard,
        )
        return {"loss": nats, "partner_nearest": _partner_nearest(vectors, shared, not_hard).to(nats.dtype)}

    def _vectors(self, tokens: Tensor, lengths: Tensor, generator: BatchGenerator | None) -> Tensor:
        require_tokens(tokens, self.context)
        whole, padding = with_ids_around(tokens, lengths, self._before, self._behind)
        vectors: Tensor = self.embedder(whole, padding=padding, generator=generator)
        return vectors if self.embedder.normalise else functional.normalize(vectors, dim=-1)


@torch.no_grad()
def _partner_nearest(vectors: list[Tensor], shared: Tensor, not_hard: Tensor | None) -> Tensor:
    """Whether the partner of each text is nearer than all that are wrong, bool (B,)."""
    scores = vectors[0] @ vectors[1].T
    places = torch.arange(len(scores), device=scores.device)
    wrong = scores.masked_fill(shared | (places[:, None] == places), -torch.inf)
    if not_hard is not None:
        wrong = torch.cat([wrong, (vectors[0] @ vectors[2].T).masked_fill(not_hard, -torch.inf)], dim=1)
    return scores.diagonal() > wrong.amax(1)


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


def _padded_alike(sides: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """The tokens of all sides, equally wide, padded with IGNORED."""
    width = max(tokens.shape[1] for tokens, _ in sides)
    found = []
    for tokens, lengths in sides:
        wide = functional.pad(tokens, (0, width - tokens.shape[1]))
        places = torch.arange(width, device=wide.device)
        found.append(wide.masked_fill(places >= lengths[:, None], IGNORED))
    return found
