"""The suite of modes: what it counts of a sampler whose modes are known, and what it needs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from creuset.data.spec import DataSpec
from creuset.data.toys import mixtures
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.evaluation import ModeSetting, Subject, suites
from creuset.evaluation.mode_coverage import modes_suite
from creuset.metrics.signature import Context
from creuset.models import family
from creuset.models.base import Batch, Model

GRID = DataSpec(
    kind="table",
    shape=(2,),
    num_levels=0,
    feature_names=("x", "y"),
    feature_mean=(1.0, -1.0),
    feature_std=(2.0, 4.0),
    mixture="grid",
)
STACK = DataSpec(kind="images", shape=(3, 2, 2), num_levels=256, mixture="stack")


class Sampler(Model):
    """Draws the first modes of the grid alone, in the columns' standardised units; or grey stacks."""

    def __init__(self, num_modes: int) -> None:
        super().__init__()
        self.num_modes, self.scale = num_modes, nn.Parameter(torch.ones(()))

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        raise NotImplementedError

    def sample(self, num_samples: int, generator: BatchGenerator, conditions: Batch | None = None) -> Tensor:
        modes = generator.integers(self.num_modes)
        if self.num_modes <= 10:
            return (modes / 127.5 - 1).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
        points = torch.from_numpy(mixtures()["grid"].means)[modes] + 0.05 * generator.normal(2)
        return ((points - torch.tensor(GRID.feature_mean)) / torch.tensor(GRID.feature_std)).float()


def subject(num_modes: int) -> Subject:
    return Subject(family=family("gan"), model=Sampler(num_modes), device=torch.device("cpu"))


def values(num_modes: int, setting: ModeSetting | None = None) -> dict[str, float]:
    context = Context(data="d" * 64, split="test", seed=0)
    found = modes_suite(subject(num_modes), GRID, context, setting or ModeSetting())
    assert {score.n for score in found.scores} == {2500 if setting is None else setting.num_generated}
    assert found.details["published"]
    assert len(found.details["points"]) == found.scores[0].n
    return {score.metric: score.value for score in found.scores}


def test_a_perfect_sampler_and_one_that_misses_modes() -> None:
    perfect, poor = values(25), values(20)
    assert perfect["modes"] == 25
    assert perfect["high_quality"] == pytest.approx(perfect["high_quality_perfect"], abs=0.01)
    assert perfect["mode_kl"] < 0.02
    assert poor["modes"] == 20
    assert poor["mode_kl"] == pytest.approx(np.log(25 / 20), abs=0.02)
    assert values(25, ModeSetting(num_generated=30))["modes"] < 25


def test_stacks_are_told_by_a_classifier_on_each_channel() -> None:
    context = Context(data="d" * 64, split="test", seed=0)
    asked: list[tuple[int, ...]] = []

    def classify(pictures: np.ndarray) -> np.ndarray:
        asked.append(pictures.shape)
        return pictures[:, 0, 0, 0].astype(np.int64)

    setting = ModeSetting(num_generated=500, classify=classify, num_classes=10, classifier="abc")
    found = modes_suite(subject(10), STACK, context, setting)
    assert asked == [(500, 2, 2, 1)] * 3
    assert found.scores[0].value == 10  # the channels are the same: ten of a thousand
    assert "abc" in str(found.scores[0].signature)
    assert found.pictures["generated"].shape == (64, 2, 2, 3)
    with pytest.raises(UsageError, match="the modes of stacked pictures are told by a classifier"):
        modes_suite(subject(10), STACK, context, ModeSetting())


def test_which_data_it_fits() -> None:
    gan = family("gan")
    assert suites(gan) == ("images", "modes")
    assert suites(gan, GRID) == ("modes",)
    assert suites(gan, STACK) == ("images", "modes")
    assert suites(gan, replace(STACK, mixture="")) == ("images",)
    assert suites(gan, replace(GRID, mixture="")) == ()
    assert suites(family("cnn"), replace(STACK, mixture="")) == ("classification",)
