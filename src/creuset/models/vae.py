"""The variational autoencoder: a latent-variable model p(z) p(x|z) with its approximate posterior q(z|x).

    loss = mean over the batch of  -log p(x|z) + beta KL(q(z|x) || p(z)),   z = mean + exp(log_variance / 2) e

The prior is N(0, I), the posterior a diagonal Gaussian, both nets dense or convolutional (layers/encoder.py).
The likelihood p(x|z) is bernoulli, discretised or gaussian (pixel_likelihood.py).

Source: Kingma & Welling 2014, "Auto-Encoding Variational Bayes"; Rezende et al. 2014; beta: Higgins et al.
2017; free bits: Kingma et al. 2016 (objectives/elbo.py says where it departs).
Departure: pictures that are shown (`sample`, `decode`, `reconstruct`) are means of p(x|z), no draws from it.

Legend of shapes: B batch, C channels, H height, W width, L latent dimensions, S importance samples.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.layers.encoder import PictureDecoder, PictureEncoder
from creuset.layers.feedforward import Activation
from creuset.models.base import Batch, Family
from creuset.models.pixel_likelihood import PixelLikelihoodName, pixel_likelihood
from creuset.models.requirements import require_pictures, require_shape
from creuset.models.watched import LatentPosterior
from creuset.objectives.elbo import gaussian_kl, importance_weighted_bound, log_prior_over_posterior
from creuset.recipe.remedy import Cause, Remedy
from creuset.recipe.sections import DataConfig, FamilyConfig, PlayerConfig, TrainingConfig

_CHUNK_NUMBERS = 2**19
"""Pixels decoded at a time for importance samples: 2 MB in float32, which stay in a processor's cache."""
_FREE_BITS = 0.5
"""Against a collapse of the posterior: the most of those that Kingma et al. (2016) try, in bits, not nats."""
_VALIDATION_IMPORTANCE_SAMPLES = 10
"""Enough for a curve; scores take evaluation.num_importance_samples."""


class VAEConfig(FamilyConfig):
    """The `model` section of a variational autoencoder."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"hidden_dims": (64,), "latent_dim": 8},
        "small": {"hidden_dims": (500, 500), "latent_dim": 40},
        "base": {"hidden_dims": (1000, 1000), "latent_dim": 64},
    }

    latent_dim: int = Field(40, ge=1, description="Latent dimensions, numbers of a code.")
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="Channels of each convolution stage, which halves the picture; none: a dense network."
    )
    hidden_dims: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (500, 500),
        description="Units of each dense layer from the picture, or the last stage, to the code; the decoder "
        "mirrors them.",
    )
    activation: Activation = Field("relu", description="The function between layers.")
    likelihood: PixelLikelihoodName = Field(
        "bernoulli",
        description="p(x|z): bernoulli, of pixels binarised anew at each draw; discretised, a logistic over "
        "the stored levels; gaussian, a density.",
    )
    variance: float | None = Field(
        None,
        gt=0,
        description="Variance of the gaussian likelihood where pixels span [-1, 1]; learned if null.",
    )
    beta: float = Field(1.0, ge=0, description="Weight of the KL term; 1 is the evidence lower bound.")
    free_bits: float = Field(
        0.0,
        ge=0,
        description="Bits that each latent dimension may use at no cost, against collapse; 0 is off.",
    )

    def remedies(
        self,
        cause: Cause,
        training: TrainingConfig,
        players: Mapping[str, PlayerConfig],
        data: DataConfig,
        kind: str,
    ) -> Iterator[Remedy]:
        del cause, training, players, data, kind
        if self.beta > 1:
            yield Remedy(settings={"model.beta": 1.0}, why="the KL term weighed more than the bound asks for")
        if not self.free_bits:
            yield Remedy(
                settings={"model.free_bits": _FREE_BITS},
                why="each latent dimension may say so much at no cost (Kingma et al. 2016)",
            )

    @field_validator("variance")
    @classmethod
    def _fits_likelihood(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("likelihood") in ("bernoulli", "discretised"):
            raise ValueError("has no effect without likelihood: gaussian")
        return value


class VAE(LatentPosterior):
    """Pictures to distributions over codes and back.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data are no pictures, or too small for the stages.
    """

    def __init__(self, config: VAEConfig, spec: DataSpec) -> None:
        super().__init__()
        self.image_shape = require_pictures(spec, config.family, num_halvings=len(config.channels))
        self.latent_dim = config.latent_dim
        self.beta = config.beta
        self.free_nats = config.free_bits * math.log(2)
        self.pixel_likelihood = pixel_likelihood(config.likelihood, spec.num_levels, config.variance)
        self.likelihood = self.pixel_likelihood.form
        self.encoder = PictureEncoder(
            self.image_shape, config.channels, config.hidden_dims, 2 * config.latent_dim, config.activation
        )
        channels, height, width = self.image_shape
        output_shape = (self.pixel_likelihood.outputs_per_channel * channels, height, width)
        self.decoder = PictureDecoder(
            config.latent_dim, config.hidden_dims, config.channels, output_shape, config.activation
        )

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """-log p(x|z) + beta KL, one draw of z per picture.

        Returns:
            "loss"; "reconstruction_nats", the mean of -log p(x|z); "kl_nats", the mean KL divergence itself,
            whatever beta and the free bits make of it in the loss.
        """
        assert player in self.players
        log_likelihood, mean, log_variance = self._reconstruct(batch["images"], generator)
        reconstruction = -log_likelihood.mean()
        kl = gaussian_kl(mean, log_variance).mean()
        charged = gaussian_kl(mean, log_variance, free_nats=self.free_nats).mean() if self.free_nats else kl
        return {
            "loss": reconstruction + self.beta * charged,
            "reconstruction_nats": reconstruction.detach(),
            "kl_nats": kl.detach(),
        }

    @torch.no_grad()
    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """The loss and its parts, and "nll_nats": the importance-weighted bound with a few samples."""
        report = self.loss(batch, self.players[0], generator)
        bound = self.log_likelihood(batch["images"], generator, _VALIDATION_IMPORTANCE_SAMPLES)
        return {**report, "nll_nats": -bound.mean()}

    @torch.no_grad()
    def sample(self, num_samples: int, generator: BatchGenerator, conditions: Batch | None = None) -> Tensor:
        del conditions
        codes = generator.normal(self.latent_dim).to(self.dtype)
        if len(codes) != num_samples:
            raise ValueError(f"{num_samples} samples asked of a generator of {len(codes)} rows")
        return self.decode(codes)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """The mean of q(z|x), (B, L); with a Bernoulli likelihood grey values are encoded as they are."""
        return self.posterior(images)[0]

    @torch.no_grad()
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), (B, L) each; grey values as they are, as in `encode`."""
        return self._posterior(self.pixel_likelihood.scale(require_shape(images, self.image_shape)))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """The mean of p(x|z); of a Bernoulli likelihood, each pixel's probability to be on as grey value."""
        return self.pixel_likelihood.mean(self.decoder(require_shape(codes, (self.latent_dim,))))

    @torch.no_grad()
    def observe(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        observed = self.pixel_likelihood.observe(require_shape(images, self.image_shape), generator)
        return self.pixel_likelihood.unscale(observed)

    @torch.no_grad()
    def elbo(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """E_q[log p(x|z)] - KL in nats, (B,): one draw of z, the exact KL term, no beta and no free bits."""
        log_likelihood, mean, log_variance = self._reconstruct(images, generator)
        return log_likelihood - gaussian_kl(mean, log_variance)

    @torch.no_grad()
    def log_likelihood(
        self, images: Tensor, generator: BatchGenerator, num_importance_samples: int
    ) -> Tensor:
        """The importance-weighted lower bound on log p(x) in nats (objectives/elbo.py)."""
        pixels = self.pixel_likelihood.observe(require_shape(images, self.image_shape), generator)
        mean, log_variance = (part[:, None] for part in self._posterior(pixels))  # (B, 1, L)
        deviation = torch.exp(0.5 * log_variance)
        chunk = max(1, _CHUNK_NUMBERS // pixels.numel())
        log_weights = []
        for start in range(0, num_importance_samples, chunk):
            size = min(chunk, num_importance_samples - start)
            noise = generator.normal(size, self.latent_dim).to(mean.dtype)  # (B, S, L)
            codes = mean + deviation * noise
            output = self.decoder(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])  # (B, S, C, H, W)
            log_weights.append(
                self.pixel_likelihood.log_prob(output, pixels[:, None])
                + log_prior_over_posterior(codes, noise, log_variance)
            )
        return importance_weighted_bound(torch.cat(log_weights, dim=1))

    def _reconstruct(self, images: Tensor, generator: BatchGenerator) -> tuple[Tensor, Tensor, Tensor]:
        """log p(x|z) at one draw of z, (B,), with the posterior's mean and log-variance, each (B, L)."""
        pixels = self.pixel_likelihood.observe(require_shape(images, self.image_shape), generator)
        mean, log_variance = self._posterior(pixels)
        noise = generator.normal(self.latent_dim).to(mean.dtype)
        codes = mean + torch.exp(0.5 * log_variance) * noise
        # Under autocast the sum over pixels needs more digits than the decoder's output has.
        output = self.decoder(codes).to(pixels.dtype)
        return self.pixel_likelihood.log_prob(output, pixels), mean, log_variance

    def _posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each (B, L), in the pixels' number format."""
        mean, log_variance = self.encoder(pixels).to(pixels.dtype).chunk(2, dim=1)
        return mean, log_variance


FAMILY = Family(
    name="vae",
    config=VAEConfig,
    build=VAE,
    traits=frozenset({"gradient", "samples", "likelihood", "encodes"}),
    collapses="posterior",
)
