"""A VQ-VAE: a picture through a map of codes, each one of a few learned vectors, and back.

    loss = reconstruction + commitment_weight ||z - stop_gradient(e)||^2       (and with `codebook: loss`
                                                                 + ||stop_gradient(z) - e||^2)

A stack of convolutions halves the picture some times; what stands at each place of the small map is replaced
by the nearest vector of a codebook (layers/vector_quantiser.py). The family has no prior of its own: what
draws new pictures is a second stage, a PixelCNN trained on the code maps of a run (`data.source: run:NAME`).

Sources: van den Oord, Vinyals & Kavukcuoglu 2017, "Neural Discrete Representation Learning"; Razavi, van den
Oord & Vinyals 2019, "Generating Diverse High-Fidelity Images with VQ-VAE-2" (running means, one level here).
Departures: convolutions with group norm in place of residual blocks; new codes for dead ones (Dhariwal et al.
2020, "Jukebox").

Legend of shapes: B batch, C channels, H height, W width, D numbers of a code's vector, h height and w width
of a code map.
"""

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.layers.convolution import ConvDecoder, ConvEncoder, stage_sizes
from creuset.layers.feedforward import Activation, make_activation
from creuset.layers.interpolation import Path, interpolate_codes
from creuset.layers.vector_quantiser import VectorQuantiser
from creuset.models.base import Batch, Family, Model
from creuset.models.requirements import require_pictures, require_shape
from creuset.objectives.reconstruction import bernoulli_log_likelihood
from creuset.recipe.sections import FamilyConfig

_RESTART_BELOW = 0.05


class VQVAEConfig(FamilyConfig):
    """The `model` section of a VQ-VAE."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"channels": (16,), "code_dim": 8, "num_codes": 32},
        "small": {"channels": (16, 64), "code_dim": 32, "num_codes": 128},
        "base": {"channels": (64, 128), "code_dim": 64, "num_codes": 512},
    }

    num_codes: int = Field(
        128, ge=2, le=4096, description="Vectors of the codebook: values that a place of a code map can take."
    )
    code_dim: int = Field(32, ge=1, description="Numbers of a vector of the codebook.")
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (16, 64),
        min_length=1,
        description="Channels of each convolution stage, which halves the picture; what is left is the size "
        "of a code map.",
    )
    activation: Activation = Field("gelu", description="The function between layers.")
    reconstruction: Literal["mse", "bernoulli"] = Field(
        "mse",
        description="The loss: mse, the mean squared error of a pixel; bernoulli, the cross entropy of grey "
        "values read as probabilities, summed over pixels.",
    )
    commitment_weight: float = Field(
        0.25, gt=0, description="Weight of what pulls the encoder to the codes that it chose."
    )
    codebook: Literal["ema", "loss"] = Field(
        "ema",
        description="What moves the codebook: ema, running means of the vectors that fall to a code; loss, "
        "a gradient towards them.",
    )
    codebook_decay: float = Field(
        0.99, ge=0, lt=1, description="Decay of those means, and of the running use of the codes."
    )
    restart_below: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="A code that is used less than this, where 1 is the mean use, is moved onto a vector of "
        "the batch; 0 is never. Default: 0.05 with codebook: ema, which alone can do so.",
    )

    @model_validator(mode="after")
    def _only_means_restart(self) -> Self:
        if self.codebook == "loss" and self.restart_below:
            raise ValueError(
                "restart_below has no effect with codebook: loss; leave it out, or set codebook: ema"
            )
        return self

    @property
    def least_use(self) -> float:
        """The use below which a code is moved; 0 for never."""
        if self.restart_below is not None:
            return self.restart_below
        return _RESTART_BELOW if self.codebook == "ema" else 0.0


class VQVAE(Model):
    """Pictures to maps of codes and back.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data are no pictures, or too small for the stages.
    """

    def __init__(self, config: VQVAEConfig, spec: DataSpec) -> None:
        super().__init__()
        self.image_shape = require_pictures(spec, config.family, num_halvings=len(config.channels))
        channels, height, width = self.image_shape
        self.map_shape = stage_sizes((height, width), len(config.channels))[-1]
        self.num_codes = config.num_codes
        self.encoder = nn.Sequential(
            ConvEncoder(channels, config.channels, config.activation),
            nn.Conv2d(config.channels[-1], config.code_dim, 1),
        )
        self.quantiser = VectorQuantiser(
            config.num_codes,
            config.code_dim,
            update=config.codebook,
            decay=config.codebook_decay,
            restart_below=config.least_use,
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(config.code_dim, config.channels[-1], 3, padding=1),
            make_activation(config.activation),
            ConvDecoder(config.channels, channels, (height, width), config.activation),
        )
        self.reconstruction = config.reconstruction
        self.commitment_weight = config.commitment_weight

    def begin_step(self, step: int, num_steps: int) -> None:
        del step, num_steps
        self.quantiser.forget()

    def end_update(self, player: str) -> None:
        del player
        self.quantiser.end_update()

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """The distance between pictures and what is made of their codes, and between vectors and codes.

        With `mse` all are means over numbers, with `bernoulli` sums over a picture.

        Returns:
            "loss"; "mean_squared_error" of a pixel on [-1, 1], or "cross_entropy_nats" of a picture;
            "commitment", and with `codebook: loss` "codebook", before their weights; "code_perplexity", the
            running use of the codebook in codes that are used alike.
        """
        assert player in self.players
        images = require_shape(batch["images"], self.image_shape)
        quantised = self.quantiser(self.encoder(images), generator)
        output = self.decoder(quantised.vectors).to(images.dtype)
        if self.reconstruction == "mse":
            name, distance = "mean_squared_error", (output - images).square().mean()
        else:
            name, distance = "cross_entropy_nats", -bernoulli_log_likelihood(output, (images + 1) / 2).mean()
        commitment = self._reduced(quantised.commitment)
        loss = distance + self.commitment_weight * commitment
        report = {name: distance.detach(), "commitment": commitment.detach()}
        if quantised.codebook is not None:
            pull = self._reduced(quantised.codebook)
            loss = loss + pull
            report["codebook"] = pull.detach()
        return {"loss": loss, **report, "code_perplexity": self.quantiser.perplexity}

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """The code map of each picture, int64 (B, h, w), in [0, num_codes)."""
        codes: Tensor = self.quantiser.nearest(self.encoder(require_shape(images, self.image_shape)))
        return codes

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """The picture of each code map, int64 (B, h, w), float32 (B, C, H, W) in [-1, 1].

        Raises:
            UsageError: Maps of another shape, or numbers that are no codes.
        """
        require_shape(codes, self.map_shape)
        if codes.is_floating_point() or (
            codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.num_codes
        ):
            raise UsageError(
                "these are no codes",
                got=f"{str(codes.dtype).removeprefix('torch.')} from {codes.min():g} to {codes.max():g}",
                expected=f"whole numbers from 0 to {self.num_codes - 1}",
            )
        output: Tensor = self.decoder(self.quantiser.look_up(codes.long()))
        if self.reconstruction == "mse":
            return output.clamp(-1, 1)
        return 2 * torch.sigmoid(output) - 1

    @torch.no_grad()
    def interpolate(self, first: Tensor, second: Tensor, num_steps: int, path: Path = "linear") -> Tensor:
        """As `Model.interpolate`: the way is taken between the encoder's vectors, whose nearest codes are
        decoded, since the numbers of codes have no order."""
        ends = [self.encoder(require_shape(images, self.image_shape)) for images in (first, second)]
        ways = interpolate_codes(ends[0].flatten(1), ends[1].flatten(1), num_steps, path)
        vectors = ways.reshape(-1, *ends[0].shape[1:])
        pictures = self.decode(self.quantiser.nearest(vectors))
        return pictures.reshape(len(first), num_steps, *pictures.shape[1:])

    def _reduced(self, squares: Tensor) -> Tensor:
        """Squared distances (B, h, w) of vectors on the scale of the reconstruction."""
        if self.reconstruction == "mse":
            return squares.mean() / self.quantiser.code_dim
        return squares.sum((1, 2)).mean()


FAMILY = Family(
    name="vqvae",
    config=VQVAEConfig,
    build=VQVAE,
    traits=frozenset({"gradient", "encodes"}),
)
