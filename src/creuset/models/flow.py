"""Flow matching: a velocity field that carries noise to data, learned along straight paths.

    loss = mean over the batch of  |v(x_t, t) - (data - noise)|^2 / D,   x_t = (1 - t) noise + t data

Samples follow the field from t = 0 to 1 (samplers/ode.py). The likelihood follows it back and adds up its
divergence (samplers/density.py); of pictures it is that of their levels, by uniform noise within each level,
which training adds too (dequantisation.py).

Source: Lipman et al. 2023, "Flow Matching for Generative Modeling"; pairing: Tong et al. 2024 (objectives/
flow_matching.py says where it departs); guidance: Ho & Salimans 2022, for flows: Zheng et al. 2023, "Guided
Flows".
Departures: times divide a batch's range evenly; samples of pictures are set to the nearest level.

Legend of shapes: B batch, ... the axes of a sample: (C, H, W) or (F,), D its numbers, S draws.
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.models.base import Batch, Family, Integration, Likelihood, model_inputs
from creuset.models.denoiser import DenoiserConfig, NoiseToData, spread_times
from creuset.models.dequantisation import dequantised, log_volume, nearest_levels
from creuset.models.requirements import require_shape
from creuset.objectives.elbo import importance_weighted_bound
from creuset.objectives.flow_matching import pairs_within, straight_path
from creuset.objectives.reconstruction import squared_error
from creuset.samplers.density import Divergence, estimated_divergence, exact_divergence, log_density
from creuset.samplers.ode import SolverName, even_times, integrate, times_back
from creuset.samplers.row_noise import RowNoise

_VALIDATION_PAIRS = 50
"""Held-out samples that are paired with noise together, whatever the size of a batch."""
_SOLVER: SolverName = "rk4"
"""Of likelihoods: its error must not make them look better than they are."""
_MOST_EXACT = 16
"""Numbers of a sample up to which the divergence is exact by default: it takes a backward pass for each."""


class FlowConfig(DenoiserConfig):
    """The `model` section of a flow."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        size: {**fields, "num_likelihood_steps": 10 if size == "tiny" else 20}
        for size, fields in DenoiserConfig.sizes.items()
    }

    pairing: Literal["independent", "optimal_transport"] = Field(
        "independent",
        description="Which noise goes with which sample: as drawn, or so that paths within a batch are "
        "short, for straighter flows that need fewer steps; with a condition, within each class of a batch.",
    )
    sampler: SolverName = Field(
        "midpoint",
        description="How samples follow the flow: euler (order 1, one evaluation a step), midpoint or heun "
        "(order 2, two), rk4 (order 4, four).",
    )
    num_sampling_steps: int = Field(20, ge=1, description="Steps from noise to a sample.")
    divergence: Literal["auto", "exact", "estimate"] = Field(
        "auto",
        description="For likelihoods: exact, one backward pass for each number of a sample, or Hutchinson's "
        "estimate, one in all; auto: exact up to 16 numbers.",
    )
    num_likelihood_steps: int = Field(
        20,
        ge=2,
        description="Steps of rk4 from a sample back to noise, for likelihoods, denser near the sample; the "
        "scores say what half as many would give.",
    )


class Flow(NoiseToData):
    """Noise to samples by a learned velocity field.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: See `NoiseToData`.
    """

    def __init__(self, config: FlowConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.couples_samples = config.pairing == "optimal_transport"
        self.validation_group = _VALIDATION_PAIRS if self.couples_samples else 1
        self.sampler = config.sampler
        self.sampling_times = even_times(0.0, 1.0, config.num_sampling_steps)
        self.num_likelihood_steps = config.num_likelihood_steps
        small = math.prod(self.shape) <= _MOST_EXACT
        self.exact = config.divergence == "exact" or (config.divergence == "auto" and small)
        self.likelihood = Likelihood(
            num_levels=self.num_levels,
            bound=not self.exact or self.num_levels > 0,
            tightened=self.exact,
            integration=Integration(
                solver=_SOLVER,
                num_steps=self.num_likelihood_steps,
                divergence="exact" if self.exact else "hutchinson",
            ),
        )

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        """The squared error of the velocity, the mean over numbers and samples; no unit."""
        assert player in self.players
        return self._loss(batch, generator, group=len(model_inputs(batch)))

    @torch.no_grad()
    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        return self._loss(batch, generator, group=_VALIDATION_PAIRS)

    @torch.no_grad()
    def sample(self, num_samples: int, generator: BatchGenerator, conditions: Batch | None = None) -> Tensor:
        noise = generator.normal(*self.shape).to(self.dtype)
        field = self.denoiser.steered(conditions, num_samples, generator)
        drawn = integrate(field, noise, self.sampling_times, self.sampler)
        return nearest_levels(drawn, self.num_levels) if self.num_levels else drawn

    @torch.no_grad()
    def log_likelihood(
        self, images: Tensor, generator: BatchGenerator, num_importance_samples: int
    ) -> Tensor:
        """log P(levels) of pictures, or log p of rows, in nats, (B,), up to the error of the steps.

        Of pictures a lower bound. With the exact divergence the draws within levels are importance samples;
        with an estimate of it their mean is taken, of which more draws make a closer estimate, not a higher
        one: the noise of an estimate would lift the logarithm of a mean above the likelihood.

        Args:
            images: (B, ...); of a table the rows.
            generator: One draw a sample.
            num_importance_samples: S; without effect where the value is exact.
        """
        noise = RowNoise(generator)
        inputs = self.observe(images, generator)
        num_draws = num_importance_samples if self.likelihood.bound else 1
        values = torch.stack([self._one_draw(inputs, noise) for _ in range(num_draws)], dim=1)  # (B, S)
        return importance_weighted_bound(values) if self.exact else values.mean(1)

    @torch.no_grad()
    def elbo(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        """The bound by one draw within the levels, in nats, (B,)."""
        return self._one_draw(self.observe(images, generator), RowNoise(generator))

    @torch.no_grad()
    def integration_error(self, images: Tensor, generator: BatchGenerator) -> Tensor:
        inputs = self.observe(images, generator)
        half, whole = (
            self._one_draw(inputs, RowNoise(generator.slice(generator.start, generator.stop)), num_steps)
            for num_steps in (self.num_likelihood_steps // 2, self.num_likelihood_steps)
        )
        return half - whole

    def _one_draw(self, inputs: Tensor, noise: RowNoise, num_steps: int | None = None) -> Tensor:
        """log p at one place within the levels, times their volume, (B,)."""
        times = times_back(self.num_likelihood_steps if num_steps is None else num_steps)
        volume = 0.0
        if self.num_levels:
            inputs = dequantised(inputs, noise.uniform(*self.shape).to(inputs.dtype), self.num_levels)
            volume = log_volume(math.prod(self.shape), self.num_levels)
        divergence: Divergence = exact_divergence
        if not self.exact:
            divergence = estimated_divergence(noise.signs(math.prod(self.shape)).to(inputs.dtype))
        field = self.denoiser.unasked(len(inputs))
        return log_density(field, inputs, times, _SOLVER, divergence) + volume

    def _loss(self, batch: Batch, generator: BatchGenerator, group: int) -> dict[str, Tensor]:
        data = require_shape(model_inputs(batch), self.shape)
        if self.num_levels:
            data = dequantised(data, generator.uniform(*self.shape).to(data.dtype), self.num_levels)
        noise = generator.normal(*self.shape).to(data.dtype)
        if self.couples_samples:
            # a prompt says no more than a class, whose phrases are drawn without regard to the sample
            asked_for = data.new_zeros(len(data)) if self.condition == "none" else batch["labels"]
            parts = (torch.split(values, group) for values in (asked_for, noise, data))
            noise = torch.cat([pairs_within(*part) for part in zip(*parts, strict=True)])
        times = spread_times(generator).to(data.dtype)
        x, velocity = straight_path(noise, data, times)
        asked = self.denoiser.trained(batch, generator)
        return {"loss": squared_error(self.denoiser(x, times, asked), velocity).mean()}


FAMILY = Family(
    name="flow",
    config=FlowConfig,
    build=Flow,
    traits=frozenset({"gradient", "samples", "likelihood"}),
)
