"""What every family must keep, chosen by its traits. A family that is added is tested without a change here.

The data are scikit-learn's digits, 8 x 8 with 17 levels; for language models blocks of a text that repeats
itself with changes; for families that make a text of another one pairs of texts.
"""

import ast
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from sklearn.datasets import load_digits
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import CreusetError, UsageError
from creuset.generation.transduction import best_targets, sources, targets
from creuset.models import family, family_configs, family_names
from creuset.models.base import Family, FittedModel, Model
from creuset.models.gan_config import GANObjective
from creuset.recipe.sections import FamilyConfig
from small_transformers import corpus_spec

RECIPES = Path(__file__).resolve().parent.parent / "recipes"

PENALISED = GANObjective(name="lsgan", r1=0.1, r2=0.1)
SALIMANS = GANObjective(name="non_saturating", label_smoothing=0.1, feature_matching=0.1, instance_noise=0.1)
"""Ways of training a GAN."""

VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "linear": ({"kind": "svm"}, {"kind": "svm", "kernel": "linear"}),
    "cnn": ({"class_weights": "balanced", "label_smoothing": 0.1},),
    "rnn": ({"cell": "lstm", "num_layers": 2},),
    "decoder": (
        {"positions": "rotary", "norm": "rms", "gated": True, "tied_head": False, "dropout": 0.1},
        {"positions": "sinusoidal"},
    ),
    "encoder_decoder": ({"positions": "learned", "dropout": 0.1}, {"positions": "sinusoidal"}),
    "text_embedder": ({"pooling": "last", "dropout": 0.1},),
    "rnn_lm": ({"cell": "gru", "num_layers": 2, "dropout": 0.1},),
    "encoder": (
        {"positions": "rotary", "norm": "rms", "dropout": 0.1},
        {"positions": "sinusoidal", "mask_share": 0.3},
    ),
    "autoencoder": (
        {"channels": (8,), "reconstruction": "bernoulli"},
        {"noise": "gaussian", "noise_level": 0.5},
        {"noise": "masking", "noise_level": 0.3},
    ),
    "gan": (
        {"channels": (8, 8), "generator_norm": "group", "condition": "class", "objective": PENALISED},
        {"spectral_norm": True, "minibatch_group": 4, "objective": SALIMANS},
        {"spectral_norm": True, "objective": PENALISED},
        {"minibatch_kernels": 4, "objective": GANObjective(name="lsgan")},
    ),
    "pixelcnn": (
        {"likelihood": "categorical", "dropout": 0.1},
        {"condition": "class", "kernel_size": 5},
    ),
    "flow": (
        {"condition": "class", "guidance": 2.0, "sampler": "heun"},
        {"condition": "text", "pairing": "optimal_transport", "attention": False},
    ),
    "diffusion": (
        {"prediction": "epsilon", "schedule": "linear", "sampler": "ddpm"},
        {"prediction": "x0", "condition": "class", "eta": 0.5},
        {"prediction": "levels", "patch_size": 2},
        {"condition": "text", "guidance": 1.5, "sampler": "dpm_solver", "num_sampling_steps": 20},
    ),
    "vqvae": (
        {"codebook": "loss", "reconstruction": "bernoulli"},
        {"restart_below": 0.0, "commitment_weight": 1.0},
    ),
    "vae": (
        {"likelihood": "discretised", "channels": (8,)},
        {"likelihood": "gaussian", "beta": 2.0},
        {"likelihood": "gaussian", "variance": 0.1, "free_bits": 0.1},
    ),
}
"""Settings beside the defaults that take a family through its other branches.

Families that tune others' models have batches of one row, and tests of their own: test_finetune.py.
"""

CASES = [(name, {}) for name in family_names() if family(name).tune is None] + [
    (name, settings) for name, variants in VARIANTS.items() for settings in variants
]


def cases(*traits: str, fitted: bool | None = None) -> pytest.MarkDecorator:
    """All cases whose family has these traits; `fitted` tells families without gradients from the others."""
    chosen = []
    for name, settings in CASES:
        found = family(name).traits
        if set(traits) <= found and (fitted is None or fitted != ("gradient" in found)):
            told = (getattr(value, "name", value) for value in settings.values())
            label = "-".join([name, *map(str, told)])
            chosen.append(pytest.param(name, settings, id=label))
    return pytest.mark.parametrize(("name", "settings"), chosen)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits() -> dict[str, Tensor]:
    data = load_digits()
    images = torch.from_numpy(data.images).float()[:, None] / 8 - 1
    return {"images": images, "labels": torch.from_numpy(data.target).long()}


CONTEXT, NUM_TOKENS = 16, 12


@cache
def corpus() -> dict[str, Tensor]:
    """2,000 blocks of tokens: each token is mostly the one before plus one, now and then any."""
    generator = torch.Generator().manual_seed(0)
    jumps = torch.rand(2000 * CONTEXT + 1, generator=generator) < 0.1
    steps = torch.where(jumps, torch.randint(NUM_TOKENS, jumps.shape, generator=generator), 1)
    rows = (steps.cumsum(0) % NUM_TOKENS).unfold(0, CONTEXT + 1, CONTEXT)
    return {"tokens": rows[:, :-1], "targets": rows[:, 1:]}


def counting_spec() -> DataSpec:
    counts = torch.bincount(corpus()["tokens"].flatten()).tolist()
    return replace(corpus_spec(NUM_TOKENS, CONTEXT, bytes_per_token=2.0), word_counts=tuple(counts))


@cache
def pairs() -> dict[str, Tensor]:
    """2,000 texts that count up, and as their targets the same tokens two higher."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, CONTEXT + 1, (2000,), generator=generator)
    first = torch.randint(NUM_TOKENS, (2000, 1), generator=generator)
    source = (first + torch.arange(CONTEXT)) % NUM_TOKENS
    inside = torch.arange(CONTEXT) < lengths[:, None]
    target = (source + 2) % NUM_TOKENS
    ends = torch.full((2000, 1), -1)
    targets = torch.cat([target.masked_fill(~inside, -1), ends], dim=1)
    targets.scatter_(1, lengths[:, None], NUM_TOKENS + 1)
    starts = torch.full((2000, 1), NUM_TOKENS)
    return {
        "source": source.masked_fill(~inside, 0),
        "source_lengths": lengths,
        "tokens": torch.cat([starts, target.masked_fill(~inside, 0)], dim=1),
        "targets": targets,
    }


def pair_spec() -> DataSpec:
    lengths = pairs()["source_lengths"].double()
    return DataSpec(
        kind="pairs",
        shape=(),
        num_levels=0,
        context=CONTEXT,
        tokenizer="made up",
        tokenizer_size=NUM_TOKENS,
        target_tokens=float(lengths.mean()) + 1,
    )


def masked_spec() -> DataSpec:
    """The same with a mask token behind all others."""
    return replace(corpus_spec(NUM_TOKENS + 1, CONTEXT), mask_token=NUM_TOKENS, special_tokens=(NUM_TOKENS,))


def of_text(name: str) -> bool:
    """Whether the family takes plain text."""
    return bool(family(name).traits & {"scores_text", "fills_masks", "embeds_tokens"})


def of_pairs(name: str) -> bool:
    return bool({"transduces_text", "embeds_texts"} & family(name).traits)


def spec_of(name: str) -> DataSpec:
    """The form of the data that a family is tested on."""
    if of_pairs(name):
        return pair_spec()
    if "fills_masks" in family(name).traits:
        return masked_spec()
    return counting_spec() if of_text(name) else digit_spec()


def data_of(name: str, digits: dict[str, Tensor]) -> dict[str, Tensor]:
    if of_pairs(name):
        return pairs()
    return corpus() if of_text(name) else digits


def digit_spec() -> DataSpec:
    labels = load_digits().target
    return DataSpec(
        kind="images",
        shape=(1, 8, 8),
        num_levels=17,
        class_names=tuple("0123456789"),
        class_counts=tuple(int(count) for count in np.bincount(labels)),
    )


def configure(name: str, settings: dict[str, Any]) -> FamilyConfig:
    found = family(name)
    size = {"size": "tiny"} if found.config.sizes else {}
    return found.config(family=name, **{**size, **settings})


def build(name: str, settings: dict[str, Any], seed: int = 0) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family(name).build(configure(name, settings), spec_of(name))


def draws(size: int, *labels: int | str, seed: int = 0) -> BatchGenerator:
    return BatchGenerator(seed, "contract", *labels, size=size)


def part(batch: dict[str, Tensor], start: int, stop: int) -> dict[str, Tensor]:
    return {name: values[start:stop] for name, values in batch.items()}


def numbers(report: dict[str, Tensor]) -> dict[str, float]:
    return {key: float(value.detach()) for key, value in report.items()}


def train(model: Model, data: dict[str, Tensor], num_steps: int, batch_size: int = 64) -> list[float]:
    """The loss of each step, of all players in turn."""
    alone = len(model.players) == 1
    optimizers = {
        player: torch.optim.Adam(
            [value for _, value in model.player_parameters(player)], **(ALONE if alone else AGAINST)
        )
        for player in model.players
    }
    order = np.random.default_rng(0)
    losses = []
    for step in range(num_steps):
        model.begin_step(step, num_steps)
        chosen = torch.from_numpy(order.choice(len(next(iter(data.values()))), batch_size, replace=False))
        batch = {name: values[chosen] for name, values in data.items()}
        for player, optimizer in optimizers.items():
            loss = model.loss(batch, player, draws(batch_size, player, step))["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.end_update(player)
        losses.append(float(loss.detach()))
    return losses


ALONE: dict[str, Any] = {"lr": 3e-3}
AGAINST: dict[str, Any] = {"lr": 1e-3, "betas": (0.0, 0.99)}
"""Of Adam, for players that move against each other."""


def fitted(name: str, settings: dict[str, Any], digits: dict[str, Tensor]) -> FittedModel:
    model = build(name, settings)
    assert isinstance(model, FittedModel)
    data = part(digits, 0, 300)
    model.fit(data["images"].flatten(1).numpy(), data["labels"].numpy(), seed=0)
    return model


def test_registry_lists_the_files_of_the_folder() -> None:
    folder = Path(__file__).resolve().parent.parent / "src" / "creuset" / "models"
    files = {
        file.stem
        for file in folder.glob("*.py")
        for line in ast.parse(file.read_text()).body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "FAMILY"
    }
    assert set(family_names()) == files
    assert list(family_names()) == sorted(family_names())
    assert tuple(family_configs()) == family_names()


@pytest.mark.parametrize("name", family_names())
def test_family_describes_itself(name: str) -> None:
    found = family(name)
    assert isinstance(found, Family)
    assert found.name == name
    assert found.traits <= {
        *("gradient", "samples", "likelihood", "encodes", "classifies", "scores_text", "generates_text"),
        "inpaints",
        *("fills_masks", "embeds_tokens", "embeds_texts", "transduces_text", "answers_chats"),
    }
    assert found.traits
    assert found.config is family_configs()[name]()
    for key, field in found.config.model_fields.items():
        assert field.description, f"{name}.{key} has no description"


@pytest.mark.parametrize("name", family_names())
def test_each_size_builds(name: str) -> None:
    found = family(name)
    for size in found.config.sizes:
        model = found.build(found.config(family=name, size=size), spec_of(name))
        assert isinstance(model, Model if "gradient" in found.traits else FittedModel)


@pytest.mark.parametrize("name", family_names())
def test_a_shipped_recipe_uses_the_family(name: str) -> None:
    recipes = [yaml.safe_load(path.read_text()) for path in sorted(RECIPES.glob("*.yaml"))]
    assert name in {recipe["model"]["family"] for recipe in recipes}


def test_unknown_family_is_named_with_the_nearest() -> None:
    with pytest.raises(CreusetError, match=r'no family "vea"; did you mean "vae"\?'):
        family("vea")


@cases("gradient")
def test_loss_is_finite_and_reaches_every_parameter(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings)
    reached: set[str] = set()
    for player in model.players:
        model.zero_grad()
        report = model.loss(part(data_of(name, digits), 0, 64), player, draws(64, player))
        assert all(value.ndim == 0 and torch.isfinite(value) for value in report.values())
        assert report["loss"].requires_grad
        report["loss"].backward()
        for key, value in model.player_parameters(player):
            assert value.grad is not None, f"{key} is not reached"
            assert value.grad.abs().max() > 0, f"{key} has no gradient"
            reached.add(key)
    assert reached == {key for key, _ in model.named_parameters()}


@cases("gradient")
def test_loss_of_a_batch_is_the_mean_of_its_parts(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings).double()
    if model.couples_samples:
        pytest.skip("a batch of this family is never cut: its samples are told from each other")
    batch = {
        key: value.double() if value.is_floating_point() else value
        for key, value in part(data_of(name, digits), 0, 24).items()
    }
    cuts = [0, 5, 6, 24]
    for player in model.players:
        whole = model.loss(batch, player, draws(24))
        model.zero_grad()
        whole["loss"].backward()
        expected = {key: value.grad.clone() for key, value in model.player_parameters(player)}
        model.zero_grad()
        generator = draws(24)
        totals = dict.fromkeys(whole, 0.0)
        for start, stop in pairwise(cuts):
            share = (stop - start) / 24
            report = model.loss(part(batch, start, stop), player, generator.slice(start, stop))
            (share * report["loss"]).backward()
            for key, value in report.items():
                totals[key] += share * float(value.detach())
        assert totals == pytest.approx(numbers(whole), rel=1e-10)
        for key, value in model.player_parameters(player):
            torch.testing.assert_close(value.grad, expected[key], rtol=1e-8, atol=1e-12)


@cases("gradient")
def test_seed_decides(name: str, settings: dict[str, Any], digits: dict[str, Tensor]) -> None:
    def state(seed: int) -> bytes:
        model = build(name, settings, seed)
        train(model, part(data_of(name, digits), 0, 64), 2)
        return safetensors.torch.save({key: value.contiguous() for key, value in model.state_dict().items()})

    assert state(0) == state(0)
    assert state(0) != state(1)


@cases("gradient")
def test_global_generators_are_left_alone(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings)
    batch = part(data_of(name, digits), 0, 16)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    for player in model.players:
        model.loss(batch, player, draws(16))
    model.validation_loss(batch, draws(16))
    traits = family(name).traits
    if "samples" in traits:
        model.sample(4, draws(4))
    if "likelihood" in traits:
        model.log_likelihood(batch["images"], draws(16), 3)
    if "encodes" in traits:
        model.reconstruct(batch["images"])
    if "classifies" in traits:
        model.logits(batch["images"])
    if "scores_text" in traits:
        model.token_nats(batch["tokens"], batch["targets"])
    if "generates_text" in traits:
        model.reader(16).read(batch["tokens"])
    if "transduces_text" in traits:
        model.target_nats(batch)
        best_targets(model, part(batch, 0, 2))
    if "fills_masks" in traits:
        model.fill(batch["tokens"], batch["tokens"] == 0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


@cases("gradient")
def test_saved_is_loaded(name: str, settings: dict[str, Any], digits: dict[str, Tensor]) -> None:
    model, other = build(name, settings, 0), build(name, settings, 1)
    train(model, part(data_of(name, digits), 0, 64), 2)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(state)))
    batch = part(data_of(name, digits), 0, 16)
    other.begin_step(1, 2)
    for player in model.players:
        first = model.loss(batch, player, draws(16))
        second = other.loss(batch, player, draws(16))
        assert numbers(first) == numbers(second)


@cases("gradient")
def test_training_lowers_the_loss(name: str, settings: dict[str, Any], digits: dict[str, Tensor]) -> None:
    model = build(name, settings)
    held_out = part(data_of(name, digits), 1500, 1700)
    before = numbers(model.validation_loss(held_out, draws(200)))["loss"]
    train(model, part(data_of(name, digits), 0, 1500), 60)
    assert numbers(model.validation_loss(held_out, draws(200)))["loss"] < 0.95 * before


def shortened(data: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same, of blocks of a corpus with the last one as short as at the end of a text."""
    if "targets" not in data or "source" in data:
        return data
    targets = data["targets"].clone()
    targets[-1, 4:] = -1
    return {**data, "targets": targets}


@cases("gradient")
def test_validation_does_not_depend_on_how_much_is_read_at_once(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings).double().eval()
    group = model.validation_group
    total = 25 if group == 1 else 3 * group
    batch = {
        key: value.double() if value.is_floating_point() else value
        for key, value in shortened(part(data_of(name, digits), 0, total)).items()
    }
    generator = draws(total)
    whole = numbers(model.validation_loss(batch, generator))
    for size in (1, 7, 24) if group == 1 else (group, 2 * group):
        totals, weight = dict.fromkeys(whole, 0.0), 0
        for start in range(0, total, size):
            stop = min(start + size, total)
            one = part(batch, start, stop)
            weight += model.weight_of(one)
            for key, value in numbers(model.validation_loss(one, generator.slice(start, stop))).items():
                totals[key] += model.weight_of(one) * value
        assert weight == model.weight_of(batch)
        assert {key: value / weight for key, value in totals.items()} == pytest.approx(whole, rel=1e-10)


@cases("gradient")
def test_wrong_shape_names_what_was_expected(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings)
    batch = {"images": torch.zeros(4, 1, 9, 8), "labels": torch.zeros(4, dtype=torch.int64)}
    expected = r"got: \(4, 1, 9, 8\)\n  expected: \(batch, 1, 8, 8\)"
    if of_text(name):
        wrong = torch.zeros(4, CONTEXT + 1, dtype=torch.int64)
        batch = {"tokens": wrong, "targets": wrong}
        expected = r"got: \(4, 17\)\n  expected: \(batch, tokens\), whole numbers, at most 16 tokens"
    if of_pairs(name):
        wrong = torch.zeros(4, CONTEXT + 1, dtype=torch.int64)
        batch = {**part(pairs(), 0, 4), "source": wrong}
        expected = r"got: \(4, 17\)\n  expected: \(batch, tokens\), whole numbers, at most 16 tokens"
    with pytest.raises(UsageError, match=expected):
        model.loss(batch, model.players[0], draws(4))


@cases("samples")
def test_samples_have_the_data_s_form(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings)
    samples = model.sample(5, draws(5))
    assert samples.shape == (5, 1, 8, 8)
    assert samples.dtype == torch.float32
    assert samples.abs().max() <= 1
    assert not samples.requires_grad
    assert torch.equal(samples, model.sample(5, draws(5)))
    assert not torch.equal(samples, model.sample(5, draws(5, seed=1)))
    torch.testing.assert_close(samples[2:4], model.sample(2, draws(5).slice(2, 4)))


@cases("samples")
def test_training_moves_samples_toward_the_data(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings)
    mean = digits["images"].mean(0)
    before = (model.sample(100, draws(100)).mean(0) - mean).square().mean()
    train(model, part(digits, 0, 1500), 100 * len(model.players))
    after = (model.sample(100, draws(100)).mean(0) - mean).square().mean()
    assert after < 0.25 * before


@cases("inpaints")
def test_what_is_known_of_a_picture_stays(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings)
    images = digits["images"][:5]
    known = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.5
    completed = model.inpaint(images, known, draws(5))
    assert completed.shape == images.shape
    assert completed.dtype == torch.float32
    assert completed.abs().max() <= 1
    assert not completed.requires_grad
    assert torch.equal(completed[known], images[known])
    assert not torch.equal(completed, model.inpaint(images, known, draws(5, seed=1)))
    torch.testing.assert_close(completed[2:4], model.inpaint(images[2:4], known[2:4], draws(5).slice(2, 4)))
    hidden = torch.where(known, images, torch.zeros(()))
    assert torch.equal(completed, model.inpaint(hidden, known, draws(5)))
    everything = torch.ones(5, 1, 8, 8, dtype=torch.bool)
    assert torch.equal(model.inpaint(images, everything, draws(5)), images)


@cases("likelihood")
def test_likelihood_prefers_data_to_noise(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings)
    train(model, part(digits, 0, 1500), 60)
    images = digits["images"][1500:1600]
    shuffled = images.flatten(1)[:, torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    values = model.log_likelihood(images, draws(100), 8)
    assert values.shape == (100,)
    assert values.dtype == torch.float32
    assert not values.requires_grad
    noise = model.log_likelihood(shuffled.reshape(images.shape), draws(100), 8)
    assert values.mean() > noise.mean() + 5
    if model.likelihood.bound and model.likelihood.tightened:
        bounds = model.elbo(images, draws(100))
        assert bounds.shape == (100,)
        assert bounds.mean() < values.mean()


@cases("likelihood")
def test_observed_pictures_stay_as_they_are(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings)
    images = digits["images"][:50]
    observed = model.observe(images, draws(50, "first"))
    assert observed.shape == images.shape
    torch.testing.assert_close(model.observe(observed, draws(50, "second")), observed)
    if model.likelihood.num_levels:
        assert len(observed.unique()) <= model.likelihood.num_levels


@cases("encodes")
def test_codes_give_pictures_back(name: str, settings: dict[str, Any], digits: dict[str, Tensor]) -> None:
    model = build(name, settings)
    images = digits["images"][1500:1600]
    codes = model.encode(images)
    assert codes.ndim == (3 if model.num_codes else 2)
    assert len(codes) == 100
    assert codes.dtype == (torch.int64 if model.num_codes else torch.float32)
    torch.testing.assert_close(codes[:7], model.encode(images[:7]))
    before = (model.reconstruct(images) - images).square().mean()
    train(model, part(digits, 0, 1500), 100)
    reconstructed = model.reconstruct(images)
    assert reconstructed.shape == images.shape
    assert reconstructed.abs().max() <= 1
    assert (reconstructed - images).square().mean() < 0.5 * before


@cases("encodes")
def test_interpolation_ends_at_the_reconstructions(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings)
    first, second = digits["images"][:3], digits["images"][3:6]
    for path in ("linear", "spherical"):
        pictures = model.interpolate(first, second, 5, path=path)
        assert pictures.shape == (3, 5, 1, 8, 8)
        torch.testing.assert_close(pictures[:, 0], model.reconstruct(first), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(pictures[:, -1], model.reconstruct(second), rtol=1e-4, atol=1e-5)


@cases("gradient", "classifies")
def test_trained_classifier_beats_chance(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = build(name, settings)
    train(model, part(digits, 0, 1500), 100)
    held_out = part(digits, 1500, 1700)
    logits = model.logits(held_out["images"])
    assert logits.shape == (200, 10)
    assert logits.dtype == torch.float32
    assert not logits.requires_grad
    torch.testing.assert_close(logits[:7], model.logits(held_out["images"][:7]), rtol=1e-4, atol=1e-5)
    assert (logits.argmax(1) == held_out["labels"]).float().mean() > 0.5


@cases("classifies", fitted=True)
def test_fitted_classifier_beats_chance_and_is_what_it_stores(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    model = fitted(name, settings, digits)
    held_out = part(digits, 1500, 1700)
    logits = model.logits(held_out["images"])
    assert logits.shape == (200, 10)
    assert logits.dtype == torch.float32
    assert (logits.argmax(1) == held_out["labels"]).float().mean() > 0.8
    tensors = {key: torch.from_numpy(array.copy()) for key, array in model.arrays().items()}
    loaded = safetensors.torch.load(safetensors.torch.save(tensors))
    other = build(name, settings)
    other.load_arrays({key: tensor.numpy() for key, tensor in loaded.items()})
    assert torch.equal(other.logits(held_out["images"]), logits)


@cases("classifies", fitted=True)
def test_fit_depends_on_nothing_but_data_and_seed(
    name: str, settings: dict[str, Any], digits: dict[str, Tensor]
) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = fitted(name, settings, digits), fitted(name, settings, digits)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert all(np.array_equal(array, second.arrays()[key]) for key, array in first.arrays().items())


@pytest.mark.parametrize(
    "name",
    [name for name in family_names() if "classifies" in family(name).traits and family(name).tune is None],
)
def test_classifier_refuses_data_without_two_classes(name: str) -> None:
    found, config = family(name), configure(name, {})
    spec = DataSpec(kind="images", shape=(1, 8, 8), num_levels=17)
    with pytest.raises(UsageError, match=f"{name} learns classes, and the data has no labels"):
        found.build(config, spec)
    spec = DataSpec(kind="images", shape=(1, 8, 8), num_levels=17, class_names=("cat",), class_counts=(9,))
    with pytest.raises(UsageError, match=r'one class only\n  got: "cat"\n  expected: .*two classes'):
        found.build(config, spec)
    spec = DataSpec(
        kind="images",
        shape=(1, 8, 8),
        num_levels=17,
        class_names=("cat", "cow", "dog"),
        class_counts=(9, 0, 9),
    )
    with pytest.raises(UsageError, match='a class without training samples\n  got: "cow"'):
        found.build(config, spec)


OF_TABLES_TOO = {"gan"}
"""Families that draw rows of a table as well as pictures."""

PICTURE_FAMILIES = [
    name for name in family_names() if not of_text(name) and not of_pairs(name) and family(name).tune is None
]


@pytest.mark.parametrize("name", [name for name in PICTURE_FAMILIES if "gradient" in family(name).traits])
def test_picture_family_refuses_a_table_or_learns_it(name: str) -> None:
    spec = DataSpec(kind="table", shape=(4,), num_levels=0, class_names=("a", "b"), class_counts=(5, 5))
    config = configure(name, {})
    if name in OF_TABLES_TOO or "table" in config.only_for.values():
        model = family(name).build(config, spec)
        batch = {"features": torch.randn(6, 4), "labels": torch.arange(6) % 2}
        for player in model.players:
            assert model.loss(batch, player, draws(6))["loss"].isfinite()
        assert model.sample(3, draws(3)).shape == (3, 4)
        return
    with pytest.raises(
        UsageError, match=rf"{name} takes pictures( or texts)?\n  got: a table with 4 columns"
    ):
        family(name).build(configure(name, {}), spec)


@pytest.mark.parametrize("name", PICTURE_FAMILIES)
def test_a_family_takes_texts_or_says_what_it_takes(name: str) -> None:
    spec = DataSpec(
        kind="texts",
        shape=(),
        num_levels=0,
        class_names=("a", "b"),
        class_counts=(5, 5),
        tokens="words",
        max_tokens=4,
        vocabulary=("<padding>", "<unknown>", "good", "bad"),
    )
    config = configure(name, {})
    if "texts" in config.only_for.values():
        assert family(name).build(config, spec).logits(torch.tensor([[2, 0], [3, 1]])).shape == (2, 2)
        return
    expected = rf"{name} takes pictures( or a table)?\n  got: texts\n(.*\n)*  next: .*model.family: rnn"
    with pytest.raises(UsageError, match=expected):
        family(name).build(config, spec)


@pytest.mark.parametrize("name", PICTURE_FAMILIES)
def test_a_family_of_other_data_refuses_plain_text(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} takes .*\n  got: plain text\n(.*\n)*.*family: decoder"):
        family(name).build(configure(name, {}), corpus_spec(NUM_TOKENS, CONTEXT, bytes_per_token=2.0))


@cases("fills_masks")
def test_scores_at_a_place_depend_on_both_sides_and_on_no_padding(
    name: str, settings: dict[str, Any]
) -> None:
    model = build(name, settings).eval()
    tokens = corpus()["tokens"][:3].clone()
    places = torch.zeros(3, CONTEXT, dtype=torch.bool)
    places[:, 6] = places[1, 9] = True
    tokens[places] = NUM_TOKENS
    scores = model.fill(tokens, places)
    assert scores.shape == (4, NUM_TOKENS + 1)
    assert scores.dtype == torch.float32
    assert not scores.requires_grad
    torch.testing.assert_close(model.fill(tokens[1:2], places[1:2]), scores[1:3], rtol=1e-4, atol=1e-5)
    for changed in (2, 12):
        others = tokens.clone()
        others[:, changed] = (others[:, changed] + 5) % NUM_TOKENS
        assert not torch.allclose(model.fill(others, places), scores)
    padded = torch.zeros(3, CONTEXT, dtype=torch.int64)
    padded[:, :12], padding = tokens[:, :12], (torch.arange(CONTEXT) < 12).expand(3, CONTEXT)
    found = model.fill(padded, places, padding=padding)
    torch.testing.assert_close(found, model.fill(tokens[:, :12], places[:, :12]), rtol=1e-4, atol=1e-5)


@cases("fills_masks")
def test_padding_changes_no_block_s_loss(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings).eval()
    batch = part(corpus(), 0, 2)
    targets = batch["targets"].clone()
    targets[:, 9:] = -1  # so that tokens 10 and on are padding
    losses = []
    for filling in (0, 5):
        tokens = batch["tokens"].clone()
        tokens[:, 10:] = filling
        losses.append(
            numbers(model.validation_loss({"tokens": tokens, "targets": targets}, draws(2)))["loss"]
        )
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@cases("fills_masks")
def test_training_teaches_what_is_missing(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings)

    def share_found() -> float:
        """How often the likeliest token at a hidden place is the one between its neighbours."""
        model.eval()
        tokens = ((torch.arange(CONTEXT) + torch.arange(50)[:, None]) % NUM_TOKENS).clone()
        places = torch.zeros(50, CONTEXT, dtype=torch.bool)
        places[torch.arange(50), torch.arange(50) % CONTEXT] = True
        hidden = tokens.masked_fill(places, NUM_TOKENS)
        found = model.fill(hidden, places).argmax(-1)
        model.train()
        return float((found == tokens[places]).float().mean())

    before = share_found()
    train(model, part(corpus(), 0, 1900), 200)
    assert before < 0.5
    assert share_found() > 0.8


@cases("fills_masks")
def test_data_without_a_mask_token_is_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"{name} needs a mask token, and this tokenizer has none\n.*\n.*"):
        family(name).build(configure(name, settings), corpus_spec(NUM_TOKENS, CONTEXT))


@pytest.mark.parametrize("name", [name for name in family_names() if of_text(name)])
def test_a_language_model_refuses_other_data(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} takes plain text\n  got: pictures"):
        family(name).build(configure(name, {}), digit_spec())


@cases("embeds_tokens")
def test_each_token_has_a_vector(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings)
    before = model.embeddings().clone()
    assert before.shape[0] == NUM_TOKENS
    assert before.dtype == torch.float32
    assert not before.requires_grad
    train(model, part(corpus(), 0, 64), 2)
    assert (model.embeddings() != before).any(1).all()


@cases("scores_text")
def test_no_token_s_score_depends_on_later_ones(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings).eval()
    rows = part(corpus(), 0, 4)
    changed = {key: values.clone() for key, values in rows.items()}
    changed["tokens"][:, 9:] = (changed["tokens"][:, 9:] + 5) % NUM_TOKENS
    first = model.token_nats(rows["tokens"], rows["targets"])
    second = model.token_nats(changed["tokens"], rows["targets"])
    torch.testing.assert_close(first[:, :9], second[:, :9])
    assert not torch.allclose(first[:, 9:], second[:, 9:])
    assert first.dtype == torch.float32
    assert not first.requires_grad


@cases("scores_text")
def test_scores_of_text_are_those_of_the_loss(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings).eval()
    rows = part(corpus(), 0, 8)
    nats = model.token_nats(rows["tokens"], rows["targets"])
    report = numbers(model.validation_loss(rows, draws(8)))
    assert float(nats.mean()) == pytest.approx(report["loss"], rel=1e-6)
    assert report["bits_per_byte"] == pytest.approx(report["loss"] / np.log(2) / 2)
    targets = rows["targets"].clone()
    targets[:, 5:] = -1
    ignored = model.token_nats(rows["tokens"], targets)
    torch.testing.assert_close(ignored[:, :5], nats[:, :5])
    assert not ignored[:, 5:].any()
    some = numbers(model.validation_loss({**rows, "targets": targets}, draws(8)))
    assert some["loss"] == pytest.approx(float(nats[:, :5].mean()), rel=1e-5)


@cases("scores_text", "generates_text")
def test_reading_on_is_reading_all_at_once(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings).eval()
    rows = part(corpus(), 0, 3)
    tokens = rows["tokens"]
    expected = model.scores(model.states(tokens, None)).detach()
    reader = model.reader(3)
    torch.testing.assert_close(reader.read(tokens[:, :6]), expected[:, 5], rtol=1e-4, atol=1e-5)
    for place in range(6, CONTEXT):
        scores = reader.read(tokens[:, place : place + 1])
        torch.testing.assert_close(scores, expected[:, place], rtol=1e-4, atol=1e-5)
        assert not scores.requires_grad
    assert reader.read(tokens[:, :1]).isfinite().all()  # beyond the context


@cases("generates_text")
def test_training_moves_texts_toward_the_data(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings)

    def share_of_steps() -> float:
        """How often the likeliest next token is the usual one."""
        model.eval()
        reader, tokens = model.reader(50), corpus()["tokens"][-50:, :1]
        hits = []
        for _ in range(10):
            following = reader.read(tokens).argmax(-1, keepdim=True)
            hits.append((following == (tokens + 1) % NUM_TOKENS).float().mean())
            tokens = following
        model.train()
        return float(torch.stack(hits).mean())

    before = share_of_steps()
    train(model, part(corpus(), 0, 1900), 60)
    assert before < 0.5
    assert share_of_steps() > 0.9


@pytest.mark.parametrize(
    "name", [name for name in family_names() if of_pairs(name) and family(name).tune is None]
)
def test_a_family_of_pairs_refuses_pictures(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} takes pairs of texts.*\n  got: pictures"):
        family(name).build(configure(name, {}), digit_spec())


@cases("embeds_texts")
def test_texts_have_vectors_of_length_1_whatever_stands_beside_them(
    name: str, settings: dict[str, Any]
) -> None:
    model = build(name, settings).eval()
    tokens, lengths = (pairs()[key][:6] for key in ("source", "source_lengths"))
    vectors = model.embed(tokens, lengths)
    assert vectors.dtype == torch.float32
    assert not vectors.requires_grad
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(6))
    for row, length in enumerate(lengths.tolist()):
        alone = model.embed(tokens[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(alone[0], vectors[row], rtol=1e-4, atol=1e-5)


@cases("embeds_texts")
def test_training_moves_partners_together(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings)
    held_out = part(pairs(), 1900, 1960)
    before = numbers(model.validation_loss(held_out, draws(60)))["partner_nearest"]
    train(model, part(pairs(), 0, 1900), 60)
    assert numbers(model.validation_loss(held_out, draws(60)))["partner_nearest"] > max(0.5, before)


@cases("transduces_text")
def test_padding_does_not_change_a_target_s_nats(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings).eval()
    rows = part(pairs(), 0, 6)
    nats = model.target_nats(rows)
    assert nats.dtype == torch.float32
    assert not nats.requires_grad
    assert not nats[rows["targets"] == -1].any()
    report = numbers(model.validation_loss(rows, draws(6)))
    assert float(nats.sum() / (rows["targets"] != -1).sum()) == pytest.approx(report["loss"], rel=1e-6)
    for row in range(6):
        length = int(rows["source_lengths"][row])
        alone = {
            "source": rows["source"][row : row + 1, :length],
            "source_lengths": rows["source_lengths"][row : row + 1],
            "tokens": rows["tokens"][row : row + 1, : length + 1],
            "targets": rows["targets"][row : row + 1, : length + 1],
        }
        torch.testing.assert_close(model.target_nats(alone)[0], nats[row, : length + 1], rtol=1e-4, atol=1e-5)


@cases("transduces_text")
def test_no_target_token_depends_on_later_ones_but_on_all_of_the_source(
    name: str, settings: dict[str, Any]
) -> None:
    model = build(name, settings).eval()
    rows = {key: values.clone() for key, values in part(pairs(), 0, 4).items()}
    first = model.target_nats(rows)
    rows["tokens"][:, 3:] = (rows["tokens"][:, 3:] + 5) % NUM_TOKENS
    torch.testing.assert_close(model.target_nats(rows)[:, :3], first[:, :3])
    last = rows["source_lengths"][:, None] - 1
    rows["source"].scatter_(1, last, (rows["source"].gather(1, last) + 5) % NUM_TOKENS)
    assert not torch.allclose(model.target_nats(rows)[:, 0], first[:, 0])


@cases("transduces_text")
def test_training_moves_targets_toward_the_data(name: str, settings: dict[str, Any]) -> None:
    model = build(name, settings)
    held_out = part(pairs(), 1900, 1930)

    def share_written() -> float:
        """How many tokens of the references stand where they should in what is written."""
        model.eval()
        written = [found[0] for found in best_targets(model, held_out, num_beams=2)]
        model.train()
        wanted = targets(model, held_out)
        hits = [
            sum(a == b for a, b in zip(ours, theirs, strict=False))
            for ours, theirs in zip(written, wanted, strict=True)
        ]
        return sum(hits) / sum(map(len, wanted))

    assert sources(held_out)[0] == [(token - 2) % NUM_TOKENS for token in targets(model, held_out)[0]]
    before = share_written()
    train(model, part(pairs(), 0, 1900), 100)
    assert before < 0.25
    assert share_written() > 0.5
