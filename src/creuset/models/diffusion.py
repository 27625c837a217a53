"""Denoising diffusion: noise is added to the data step by step, and a network learns to see through it.

    loss = mean over the batch of  |network(x_t, t) - target|^2 / D,   x_t = alpha_t x + sigma_t noise

with the noise, the data or v as target (objectives/denoising.py), t any of num_timesteps steps; or of
pictures with few levels the cross entropy of each pixel's level (level_posterior.py). Samples go
back from noise by ddpm, ddim or dpm_solver (samplers/diffusion.py), in as many steps or in fewer. The
likelihood is the variational bound of the ddpm chain (variational_bound.py).

Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models"; guidance: Ho & Salimans 2022.
Departures: times divide a batch's range evenly; each prediction's own squared error is its loss, whatever
the step; samples begin at the last step that holds more of the data than a trace (`noisiest_step`).

Legend of shapes: B batch, ... the axes of a sample: (C, H, W) or (F,), D its numbers, T steps, S draws.
"""

from collections.abc import Callable
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.base import Batch, Family, Likelihood, model_inputs
from creuset.models.denoiser import DenoiserConfig, NoiseToData, spread_times
from creuset.models.dequantisation import nearest_levels
from creuset.models.level_posterior import (
    LevelDenoiser,
    level_log_probs,
    level_nats,
    level_path_log_weight,
    mean_level,
)
from creuset.models.requirements import require_shape
from creuset.models.variational_bound import chain_steps, path_log_weight, variational_bound
from creuset.objectives.denoising import Prediction, data_of, disturbed, prediction_target
from creuset.objectives.elbo import importance_weighted_bound
from creuset.objectives.reconstruction import squared_error
from creuset.samplers import diffusion as samplers
from creuset.samplers.noise_schedule import (
    NoiseLevels,
    ScheduleName,
    noise_levels,
    noisiest_step,
    spaced_steps,
)
from creuset.samplers.row_noise import RowNoise


class DiffusionConfig(DenoiserConfig):
    """The `model` section of a diffusion."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        size: {**fields, "num_likelihood_steps": 20 if size == "tiny" else 100}
        for size, fields in DenoiserConfig.sizes.items()
    }

    num_timesteps: int = Field(1000, ge=50, description="Steps in which noise is added.")
    schedule: ScheduleName = Field(
        "cosine",
        description="How noise grows with the steps: linear (in its variance, as in DDPM) or cosine (slower "
        "at both ends).",
    )
    prediction: Prediction | Literal["levels"] = Field(
        "v",
        description="What the network says: epsilon (the noise), x0 (the data), v (between both), or levels "
        "(how likely each level of each pixel is: the nearest bound for pictures of few levels).",
    )
    sampler: samplers.SamplerName = Field(
        "ddim",
        description="How samples come back from noise: ddpm (by chance, needs many steps), ddim (order 1) or "
        "dpm_solver (order 2).",
    )
    num_sampling_steps: int = Field(50, ge=1, description="Steps from noise to a sample, of num_timesteps.")
    eta: float = Field(
        0.0, ge=0, le=1, description="Share of chance in ddim; 0 decides all by the first noise, 1 is ddpm."
    )
    num_likelihood_steps: int = Field(
        100, ge=3, description="Steps of the chain whose likelihood is bounded, of num_timesteps at most."
    )

    @model_validator(mode="after")
    def _samplers_fit(self) -> Self:
        if self.sampler != "ddim" and self.eta != 0:
            raise ValueError(f"eta has no effect on {self.sampler}: it belongs to sampler: ddim")
        for name in ("num_sampling_steps", "num_likelihood_steps"):
            steps = self.num_sampling_steps if name == "num_sampling_steps" else self.num_likelihood_steps
            if steps > self.num_timesteps:
                raise ValueError(f"{name} ({steps}) can be at most num_timesteps ({self.num_timesteps})")
        if self.sampler == "dpm_solver" and self.num_sampling_steps < 3:
            raise ValueError(
                "num_sampling_steps must be at least 3 for dpm_solver: its first and its last step are those "
                "of ddim"
            )
        return self


class Diffusion(NoiseToData):
    """Noise to samples by a learned denoiser.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: See `NoiseToData`; also for a table whose noise is predicted on the cosine schedule.
    """

    alphas: Tensor
    sigmas: Tensor

    def __init__(self, config: DiffusionConfig, spec: DataSpec) -> None:
        _require_telling(config, spec)
        super().__init__(config, spec, spec.num_levels if config.prediction == "levels" else 1)
        self.prediction = config.prediction
        self.sampler, self.eta = config.sampler, config.eta
        self.num_timesteps = config.num_timesteps
        self.levels = noise_levels(config.schedule, config.num_timesteps)
        self.register_buffer("alphas", self.levels.alpha.float(), persistent=False)  # (T + 1,)
        self.register_buffer("sigmas", self.levels.sigma.float(), persistent=False)  # (T + 1,)
        self.sampling_steps = spaced_steps(noisiest_step(self.levels), config.num_sampling_steps)
        self.likelihood_steps = chain_steps(self.levels, config.num_likelihood_steps, spec.num_levels)
        self.likelihood = Likelihood(num_levels=self.num_levels, bound=True)

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """The squared error of what is predicted, the mean over numbers and samples, no unit; of levels the
        cross entropy, in nats a pixel."""
        assert player in self.players
        data = require_shape(model_inputs(batch), self.shape)
        noise = generator.normal(*self.shape).to(data.dtype)
        steps = 1 + (spread_times(generator) * self.num_timesteps).long()  # (B,), 1 to T
        alpha, sigma = (table[steps].view(-1, *[1] * (data.ndim - 1)) for table in (self.alphas, self.sigmas))
        x = disturbed(data, noise, alpha, sigma)
        asked = self.denoiser.trained(batch, generator)
        said = self.denoiser(x, (steps / self.num_timesteps).to(data.dtype), asked)
        if self.prediction == "levels":
            nats = level_nats(level_log_probs(said, x, alpha, sigma), nearest_levels(data, self.num_levels))
            return {"loss": nats.mean()}
        target = prediction_target(self.prediction, data, noise, alpha, sigma)
        return {"loss": squared_error(said, target).mean()}

    @torch.no_grad()
    def sample(self, num_samples: int, generator: BatchGenerator, conditions: Batch | None = None) -> Tensor:
        x = generator.normal(*self.shape).to(self.dtype)
        predict = self.denoiser.steered(conditions, num_samples, generator)
        levels, denoise = self._chain(self.sampling_steps, predict)
        if self.sampler == "dpm_solver":
            drawn = samplers.dpm_solver(denoise, x, levels)
        elif self.sampler == "ddim" and self.eta == 0:
            drawn = samplers.ddim(denoise, x, levels)
        else:
            noise = self._noise(generator)
            if self.sampler == "ddim":
                drawn = samplers.ddim(denoise, x, levels, eta=self.eta, noise=noise)
            else:
                drawn = samplers.ddpm(denoise, x, levels, noise)
        return drawn.clamp(-1, 1) if self.num_levels else drawn

    @torch.no_grad()
    def log_likelihood(
        self, images: Tensor, generator: BatchGenerator, num_importance_samples: int
    ) -> Tensor:
        """A lower bound on log P(levels) of pictures, or log p of rows, by S paths, in nats, (B,)."""
        inputs = self.observe(images, generator)
        noise = self._noise(generator)
        weights = [self._path(inputs, noise) for _ in range(num_importance_samples)]
        return importance_weighted_bound(torch.stack(weights, dim=1))

    @torch.no_grad()
    def elbo(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """The variational bound with the KL of each step, or of levels by one path, in nats, (B,)."""
        inputs = self.observe(images, generator)
        if self.prediction == "levels":
            return self._path(inputs, self._noise(generator))
        levels, denoise = self._chain(self.likelihood_steps, self.denoiser.unasked(len(inputs)))
        return variational_bound(denoise, inputs, levels, self._noise(generator), self.num_levels)

    def _path(self, inputs: Tensor, noise: samplers.Noise) -> Tensor:
        """The log weight of one path of noise, (B,)."""
        steps, predict = self.likelihood_steps, self.denoiser.unasked(len(inputs))
        if self.prediction == "levels":
            levels, posterior = self._level_chain(steps, predict)
            return level_path_log_weight(posterior, inputs, levels, noise)
        levels, denoise = self._chain(steps, predict)
        return path_log_weight(denoise, inputs, levels, noise, self.num_levels)

    def _chain(
        self, steps: Tensor, predict: Callable[[Tensor, float], Tensor]
    ) -> tuple[NoiseLevels, samplers.Denoiser]:
        """The levels at some steps, and what sees the data through the noise there."""
        if self.prediction == "levels":
            levels, posterior = self._level_chain(steps, predict)
            return levels, lambda x, place: mean_level(posterior(x, place))
        levels = self.levels.at(steps)
        times = (steps / self.num_timesteps).tolist()
        prediction = self.prediction

        def denoise(x: Tensor, place: int) -> Tensor:
            alpha, sigma = (table[place].to(x) for table in (levels.alpha, levels.sigma))
            data = data_of(prediction, predict(x, times[place]), x, alpha, sigma)
            return data.clamp(-1, 1) if self.num_levels else data

        return levels, denoise

    def _level_chain(
        self, steps: Tensor, predict: Callable[[Tensor, float], Tensor]
    ) -> tuple[NoiseLevels, LevelDenoiser]:
        """The levels of noise at some steps, and the posterior of the pixels' levels there."""
        levels = self.levels.at(steps)
        times = (steps / self.num_timesteps).tolist()

        def posterior(x: Tensor, place: int) -> Tensor:
            alpha, sigma = (table[place].to(x) for table in (levels.alpha, levels.sigma))
            return level_log_probs(predict(x, times[place]), x, alpha, sigma)

        return levels, posterior

    def _noise(self, generator: BatchGenerator) -> Callable[[], Tensor]:
        rows = RowNoise(generator)
        return lambda: rows.normal(*self.shape).to(self.dtype)


def _require_telling(config: DiffusionConfig, spec: DataSpec) -> None:
    """Refuses levels of a table, and the noise as prediction where an error of it is multiplied in each step
    and never cut off."""
    if config.prediction == "levels" and not spec.num_levels:
        raise UsageError(
            "numbers without levels have no chance for each level",
            where="model.prediction",
            got=f"levels for a {spec.kind}",
            expected="pictures, or another prediction",
            next_step="set model.prediction to v",
        )
    if spec.kind == "table" and config.prediction == "epsilon" and config.schedule == "cosine":
        raise UsageError(
            "noise does not tell the data at the end of the cosine schedule, where hardly any is left",
            where="model.prediction",
            got="epsilon for a table, whose values have no limits to cut errors off at",
            expected="v or x0, or schedule: linear",
            next_step="set model.prediction to v",
        )


FAMILY = Family(
    name="diffusion",
    config=DiffusionConfig,
    build=Diffusion,
    traits=frozenset({"gradient", "samples", "likelihood"}),
)
