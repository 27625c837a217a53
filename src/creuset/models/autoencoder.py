"""An autoencoder, plain or denoising: a picture through a narrow code and back.

A denoising autoencoder sees a picture with noise and is asked for the clean one.
Source: Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising Autoencoders".
Departure: encoder and decoder do not share weights.

Legend of shapes: B batch, C channels, H height, W width, L latent dimensions.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.layers.encoder import PictureDecoder, PictureEncoder
from creuset.layers.feedforward import Activation
from creuset.models.base import Batch, Family, Model
from creuset.models.requirements import require_pictures, require_shape
from creuset.objectives.reconstruction import bernoulli_log_likelihood
from creuset.recipe.remedy import Cause, Remedy
from creuset.recipe.sections import DataConfig, FamilyConfig, PlayerConfig, TrainingConfig

_SLOWER = 4
"""How many times smaller the learning rate becomes against dead units."""


class AutoencoderConfig(FamilyConfig):
    """The `model` section of an autoencoder."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"hidden_dims": (64,), "latent_dim": 8},
        "small": {"hidden_dims": (500,), "latent_dim": 32},
        "base": {"hidden_dims": (1000, 500), "latent_dim": 64},
    }

    latent_dim: int = Field(32, ge=1, description="Numbers of a code.")
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="Channels of each convolution stage, which halves the picture; none: a dense network."
    )
    hidden_dims: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (500,),
        description="Units of each dense layer from the picture, or the last stage, to the code; the decoder "
        "mirrors them.",
    )
    activation: Activation = Field("gelu", description="The function between layers.")
    reconstruction: Literal["mse", "bernoulli"] = Field(
        "mse",
        description="The loss: mse, the mean squared error of a pixel; bernoulli, the cross entropy of grey "
        "values read as probabilities, summed over pixels.",
    )
    noise: Literal["none", "gaussian", "masking"] = Field(
        "none", description="What is done to the pictures that the encoder sees in training."
    )
    noise_level: float = Field(
        0.0,
        ge=0,
        validate_default=True,
        description="gaussian: standard deviation where pixels span [-1, 1]; masking: share of the pixels "
        "set to black, below 1.",
    )

    def remedies(
        self,
        cause: Cause,
        training: TrainingConfig,
        players: Mapping[str, PlayerConfig],
        data: DataConfig,
        kind: str,
    ) -> Iterator[Remedy]:
        del cause, players, data, kind
        if self.activation == "relu":
            yield Remedy(
                settings={"model.activation": "gelu"},
                why="a relu below 0 for all pictures learns no more; gelu does",
            )
        yield Remedy(
            settings={"training.learning_rate": training.learning_rate / _SLOWER},
            why="a step that is too long pushes units where they do not change any more",
        )

    @field_validator("noise_level")
    @classmethod
    def _fits_noise(cls, value: float, info: ValidationInfo) -> float:
        noise = info.data.get("noise")
        if noise == "none" and value != 0:
            raise ValueError("has no effect without noise: set noise to gaussian or masking, or leave it out")
        if noise in ("gaussian", "masking") and value == 0:
            raise ValueError(f"{noise} noise needs a level above 0")
        if noise == "masking" and value >= 1:
            raise ValueError("masking all pixels leaves nothing to learn from: the level must be below 1")
        return value


class Autoencoder(Model):
    """Pictures to codes and back.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data are no pictures, or too small for the stages.
    """

    def __init__(self, config: AutoencoderConfig, spec: DataSpec) -> None:
        super().__init__()
        self.image_shape = require_pictures(spec, config.family, num_halvings=len(config.channels))
        self.encoder = PictureEncoder(
            self.image_shape, config.channels, config.hidden_dims, config.latent_dim, config.activation
        )
        self.decoder = PictureDecoder(
            config.latent_dim, config.hidden_dims, config.channels, self.image_shape, config.activation
        )
        self.latent_dim = config.latent_dim
        self.reconstruction = config.reconstruction
        self.noise = config.noise
        self.noise_level = config.noise_level
        self.removes_noise = config.noise != "none"

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """The mean distance between the pictures and what is made of them, after noise where there is some.

        Returns:
            "loss", and under its own name: "mean_squared_error" of a pixel on [-1, 1], or
            "cross_entropy_nats" of a picture.
        """
        assert player in self.players
        images = require_shape(batch["images"], self.image_shape)
        output = self.decoder(self.encoder(self.disturb(images, generator)))
        if self.reconstruction == "mse":
            loss = (output - images).square().mean()
            return {"loss": loss, "mean_squared_error": loss.detach()}
        loss = -bernoulli_log_likelihood(output.to(images.dtype), (images + 1) / 2).mean()
        return {"loss": loss, "cross_entropy_nats": loss.detach()}

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        codes: Tensor = self.encoder(require_shape(images, self.image_shape))
        return codes

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        output: Tensor = self.decoder(require_shape(codes, (self.latent_dim,)))
        if self.reconstruction == "mse":
            return output.clamp(-1, 1)
        return 2 * torch.sigmoid(output) - 1

    def denoise(self, images: Tensor) -> Tensor:
        return self.reconstruct(images) if self.removes_noise else super().denoise(images)

    def disturb(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """The pictures with the recipe's noise, in [-1, 1]; a masked pixel is black in all its channels."""
        if self.noise == "gaussian":
            noise = self.noise_level * generator.normal(*self.image_shape).to(images.dtype)
            return (images + noise).clamp(-1, 1)
        if self.noise == "masking":
            _, height, width = self.image_shape
            return images.masked_fill(generator.uniform(1, height, width) < self.noise_level, -1.0)
        return images


FAMILY = Family(
    name="autoencoder",
    config=AutoencoderConfig,
    build=Autoencoder,
    traits=frozenset({"gradient", "encodes"}),
    collapses="codes",
)
