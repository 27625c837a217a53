import math

import pytest
import torch
from torch import nn

from creuset.errors import CheckpointError
from creuset.recipe.sections import PlayerConfig, TrainingConfig
from creuset.training.optimizer import Player, learning_rate_factor


def torchs_rates(num_steps: int, warmup: int, falling: str, final: float) -> list[float]:
    """The same schedule from torch's own schedulers, after the warm-up."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    span = num_steps - warmup
    scheduler: torch.optim.lr_scheduler.LRScheduler
    if falling == "linear":
        scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, final, total_iters=span)
    elif falling == "cosine":
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=span, eta_min=final)
    else:
        scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    rates = []
    for _ in range(span):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("falling", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0, 1, 7])
@pytest.mark.parametrize("final", [0.0, 0.1])
def test_the_schedule_is_that_of_torch(falling: str, warmup: int, final: float) -> None:
    final = 0.0 if falling == "constant" else final
    training = TrainingConfig.model_validate(
        {
            "num_steps": 40,
            "warmup_steps": warmup,
            "schedule": falling,
            "final_learning_rate": final,
        }
    )
    rates = [learning_rate_factor(step, training) for step in range(warmup, 40)]
    expected = torchs_rates(40, warmup, falling, final)
    assert rates == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_warm_up_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 8, end_factor=1, total_iters=7)
    expected = []
    for _ in range(12):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    training = TrainingConfig(warmup_steps=8)
    assert [learning_rate_factor(step, training) for step in range(12)] == pytest.approx(expected)


def test_closed_forms() -> None:
    cosine = TrainingConfig(num_steps=100, schedule="cosine", final_learning_rate=0.2)
    assert learning_rate_factor(0, cosine) == 1.0
    assert learning_rate_factor(50, cosine) == pytest.approx(0.6)
    assert learning_rate_factor(25, cosine) == pytest.approx(0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2)
    linear = TrainingConfig(num_steps=100, schedule="linear", warmup_steps=20)
    assert learning_rate_factor(19, linear) == 1.0
    assert learning_rate_factor(60, linear) == pytest.approx(0.5)
    assert learning_rate_factor(99, linear) == pytest.approx(1 / 80)
    assert learning_rate_factor(1000, linear) == 0.0


def player(training: TrainingConfig, config: PlayerConfig | None = None) -> Player:
    drawn = torch.Generator().manual_seed(0)
    module = nn.ParameterDict(
        {"a": nn.Parameter(torch.randn(4, 3, generator=drawn)), "b": torch.randn(3, generator=drawn)}
    )
    module["frozen"] = nn.Parameter(torch.zeros(2), requires_grad=False)
    return Player("model", module.named_parameters(), training, config or PlayerConfig())


def move(mover: Player, step: int) -> None:
    drawn = torch.Generator().manual_seed(step)
    for parameter in mover.parameters.values():
        parameter.grad = torch.randn(parameter.shape, generator=drawn)
    mover.optimizer.step()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_an_optimizer_goes_on_from_its_stored_state(optimizer: str) -> None:
    training = TrainingConfig.model_validate({"optimizer": optimizer, "weight_decay": 0.1})
    first = player(training)
    for step in range(3):
        move(first, step)
    stored = {key: value.clone() for key, value in first.state()}
    assert all(key.startswith("model/") and key.count("/") == 2 for key in stored)
    second = player(training)
    with torch.no_grad():
        for name, value in second.parameters.items():
            value.copy_(first.parameters[name])
    second.load_state(stored)
    for step in (3, 4):
        move(first, step)
        move(second, step)
    assert all(torch.equal(value, second.parameters[name]) for name, value in first.parameters.items())


def test_a_state_that_lacks_a_parameter_is_refused() -> None:
    first = player(TrainingConfig())
    move(first, 0)
    stored = {key: value for key, value in first.state() if "/b/" not in key}
    with pytest.raises(CheckpointError, match="the optimizer of player model has no state") as caught:
        player(TrainingConfig()).load_state(stored)
    assert caught.value.got == "b"


def test_settings_reach_the_optimizer() -> None:
    training = TrainingConfig(learning_rate=0.5, betas=(0.8, 0.9), weight_decay=0.01, optimizer="adamw")
    group = player(training).optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.5, (0.8, 0.9), 0.01)
    own = PlayerConfig(learning_rate=0.25, betas=(0.0, 0.9), num_steps=5)
    mine = player(training, own)
    group = mine.optimizer.param_groups[0]
    assert (group["lr"], group["betas"], mine.num_updates) == (0.25, (0.0, 0.9), 5)
    mine.set_learning_rate(0.5)
    assert group["lr"] == 0.125
    assert mine.parameters.keys() == {"a", "b"}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_biases_and_gains_do_not_decay(optimizer: str) -> None:
    training = TrainingConfig.model_validate({"optimizer": optimizer, "weight_decay": 0.1})
    decaying, plain = player(training), player(training.model_copy(update={"weight_decay": 0.0}))
    for mover in (decaying, plain):
        for step in range(3):
            move(mover, step)
    assert torch.equal(decaying.parameters["b"], plain.parameters["b"])
    assert not torch.equal(decaying.parameters["a"], plain.parameters["a"])


def test_sgd_has_momentum() -> None:
    one = player(TrainingConfig(optimizer="sgd", learning_rate=1.0))
    before = one.parameters["b"].detach().clone()
    gradient = torch.ones(3)
    for _ in range(2):
        one.parameters["a"].grad, one.parameters["b"].grad = torch.zeros(4, 3), gradient
        one.optimizer.step()
    # velocity: 1, then 0.9 + 1
    assert torch.allclose(one.parameters["b"], before - 2.9)
