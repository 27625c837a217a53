"""A classifier of texts on a Transformer that others trained: its states, pooled, and one linear layer.

With `adapter.kind: head` the layer learns alone: the states of each text are made once, and kept
(training/frozen_features.py). Else low-rank updates, the last blocks, or all of the body learn with it.

Source: Devlin et al. 2019, "BERT", section 4.1; Radford et al. 2018, "Improving Language Understanding by
Generative Pre-Training", section 3.2 (the last token's state, of a decoder); Reimers & Gurevych 2019,
"Sentence-BERT" (the mean).

Legend of shapes: B texts, T tokens, E features, K classes.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from creuset.adapters.lora import drawing
from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.layers.dropout import Dropout
from creuset.models.base import Family
from creuset.models.classifier import Classifier, ClassifierConfig
from creuset.models.embedder import Pooling, pool
from creuset.models.requirements import require_kind, require_one_stack
from creuset.models.transformer import Transformer
from creuset.models.tuned_config import AdapterConfig
from creuset.models.tuning import prepare, trained_state


class TunedClassifierConfig(ClassifierConfig):
    """The `model` section of a classifier on a base."""

    own_sections: ClassVar[tuple[str, ...]] = ("adapter",)

    base: str = Field(
        description="The encoder or decoder that others trained: a folder, a GGUF file, or a name such as "
        "minilm."
    )
    pooling: Pooling | Literal["pooler"] | None = Field(
        None,
        description="A text's vector: the mean of its tokens' states, or that of cls, its first, or last; or "
        "what BERT's own pooler makes of the first. Default: mean of encoders, last of decoders.",
    )
    bias: bool = Field(
        True,
        description="Whether the layer of classes adds a number to each score; those of transformers on "
        "decoders do not.",
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="Probability of a zero in this vector, in training.")
    adapter: AdapterConfig = Field(AdapterConfig(), description="What learns beside the classes' layer.")

    @property
    def base_name(self) -> str | None:
        return self.base

    @property
    def trains_blocks(self) -> bool:
        return self.adapter.kind != "head"


class TunedClassifier(Classifier):
    """Texts as ids, one higher than the base's own and padded with 0, to scores of classes.

    Args:
        config: The recipe's sections.
        spec: The form of the data.
        body: The base, with its weights.
        theirs: What Hugging Face's model calls each of its layers.

    Raises:
        UsageError: Data of another kind, a base without an encoder or a decoder alone, a pooler that the base
            lacks, or as `prepare`.
    """

    def __init__(
        self,
        config: TunedClassifierConfig,
        spec: DataSpec,
        body: Transformer,
        theirs: Mapping[str, str] | None = None,
    ) -> None:
        require_kind(spec, config.family, "texts")
        require_one_stack(body.config.architecture, config.base)
        super().__init__(
            config.family, spec, class_weights=config.class_weights, label_smoothing=config.label_smoothing
        )
        self.frozen = config.adapter.kind == "head"
        """Whether the body stays as it is, so that states can be kept."""
        if self.frozen:
            body.requires_grad_(False)
        else:
            prepare(body, config.adapter.form, theirs)
        for part in (body.head, body.pooler):  # what the scores do not depend on
            if part is not None:
                part.requires_grad_(False)
        self.body = body
        is_encoder = body.config.architecture == "encoder"
        self.pooling: Pooling | Literal["pooler"] = config.pooling or ("mean" if is_encoder else "last")
        if self.pooling == "pooler" and body.pooler is None:
            raise UsageError(
                "this base has no pooler",
                where="model.pooling",
                got="pooler",
                expected="mean, cls or last",
            )
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(body.config.embed_dim, self.num_classes, bias=config.bias)
        nn.init.normal_(self.output.weight, std=body.config.init_std)
        if config.bias:
            nn.init.zeros_(self.output.bias)

    def player_parameters(self, player: str) -> Iterator[tuple[str, nn.Parameter]]:
        assert player in self.players
        return ((name, value) for name, value in self.named_parameters() if value.requires_grad)

    def stored_state(self) -> dict[str, Tensor]:
        """What is trained: the base is named beside it."""
        return {name: value.detach() for name, value in trained_state(self).items()}

    def text_vectors(self, tokens: Tensor, generator: BatchGenerator | None = None) -> Tensor:
        """What the layer of classes reads of each text, (B, E), for ids as of `loss`, int64 (B, T)."""
        padding = tokens > 0
        with drawing(self.body, generator):
            states = self.body.hidden((tokens - 1).clamp_min(0), padding=padding, generator=generator)
        if self.pooling == "pooler":
            return self.body.pool(pool(states, "cls", padding).to(states.dtype)[:, None])
        return pool(states, self.pooling, padding)

    def _features(self, batch_inputs: Tensor, generator: BatchGenerator | None) -> Tensor:
        if batch_inputs.is_floating_point():  # made before
            return batch_inputs
        if self.frozen:
            with torch.no_grad():
                return self.text_vectors(batch_inputs).to(self.output.weight.dtype)
        return self.text_vectors(batch_inputs, generator).to(self.output.weight.dtype)


def _from_scratch(config: TunedClassifierConfig, spec: DataSpec) -> TunedClassifier:
    raise AssertionError(f"a tuned classifier has a base, {config.base}; got data of kind {spec.kind} alone")


FAMILY = Family(
    name="tuned_classifier",
    config=TunedClassifierConfig,
    build=_from_scratch,
    traits=frozenset({"gradient", "classifies"}),
    tune=TunedClassifier,
)
