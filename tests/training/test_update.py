import pytest
import torch
from torch import Tensor, nn

from creuset.device import BatchGenerator, Precision
from creuset.errors import NumericalError, UsageError
from creuset.recipe.sections import PlayerConfig, TrainingConfig
from creuset.training.distributed import Processes
from creuset.training.optimizer import Player
from creuset.training.update import Updates

CPU = torch.device("cpu")


class Numbered:
    """Batches whose numbers follow from their position."""

    def __init__(self, batch_size: int = 16) -> None:
        self.batch_size = batch_size
        self.asked: list[tuple[int, int, int]] = []

    def part(self, position: int, start: int, stop: int) -> dict[str, Tensor]:
        self.asked.append((position, start, stop))
        drawn = torch.Generator().manual_seed(position)
        return {"x": torch.randn(self.batch_size, 3, generator=drawn, dtype=torch.float64)[start:stop]}


class Line(nn.Module):
    """y = w x, whose loss has noise of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))

    def loss(self, batch: dict[str, Tensor], player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        noise = generator.normal().double()
        squares = (batch["x"] @ self.weight - noise).square()
        return {"loss": squares.mean(), "largest_product": (batch["x"] @ self.weight).mean().detach()}


def updates(
    module: nn.Module,
    batches: Numbered,
    *,
    accumulate: int = 1,
    clip_norm: float | None = None,
    precision: Precision = "float64",
    num_updates: int = 1,
    repeats_batches: bool = False,
    learning_rate: float = 0.1,
) -> Updates:
    training = TrainingConfig(optimizer="sgd", learning_rate=learning_rate)
    config = PlayerConfig(num_steps=num_updates)
    return Updates(
        model=module,
        loss=module.loss,  # type: ignore[arg-type]
        players=[Player("model", module.named_parameters(), training, config)],
        batches=batches,
        accumulate=accumulate,
        clip_norm=clip_norm,
        seed=0,
        precision=precision,
        processes=Processes("ddp", CPU),
        repeats_batches=repeats_batches,
    )


@pytest.mark.parametrize("accumulate", [2, 5, 16])
def test_accumulation_changes_nothing(accumulate: int) -> None:
    whole, parts = Line(), Line()
    first, second = updates(whole, Numbered()), updates(parts, Numbered(), accumulate=accumulate)
    for step in range(5):
        expected, found = first.step(step)["model"], second.step(step)["model"]
        assert found == pytest.approx(expected, rel=1e-12)
    assert torch.allclose(whole.weight, parts.weight, rtol=1e-12)


def test_a_step_is_the_gradient_of_the_mean_loss() -> None:
    net, batches = Line(), Numbered()
    before = net.weight.detach().clone()
    report = updates(net, batches).step(3)["model"]
    x = batches.part(3, 0, 16)["x"]
    noise = BatchGenerator(0, "train", "model", 3, size=16).normal().double()
    gradient = 2 * ((x @ before - noise)[:, None] * x).mean(0)
    assert report["loss"] == pytest.approx(float((x @ before - noise).square().mean()), rel=1e-12)
    assert report["gradient_norm"] == pytest.approx(float(gradient.norm()), rel=1e-12)
    assert torch.allclose(net.weight, before - 0.1 * gradient, rtol=1e-12)


@pytest.mark.parametrize("clip_norm", [0.01, 1e6])
def test_clipping_is_that_of_torch(clip_norm: float) -> None:
    clipped, reference = Line(), Line()
    report = updates(clipped, Numbered(), clip_norm=clip_norm).step(0)["model"]
    updates(reference, Numbered(), learning_rate=1e-30).step(0)  # leaves its gradient behind
    norm = torch.nn.utils.clip_grad_norm_(reference.parameters(), clip_norm)
    assert reference.weight.grad is not None
    assert report["gradient_norm"] == pytest.approx(float(norm))
    assert torch.allclose(clipped.weight, reference.weight - 0.1 * reference.weight.grad, rtol=1e-9)


def test_each_update_has_its_own_batch() -> None:
    batches = Numbered()
    several = updates(Line(), batches, accumulate=2, num_updates=3)
    several.step(0)
    several.step(1)
    assert [position for position, _, _ in batches.asked] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert {(start, stop) for _, start, stop in batches.asked} == {(0, 8), (8, 16)}


def test_updates_of_a_step_may_share_its_batch() -> None:
    batches = Numbered()
    several = updates(Line(), batches, num_updates=3, repeats_batches=True)
    several.step(0)
    several.step(1)
    assert [position for position, _, _ in batches.asked] == [0, 0, 0, 1, 1, 1]
    assert several.batches_per_step == 1


def test_a_batch_must_reach_for_its_parts() -> None:
    with pytest.raises(UsageError, match="fewer samples than the parts it is cut into") as caught:
        updates(Line(), Numbered(batch_size=3), accumulate=4)
    assert (caught.value.where, caught.value.got, caught.value.expected) == (
        "data.batch_size",
        3,
        "at least 4 (processes x training.accumulate)",
    )


class Breaks(Line):
    """Its loss or its gradient is not finite from the second step on."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.how, self.calls = how, 0

    def loss(self, batch: dict[str, Tensor], player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        self.calls += 1
        loss = (batch["x"] @ self.weight + self.bias).square().mean()
        if self.calls == 2 and self.how == "gradient":
            loss = loss + (self.bias * 0).sqrt()  # finite, with an infinite slope
        elif self.calls == 2:
            loss = loss + torch.tensor(float(self.how)).double()
        return {"loss": loss}


@pytest.mark.parametrize(
    ("how", "culprit"),
    [
        ("nan", "no single parameter: the loss itself"),
        ("inf", "no single parameter: the loss itself"),
        ("gradient", "the gradient of parameter bias"),
    ],
)
def test_what_is_not_finite_stops_with_its_place(how: str, culprit: str) -> None:
    net = Breaks(how)
    training = updates(net, Numbered())
    training.step(0)
    before = [value.detach().clone() for value in net.parameters()]
    with pytest.raises(NumericalError, match=f"step 2, player model: NaN or infinity in {culprit}") as caught:
        training.step(1)
    assert caught.value.exit_code == 1
    assert "loss" in str(caught.value.got)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_a_ruined_parameter_is_named() -> None:
    net = Line()
    training = updates(net, Numbered())
    with torch.no_grad():
        net.weight[1] = float("nan")
    with pytest.raises(NumericalError, match="NaN or infinity in parameter weight"):
        training.step(0)


class Formats(nn.Module):
    """Says in which format products are made."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 1)
        self.seen: list[torch.dtype] = []

    def loss(self, batch: dict[str, Tensor], player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        product = self.inner(batch["x"].float())
        self.seen.append(product.dtype)
        return {"loss": product.float().square().mean()}


@pytest.fixture
def formats() -> Formats:
    return Formats()


@pytest.mark.parametrize(
    ("precision", "expected"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)]
)
def test_bfloat16_is_for_products_alone(
    formats: Formats, precision: Precision, expected: torch.dtype
) -> None:
    updates(formats, Numbered(), precision=precision).step(0)
    assert formats.seen == [expected]
    assert formats.inner.weight.dtype == torch.float32
    assert formats.inner.weight.grad is not None
    assert formats.inner.weight.grad.dtype == torch.float32
