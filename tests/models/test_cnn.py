"""The convolutional classifier: what its loss weighs, when it drops, which data it takes."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.cnn import CNN, CNNConfig


def cnn(spec: DataSpec, **settings: Any) -> CNN:
    return CNN(CNNConfig(family="cnn", **{"channels": (4, 6), **settings}), spec)


def spec_of(shape: tuple[int, ...], counts: tuple[int, ...] = (30, 10)) -> DataSpec:
    names = tuple(f"class {k}" for k in range(len(counts)))
    return DataSpec(kind="images", shape=shape, num_levels=256, class_names=names, class_counts=counts)


def test_loss_weighs_classes_by_the_training_counts() -> None:
    model = cnn(spec_of((1, 8, 8)), class_weights="balanced", label_smoothing=0.1, dropout=0.0)
    batch = {"images": torch.randn(6, 1, 8, 8), "labels": torch.tensor([0, 1, 1, 0, 0, 0])}
    logits = model.logits(batch["images"])
    losses = functional.cross_entropy(logits, batch["labels"], label_smoothing=0.1, reduction="none")
    weights = torch.tensor([40 / 60, 40 / 20])
    report = model.loss(batch, "model", BatchGenerator(0, size=6))
    torch.testing.assert_close(report["loss"].detach(), (weights[batch["labels"]] * losses).mean())
    plain = model.validation_loss(batch, BatchGenerator(0, size=6))
    torch.testing.assert_close(plain["loss"].detach(), functional.cross_entropy(logits, batch["labels"]))
    assert "class_weights" not in model.state_dict()


def test_dropout_acts_in_training_alone(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    model = cnn(digit_spec, dropout=0.5)
    batch = {name: values[:16] for name, values in digits.items()}
    losses = [float(model.loss(batch, "model", BatchGenerator(s, size=16))["loss"].detach()) for s in (0, 1)]
    assert losses[0] != losses[1]
    held = [float(model.validation_loss(batch, BatchGenerator(s, size=16))["loss"].detach()) for s in (0, 1)]
    assert held[0] == held[1]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (4, 9, 17)])
def test_takes_any_channels_and_sizes(shape: tuple[int, ...]) -> None:
    assert cnn(spec_of(shape)).logits(torch.randn(2, *shape)).shape == (2, 2)


def test_pictures_too_small_for_the_stages_are_refused() -> None:
    message = (
        "pictures too small for 4 stages that each halve them\n  got: pictures of 8 x 12\n"
        "  expected: at least 16 x 16\n  next: give model.channels at most 3 numbers"
    )
    with pytest.raises(UsageError, match=message):
        cnn(spec_of((1, 8, 12)), channels=(4, 4, 4, 4))
    cnn(spec_of((1, 8, 12)), channels=(4, 4, 4))


def test_translated_pictures_are_read_alike_by_the_stages(digit_spec: DataSpec) -> None:
    """Convolution: a shift by the stages' step shifts the map, inside of the border."""
    model = cnn(spec_of((1, 64, 64))).double()
    images = torch.full((1, 1, 64, 64), -1.0, dtype=torch.float64)
    images[..., 28:34, 28:34] = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)).double()
    maps = model.stages(images)
    shifted = model.stages(images.roll((4, 4), (2, 3)))
    torch.testing.assert_close(shifted[..., 5:12, 5:12], maps[..., 4:11, 4:11])


def test_features_are_what_the_last_layer_reads(digits: dict[str, Tensor], digit_spec: DataSpec) -> None:
    model = cnn(digit_spec, dropout=0.5)
    features = model.features(digits["images"][:5])
    assert features.shape == (5, model.num_features) == (5, 6 * 2 * 2)
    assert not features.requires_grad
    torch.testing.assert_close(model.output(features), model.logits(digits["images"][:5]))
