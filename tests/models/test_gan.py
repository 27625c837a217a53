"""GANs: each player's loss against its formula by hand, what steadies them, and what cannot be trained."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import RecipeError, UsageError
from creuset.models import family_configs
from creuset.models.gan import GAN
from creuset.models.gan_config import GANConfig, GANObjective
from creuset.recipe.resolve import parse_recipe

PICTURES = DataSpec(
    kind="images", shape=(1, 8, 8), num_levels=17, class_names=("a", "b"), class_counts=(9, 9)
)
POINTS = DataSpec(
    kind="table",
    shape=(2,),
    num_levels=0,
    feature_names=("x", "y"),
    feature_mean=(0.0, 0.0),
    feature_std=(1.0, 1.0),
)


def gan(spec: DataSpec = POINTS, objective: dict[str, Any] | None = None, **settings: Any) -> GAN:
    """A small GAN, without penalties where none are asked for."""
    torch.manual_seed(0)
    objective = {"r1": 0.0, "r2": 0.0, **(objective or {})}
    config = GANConfig(family="gan", size="tiny", objective=GANObjective(**objective), **settings)
    return GAN(config, spec).double()


def batch(spec: DataSpec = POINTS, size: int = 12) -> dict[str, Tensor]:
    drawn = torch.randn(size, *spec.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    if spec.kind == "table":
        return {"features": drawn}
    return {"images": drawn.tanh(), "labels": torch.arange(size) % 2}


def draws(size: int = 12, seed: int = 0) -> BatchGenerator:
    return BatchGenerator(seed, "test", size=size)


def scores_of(model: GAN, real: Tensor) -> tuple[Tensor, Tensor]:
    """What the critic makes of the batch, and of what the generator makes of the same draws."""
    noise = draws().normal(model.latent_dim).double()
    return model.critic(real), model.critic(model.generator(noise))


def test_players_share_no_parameter_and_have_all() -> None:
    model = gan()
    names = [name for player in model.players for name, _ in model.player_parameters(player)]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "lsgan", "hinge", "relativistic"])
def test_losses_are_of_the_critics_scores(name: str) -> None:
    model = gan(objective={"name": name})
    real, fake = scores_of(model, batch()["features"])
    critic = model.loss(batch(), "critic", draws())
    generator = model.loss(batch(), "generator", draws())
    sigmoid, log = torch.sigmoid, torch.log
    expected = {
        "minimax": (-log(sigmoid(real)) - log(1 - sigmoid(fake)), log(1 - sigmoid(fake))),
        "non_saturating": (-log(sigmoid(real)) - log(1 - sigmoid(fake)), -log(sigmoid(fake))),
        "lsgan": (((real - 1) ** 2 + fake**2) / 2, (fake - 1) ** 2 / 2),
        "hinge": ((1 - real).clamp(min=0) + (1 + fake).clamp(min=0), -fake),
        "relativistic": (-log(sigmoid(real - fake)), -log(sigmoid(fake - real))),
    }[name]
    torch.testing.assert_close(critic["loss"], expected[0].mean())
    torch.testing.assert_close(generator["loss"], expected[1].mean())
    assert float(critic["accuracy"]) == pytest.approx(float((real > fake).double().mean()))


def test_penalties_are_added_with_their_weights_in_the_steps_that_are_due() -> None:
    model = gan(objective={"r1": 2.0, "r2": 3.0, "penalty_every": 4, "final_penalty": 0.0})
    plain = gan()
    without = plain.loss(batch(), "critic", draws())["loss"]
    for step, share in ((0, 1.0), (4, 0.5)):
        model.begin_step(step, 8)
        report = model.loss(batch(), "critic", draws())
        penalty = 4 * share * (2 * report["r1"] + 3 * report["r2"])
        torch.testing.assert_close(report["loss"], without + penalty)
        assert float(report["r1"]) > 0
    for step in (1, 8):  # none is told that was not computed: means are over steps with one
        model.begin_step(step, 8)
        report = model.loss(batch(), "critic", draws())
        torch.testing.assert_close(report["loss"], without)
        assert report.keys() == {"loss", "accuracy"}


def test_the_gradient_penalty_of_wgan_gp_is_told_without_its_weight() -> None:
    model = gan(objective={"name": "wgan_gp", "penalty_weight": 7.0})
    report = model.loss(batch(), "critic", draws())
    real, fake = scores_of(model, batch()["features"])
    torch.testing.assert_close(report["loss"], (fake - real).mean() + 7 * report["gradient_penalty"])


def test_the_weights_of_wgan_are_cut_after_the_critics_updates_alone() -> None:
    model = gan(objective={"name": "wgan", "clip_weights": 0.02})
    before = [parameter.clone() for parameter in model.parameters()]
    model.end_update("generator")
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    model.end_update("critic")
    assert max(float(parameter.detach().abs().max()) for parameter in model.critic.parameters()) == 0.02
    assert max(float(parameter.detach().abs().max()) for parameter in model.generator.parameters()) > 0.02


def test_instance_noise_falls_to_nothing() -> None:
    model, plain = gan(objective={"instance_noise": 1.0}), gan()
    expected = (plain.loss(batch(), "critic", draws())["loss"]).item()
    apart = []
    for step in (0, 50, 100):
        model.begin_step(step, 100)
        apart.append(abs((model.loss(batch(), "critic", draws())["loss"]).item() - expected))
    assert apart[0] > apart[1] > apart[2] == 0


def test_looking_ahead_without_steps_of_any_length_changes_nothing() -> None:
    plain = gan(objective={"name": "non_saturating"}).loss(batch(), "generator", draws())["loss"]
    for rate, same in ((1e-12, True), (0.5, False)):
        ahead = gan(objective={"name": "non_saturating", "unrolled_steps": 2, "unrolled_learning_rate": rate})
        report = ahead.loss(batch(), "generator", draws())
        assert (abs((report["loss"] - plain).item()) < 1e-9) == same
        report["loss"].backward()
        assert all(parameter.grad is not None for parameter in ahead.generator.parameters())


def test_one_step_ahead_is_a_gradient_step_of_the_critic() -> None:
    rate = 0.3
    ahead = gan(objective={"name": "hinge", "unrolled_steps": 1, "unrolled_learning_rate": rate})
    found = ahead.loss(batch(), "generator", draws())["loss"]
    stepped = gan(objective={"name": "hinge"})
    stepped.loss(batch(), "critic", draws())["loss"].backward()
    with torch.no_grad():
        for parameter in stepped.critic.parameters():
            parameter -= rate * parameter.grad
    torch.testing.assert_close(found, stepped.loss(batch(), "generator", draws())["loss"])


@pytest.mark.parametrize("objective", [{"name": "wgan_gp"}, {"name": "hinge", "r1": 0.7, "r2": 0.4}])
def test_steps_ahead_lower_the_penalties_too(objective: dict[str, Any]) -> None:
    rate = 0.3
    ahead = gan(objective={**objective, "unrolled_steps": 1, "unrolled_learning_rate": rate})
    found = ahead.loss(batch(), "generator", draws())["loss"]
    stepped = gan(objective=objective)
    stepped.loss(batch(), "critic", draws())["loss"].backward()
    with torch.no_grad():
        for parameter in stepped.critic.parameters():
            if parameter.grad is not None:
                parameter -= rate * parameter.grad
    torch.testing.assert_close(found, stepped.loss(batch(), "generator", draws())["loss"])


def test_the_gradient_through_steps_ahead_is_that_of_finite_differences() -> None:
    settings = {"name": "wgan_gp", "unrolled_steps": 2, "unrolled_learning_rate": 0.3}
    model = gan(objective=settings)
    weight = next(parameter for _, parameter in model.player_parameters("generator"))
    model.loss(batch(), "generator", draws())["loss"].backward()
    assert weight.grad is not None
    place = tuple(int(one) for one in torch.unravel_index(weight.grad.abs().argmax(), weight.shape))
    values = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            weight[place] += step
        values.append(model.loss(batch(), "generator", draws())["loss"].item())
        with torch.no_grad():
            weight[place] -= step
    assert float(weight.grad[place]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)


def test_steps_ahead_of_wgan_cut_the_weights_that_they_reach() -> None:
    settings = {"name": "wgan", "clip_weights": 0.02}
    ahead = gan(objective={**settings, "unrolled_steps": 1, "unrolled_learning_rate": 0.3})
    found = ahead.loss(batch(), "generator", draws())["loss"]
    stepped = gan(objective=settings)
    stepped.loss(batch(), "critic", draws())["loss"].backward()
    with torch.no_grad():
        for parameter in stepped.critic.parameters():
            parameter -= 0.3 * parameter.grad
    stepped.end_update("critic")
    torch.testing.assert_close(found, stepped.loss(batch(), "generator", draws())["loss"])


def test_steps_ahead_move_no_running_statistics() -> None:
    settings = {"name": "non_saturating", "unrolled_steps": 2}
    model = gan(PICTURES, channels=(4, 8), critic_norm="batch", objective=settings).train()
    before = {name: value.clone() for name, value in model.critic.named_buffers()}
    assert before
    model.loss(batch(PICTURES), "generator", draws())["loss"].backward()
    assert all(torch.equal(value, before[name]) for name, value in model.critic.named_buffers())
    model.loss(batch(PICTURES), "critic", draws())
    assert not any(torch.equal(value, before[name]) for name, value in model.critic.named_buffers())


def test_feature_matching_is_the_distance_of_mean_features() -> None:
    model = gan(objective={"name": "non_saturating", "feature_matching": 5.0})
    report = model.loss(batch(), "generator", draws())
    noise = draws().normal(model.latent_dim).double()
    apart = model.critic.features(batch()["features"]).mean(0) - model.critic.features(
        model.generator(noise)
    ).mean(0)
    torch.testing.assert_close(report["feature_distance"], apart.square().sum())
    plain = gan(objective={"name": "non_saturating"}).loss(batch(), "generator", draws())["loss"]
    torch.testing.assert_close(report["loss"], plain + 5 * apart.square().sum())
    assert model.couples_samples


def test_a_pack_is_judged_together() -> None:
    model = gan(pack=3)
    points = batch()["features"]
    scores = model.critic(points)
    assert scores.shape == (4,)
    moved = points.clone()
    moved[4] += 1
    assert (model.critic(moved) != scores).tolist() == [False, True, False, False]


@pytest.mark.parametrize("name", ["wgan_gp", "hinge"])
def test_penalties_of_packs_are_of_all_samples_of_a_pack_together(name: str) -> None:
    """Of a linear critic of slope w a pack: (|w| - 1)^2 and |w|^2 / 2, with w over all of its samples."""
    penalties = {} if name == "wgan_gp" else {"r1": 1.0, "r2": 1.0}
    model = gan(pack=3, hidden_dims=(), objective={"name": name, **penalties})
    slope = model.critic.score.weight.detach().norm()
    report = model.loss(batch(), "critic", draws())
    if name == "wgan_gp":
        torch.testing.assert_close(report["gradient_penalty"], (slope - 1) ** 2)
    else:
        torch.testing.assert_close(report["r1"], slope**2 / 2)
        torch.testing.assert_close(report["r2"], slope**2 / 2)


def test_a_penalty_of_groups_is_of_the_sum_of_scores() -> None:
    model = gan(minibatch_group=4, objective={"name": "hinge", "r1": 1.0})
    report = model.loss(batch(), "critic", draws())
    real = batch()["features"].requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda x: model.critic(x).sum(), real)
    torch.testing.assert_close(report["r1"], jacobian.square().sum(1).mean() / 2)


@pytest.mark.parametrize("settings", [{"minibatch_kernels": 3}, {"minibatch_group": 4}])
def test_what_the_critic_sees_of_a_batch_couples_its_samples(settings: dict[str, int]) -> None:
    for spec, channels in ((POINTS, ()), (PICTURES, (4, 8))):
        model = gan(spec, channels=channels, **settings)
        assert model.couples_samples
        samples = next(iter(batch(spec).values()))
        moved = samples.clone()
        moved[0] += 0.5
        changed = model.critic(moved) != model.critic(samples)
        assert int(changed.sum()) > 1


def test_a_class_decides_what_is_drawn() -> None:
    model = gan(PICTURES, channels=(4, 8), condition="class").eval()
    asked = [model.sample(12, draws(), {"labels": torch.full((12,), label)}) for label in (0, 1)]
    assert asked[0].shape == (12, 1, 8, 8)
    assert float(asked[0].abs().max()) <= 1
    assert not torch.allclose(*asked)
    model.loss(batch(PICTURES), "critic", draws())["loss"].backward()
    for label in (0, 1):
        assert model.critic.embedding is not None
        assert float(model.critic.embedding.weight.grad[label].abs().sum()) > 0


@pytest.mark.parametrize("size", [8, 16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes_and_colours(size: int, channels: int) -> None:
    spec = DataSpec(kind="images", shape=(channels, size, size), num_levels=256)
    model = gan(spec, channels=(4, 4, 8), generator_norm="batch", critic_norm="batch").float()
    assert model.sample(2, draws(2)).shape == (2, channels, size, size)
    assert math.isfinite(
        (model.loss({"images": torch.zeros(4, *spec.shape)}, "critic", draws(4))["loss"]).item()
    )


@pytest.mark.parametrize(
    ("shape", "maps"),
    [
        ((2,), ()),
        ((1, 8, 8), (32,)),
        ((1, 28, 28), (32, 64)),
        ((3, 64, 64), (32, 64, 128, 256)),
        ((1, 32, 8), (32,)),
        ((1, 15, 15), ()),
    ],
)
def test_the_dial_sets_networks_for_data_of_any_form(shape: tuple[int, ...], maps: tuple[int, ...]) -> None:
    sizes = [GANConfig(family="gan", size=size).layers_of(shape) for size in ("tiny", "small", "base")]
    assert sizes[1] == (() if maps else (128, 128, 128), maps)
    widest = [max((*hidden, *channels)) for hidden, channels in sizes]
    assert widest[0] < widest[1] < widest[2]
    given = GANConfig(family="gan", hidden_dims=(5,), channels=())
    assert given.layers_of(shape) == ((5,), ())
    assert GANConfig(family="gan", hidden_dims=(5,)).layers_of(shape) == ((5,), maps)


def test_spectral_norm_bounds_each_layer() -> None:
    model = gan(spectral_norm=True).train()
    with torch.no_grad():
        for parameter in model.critic.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    scores = [model.critic(batch()["features"]) for _ in range(2)]
    assert torch.equal(*scores)  # using it changes nothing
    for _ in range(30):  # each update improves the estimate
        model.end_update("critic")
    model.end_update("generator")
    for layer in (*model.critic.dense, model.critic.score):
        if isinstance(layer, torch.nn.Linear):
            largest = float(torch.linalg.matrix_norm(layer.weight.detach(), ord=2))
            assert largest == pytest.approx(1, rel=0.05)
    first, second = batch()["features"], batch()["features"] + 0.1 * torch.randn(12, 2).double()
    rise = (model.critic(first) - model.critic(second)).abs() / (first - second).norm(dim=1)
    assert float(rise.detach().max()) <= 1.1


def test_pictures_that_cannot_be_halved_are_refused() -> None:
    odd = DataSpec(kind="images", shape=(1, 28, 28), num_levels=256)
    with pytest.raises(
        UsageError, match=r"cannot be halved so often[^$]*28 x 28 pixels, 3 maps[^$]*at most 2"
    ):
        gan(odd, channels=(4, 4, 4))
    with pytest.raises(UsageError, match="only pictures have maps"):
        gan(channels=(4,))
    with pytest.raises(UsageError, match="only pictures can be augmented"):
        gan(objective={"augment": ("cutout",)})
    with pytest.raises(
        UsageError, match="a class-conditional GAN learns classes, and the data has no labels"
    ):
        gan(condition="class")


WRONG = {
    "model: {family: gan, critic_norm: batch}\nobjective: {name: wgan_gp}": (
        r"1:35: model.critic_norm must be none or group beside a gradient penalty"
    ),
    "model: {family: gan, critic_norm: batch}\nobjective: {r1: 1}": r"critic_norm must be none or group",
    "model: {family: gan, minibatch_kernels: 3}": (
        r"1:41: model.minibatch_kernels must be 0 beside a gradient penalty[^$]*take minibatch_group"
    ),
    "model: {family: gan}\nobjective: {name: hinge, feature_matching: 1, unrolled_steps: 2}": (
        r"objective.feature_matching is of the critic as it is, unrolled_steps of the critic as it will be"
    ),
    "model: {family: gan, width: 12, hidden_dims: [], channels: [8]}": (
        r"1:\d+: model.width has no effect beside hidden_dims and channels"
    ),
    "model: {family: gan, minibatch_group: 3}": (
        r"1:39: model.minibatch_group must be a divisor of data.batch_size \(128\), got 3"
    ),
    "model: {family: gan, pack: 3}": r"1:28: model.pack must be a divisor of data.batch_size \(128\), got 3",
    "model: {family: gan, pack: 2, minibatch_group: 128}": (
        r"model.minibatch_group must be a divisor of data.batch_size \(128 in packs of 2\), got 128"
    ),
    "model: {family: gan, condition: text}": r"model.condition: expected one of none, class, got",
    "model: {family: gan, condition: class, pack: 2}": r"model.pack joins samples of unlike classes",
    "model: {family: gan}\nobjective: {name: wgan, label_smoothing: 0.1}": (
        r"2:\d+: objective.label_smoothing has no effect on wgan, whose critic has no target"
    ),
    "model: {family: gan}\nobjective: {penalty_weight: 3}": r"objective.penalty_weight is for wgan_gp; leave",
    "model: {family: gan}\nobjective: {r1: 0, r2: 0, penalty_every: 3}": (
        r"penalty_every has no effect without r1 or r2"
    ),
    "model: {family: gan}\nobjective: {nam: wgan}": r'unknown key "nam" under objective; did you mean "name"',
    "model: {family: gan}\nobjective: {name: wgann}": r'objective.name: expected one of.*did you mean "wgan"',
    "model: {family: gan}\nobjective: 3": r"objective: expected keys, got 3",
    "model: {family: gan, objective: {name: wgan}}": r"1:22: objective is a section of its own, beside model",
    "model: {family: vae}\nobjective: {name: wgan}": r"2:1: the family vae has no objective to choose",
    "model: {family: gan, r1: 3}": r'unknown key "r1" under model; it belongs under objective',
}


@pytest.mark.parametrize("text", WRONG)
def test_recipes_that_cannot_be_trained_are_refused_where_they_are_wrong(text: str) -> None:
    with pytest.raises(RecipeError, match=WRONG[text]):
        parse_recipe(f"{text}\ndata: {{source: ring}}\n", "gan.yaml", families=family_configs())


def test_the_objective_is_kept_in_the_resolved_recipe_and_can_be_set() -> None:
    text = "model: {family: gan, size: tiny}\nobjective: {name: hinge, r1: 0.5}\ndata: {source: ring}\n"
    recipe = parse_recipe(
        text, "gan.yaml", settings=["objective.augment=[]", "objective.r2=0.25"], families=family_configs()
    )
    assert isinstance(recipe.model, GANConfig)
    assert recipe.model.objective == GANObjective(name="hinge", r1=0.5, r2=0.25)
    values = recipe.values()
    assert values["objective.name"] == "hinge"
    assert not any(key.startswith("model.objective") for key in values)
    assert recipe.origins["objective.r1"] == "gan.yaml:2"
    assert recipe.origins["objective.r2"] == "--set"
    assert recipe.origins["objective.penalty_weight"] == "default"
    again = parse_recipe(recipe.to_yaml(), "again.yaml", families=family_configs())
    assert again == recipe


@pytest.mark.parametrize("settings", [{}, {"spectral_norm": True}])
def test_parts_of_a_batch_add_up_for_independent_samples(settings: dict[str, Any]) -> None:
    model = gan(objective={"name": "wgan_gp"}, **settings).train()
    assert not model.couples_samples
    whole = (model.loss(batch(), "critic", draws())["loss"]).item()
    generator, total = draws(), 0.0
    for start, stop in pairwise((0, 5, 12)):
        part = {"features": batch()["features"][start:stop]}
        total += (
            (stop - start) / 12 * (model.loss(part, "critic", generator.slice(start, stop))["loss"]).item()
        )
    assert total == pytest.approx(whole, rel=1e-10)
