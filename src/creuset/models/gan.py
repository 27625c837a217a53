"""The generative adversarial network: a generator that draws, and a critic that tells what it drew from data.

Two players in turn: the critic lowers `critic_loss` on real and generated samples, the generator lowers
`generator_loss` on the critic's scores (objectives/adversarial.py has the losses). What keeps them from
running apart or collapsing is in the recipe: penalties on the critic's gradient, limits on its weights, what
it sees of a batch, noise and augmentation of what it is shown (`GANObjective`, `GANConfig`).

Source: Goodfellow et al. 2014, "Generative Adversarial Nets"; the networks: Radford et al. 2016 (DCGAN); each
setting names its own source.
Departures: the critic has no sigmoid; unrolled steps are plain gradient steps; what is validated is the
distance of samples from held-out ones, since neither player's loss says how good they are.

Legend of shapes: B batch, L numbers of noise, F features, P projections.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.func import functional_call

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator, stream
from creuset.errors import UsageError
from creuset.layers.critic import Critic
from creuset.layers.differentiable_augmentation import DifferentiableAugmentation, augmented
from creuset.layers.feedforward import Activation
from creuset.layers.generator import AdversarialNorm, Generator
from creuset.models.base import Batch, Condition, Family, Model
from creuset.models.requirements import require_classes, require_kind, require_shape
from creuset.objectives.adversarial import (
    OF_DIFFERENCES,
    SMOOTHED,
    AdversarialName,
    critic_loss,
    generator_loss,
)
from creuset.objectives.gradient_penalty import squared_gradient, wasserstein_gradient_penalty
from creuset.objectives.sample_distances import chamfer_distance, sliced_wasserstein
from creuset.recipe.sections import DataConfig, FamilyConfig, Section

_VALIDATION_GROUP = 500
"""Samples whose distance from as many generated ones is measured at once: fewer are far from each other."""
_PROJECTIONS = 128
_CHUNK = 500
"""Samples drawn at once."""


class GANObjective(Section):
    """The `objective` section of a GAN: what the players lower, and what steadies the critic."""

    name: AdversarialName = Field(
        "relativistic",
        description="The loss: minimax, non_saturating, lsgan, wgan (weights clipped), wgan_gp (gradient "
        "penalty), hinge, or relativistic (each generated sample against a real one).",
    )
    penalty_weight: float = Field(
        10.0, ge=0, description="Of wgan_gp: weight of (|gradient| - 1)^2 between real and generated samples."
    )
    clip_weights: float = Field(
        0.01, gt=0, description="Of wgan: the critic's weights are cut to [-this, this] after each update."
    )
    r1: float | None = Field(
        None,
        ge=0,
        description="Weight of |gradient|^2 / 2 at real samples (Mescheder et al. 2018); 0 is off. Default: "
        "1 for relativistic, else 0.",
    )
    r2: float | None = Field(None, ge=0, description="The same at generated samples.")
    penalty_every: int = Field(
        1,
        ge=1,
        description="Training steps between those with r1 and r2, whose weight is multiplied by as much "
        "(Karras et al. 2020).",
    )
    final_penalty: float = Field(
        1.0,
        ge=0,
        description="Share of r1 and r2 in the last step, reached along half a cosine (Huang et al. 2024).",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="Real samples are to be told as 1 minus this (Salimans et al. 2016); of minimax, "
        "non_saturating and lsgan.",
    )
    instance_noise: float = Field(
        0.0,
        ge=0,
        description="Standard deviation of the noise added to all that the critic sees in the first step; "
        "falls to 0 along a line (Sonderby et al. 2017).",
    )
    augment: tuple[DifferentiableAugmentation, ...] = Field(
        (), description="Random changes to all pictures that the critic sees: DiffAugment (Zhao et al. 2020)."
    )
    feature_matching: float = Field(
        0.0,
        ge=0,
        description="Weight, in the generator's loss, of the squared distance between the critic's mean "
        "features of real and of generated samples (Salimans et al. 2016).",
    )
    unrolled_steps: int = Field(
        0,
        ge=0,
        le=20,
        description="Steps that the critic is looked ahead for the generator's update (Metz et al. 2017).",
    )
    unrolled_learning_rate: float = Field(
        0.01, gt=0, description="Of these steps, plain gradient descent on the same batch."
    )

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        fields = type(self).model_fields
        only_with = {
            "penalty_weight": (self.name == "wgan_gp", "is for wgan_gp"),
            "clip_weights": (self.name == "wgan", "is for wgan"),
            "label_smoothing": (
                self.name in SMOOTHED,
                f"has no effect on {self.name}, whose critic has no target for real samples; it is for "
                f"{', '.join(SMOOTHED)}",
            ),
            "penalty_every": (sum(self.squared) > 0, "has no effect without r1 or r2"),
            "final_penalty": (sum(self.squared) > 0, "has no effect without r1 or r2"),
            "unrolled_learning_rate": (self.unrolled_steps > 0, "has no effect without unrolled_steps"),
        }
        for name, (fits, message) in only_with.items():
            if not fits and getattr(self, name) != fields[name].default:
                raise ValueError(f"{name} {message}; leave the key out")
        return self

    @property
    def squared(self) -> tuple[float, float]:
        """The weights of R1 and R2."""
        usual = 1.0 if self.name == "relativistic" else 0.0
        return usual if self.r1 is None else self.r1, usual if self.r2 is None else self.r2

    @property
    def penalises_gradients(self) -> bool:
        """Whether the critic's loss holds its gradient by each sample."""
        return self.name == "wgan_gp" or sum(self.squared) > 0


class GANConfig(FamilyConfig):
    """The `model` section of a GAN."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"latent_dim": 16, "hidden_dims": (64, 64)},
        "small": {"latent_dim": 64, "hidden_dims": (128, 128, 128)},
        "base": {"latent_dim": 128, "hidden_dims": (512, 512, 512)},
    }
    own_sections: ClassVar[tuple[str, ...]] = ("objective",)

    latent_dim: int = Field(64, ge=1, description="Numbers of noise that a sample is made of.")
    hidden_dims: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (128, 128, 128),
        description="Units of each hidden dense layer, of generator and critic; behind the critic's maps.",
    )
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description="Channels of each map, from the picture to the smallest; each is half as high and wide. "
        "None: dense networks.",
    )
    activation: Activation = Field("relu", description="Between the generator's layers.")
    generator_norm: AdversarialNorm = Field("none", description="What follows the generator's layers.")
    critic_norm: AdversarialNorm = Field(
        "none", description="What follows the critic's layers but the first; batch excludes penalties."
    )
    spectral_norm: bool = Field(
        False, description="Divide each of the critic's weights by its largest singular value."
    )
    minibatch_kernels: int = Field(
        0,
        ge=0,
        description="Numbers that tell the critic how like a sample is to the others of its batch: minibatch "
        "discrimination (Salimans et al. 2016); 0 is off.",
    )
    minibatch_group: int = Field(
        0,
        ge=0,
        description="Samples whose spread the critic sees: minibatch standard deviation (Karras et al. "
        "2018); 0 is off.",
    )
    pack: int = Field(
        1, ge=1, le=8, description="Samples that the critic judges together: PacGAN (Lin et al. 2018)."
    )
    condition: Condition = Field("none", description="What samples can be asked for: none, or class.")
    objective: GANObjective = Field(GANObjective(), description="What the players lower.")

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        penalised = self.objective.penalises_gradients
        if self.critic_norm == "batch" and penalised:
            raise ValueError(
                "critic_norm: batch mixes the samples of a batch, and a gradient penalty is of each sample "
                "by itself; take none or group, or leave the penalty out"
            )
        if self.condition == "text":
            raise ValueError("condition: a GAN can be asked for a class, not for a text; take class or none")
        if self.condition == "class" and self.pack > 1:
            raise ValueError("pack joins samples of unlike classes; leave it out, or condition: class")
        if self.minibatch_group == 1:
            raise ValueError("minibatch_group of one sample has no spread; take 2 or more, or 0 for none")
        return self

    def refusals(self, data: DataConfig) -> Mapping[str, str]:
        size = data.batch_size
        found = {}
        if size % self.pack:
            found["model.pack"] = f"must divide data.batch_size ({size}), got {self.pack}"
        elif self.minibatch_group and (size // self.pack) % self.minibatch_group:
            packs = "" if self.pack == 1 else f" in packs of {self.pack}"
            found["model.minibatch_group"] = (
                f"must divide data.batch_size ({size}{packs}), got {self.minibatch_group}"
            )
        return found


class GAN(Model):
    """A generator and its critic.

    Args:
        config: The recipe's section.
        spec: The form of the data: pictures or a table.

    Raises:
        UsageError: Other data, pictures that do not halve so often, or no labels where a class is asked for.
    """

    players = ("critic", "generator")
    validation_group = _VALIDATION_GROUP

    def __init__(self, config: GANConfig, spec: DataSpec) -> None:
        super().__init__()
        require_kind(spec, config.family, "images", "table")
        _require_halves(spec, len(config.channels))
        self.objective, self.condition = config.objective, config.condition
        if config.objective.augment and spec.kind != "images":
            raise UsageError(
                "only pictures can be augmented",
                where="objective.augment",
                got=", ".join(config.objective.augment),
                expected="nothing for a table",
                next_step="remove objective.augment",
            )
        self.latent_dim, self.num_classes = config.latent_dim, 0
        if config.condition == "class":
            self.num_classes = require_classes(spec, "a class-conditional GAN")
        self.generator = Generator(
            config.latent_dim,
            spec.shape,
            config.hidden_dims,
            config.channels,
            norm=config.generator_norm,
            activation=config.activation,
            num_classes=self.num_classes,
        )
        self.critic = Critic(
            spec.shape,
            config.hidden_dims,
            config.channels,
            norm=config.critic_norm,
            spectral=config.spectral_norm,
            num_kernels=config.minibatch_kernels,
            group=config.minibatch_group,
            pack=config.pack,
            num_classes=self.num_classes,
            bias=config.objective.name not in OF_DIFFERENCES,
        )
        self.couples_samples = (
            "batch" in (config.generator_norm, config.critic_norm)
            or config.minibatch_kernels > 0
            or config.minibatch_group > 0
            or config.pack > 1
            or config.objective.feature_matching > 0
            or config.objective.unrolled_steps > 0
        )
        self.begin_step(0, 1)

    def player_parameters(self, player: str) -> Iterator[tuple[str, nn.Parameter]]:
        for name, parameter in self.named_parameters():
            if name.startswith(f"{player}."):
                yield name, parameter

    def begin_step(self, step: int, num_steps: int) -> None:
        """Sets the weight of the penalties and the noise of this step."""
        share, objective = step / num_steps, self.objective
        annealed = (
            objective.final_penalty + (1 - objective.final_penalty) * (1 + math.cos(math.pi * share)) / 2
        )
        due = step % objective.penalty_every == 0
        self._penalty_factor = annealed * objective.penalty_every if due else 0.0
        self._noise = objective.instance_noise * (1 - share)

    def end_update(self, player: str) -> None:
        """Cuts the critic's weights where the loss is wgan."""
        if player == "critic" and self.objective.name == "wgan":
            with torch.no_grad():
                for parameter in self.critic.parameters():
                    parameter.clamp_(-self.objective.clip_weights, self.objective.clip_weights)

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """What `player` lowers.

        Returns:
            "loss"; of the critic "accuracy", in how many pairs the real sample's score is the higher one, and
            each penalty, without its weight: "gradient_penalty", "r1", "r2", 0 in a step without one; of the
            generator "feature_distance".
        """
        real, labels = self._samples(batch), batch.get("labels") if self.num_classes else None
        noise = generator.normal(self.latent_dim).to(real.dtype)
        if player == "critic":
            with torch.no_grad():
                fake = self.generator(noise, labels).to(real.dtype)
            return self._critic_loss(real, fake, labels, generator)
        fake = self.generator(noise, labels).to(real.dtype)
        return self._generator_loss(real, fake, labels, generator)

    def _critic_loss(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, generator: BatchGenerator
    ) -> dict[str, Tensor]:
        objective = self.objective
        real, fake = self._shown(real, generator).detach(), self._shown(fake, generator).detach()
        r1, r2 = (weight * self._penalty_factor for weight in objective.squared)
        real.requires_grad_(r1 > 0)
        fake.requires_grad_(r2 > 0)
        real_scores, fake_scores = (
            self._scores(self.critic, real, labels),
            self._scores(self.critic, fake, labels),
        )
        target = 1 - objective.label_smoothing
        loss = critic_loss(objective.name, real_scores, fake_scores, real_target=target).mean()
        parts = {"accuracy": (real_scores > fake_scores).to(loss.dtype).mean()}
        if objective.name == "wgan_gp":
            weights = generator.uniform().to(real.dtype)
            penalty = wasserstein_gradient_penalty(
                lambda between: self._scores(self.critic, between, labels), real, fake, weights
            ).mean()
            loss = loss + objective.penalty_weight * penalty
            parts["gradient_penalty"] = penalty
        seen = {"r1": (r1, real_scores, real), "r2": (r2, fake_scores, fake)}
        for (name, (weight, scores, samples)), asked in zip(seen.items(), objective.squared, strict=True):
            if weight > 0:
                parts[name] = squared_gradient(scores, samples).mean()
                loss = loss + weight * parts[name]
            elif asked > 0:  # not in this step
                parts[name] = loss.new_zeros(())
        return {"loss": loss, **{name: value.detach() for name, value in parts.items()}}

    def _generator_loss(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, generator: BatchGenerator
    ) -> dict[str, Tensor]:
        objective = self.objective
        real, fake = self._shown(real, generator), self._shown(fake, generator)
        weights = self._unrolled(real, fake, labels) if objective.unrolled_steps else None
        fake_scores = self._scores(self.critic, fake, labels, weights)
        real_scores = None
        if objective.name == "relativistic":
            real_scores = self._scores(self.critic, real, labels, weights)
        loss = generator_loss(objective.name, fake_scores, real_scores).mean()
        if not objective.feature_matching:
            return {"loss": loss}
        apart = self.critic.features(real).detach().mean(0) - self.critic.features(fake).mean(0)
        distance = apart.square().sum()
        return {"loss": loss + objective.feature_matching * distance, "feature_distance": distance.detach()}

    def _unrolled(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """The critic's weights after a few steps of its own, as a function of the generator's samples."""
        weights = {name: value.detach().requires_grad_() for name, value in self.critic.named_parameters()}
        target = 1 - self.objective.label_smoothing
        for _ in range(self.objective.unrolled_steps):
            scores = (self._scores(self.critic, samples, labels, weights) for samples in (real, fake))
            loss = critic_loss(self.objective.name, *scores, real_target=target).mean()
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            rate = self.objective.unrolled_learning_rate
            weights = {
                name: value - rate * gradient
                for (name, value), gradient in zip(weights.items(), gradients, strict=True)
            }
        return weights

    @staticmethod
    def _scores(
        critic: Critic, samples: Tensor, labels: Tensor | None, weights: dict[str, Tensor] | None = None
    ) -> Tensor:
        """The critic's scores in the samples' number format, with other weights where some are given."""
        if weights is None:
            scores: Tensor = critic(samples, labels)
        else:
            scores = functional_call(critic, weights, (samples, labels))
        return scores.to(samples.dtype)

    def _shown(self, samples: Tensor, generator: BatchGenerator) -> Tensor:
        """What the critic is shown of samples: augmented, and with the noise of this step."""
        if self.objective.augment:
            samples = augmented(samples, self.objective.augment, generator)
        if self._noise:
            samples = samples + self._noise * generator.normal(*samples.shape[1:]).to(samples.dtype)
        return samples

    @torch.no_grad()
    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """As "loss" how far generated samples are from as many held-out ones, in groups of 500.

        Of pictures the sliced Wasserstein distance; of rows the Chamfer distance, which tells narrow modes.
        """
        real = self._samples(batch)
        fake = self.sample(len(real), generator, batch if self.num_classes else None)
        groups = zip(real.split(_VALIDATION_GROUP), fake.split(_VALIDATION_GROUP), strict=True)
        total = sum(len(held_out) * self._distance(held_out, drawn) for held_out, drawn in groups)
        return {"loss": torch.as_tensor(total) / len(real)}

    def _distance(self, real: Tensor, fake: Tensor) -> Tensor:
        if real.ndim == 2:
            return chamfer_distance(real, fake)
        directions = torch.randn(
            real[0].numel(),
            _PROJECTIONS,
            generator=stream(0, "projections", device=real.device),
            device=real.device,
        )
        return sliced_wasserstein(real.flatten(1), fake.flatten(1), directions.to(real.dtype))

    def _samples(self, batch: Batch) -> Tensor:
        samples = batch["images"] if "images" in batch else batch["features"]
        return require_shape(samples, self.generator.output_shape)

    @torch.no_grad()
    def sample(self, num_samples: int, generator: BatchGenerator, conditions: Batch | None = None) -> Tensor:
        noise = generator.normal(self.latent_dim).to(self.dtype)
        if len(noise) != num_samples:
            raise ValueError(f"{num_samples} samples asked of a generator of {len(noise)} rows")
        labels = None
        if self.num_classes:
            drawn = generator.integers(self.num_classes)
            labels = drawn if conditions is None else conditions["labels"]
        parts = [
            self.generator(
                noise[start : start + _CHUNK], None if labels is None else labels[start : start + _CHUNK]
            )
            for start in range(0, num_samples, _CHUNK)
        ]
        return torch.cat(parts)


def _require_halves(spec: DataSpec, num_halvings: int) -> None:
    """UsageError for pictures whose sides cannot be halved so often, or for maps of a table."""
    if not num_halvings:
        return
    if spec.kind != "images":
        raise UsageError(
            "only pictures have maps",
            where="model.channels",
            got="a table",
            next_step="remove model.channels",
        )
    factor = 2**num_halvings
    if any(side % factor for side in spec.shape[1:]):
        deepest = min((side & -side).bit_length() - 1 for side in spec.shape[1:])
        raise UsageError(
            "pictures of a size that cannot be halved so often",
            where="model.channels",
            got=f"{spec.shape[1]} x {spec.shape[2]} pixels, {num_halvings} maps",
            expected=f"sides that are multiples of {factor}",
            next_step=f"give model.channels at most {deepest} numbers, or pictures of another size",
        )


FAMILY = Family(name="gan", config=GANConfig, build=GAN, traits=frozenset({"gradient", "samples"}))
