"""The generative adversarial network: a generator that draws, and a critic that tells what it drew from data.

Two players in turn: the critic lowers `critic_loss` on real and generated samples, the generator lowers
`generator_loss` on the critic's scores (objectives/adversarial.py has the losses). What keeps them from
running apart or collapsing is in the recipe: penalties on the critic's gradient, limits on its weights, what
it sees of a batch, noise and augmentation of what it is shown (gan_config.py).

Source: Goodfellow et al. 2014, "Generative Adversarial Nets"; the networks: Radford et al. 2016 (DCGAN); each
setting names its own source.
Departures: the critic has no sigmoid; unrolled steps are plain gradient steps, of all that the critic
lowers; what is validated is the distance of samples from held-out ones, since neither player's loss says how
good they are.

Legend of shapes: B batch, L numbers of noise, F features, P projections.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator, stream
from creuset.errors import UsageError
from creuset.layers.critic import Critic
from creuset.layers.differentiable_augmentation import augmented
from creuset.layers.generator import Generator
from creuset.layers.spectral_norm import follow_weights
from creuset.models.base import Batch, Family
from creuset.models.gan_config import GANConfig
from creuset.models.requirements import require_classes, require_kind, require_shape
from creuset.models.watched import Adversary
from creuset.objectives.adversarial import (
    OF_DIFFERENCES,
    critic_loss,
    generator_loss,
)
from creuset.objectives.gradient_penalty import squared_gradient, wasserstein_gradient_penalty
from creuset.objectives.sample_distances import chamfer_distance, sliced_wasserstein

_VALIDATION_GROUP = 500
"""Samples whose distance from as many generated ones is measured at once: fewer are far from each other."""
_PROJECTIONS = 128
_CHUNK = 500
"""Samples drawn at once."""


Weights = dict[str, Tensor]
"""Parameters and buffers of a critic by name."""


class GAN(Adversary):
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
        hidden_dims, channels = config.layers_of(spec.shape)
        _require_halves(spec, len(channels))
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
        self.generator: Generator = Generator(
            config.latent_dim,
            spec.shape,
            hidden_dims,
            channels,
            norm=config.generator_norm,
            activation=config.activation,
            num_classes=self.num_classes,
        )
        self.critic: Critic = Critic(
            spec.shape,
            hidden_dims,
            channels,
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

    @property
    def judged_together(self) -> int:
        return self.critic.pack * max(1, self.critic.group)

    @property
    def judges_by_batch(self) -> bool:
        return self.critic.likeness is not None

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
        """Cuts the critic's weights where the loss is wgan; its spectral norms follow its weights."""
        if player != "critic":
            return
        if self.objective.name == "wgan":
            with torch.no_grad():
                for parameter in self.critic.parameters():
                    parameter.clamp_(-self.objective.clip_weights, self.objective.clip_weights)
        follow_weights(self.critic)

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """What `player` lowers.

        Returns:
            "loss"; of the critic "accuracy", in how many pairs the real sample's score is the higher one, and
            each penalty of this step, without its weight: "gradient_penalty", "r1", "r2"; of the generator
            "feature_distance".
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
        real, fake = self._shown(real, generator).detach(), self._shown(fake, generator).detach()
        loss, parts = self._critic_objective(real, fake, labels, generator)
        return {"loss": loss, **{name: value.detach() for name, value in parts.items()}}

    def _critic_objective(
        self,
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None,
        generator: BatchGenerator,
        weights: Weights | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the critic lowers, and parts of it, as a function of other weights where some are given."""
        objective = self.objective
        r1, r2 = (weight * self._penalty_factor for weight in objective.squared)
        real, fake = _followed(real, r1 > 0), _followed(fake, r2 > 0)
        real_scores, fake_scores = (self._scores(samples, labels, weights) for samples in (real, fake))
        target = 1 - objective.label_smoothing
        loss = critic_loss(objective.name, real_scores, fake_scores, real_target=target).mean()
        parts = {"accuracy": (real_scores > fake_scores).to(loss.dtype).mean()}
        if objective.name == "wgan_gp":
            places = generator.uniform()[:: self.critic.pack].to(real.dtype)
            parts["gradient_penalty"] = wasserstein_gradient_penalty(
                lambda between: self._scores(between, labels, weights), real, fake, places
            ).mean()
            loss = loss + objective.penalty_weight * parts["gradient_penalty"]
        for name, weight, scores, samples in (
            ("r1", r1, real_scores, real),
            ("r2", r2, fake_scores, fake),
        ):
            if weight > 0:
                parts[name] = squared_gradient(scores, samples).mean()
                loss = loss + weight * parts[name]
        return loss, parts

    def _generator_loss(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, generator: BatchGenerator
    ) -> dict[str, Tensor]:
        objective = self.objective
        real, fake = self._shown(real, generator), self._shown(fake, generator)
        weights = self._unrolled(real, fake, labels, generator) if objective.unrolled_steps else None
        fake_scores = self._scores(fake, labels, weights)
        real_scores = self._scores(real, labels, weights) if objective.name == "relativistic" else None
        loss = generator_loss(objective.name, fake_scores, real_scores).mean()
        if not objective.feature_matching:
            return {"loss": loss}
        apart = self.critic.features(real).detach().mean(0) - self.critic.features(fake).mean(0)
        distance = apart.square().sum()
        return {"loss": loss + objective.feature_matching * distance, "feature_distance": distance.detach()}

    def _unrolled(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, generator: BatchGenerator
    ) -> Weights:
        """The critic's weights after a few steps of its own, as a function of the generator's samples.

        Beside them copies of its buffers: running statistics of its batch norms follow its own updates alone.
        """
        objective = self.objective
        weights = {name: value.detach().requires_grad_() for name, value in self.critic.named_parameters()}
        buffers = {name: value.clone() for name, value in self.critic.named_buffers()}
        for _ in range(objective.unrolled_steps):
            loss, _ = self._critic_objective(real, fake, labels, generator, {**weights, **buffers})
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights = {
                name: value - objective.unrolled_learning_rate * gradient
                for (name, value), gradient in zip(weights.items(), gradients, strict=True)
            }
            if objective.name == "wgan":
                bound = objective.clip_weights
                weights = {name: value.clamp(-bound, bound) for name, value in weights.items()}
        return {**weights, **buffers}

    def _scores(self, samples: Tensor, labels: Tensor | None, weights: Weights | None = None) -> Tensor:
        """The critic's scores in the samples' number format, with other weights where some are given."""
        if weights is None:
            scores: Tensor = self.critic(samples, labels)
        else:
            scores = functional_call(self.critic, weights, (samples, labels))
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
        groups = zip(torch.split(real, _VALIDATION_GROUP), torch.split(fake, _VALIDATION_GROUP), strict=True)
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


def _followed(samples: Tensor, wanted: bool) -> Tensor:
    """Samples that gradients can be taken by, where they are `wanted`."""
    return samples if samples.requires_grad or not wanted else samples.detach().requires_grad_()


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


FAMILY = Family(
    name="gan",
    config=GANConfig,
    build=GAN,
    traits=frozenset({"gradient", "samples"}),
    collapses="samples",
)
