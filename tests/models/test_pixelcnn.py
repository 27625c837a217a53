"""The PixelCNN against sums over all pictures, and its quick drawing against the obvious slow loop."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from creuset.data.spec import CodeForm, DataSpec
from creuset.device import BatchGenerator
from creuset.errors import RecipeError, UsageError
from creuset.models import family_configs
from creuset.models.base import Likelihood
from creuset.models.pixelcnn import PixelCNN, PixelCNNConfig
from creuset.recipe.resolve import parse_recipe


def pixelcnn(spec: DataSpec, **settings: Any) -> PixelCNN:
    defaults = {"num_layers": 2, "channels": 12}
    model = PixelCNN(PixelCNNConfig(family="pixelcnn", **{**defaults, **settings}), spec)
    with torch.no_grad():  # a model whose pixels depend on each other and on labels, as if it had learned
        for weight in model.parameters():
            weight.mul_(2).add_(0.3 * torch.randn_like(weight))
    return model


def spec_of(*shape: int, num_levels: int = 3, num_classes: int = 0) -> DataSpec:
    names = tuple("abcdefghij"[:num_classes])
    return DataSpec(
        kind="images",
        shape=shape,
        num_levels=num_levels,
        class_names=names,
        class_counts=(5,) * num_classes,
    )


def all_pictures(*shape: int, num_levels: int) -> Tensor:
    """Each picture that there is, in [-1, 1]."""
    levels = torch.linspace(-1, 1, num_levels).tolist()
    return torch.tensor(list(itertools.product(levels, repeat=math.prod(shape)))).reshape(-1, *shape)


@pytest.mark.parametrize("shape", [(1, 2, 3), (3, 1, 2)])
@pytest.mark.parametrize(
    ("likelihood", "condition"), [("bernoulli", "none"), ("categorical", "none"), ("bernoulli", "class")]
)
def test_probabilities_of_all_pictures_sum_to_1(
    shape: tuple[int, int, int], likelihood: str, condition: str
) -> None:
    model = pixelcnn(spec_of(*shape, num_classes=3), likelihood=likelihood, condition=condition).double()
    pictures = all_pictures(*shape, num_levels=2 if likelihood == "bernoulli" else 3).double()
    values = model.log_likelihood(pictures, BatchGenerator(0, size=len(pictures)), 1)
    assert values.std() > 0.3
    assert float(values.exp().sum()) == pytest.approx(1, abs=1e-9)


def test_probabilities_of_all_code_maps_sum_to_1() -> None:
    codes = CodeForm(run="first", checkpoint="ab" * 32)
    model = pixelcnn(replace(spec_of(1, 2, 3), codes=codes), likelihood="categorical").double()
    maps = all_pictures(1, 2, 3, num_levels=3).double()
    values = model.log_likelihood(maps, BatchGenerator(0, size=len(maps)), 1)
    assert values.std() > 0.3
    assert float(values.exp().sum()) == pytest.approx(1, abs=1e-9)


@torch.no_grad()
def test_codes_are_names_that_can_be_exchanged() -> None:
    """With the vectors and outputs of two codes exchanged, maps with these exchanged are as likely."""
    codes = CodeForm(run="first", checkpoint="ab" * 32)
    model = pixelcnn(replace(spec_of(1, 3, 3, num_levels=5), codes=codes), likelihood="categorical")
    maps = all_pictures(1, 3, 1, num_levels=5).repeat(1, 1, 1, 3)
    before = model.log_likelihood(maps, BatchGenerator(0, size=len(maps)), 1)
    order = torch.tensor([0, 3, 2, 1, 4])
    assert model.stacks.symbols is not None
    for rows in (
        model.stacks.symbols.weight,
        model.stacks.outputs.convolution.weight,
        model.stacks.outputs.convolution.bias,
    ):
        assert rows is not None
        rows.copy_(rows[order].clone())
    exchanged = order[((maps + 1) * 2).round().long()] / 2 - 1
    torch.testing.assert_close(
        model.log_likelihood(exchanged, BatchGenerator(0, size=len(maps)), 1), before, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("condition", ["none", "class"])
def test_samples_are_as_frequent_as_they_are_likely(condition: str) -> None:
    model = pixelcnn(spec_of(1, 2, 2, num_classes=3), condition=condition)
    pictures = all_pictures(1, 2, 2, num_levels=2)
    expected = model.log_likelihood(pictures, BatchGenerator(0, size=16), 1).exp()
    drawn = model.sample(20_000, BatchGenerator(0, size=20_000))
    found = (drawn[:, None] == pictures).flatten(2).all(2).float().mean(0)
    assert float(found.sum()) == 1
    error = (expected * (1 - expected) / 20_000).sqrt()
    assert ((found - expected).abs() < 5 * error + 1e-4).all()


def drawn_slowly(model: PixelCNN, given: Tensor, known: Tensor, uniform: Tensor, labels: Any) -> Tensor:
    """The same pictures by a pass over all of the picture for each pixel and colour."""
    pixels = torch.zeros_like(given)
    _, channels, height, width = given.shape
    size = model.pixel_likelihood.outputs_per_channel
    for row, column, colour in itertools.product(range(height), range(width), range(channels)):
        output = model.stacks(pixels, labels).unflatten(1, (channels, size))[:, colour, :, row, column]
        probabilities = torch.softmax(output, 1)
        if size == 1:
            probabilities = torch.cat([1 - torch.sigmoid(output), torch.sigmoid(output)], dim=1)
        highest = probabilities.shape[1] - 1
        for number in range(len(given)):
            level, left = 0, float(uniform[number, row, column, colour])
            if highest == 1:  # on with the probability of being on: the lower part of the unit interval
                level = int(left < float(probabilities[number, 1]))
            else:
                while level < highest and left >= float(probabilities[number, level]):
                    left -= float(probabilities[number, level])
                    level += 1
            value = 2 * level / highest - 1
            kept = known[number, 0, row, column]
            pixels[number, colour, row, column] = given[number, colour, row, column] if kept else value
    return pixels


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical"])
@pytest.mark.parametrize("condition", ["none", "class"])
@torch.no_grad()
def test_quick_drawing_is_the_slow_loop(channels: int, likelihood: str, condition: str) -> None:
    spec = spec_of(channels, 6, 5, num_levels=7, num_classes=4)
    model = pixelcnn(spec, likelihood=likelihood, condition=condition)
    labels = torch.tensor([3, 0, 1]) if condition == "class" else None
    asked = None if labels is None else {"labels": labels}
    uniform = BatchGenerator(1, size=3).uniform(6, 5, channels)
    blank = torch.zeros(3, channels, 6, 5)
    nothing = torch.zeros(3, 1, 6, 5, dtype=torch.bool)
    expected = drawn_slowly(model, blank, nothing, uniform, labels)
    found = model.sample(3, BatchGenerator(1, size=3), asked)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert len(found.unique()) == 2 if likelihood == "bernoulli" else len(found.unique()) > 3

    images, known = found.flip(0), torch.rand(3, 1, 6, 5) < 0.4
    generator = BatchGenerator(1, size=3)
    observed = model.observe(images, generator)
    expected = drawn_slowly(model, observed, known, generator.uniform(6, 5, channels), labels)
    completed = model.inpaint(images, known, BatchGenerator(1, size=3), asked)
    torch.testing.assert_close(completed, expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_codes_are_drawn_quickly_as_by_the_slow_loop() -> None:
    codes = CodeForm(run="first", checkpoint="ab" * 32)
    model = pixelcnn(replace(spec_of(1, 6, 5, num_levels=7), codes=codes), likelihood="categorical")
    uniform = BatchGenerator(1, size=3).uniform(6, 5, 1)
    nothing = torch.zeros(3, 1, 6, 5, dtype=torch.bool)
    expected = drawn_slowly(model, torch.zeros(3, 1, 6, 5), nothing, uniform, None)
    found = model.sample(3, BatchGenerator(1, size=3))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert len(found.unique()) > 3


def test_what_is_known_further_down_has_no_influence() -> None:
    model = pixelcnn(spec_of(1, 6, 5))
    known = torch.zeros(20, 1, 6, 5, dtype=torch.bool)
    known[:, :, 3] = True
    first, second = (torch.full((20, 1, 6, 5), value) for value in (-1.0, 1.0))
    one = model.inpaint(first, known, BatchGenerator(0, size=20))
    other = model.inpaint(second, known, BatchGenerator(0, size=20))
    assert torch.equal(one[:, :, :3], other[:, :, :3])
    assert not torch.equal(one[:, :, 4:], other[:, :, 4:])


def test_known_pixels_stay_grey_and_are_read_as_binary() -> None:
    model = pixelcnn(spec_of(1, 4, 4))
    grey = torch.full((2000, 1, 4, 4), 0.2)
    known = torch.zeros(2000, 1, 4, 4, dtype=torch.bool)
    known[:, :, :2] = True
    completed = model.inpaint(grey, known, BatchGenerator(0, size=2000))
    assert (completed[:, :, :2] == 0.2).all()
    assert completed[:, :, 2:].unique().tolist() == [-1, 1]
    binary = model.observe(grey, BatchGenerator(1, size=2000))
    others = model.inpaint(binary, known, BatchGenerator(2, size=2000))
    difference = (completed - others)[:, :, 2:].mean(0).abs()
    assert (difference < 5 * math.sqrt(2 / 2000)).all()


@torch.no_grad()
def test_a_class_is_the_mean_of_its_probabilities(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    model = pixelcnn(digit_spec, condition="class", likelihood="categorical")
    images = digits["images"][:6]
    by_class = [
        [
            float(model.validation_loss({"images": image[None], "labels": label[None]}, _draws(1))["loss"])
            for image in images
        ]
        for label in torch.arange(10)
    ]
    expected = torch.logsumexp(-torch.tensor(by_class), 0) - math.log(10)
    torch.testing.assert_close(model.log_likelihood(images, _draws(6), 1), expected)


def _draws(size: int) -> BatchGenerator:
    return BatchGenerator(0, size=size)


def test_samples_of_a_class_are_of_that_class() -> None:
    """Pictures whose left half is on or whose right half is, by their class."""
    model = PixelCNN(
        PixelCNNConfig(family="pixelcnn", size="tiny", condition="class"), spec_of(1, 4, 4, num_classes=2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(60):
        labels = torch.randint(2, (50,))
        images = torch.full((50, 1, 4, 4), -0.9)
        images[labels == 0, :, :, :2] = images[labels == 1, :, :, 2:] = 0.9
        loss = model.loss({"images": images, "labels": labels}, "model", BatchGenerator(0, step, size=50))
        optimizer.zero_grad()
        loss["loss"].backward()
        optimizer.step()
    asked = torch.arange(100) % 2
    drawn = model.sample(100, _draws(100), {"labels": asked})
    sides = drawn[..., :2].mean((1, 2, 3)) - drawn[..., 2:].mean((1, 2, 3))
    assert ((sides < 0) == asked.bool()).float().mean() > 0.8


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical"])
def test_loss_is_minus_the_log_likelihood(
    digits: dict[str, Tensor], digit_spec: DataSpec, likelihood: str
) -> None:
    model, images = pixelcnn(digit_spec, likelihood=likelihood), digits["images"][:20]
    report = model.loss({"images": images}, "model", _draws(20))
    expected = -model.log_likelihood(images, _draws(20), 1).mean()
    torch.testing.assert_close(report["loss"].detach(), expected)
    torch.testing.assert_close(report["bits_per_dim"], expected / (64 * math.log(2)))


@pytest.mark.parametrize(
    ("likelihood", "form"),
    [
        ("bernoulli", Likelihood(num_levels=2, binarisation="dynamic", bound=False)),
        ("categorical", Likelihood(num_levels=17, bound=False)),
    ],
)
def test_says_what_its_likelihood_is_of(digit_spec: DataSpec, likelihood: str, form: Likelihood) -> None:
    assert pixelcnn(digit_spec, likelihood=likelihood).likelihood == form


@torch.no_grad()
def test_dropout_acts_in_training_alone(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    images = digits["images"][:20]
    model = pixelcnn(digit_spec, dropout=0.5, likelihood="categorical")
    losses = [
        float(model.loss({"images": images}, "model", BatchGenerator(s, size=20))["loss"]) for s in (0, 1)
    ]
    assert losses[0] != losses[1]
    held = float(model.validation_loss({"images": images}, _draws(20))["loss"])
    assert held == pytest.approx(-float(model.log_likelihood(images, _draws(20), 1).mean()))


def test_loss_is_finite_under_bfloat16(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    batch = {name: values[:50] for name, values in digits.items()}
    for settings in ({}, {"likelihood": "categorical", "condition": "class"}):
        model = PixelCNN(PixelCNNConfig(family="pixelcnn", size="tiny", **settings), digit_spec)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = model.loss(batch, "model", _draws(50))["loss"]
        low.backward()
        exact = model.loss(batch, "model", _draws(50))["loss"]
        assert low.dtype == torch.float32
        torch.testing.assert_close(low.detach(), exact.detach(), rtol=0.02, atol=0)


def test_samples_need_a_generator_of_as_many_rows(digit_spec: DataSpec) -> None:
    with pytest.raises(ValueError, match="5 samples asked of a generator of 4 rows"):
        pixelcnn(digit_spec).sample(5, BatchGenerator(0, size=4))


def test_data_without_labels_has_no_classes(digit_spec: DataSpec) -> None:
    unlabelled = replace(digit_spec, class_names=(), class_counts=())
    message = "pixelcnn with model.condition: class learns classes, and the data has no labels"
    with pytest.raises(UsageError, match=message):
        pixelcnn(unlabelled, condition="class")
    pixelcnn(unlabelled)


def test_channels_that_colours_cannot_share_are_refused() -> None:
    message = (
        "model.channels: channels that 3 colours cannot share: each colour has as many\n  got: 32\n"
        "  expected: a multiple of 3\n  next: set model.channels to 33"
    )
    with pytest.raises(UsageError, match=message):
        pixelcnn(spec_of(3, 4, 4), channels=32)


def test_an_even_kernel_is_refused_at_load_with_the_reason() -> None:
    text = "model:\n  family: pixelcnn\n  kernel_size: 4\ndata:\n  source: digits\n"
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "recipe.yaml", families=family_configs())
    assert str(caught.value) == (
        "recipe.yaml:3:16: model.kernel_size must be odd, got 4: a masked kernel ends at its middle pixel, "
        "and an even one has none; take 3 or 5"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_layers": 0}, "num_layers\n.*greater than or equal to 1"),
        ({"channels": 0}, "channels\n.*greater than or equal to 1"),
        ({"kernel_size": 1}, "kernel_size\n.*greater than or equal to 3"),
        ({"likelihood": "gaussian"}, "likelihood\n.*'bernoulli' or 'categorical'"),
        ({"condition": "text"}, "condition\n.*'none' or 'class'"),
        ({"dropout": 1.0}, "dropout\n.*less than 1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PixelCNNConfig(family="pixelcnn", **settings)
