"""The network of families that turn noise into data, and the fields of a recipe that shape it.

A U-Net for pictures, a dense network with residuals for rows of a table. It is told the time, and where the
model can be asked for something, a class or what a prompt says (conditioning.py).

Legend of shapes: B batch, E features of a vector, ... the axes of a sample: (C, H, W) or (F,).
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.layers.residual_mlp import ResidualMLP
from creuset.layers.time_embedding import TimeEmbedding
from creuset.layers.unet import UNet, UNetConfig
from creuset.models.base import Batch, Condition, Model
from creuset.models.conditioning import (
    Conditioner,
    PromptConditioner,
    class_conditioner,
    guided,
    prompt_conditioner,
)
from creuset.models.dequantisation import nearest_levels
from creuset.models.requirements import require_kind, require_shape
from creuset.recipe.sections import FamilyConfig

_GOLDEN = (math.sqrt(5) - 1) / 2
_UNASKED_SHARE = 0.1
_PROMPT_LENGTH = 48

Width = Annotated[int, Field(ge=4)]


class DenoiserConfig(FamilyConfig):
    """What the `model` sections of these families have in common."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"channels": (16, 32), "num_blocks": 1, "hidden_dim": 64, "num_layers": 2, "embed_dim": 64},
        "small": {
            "channels": (32, 64),
            "num_blocks": 1,
            "hidden_dim": 128,
            "num_layers": 3,
            "embed_dim": 128,
        },
        "base": {
            "channels": (64, 128, 256),
            "num_blocks": 2,
            "hidden_dim": 256,
            "num_layers": 4,
            "embed_dim": 256,
        },
    }
    num_importance_samples: ClassVar[int] = 1
    only_for: ClassVar[dict[str, Literal["images", "table", "texts", "corpus", "pairs"]]] = {
        "channels": "images",
        "num_blocks": "images",
        "patch_size": "images",
        "attention": "images",
        "hidden_dim": "table",
        "num_layers": "table",
    }

    channels: tuple[Width, ...] = Field(
        (32, 64),
        min_length=1,
        description="Channels of each stage of the U-Net, from the finest on; all but the first begin with a "
        "halving of the picture, rounded up.",
    )
    num_blocks: int = Field(1, ge=1, description="Residual blocks of a stage, each way.")
    patch_size: int = Field(
        1,
        ge=1,
        description="Side of the squares of pixels that become channels before the first stage: 2 makes a "
        "step about four times as cheap.",
    )
    attention: bool = Field(
        True, description="Whether the pixels of the coarsest stage attend to each other."
    )
    hidden_dim: int = Field(128, ge=4, description="Of a table's network: units of each layer.")
    num_layers: int = Field(3, ge=1, description="Of a table's network: residual steps of two layers each.")
    embed_dim: int = Field(
        128, ge=8, multiple_of=4, description="Numbers that tell the network the time and what is asked for."
    )
    condition: Condition = Field(
        "none",
        description="What samples can be asked for: nothing, a class of the data, or what a short text says.",
    )
    unasked_share: float = Field(
        _UNASKED_SHARE,
        gt=0,
        lt=1,
        description="Share of the training samples of which the network is not told what they are; guidance, "
        "likelihoods and samples without a prompt need it.",
    )
    guidance: float = Field(
        1.0,
        ge=0,
        description="How far samples go toward what is asked for and away from what is not; 1 as learned, "
        "above 1 clearer and less varied, at two evaluations in place of one.",
    )
    captions: dict[str, tuple[str, ...]] = Field(
        {},
        description="For condition: text, the phrases of each class, of which one is drawn for each sample; "
        "classes 0 to 9 have some in English and French.",
    )
    prompt_length: int = Field(
        _PROMPT_LENGTH, ge=1, le=512, description="For condition: text, bytes of a prompt at most."
    )

    @model_validator(mode="after")
    def _conditions_have_an_effect(self) -> Self:
        if self.condition == "none" and self.guidance != 1:
            raise ValueError(
                "guidance must be 1 where nothing can be asked for; set condition: class or text"
            )
        if self.condition == "none" and self.unasked_share != _UNASKED_SHARE:
            raise ValueError("unasked_share has no effect while condition is none; leave it out")
        if self.condition != "text" and self.captions:
            raise ValueError("captions have no effect without condition: text")
        if self.condition != "text" and self.prompt_length != _PROMPT_LENGTH:
            raise ValueError("prompt_length has no effect without condition: text")
        return self


class Denoiser(nn.Module):
    """Disturbed samples, times and what is asked for to predictions of the samples' form.

    Args:
        config: The recipe's section.
        spec: The form of the data.
        num_outputs: What is predicted of each number of a sample, side by side as channels; of a table 1.

    Raises:
        UsageError: The data are neither pictures nor a table, the pictures do not fit the stages, or there
            are no classes or no phrases to ask for.
    """

    def __init__(self, config: DenoiserConfig, spec: DataSpec, num_outputs: int = 1) -> None:
        super().__init__()
        require_kind(spec, config.family, "images", "table")
        self.shape = spec.shape
        self.guidance = config.guidance
        self.unasked_share = config.unasked_share
        self.time_embedding = TimeEmbedding(config.embed_dim)
        self.conditioner = _conditioner(config, spec)
        self.network: UNet | ResidualMLP
        if spec.kind == "images":
            self.network = _unet(config, spec, num_outputs)
        else:
            self.network = ResidualMLP(spec.shape[0], config.hidden_dim, config.num_layers, config.embed_dim)

    def forward(self, x: Tensor, times: Tensor, asked: Tensor | None) -> Tensor:
        """Samples (B, ...), times in [0, 1] (B,) and what is asked for (B, E) to predictions (B, ...), of
        each number as many as `num_outputs`."""
        vector = self.time_embedding(times)
        if asked is not None:
            vector = vector + asked
        # under autocast a loss needs more digits than the network's output has
        out: Tensor = self.network(x, vector).to(x.dtype)
        return out

    def trained(self, batch: Batch, draws: BatchGenerator) -> Tensor | None:
        """What a training batch is asked for, (B, E); None where nothing can be."""
        if self.conditioner is None:
            return None
        return self.conditioner.trained(batch, draws, self.unasked_share)

    def steered(
        self, conditions: Batch | None, num_samples: int, draws: BatchGenerator
    ) -> Callable[[Tensor, float], Tensor]:
        """The prediction at any place and time for what `Model.sample` is asked for, with guidance."""
        if self.conditioner is None:
            return self.unasked(num_samples)
        asked = self.conditioner.asked(conditions, num_samples, draws)
        unasked = self.conditioner.unasked(num_samples)

        def predict(x: Tensor, time: float) -> Tensor:
            times = x.new_full((num_samples,), time)
            if self.guidance == 1:
                return self.forward(x, times, asked)
            return guided(self, x, times, asked, unasked, self.guidance)

        return predict

    def unasked(self, num_samples: int) -> Callable[[Tensor, float], Tensor]:
        """The prediction at any place and time for samples of which nothing is asked."""
        vector = None if self.conditioner is None else self.conditioner.unasked(num_samples)

        def predict(x: Tensor, time: float) -> Tensor:
            return self.forward(x, x.new_full((num_samples,), time), vector)

        return predict

    def prompts(self, texts: Sequence[str]) -> Tensor:
        """Short texts as `Model.sample` takes them; UsageError for a model that takes none, or a long one."""
        if not isinstance(self.conditioner, PromptConditioner):
            raise UsageError(
                "this model takes no prompts",
                where="model.condition",
                next_step="train with model.condition: text",
            )
        return self.conditioner.prompts(texts)

    def prompt_remark(self, text: str) -> str | None:
        """See `PromptConditioner.remark`; None of a model that takes no prompts."""
        return self.conditioner.remark(text) if isinstance(self.conditioner, PromptConditioner) else None


class NoiseToData(Model):
    """What models that turn noise into data by a denoiser have in common.

    Args:
        config: The recipe's section.
        spec: The form of the data.
        num_outputs: As of `Denoiser`.

    Raises:
        UsageError: See `Denoiser`.
    """

    def __init__(self, config: DenoiserConfig, spec: DataSpec, num_outputs: int = 1) -> None:
        super().__init__()
        self.denoiser = Denoiser(config, spec, num_outputs)
        self.shape = spec.shape
        self.num_levels = spec.num_levels
        self.condition = config.condition

    def prompts(self, texts: Sequence[str]) -> Tensor:
        return self.denoiser.prompts(texts)

    def prompt_remark(self, text: str) -> str | None:
        return self.denoiser.prompt_remark(text)

    @torch.no_grad()
    def observe(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """Pictures at the nearest level: augmented ones lie between levels. Rows of a table as they are."""
        del generator
        inputs = require_shape(images, self.shape)
        return nearest_levels(inputs, self.num_levels) if self.num_levels else inputs


def spread_times(draws: BatchGenerator) -> Tensor:
    """Times in [0, 1), (B,), one in each of as many equal parts as the whole batch has rows: means vary less.

    A row's time is uniform within its part. Rows that follow each other, as in data sorted by class, have
    parts far apart: they are in the order of the fractional parts of the multiples of the golden ratio.

    Source: low discrepancy: Kingma et al. 2021, "Variational Diffusion Models", appendix I.1. Departure: each
    row draws its own place within its part, so that a part of a batch can be drawn alone.
    """
    multiples = torch.arange(draws.size, dtype=torch.float64) * _GOLDEN % 1
    parts = multiples.argsort().argsort()[draws.start : draws.stop].to(draws.device)
    return ((parts + draws.uniform()) / draws.size).clamp(max=1 - 2**-24)


def _conditioner(config: DenoiserConfig, spec: DataSpec) -> Conditioner | None:
    family = f"{config.family} with model.condition: {config.condition}"
    if config.condition == "class":
        return class_conditioner(spec, family, config.embed_dim)
    if config.condition == "text":
        return prompt_conditioner(spec, family, config.captions, config.prompt_length, config.embed_dim)
    return None


def _unet(config: DenoiserConfig, spec: DataSpec, num_outputs: int) -> UNet:
    channels, height, width = spec.shape
    patch = config.patch_size
    if height % patch or width % patch:
        raise UsageError(
            "pictures that patches do not fill",
            where="model.patch_size",
            got=f"pictures of {height} x {width}, patches of {patch} x {patch}",
            expected="a side that divides both",
            next_step=f"set model.patch_size to {math.gcd(height, width, patch)}",
        )
    coarsest = 2 ** (len(config.channels) - 1)
    least = min(height, width) // patch
    if least < coarsest:
        raise UsageError(
            f"pictures too small for {len(config.channels) - 1} halvings",
            where="model.channels",
            got=f"{height // patch} x {width // patch} patches"
            if patch > 1
            else f"pictures of {height} x {width}",
            expected=f"at least {coarsest} x {coarsest}",
            next_step=f"give model.channels at most {least.bit_length()} numbers",
        )
    form = UNetConfig(
        channels=config.channels,
        num_blocks=config.num_blocks,
        patch_size=patch,
        attention=config.attention,
        embed_dim=config.embed_dim,
        num_outputs=num_outputs,
    )
    return UNet((channels, height, width), form)
