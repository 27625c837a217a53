"""The section `evaluation` of a recipe: what is measured when training is over."""

from typing import Literal, Self

from pydantic import Field, model_validator

from creuset.recipe.section import Section

_EXTRACTOR = "efficientnet-lite0"

Suite = Literal[
    "classification", "images", "modes", "text", "pairs", "masked", "retrieval", "analogies", "tuning"
]
"""A set of measures that are taken together (evaluation/)."""


class EvaluationConfig(Section):
    """What is measured when training is over."""

    suite: Suite | Literal["none"] | None = Field(
        None, description="A set of measures; default: what the family's traits allow."
    )
    num_importance_samples: int | None = Field(
        None,
        ge=1,
        description="Importance samples per picture for a bound on the likelihood; default: 200, and 1 where "
        "each is a whole way back to noise (flow, diffusion).",
    )
    num_generated: int | None = Field(
        None,
        ge=0,
        description="Samples that are drawn: for distances from real pictures, of which as many are taken at "
        "most (default 1,000; 0 leaves distances out), or for the suite modes (default 2,500 points, 26,000 "
        "stacked pictures); for the suite tuning the held-out prompts that are answered (default 32).",
    )
    extractor: str = Field(
        _EXTRACTOR,
        description="What turns pictures into features for distances: efficientnet-lite0, the weights file "
        "of Inception v3, or a run of a classifier of one's own; for the modes of stacked pictures such a "
        "run.",
    )

    @model_validator(mode="after")
    def _an_extractor_is_used(self) -> Self:
        if self.num_generated == 0 and self.extractor != _EXTRACTOR:
            raise ValueError("extractor has no effect while num_generated is 0; leave one of the keys out")
        return self
