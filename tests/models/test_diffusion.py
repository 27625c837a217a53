"""The diffusion: its predictions and samplers on data that is known, its bound, tables and refusals."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.base import Likelihood
from creuset.models.diffusion import Diffusion, DiffusionConfig
from creuset.objectives.denoising import Prediction, prediction_target

TABLE = DataSpec(kind="table", shape=(2,), num_levels=0, feature_names=("x", "y"))
MEAN, DEVIATION = 0.3, 0.5
SAMPLERS: tuple[dict[str, Any], ...] = (
    {"sampler": "ddpm", "num_sampling_steps": 400},
    {"sampler": "ddim"},
    {"sampler": "ddim", "eta": 0.7, "num_sampling_steps": 200},
    {"sampler": "dpm_solver", "num_sampling_steps": 20},
)


def diffusion(spec: DataSpec, **settings: Any) -> Diffusion:
    return Diffusion(DiffusionConfig(family="diffusion", **{"size": "tiny", **settings}), spec)


def train(model: Diffusion, batch: dict[str, Tensor], num_steps: int, size: int = 128) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(num_steps):
        chosen = torch.randint(len(next(iter(batch.values()))), (size,))
        part = {name: values[chosen] for name, values in batch.items()}
        loss = model.loss(part, "model", BatchGenerator(0, step, size=size))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def with_best_denoiser(model: Diffusion) -> Diffusion:
    """The network replaced by what is best for data from N(MEAN, DEVIATION^2)."""
    prediction: Prediction = model.prediction

    def unasked(num_samples: int) -> Any:
        del num_samples

        def predict(x: Tensor, time: float) -> Tensor:
            step = round(time * model.num_timesteps)
            alpha, sigma = (table[step].to(x) for table in (model.levels.alpha, model.levels.sigma))
            share = alpha * DEVIATION**2 / ((alpha * DEVIATION) ** 2 + sigma**2)
            data = MEAN + share * (x - alpha * MEAN)
            return prediction_target(prediction, data, (x - alpha * data) / sigma, alpha, sigma)

        return predict

    model.denoiser.unasked = unasked  # type: ignore[method-assign]
    model.denoiser.steered = lambda *_: unasked(0)  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize(
    ("schedule", "prediction"),
    [("linear", "epsilon"), ("linear", "x0"), ("linear", "v"), ("cosine", "x0"), ("cosine", "v")],
)
@pytest.mark.parametrize("settings", SAMPLERS, ids=lambda settings: f"{settings['sampler']}-{len(settings)}")
def test_each_sampler_draws_from_the_data(prediction: str, settings: dict[str, Any], schedule: str) -> None:
    model = with_best_denoiser(diffusion(TABLE, prediction=prediction, schedule=schedule, **settings))
    drawn = model.sample(1000, BatchGenerator(0, size=1000))
    assert drawn.shape == (1000, 2)
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.05)
    assert float(drawn.std()) == pytest.approx(DEVIATION, rel=0.1)


@pytest.mark.parametrize(("schedule", "prediction"), [("cosine", "x0"), ("cosine", "v")])
def test_it_learns_rows_of_a_table(schedule: str, prediction: str) -> None:
    rows = MEAN + DEVIATION * torch.randn(600, 2)
    model = diffusion(TABLE, schedule=schedule, prediction=prediction, sampler="dpm_solver")
    before = float(model.log_likelihood(rows[500:], BatchGenerator(0, size=100), 1).mean())
    train(model, {"features": rows[:500]}, 200)
    drawn = model.sample(500, BatchGenerator(0, size=500))
    torch.testing.assert_close(drawn.mean(0), rows.mean(0), rtol=0, atol=0.15)
    torch.testing.assert_close(drawn.std(0), rows.std(0), rtol=0.3, atol=0)
    assert float(model.log_likelihood(rows[500:], BatchGenerator(0, size=100), 1).mean()) > before + 0.5


def test_the_bound_of_rows_is_near_their_density() -> None:
    model = with_best_denoiser(diffusion(TABLE, num_likelihood_steps=500))
    assert model.likelihood == Likelihood(num_levels=0, bound=True)
    rows = MEAN + DEVIATION * torch.randn(500, 2)
    exact = float(torch.distributions.Normal(MEAN, DEVIATION).log_prob(rows).sum(1).mean())
    bound = float(model.elbo(rows, BatchGenerator(0, size=500)).mean())
    tightened = float(model.log_likelihood(rows, BatchGenerator(1, size=500), 8).mean())
    assert bound == pytest.approx(exact, abs=0.15)
    assert bound - 0.05 < tightened < exact + 0.05


def test_a_sure_model_gives_its_pictures_nearly_all_probability() -> None:
    """All pictures alike, black and white, and a network that says so: the bound is that of a certainty."""
    spec = DataSpec(kind="images", shape=(1, 2, 2), num_levels=17)
    model = diffusion(spec, channels=(4,), prediction="x0")
    picture = torch.tensor([[-1.0, 1.0], [1.0, -1.0]]).expand(6, 1, 2, 2)
    model.denoiser.unasked = lambda _: lambda x, time: picture  # type: ignore[method-assign]
    assert float(model.elbo(picture, BatchGenerator(0, size=6)).min()) > -1e-3
    assert float(model.log_likelihood(picture, BatchGenerator(0, size=6), 2).min()) > -0.05


def test_the_loss_is_that_of_the_target() -> None:
    """A network that says 0 has the mean square of the target as its loss: 1 for noise."""
    rows = torch.full((4000, 2), 0.7)
    for prediction, expected in (("epsilon", 1.0), ("x0", 0.49)):
        model = diffusion(TABLE, schedule="linear", prediction=prediction)
        for parameter in model.denoiser.network.output.parameters():
            torch.nn.init.zeros_(parameter)
        report = model.validation_loss({"features": rows}, BatchGenerator(0, size=4000))
        assert float(report["loss"].detach()) == pytest.approx(expected, rel=0.05)
    model = diffusion(TABLE, prediction="v")
    for parameter in model.denoiser.network.output.parameters():
        torch.nn.init.zeros_(parameter)
    report = model.validation_loss({"features": rows}, BatchGenerator(0, size=4000))
    alpha_square = float(model.levels.alpha[1:].square().mean())
    assert float(report["loss"].detach()) == pytest.approx(alpha_square + (1 - alpha_square) * 0.49, rel=0.05)


def test_asked_for_a_class_it_draws_that_class() -> None:
    spec = DataSpec(
        kind="table", shape=(2,), num_levels=0, class_names=("left", "right"), class_counts=(300, 300)
    )
    labels = torch.arange(600) % 2
    rows = 0.2 * torch.randn(600, 2) + torch.where(labels[:, None] == 0, -1.0, 1.0)
    model = diffusion(spec, condition="class", guidance=1.5, sampler="dpm_solver", num_sampling_steps=20)
    train(model, {"features": rows, "labels": labels}, 150)
    asked = torch.tensor([0] * 50 + [1] * 50)
    drawn = model.sample(100, BatchGenerator(0, size=100), {"labels": asked})
    assert ((drawn.mean(1) > 0).long() == asked).float().mean() > 0.95


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "ddpm", "eta": 0.5}, "eta has no effect on ddpm: it belongs to sampler: ddim"),
        ({"num_timesteps": 60, "num_sampling_steps": 80}, r"num_sampling_steps \(80\) can be at most"),
        ({"num_timesteps": 60, "num_likelihood_steps": 80}, r"num_likelihood_steps \(80\) can be at most"),
        ({"sampler": "dpm_solver", "num_sampling_steps": 2}, "num_sampling_steps must be at least 3"),
        ({"num_timesteps": 20}, "greater than or equal to 50"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DiffusionConfig(family="diffusion", **settings)


def test_noise_of_a_table_up_to_the_end_of_the_cosine_schedule_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"model.prediction: noise does not tell the data.*\n(.*\n)*  next: .* v$"
    ):
        diffusion(TABLE, prediction="epsilon")


def test_noise_levels_are_no_part_of_what_is_stored() -> None:
    names = set(diffusion(TABLE).state_dict())
    assert all(name.startswith("denoiser.") for name in names)
    assert math.prod(diffusion(TABLE).alphas.shape) == 1001
