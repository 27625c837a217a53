"""Families for the tests of recipes: the reader must not need the real ones."""

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field

from creuset.recipe.section import Section
from creuset.recipe.sections import FamilyConfig


class BlockConfig(Section):
    """One block."""

    width: int = Field(8, ge=1, description="Units of the block.")
    activation: Literal["relu", "silu"] = Field("relu", description="Between the layers.")


class VAEConfig(FamilyConfig):
    """A family with a dial, whose class defaults (1) are at no size of it."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"latent_dim": 2, "channels": (8, 16)},
        "small": {"latent_dim": 16, "channels": (32, 64)},
    }

    latent_dim: int = Field(1, ge=1, description="Dimensions of the code.")
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1,), min_length=1, description="Of each stage."
    )
    beta: float = Field(1.0, ge=0, description="Weight of the KL term.")
    free_nats: float | None = Field(None, gt=0, description="Off if null.")
    likelihood: Literal["bernoulli", "gaussian"] = Field("bernoulli", description="Of the pixels.")
    hidden: Literal["auto"] | int | tuple[int, ...] = Field("auto", description="Units of the dense layers.")
    note: str = Field("", description="A text.")
    block: BlockConfig = Field(BlockConfig(), description="The block.")


class LinearConfig(FamilyConfig):
    """A family without a dial."""

    penalty: float = Field(1.0, gt=0, description="Strength of the penalty.")


@pytest.fixture(scope="session")
def families() -> Mapping[str, Callable[[], type[FamilyConfig]]]:
    """Two families as `read_recipe` wants them."""
    return {"linear": lambda: LinearConfig, "vae": lambda: VAEConfig}
