"""The flow: its loss, its likelihood against closed forms, tables, pairs, classes and prompts."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.base import Integration, Likelihood
from creuset.models.flow import Flow, FlowConfig

TABLE = DataSpec(kind="table", shape=(2,), num_levels=0, feature_names=("x", "y"))
ROWS = torch.randn(600, 2, generator=torch.Generator().manual_seed(3)) * torch.tensor([0.3, 1.0]) + 0.5


def flow(spec: DataSpec, **settings: Any) -> Flow:
    return Flow(FlowConfig(family="flow", **{"size": "tiny", **settings}), spec)


def train(model: Flow, batch: dict[str, Tensor], num_steps: int, size: int = 128) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(num_steps):
        chosen = torch.randint(len(next(iter(batch.values()))), (size,))
        part = {name: values[chosen] for name, values in batch.items()}
        loss = model.loss(part, "model", BatchGenerator(0, step, size=size))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class Known(torch.nn.Module):
    """In the place of the network: the velocity of straight paths from N(0, 1) to N(mean, deviation^2)."""

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.mean, self.deviation = mean, deviation
        self.unused = torch.nn.Parameter(torch.zeros(1))  # tells the number format

    def forward(self, x: Tensor, times: Tensor, asked: Tensor | None) -> Tensor:
        del asked
        t = times.view(-1, *[1] * (x.ndim - 1))
        variance = (1 - t) ** 2 + (t * self.deviation) ** 2
        return self.mean + (t * self.deviation**2 - (1 - t)) / variance * (x - t * self.mean)

    def unasked(self, num_samples: int) -> Any:
        return lambda x, time: self(x, x.new_full((num_samples,), time), None)

    def steered(self, conditions: object, num_samples: int, draws: object) -> Any:
        del conditions, draws
        return self.unasked(num_samples)


def test_a_field_that_points_to_the_data_has_no_loss() -> None:
    """All data at one place, nothing to mix: v = (data - x) / (1 - t) is right everywhere."""
    model = flow(TABLE)
    place = torch.tensor([0.5, -1.0])

    class Pointing(torch.nn.Module):
        def forward(self, x: Tensor, times: Tensor, asked: Tensor | None) -> Tensor:
            del asked
            return (place - x) / (1 - times[:, None])

        def trained(self, *_: object) -> None:
            return None

    model.denoiser = Pointing()  # type: ignore[assignment]
    loss = model.loss({"features": place.expand(50, 2)}, "model", BatchGenerator(0, size=50))["loss"]
    assert float(loss) < 1e-6


def test_likelihood_of_rows_is_the_exact_density_by_default() -> None:
    model = flow(TABLE, num_likelihood_steps=200)
    integration = Integration(solver="rk4", num_steps=200, divergence="exact")
    assert model.likelihood == Likelihood(num_levels=0, bound=False, integration=integration)
    model.denoiser = Known(0.5, 0.4)  # type: ignore[assignment]
    values = model.log_likelihood(ROWS[:20], BatchGenerator(0, size=20), 5)
    expected = torch.distributions.Normal(0.5, 0.4).log_prob(ROWS[:20]).sum(1)
    torch.testing.assert_close(values, expected, rtol=1e-3, atol=1e-3)


def test_what_the_steps_leave_out_is_told_by_half_of_them() -> None:
    """Narrow data, which few steps find too likely."""
    rows = 0.5 + 0.05 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    exact = torch.distributions.Normal(0.5, 0.05).log_prob(rows).sum(1)
    for num_steps in (6, 12, 24):
        model = flow(TABLE, num_likelihood_steps=num_steps)
        model.denoiser = Known(0.5, 0.05)  # type: ignore[assignment]
        found = model.log_likelihood(rows, BatchGenerator(0, size=50), 1)
        told = model.integration_error(rows, BatchGenerator(0, size=50))
        error = float((found - exact).mean().abs())
        assert error < float(told.mean().abs())
    assert error < 0.01


@pytest.mark.parametrize("divergence", ["exact", "estimate"])
def test_probabilities_of_all_levels_of_a_pixel_sum_to_1(divergence: str) -> None:
    """By many draws within each level; of one number Hutchinson's estimate is the trace itself."""
    spec = DataSpec(kind="images", shape=(1, 1, 1), num_levels=5)
    model = flow(spec, channels=(4,), divergence=divergence, num_likelihood_steps=30)
    name = "exact" if divergence == "exact" else "hutchinson"
    assert model.likelihood == Likelihood(
        num_levels=5,
        bound=True,
        tightened=divergence == "exact",
        integration=Integration(solver="rk4", num_steps=30, divergence=name),
    )
    model.denoiser = Known(0.1, 0.35)  # type: ignore[assignment]
    pixels = torch.linspace(-1, 1, 5).view(5, 1, 1, 1)
    values = model.log_likelihood(pixels, BatchGenerator(0, size=5), 60)
    normal = torch.distributions.Normal(0.1, 0.35)
    edges = torch.linspace(-1.25, 1.25, 6)
    exact = normal.cdf(edges).diff().log()
    if divergence == "exact":
        torch.testing.assert_close(values, exact, rtol=0, atol=0.2)
    else:
        assert (values < exact + 0.2).all()
        assert (values < exact - 0.05).any()
    bound = model.elbo(pixels, BatchGenerator(1, size=5))
    assert bound.shape == (5,)


def test_it_learns_rows_of_a_table() -> None:
    model = flow(TABLE)
    before = float(model.log_likelihood(ROWS[500:], BatchGenerator(0, size=100), 1).mean())
    train(model, {"features": ROWS[:500]}, 200)
    drawn = model.sample(500, BatchGenerator(0, size=500))
    assert drawn.shape == (500, 2)
    torch.testing.assert_close(drawn.mean(0), ROWS.mean(0), rtol=0, atol=0.15)
    torch.testing.assert_close(drawn.std(0), ROWS.std(0), rtol=0.25, atol=0)
    after = float(model.log_likelihood(ROWS[500:], BatchGenerator(0, size=100), 1).mean())
    assert after > before + 0.5
    entropy = -sum(math.log(d) + 0.5 * math.log(2 * math.pi * math.e) for d in (0.3, 1.0))
    assert after == pytest.approx(entropy, abs=0.3)


def test_asked_for_a_class_it_draws_that_class() -> None:
    spec = DataSpec(
        kind="table", shape=(2,), num_levels=0, class_names=("left", "right"), class_counts=(300, 300)
    )
    labels = torch.arange(600) % 2
    rows = 0.2 * torch.randn(600, 2) + torch.where(labels[:, None] == 0, -1.0, 1.0)
    model = flow(spec, condition="class", guidance=1.5)
    train(model, {"features": rows, "labels": labels}, 150)
    asked = torch.tensor([0] * 50 + [1] * 50)
    drawn = model.sample(100, BatchGenerator(0, size=100), {"labels": asked})
    assert ((drawn.mean(1) > 0).long() == asked).float().mean() > 0.95
    both = model.sample(100, BatchGenerator(0, size=100)).mean(1) > 0
    assert 0.3 < float(both.float().mean()) < 0.7


@pytest.mark.parametrize("condition", ["class", "text"])
def test_pairs_leave_each_class_all_of_the_noise(condition: str) -> None:
    """Pairs over whole batches give each class the noise on its own side, and noise from the other side then
    leads to the other class.
    """
    spec = DataSpec(
        kind="table", shape=(2,), num_levels=0, class_names=("left", "right"), class_counts=(300, 300)
    )
    labels = torch.arange(600) % 2
    rows = 0.2 * torch.randn(600, 2) + torch.where(labels[:, None] == 0, -1.0, 1.0)
    captions = {"captions": {"left": ("left",), "right": ("right",)}} if condition == "text" else {}
    model = flow(spec, condition=condition, pairing="optimal_transport", **captions)
    train(model, {"features": rows, "labels": labels}, 250)
    asked = torch.tensor([0] * 100 + [1] * 100)
    conditions = {"labels": asked}
    if condition == "text":
        conditions = {"prompts": model.prompts(["left"] * 100 + ["right"] * 100)}
    drawn = model.sample(200, BatchGenerator(0, size=200), conditions)
    assert ((drawn.mean(1) > 0).long() == asked).float().mean() >= 0.97


def test_asked_by_a_prompt_it_draws_what_hangs_on_that(
    digits: dict[str, Tensor], digit_spec: DataSpec
) -> None:
    model = flow(digit_spec, condition="text", prompt_length=24)
    train(model, digits, 20, size=50)
    seven = model.sample(
        30, BatchGenerator(0, size=30), {"prompts": model.prompts(["a seven"]).expand(30, -1)}
    )
    sept = model.sample(30, BatchGenerator(0, size=30), {"prompts": model.prompts(["sept"]).expand(30, -1)})
    none = model.sample(30, BatchGenerator(0, size=30))
    assert seven.shape == (30, 1, 8, 8)
    assert not torch.equal(seven, none)
    assert not torch.equal(seven, sept)
    with pytest.raises(UsageError, match=r"got: 26 bytes.*\n  expected: at most 24 bytes"):
        model.prompts(["please draw a nice seven !"])
    assert model.prompt_remark("A Seven ") is None
    assert str(model.prompt_remark("a sevn")).endswith(
        'phrases that this model learned; did you mean "a seven"?'
    )
    assert "such as" in str(model.prompt_remark("xylophone"))


def test_samples_stand_at_levels(digit_spec: DataSpec) -> None:
    drawn = flow(digit_spec).sample(20, BatchGenerator(0, size=20))
    steps = (drawn + 1) * 8
    torch.testing.assert_close(steps, steps.round())


def test_pairing_lowers_the_loss_and_never_cuts_a_batch(
    digit_spec: DataSpec, digits: dict[str, Tensor]
) -> None:
    batch = {name: values[:100] for name, values in digits.items()}
    losses = {}
    for pairing in ("independent", "optimal_transport"):
        torch.manual_seed(0)
        model = flow(digit_spec, pairing=pairing)
        with torch.no_grad():
            losses[pairing] = float(model.loss(batch, "model", BatchGenerator(0, size=100))["loss"])
        assert model.couples_samples == (pairing == "optimal_transport")
    assert losses["optimal_transport"] < losses["independent"] - 0.02


@pytest.mark.parametrize("sampler", ["euler", "midpoint", "heun"])
def test_more_steps_come_nearer_to_where_the_flow_leads(sampler: str) -> None:
    spec = DataSpec(kind="table", shape=(2,), num_levels=0)
    errors = []
    for num_steps in (4, 40):
        model = flow(spec, sampler=sampler, num_sampling_steps=num_steps)
        model.denoiser = Known(0.5, 0.4)  # type: ignore[assignment]
        noise = BatchGenerator(0, size=50).normal(2)
        drawn = model.sample(50, BatchGenerator(0, size=50))
        errors.append(float((drawn - (0.5 + 0.4 * noise)).abs().max()))
    assert errors[1] < 0.3 * errors[0]
