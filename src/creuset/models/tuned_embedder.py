"""A text embedder that others trained, tuned on one's own pairs: what belongs together moves together.

The base's own pooling is kept, and its vectors have length 1 where the base's have. Low-rank updates, the
last blocks, or all of the body learn by the contrast of a batch (`pair_embedder.py`).

Source: van den Oord, Li and Vinyals 2018, "Representation Learning with Contrastive Predictive Coding",
eq. 4; Henderson et al. 2017, "Efficient Natural Language Response Suggestion for Smart Reply", section 4.4;
the scale of 20, and one direction alone, are those of sentence-transformers' MultipleNegativesRankingLoss.

Legend of shapes: T tokens, E features.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from creuset.adapters.lora import drawing
from creuset.adapters.switch import merged_state
from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.models.base import Family
from creuset.models.embedder import Embedder, Pooling
from creuset.models.pair_embedder import PairEmbedder
from creuset.models.requirements import require_kind, require_one_stack
from creuset.models.transformer import Transformer
from creuset.models.tuned_config import AdapterConfig
from creuset.models.tuning import prepare, trained_state
from creuset.recipe.sections import FamilyConfig


class TunedEmbedderConfig(FamilyConfig):
    """The `model` section of a tuned text embedder."""

    own_sections: ClassVar[tuple[str, ...]] = ("adapter",)

    base: str = Field(
        description="The encoder or decoder that others trained: a folder, a GGUF file, or a name such as "
        "minilm."
    )
    pooling: Pooling | None = Field(
        None,
        description="A text's vector: the mean of its tokens' states, or that of cls, its first, or last. "
        "Default: that of the base where it lies as sentence-transformers saves it, else mean of encoders, "
        "last of decoders.",
    )
    normalise: bool | None = Field(
        None,
        description="Whether vectors are given length 1 where they are used; the loss compares cosines "
        "either way. Default: as the base does where sentence-transformers saved it, else true.",
    )
    context: int | None = Field(
        None,
        ge=1,
        description="Tokens of a text that are read, its first, with those that the tokenizer puts around "
        "it. Default: what the base reads, as sentence-transformers cuts texts for it, and at most 2,048.",
    )
    scale: float = Field(
        20.0, gt=0, description="What cosines are multiplied by: the higher, the more near wrong texts count."
    )
    symmetric: bool = Field(
        False,
        description="Whether positives look for their anchors too, and not the anchors alone for theirs.",
    )
    adapter: AdapterConfig = Field(AdapterConfig(), description="Which numbers are trained.")

    @model_validator(mode="after")
    def _a_vector_needs_no_head(self) -> Self:
        if self.adapter.kind == "head":
            raise ValueError("a text's vector is made without a head; set adapter.kind: lora, full or last")
        return self

    @property
    def base_name(self) -> str | None:
        return self.base

    @property
    def base_context(self) -> int | None:
        return self.context

    @property
    def trains_blocks(self) -> bool:
        return True

    def pooled_as(self, pooling: str, normalise: bool) -> Self:
        return self.model_copy(
            update={
                "pooling": pooling if self.pooling is None else self.pooling,
                "normalise": normalise if self.normalise is None else self.normalise,
            }
        )


class TunedEmbedder(PairEmbedder):
    """Texts to vectors.

    Args:
        config: The recipe's sections.
        spec: The form of the data.
        body: The base, with its weights.
        theirs: What Hugging Face's model calls each of its layers.

    Raises:
        UsageError: Data of another kind, a base that is neither an encoder nor a decoder, or as `prepare`.
    """

    def __init__(
        self,
        config: TunedEmbedderConfig,
        spec: DataSpec,
        body: Transformer,
        theirs: Mapping[str, str] | None = None,
    ) -> None:
        require_kind(spec, config.family, "pairs")
        require_one_stack(body.config.architecture, config.base)
        prepare(body, config.adapter.form, theirs)
        for part in (body.head, body.pooler):  # what the vectors do not depend on
            if part is not None:
                part.requires_grad_(False)
        usual: Pooling = "mean" if body.config.architecture == "encoder" else "last"
        embedder = Embedder(
            body,
            pooling=usual if config.pooling is None else config.pooling,
            normalise=config.normalise is not False,
        )
        super().__init__(spec, embedder, temperature=1 / config.scale, symmetric=config.symmetric)

    def player_parameters(self, player: str) -> Iterator[tuple[str, nn.Parameter]]:
        assert player in self.players
        return ((name, value) for name, value in self.named_parameters() if value.requires_grad)

    def stored_state(self) -> dict[str, Tensor]:
        """What is trained: the base is named beside it."""
        return {name: value.detach() for name, value in trained_state(self).items()}

    def plain_embedder(self) -> Embedder:
        """The same without adapters: what they have changed stands in its weights."""
        body = self.embedder.body
        state = {name: value.detach().float().clone() for name, value in merged_state(body).items()}
        plain = Transformer.from_weights(body.config, state)
        return Embedder(plain, pooling=self.embedder.pooling, normalise=self.embedder.normalise)

    def _vectors(self, tokens: Tensor, lengths: Tensor, generator: BatchGenerator | None) -> Tensor:
        with drawing(self.embedder.body, generator):
            return super()._vectors(tokens, lengths, generator)


def _from_scratch(config: TunedEmbedderConfig, spec: DataSpec) -> TunedEmbedder:
    raise AssertionError(f"a tuned embedder has a base, {config.base}; got data of kind {spec.kind} alone")


FAMILY = Family(
    name="tuned_embedder",
    config=TunedEmbedderConfig,
    build=_from_scratch,
    traits=frozenset({"gradient", "embeds_texts"}),
    tune=TunedEmbedder,
)
