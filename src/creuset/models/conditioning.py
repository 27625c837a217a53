"""What a sample is asked to be, as a vector: a class, or what a short prompt says. For families that denoise.

In training a share of the samples is given the vector of nothing instead, so that the same network also
learns to draw without being asked. Guidance goes beyond what was asked, away from that:

    guided = unasked + weight (asked - unasked)

Source: Ho & Salimans 2022, "Classifier-Free Diffusion Guidance", eq. 6. Departure: a weight of 1, not of 0,
leaves the asked prediction as it is.

Legend of shapes: B batch, E features, K classes, T bytes of a prompt, P phrases of a class at most.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError, nearest
from creuset.layers.prompt_encoder import PromptEncoder
from creuset.models.captions import Captions, captions_of, prompt_bytes, prompt_tokens
from creuset.models.requirements import require_classes

_PROMPT_LAYERS = 2
_SHOWN = 4
"""Phrases that are named where none is near."""

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Places (B, ...), times (B,) and vectors (B, E) to predictions (B, ...)."""


class Conditioner(nn.Module):
    """Makes vectors out of what is asked.

    embed_dim: E.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.empty(embed_dim))
        nn.init.normal_(self.nothing, std=0.1)

    def trained(self, batch: Mapping[str, Tensor], draws: BatchGenerator, unasked_share: float) -> Tensor:
        """The vectors of a training batch with labels, that of nothing for a share of them, (B, E)."""
        vectors = self.of_labels(batch["labels"], draws)
        dropped = draws.uniform() < unasked_share  # (B,)
        return torch.where(dropped[:, None], self.nothing.to(vectors.dtype), vectors)

    def unasked(self, num_samples: int) -> Tensor:
        """The vector of nothing for each sample, (B, E)."""
        return self.nothing.expand(num_samples, -1)

    def of_labels(self, labels: Tensor, draws: BatchGenerator) -> Tensor:
        """The vectors of classes, int64 (B,) -> (B, E)."""
        raise NotImplementedError(type(self).__name__)

    def asked(
        self, conditions: Mapping[str, Tensor] | None, num_samples: int, draws: BatchGenerator
    ) -> Tensor:
        """The vectors of what `Model.sample` is asked for, (B, E)."""
        raise NotImplementedError(type(self).__name__)


class ClassConditioner(Conditioner):
    """A vector a class.

    Args:
        num_classes: K.
        embed_dim: E.
    """

    def __init__(self, num_classes: int, embed_dim: int) -> None:
        super().__init__(embed_dim)
        self.num_classes = num_classes
        self.classes = nn.Embedding(num_classes, embed_dim)

    def of_labels(self, labels: Tensor, draws: BatchGenerator) -> Tensor:
        del draws
        vectors: Tensor = self.classes(labels)
        return vectors

    def asked(
        self, conditions: Mapping[str, Tensor] | None, num_samples: int, draws: BatchGenerator
    ) -> Tensor:
        labels = draws.integers(self.num_classes)  # drawn in any case: what follows is then the same
        if conditions is not None:
            labels = _require_rows(conditions["labels"], num_samples)
        vectors: Tensor = self.classes(labels)
        return vectors


class PromptConditioner(Conditioner):
    """The vector of a prompt's bytes; in training a phrase of each sample's class is drawn.

    Args:
        phrases: Of each class, as prompts are read.
        length: T, the most bytes of a prompt.
        embed_dim: E.
    """

    phrase_tokens: Tensor
    num_phrases: Tensor

    def __init__(self, phrases: Sequence[Sequence[bytes]], length: int, embed_dim: int) -> None:
        super().__init__(embed_dim)
        self.length = length
        self.phrases = tuple(phrase for of in phrases for phrase in of)
        self.encoder = PromptEncoder(length, embed_dim, _PROMPT_LAYERS)
        most = max(map(len, phrases))
        tokens = torch.stack([prompt_tokens([*of, *[b""] * (most - len(of))], length) for of in phrases])
        self.register_buffer("phrase_tokens", tokens, persistent=False)  # (K, P, T)
        counts = torch.tensor([len(of) for of in phrases])
        self.register_buffer("num_phrases", counts, persistent=False)  # (K,)

    def of_labels(self, labels: Tensor, draws: BatchGenerator) -> Tensor:
        chosen = (draws.uniform() * self.num_phrases[labels]).long()
        vectors: Tensor = self.encoder(self.phrase_tokens[labels, chosen])
        return vectors

    def asked(
        self, conditions: Mapping[str, Tensor] | None, num_samples: int, draws: BatchGenerator
    ) -> Tensor:
        del draws
        if conditions is None:
            return self.unasked(num_samples)
        vectors: Tensor = self.encoder(_require_rows(conditions["prompts"], num_samples))
        return vectors

    def prompts(self, texts: Sequence[str]) -> Tensor:
        """Texts as `asked` takes them, int64 (N, T).

        Raises:
            UsageError: One is empty or too long.
        """
        return prompt_tokens([prompt_bytes(text, self.length) for text in texts], self.length)

    def remark(self, text: str) -> str | None:
        """What to say of a prompt that was not learned: its bytes make a vector all the same."""
        read = prompt_bytes(text, self.length)
        if read in self.phrases:
            return None
        learned = [phrase.decode() for phrase in self.phrases]
        near = nearest(read.decode(), learned)
        hint = f'; did you mean "{near}"?' if near else f", such as {', '.join(learned[:_SHOWN])}"
        return f'"{text}" is none of the {len(learned)} phrases that this model learned{hint}'


def class_conditioner(spec: DataSpec, family: str, embed_dim: int) -> ClassConditioner:
    """For data with classes; UsageError for other data."""
    return ClassConditioner(require_classes(spec, family), embed_dim)


def prompt_conditioner(
    spec: DataSpec, family: str, captions: Captions, length: int, embed_dim: int
) -> PromptConditioner:
    """For data with classes that have phrases; UsageError for other data."""
    require_classes(spec, family)
    return PromptConditioner(captions_of(captions, spec, length), length, embed_dim)


def guided(
    predict: Predict, x: Tensor, times: Tensor, asked: Tensor, unasked: Tensor, weight: float
) -> Tensor:
    """The prediction beyond what is asked, by both predictions in one pass.

    Args:
        predict: The network.
        x: Places, (B, ...).
        times: (B,).
        asked: What is asked for, (B, E).
        unasked: The vector of nothing, (B, E).
        weight: 1 for what is asked, above for more than that, 0 for what is not asked.
    """
    both = predict(torch.cat([x, x]), torch.cat([times, times]), torch.cat([asked, unasked]))
    with_it, without = both.chunk(2)
    return torch.lerp(without, with_it, weight)


def _require_rows(conditions: Tensor, num_samples: int) -> Tensor:
    if len(conditions) != num_samples:
        raise UsageError(
            "not one condition for each sample",
            got=f"{len(conditions)} conditions",
            expected=f"{num_samples}, as many as samples",
        )
    return conditions
