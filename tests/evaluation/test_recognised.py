"""A model that draws what it is asked for, and a judge that knows classes by their brightness."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.data.spec import DataSpec
from creuset.device import BatchGenerator
from creuset.evaluation import DistanceSetting, evaluate_generated
from creuset.evaluation.recognised import recognised_part
from creuset.evaluation.suite import Subject
from creuset.metrics.features import Extractor
from creuset.metrics.intervals import wilson_interval
from creuset.metrics.signature import Context
from creuset.models import family
from creuset.models.base import Batch, Model
from creuset.pretrained.features import FeatureNetwork
from creuset.progress import Silent
from creuset.recipe.audio import AudioConfig
from creuset.recipe.sections import DataConfig
from creuset.workflows.chapters import recognised_figures
from sounds import tone_folder

CONTEXT = Context(data="0" * 64, split="test", seed=3)
BRIGHTNESS = (20, 120, 220)


class Drawer(Model):
    """Draws what it is asked for, but each fifth sample in the brightness of the next class."""

    condition = "class"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.mistakes = True

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        raise NotImplementedError

    def sample(self, num_samples: int, generator: BatchGenerator, conditions: Batch | None = None) -> Tensor:
        labels = torch.arange(num_samples) % 3 if conditions is None else conditions["labels"].clone()
        if self.mistakes:
            labels[::5] = (labels[::5] + 1) % 3
        levels = torch.tensor(BRIGHTNESS)[labels] / 127.5 - 1
        return levels[:, None, None, None].expand(-1, *self.shape)


def judge(spec: DataSpec) -> FeatureNetwork:
    """The nearest of three levels, by the mean over the picture."""

    def logits(found: Tensor) -> Tensor:
        return -(found - torch.tensor(BRIGHTNESS)[: spec.num_classes]).abs()

    return FeatureNetwork(
        extractor=Extractor(name="cnn", sha256="a" * 64),
        num_features=1,
        features=lambda pictures: pictures.flatten(1).mean(1, keepdim=True),
        logits=logits,
        shape=spec.shape,  # type: ignore[arg-type]
        spec=spec,
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Pictures of three brightnesses; each tenth is labelled as the next class."""
    labels = np.arange(90) % 3
    draws = np.random.default_rng(0)
    pictures = np.array(BRIGHTNESS)[labels][:, None, None] + draws.integers(-9, 10, (90, 4, 4))
    given = np.where(np.arange(90) % 10 == 0, (labels + 1) % 3, labels)
    np.savez(
        tmp_path / "a.npz",
        train_images=pictures.astype(np.uint8),
        train_labels=given,
        test_images=(pictures + 1).astype(np.uint8),
        test_labels=given,
        class_names=np.array(["dark", "grey", "light"]),
    )
    return load_data(DataConfig(source=str(tmp_path / "a.npz")), seed=0, resolve=Path)


def subject(model: Model) -> Subject:
    return Subject(family=family("vae"), model=model, device=torch.device("cpu"))


def test_each_class_is_asked_for_and_counted(dataset: Dataset) -> None:
    found = recognised_part(subject(Drawer((1, 4, 4))), dataset, "test", judge(dataset.spec), 60, CONTEXT)
    scores = {score.metric: score for score in found.scores}
    assert set(scores) == {"recognised", *(f"recognised_class_{label}" for label in range(3))}
    assert (scores["recognised"].value, scores["recognised"].n) == (48 / 60, 60)
    assert scores["recognised"].interval == pytest.approx(wilson_interval(48, 60))
    assert scores["recognised_class_2"].n == 20
    counts = np.array(found.details["recognised"]["counts"])
    assert counts.sum() == 60
    assert np.trace(counts) == 48
    assert counts[0, 2] == 0
    assert counts[0, 1] > 0
    assert found.details["recognised"]["class_names"] == ["dark", "grey", "light"]
    for part in ("extractor:cnn", "weights:aaaaaaaa", "seed:3", "interval:wilson95"):
        assert part in scores["recognised"].signature


def test_real_pictures_stand_beside_the_score(dataset: Dataset) -> None:
    found = recognised_part(subject(Drawer((1, 4, 4))), dataset, "test", judge(dataset.spec), 60, CONTEXT)
    (floor,) = found.floors
    assert (floor.metric, floor.value, floor.n) == ("recognised_floor", 0.9, 90)


def test_a_judge_may_know_the_classes_in_another_order_and_more_of_them(dataset: Dataset) -> None:
    model = Drawer((1, 4, 4))
    model.mistakes = False
    swapped = replace(dataset.spec, class_names=("grey", "other", "light"))
    found = recognised_part(subject(model), dataset, "test", judge(swapped), 60, CONTEXT)
    assert found.scores == []
    assert found.remarks == [
        "classes not recognised: the classifier cnn was trained on other classes, without dark"
    ]
    spec = replace(dataset.spec, class_names=("light", "grey", "dark", "other"))
    found = recognised_part(subject(model), dataset, "test", judge(spec), 60, CONTEXT)
    by_class = {score.metric: score.value for score in found.scores}
    assert by_class["recognised_class_1"] == 1  # grey stands in the same place in both
    assert by_class["recognised_class_0"] == by_class["recognised_class_2"] == 0


def test_a_judge_of_another_form_is_a_remark(dataset: Dataset) -> None:
    other = judge(replace(dataset.spec, shape=(1, 5, 5)))
    found = recognised_part(subject(Drawer((1, 4, 4))), dataset, "test", other, 60, CONTEXT)
    assert found.remarks == ["classes not recognised: the classifier cnn was trained on data of another form"]


def test_nothing_is_said_where_nothing_can_be_asked(dataset: Dataset) -> None:
    model = Drawer((1, 4, 4))
    without = replace(judge(dataset.spec), spec=None)
    assert recognised_part(subject(model), dataset, "test", without, 60, CONTEXT).scores == []
    model.condition = "none"
    found = recognised_part(subject(model), dataset, "test", judge(dataset.spec), 60, CONTEXT)
    assert (found.scores, found.remarks) == ([], [])


def test_the_suite_of_generated_pictures_asks_for_classes(dataset: Dataset) -> None:
    setting = DistanceSetting(num_generated=60, network=judge(dataset.spec))
    found = evaluate_generated(subject(Drawer((1, 4, 4))), dataset, "test", CONTEXT, setting, Silent())
    assert "recognised" in [score.metric for score in found.scores]
    (figure,) = recognised_figures({"details": found.details})
    assert "asked for" in figure.caption
    assert recognised_figures({"details": {}}) == []


class Player(Drawer):
    """Plays training clips of the class that it is asked for."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset.spec.shape)
        self.dataset = dataset

    def sample(self, num_samples: int, generator: BatchGenerator, conditions: Batch | None = None) -> Tensor:
        assert conditions is not None
        labels = self.dataset.split("train").labels
        assert labels is not None
        places = torch.stack([torch.nonzero(labels == label)[0, 0] for label in conditions["labels"]])
        return self.dataset.batch("train", places)["images"]


def test_sound_is_judged_by_ear_as_well(tmp_path: Path) -> None:
    config = DataConfig(source=str(tone_folder(tmp_path)), audio=AudioConfig(num_mels=32, seconds=0.512))
    dataset = load_data(config, seed=0, resolve=Path)

    def centre(pictures: Tensor) -> Tensor:
        """Whether the upper half, high frequencies, is brighter than the lower."""
        rows = pictures[:, 0].clamp(min=128).mean(2)
        return (rows[:, :16].sum(1) - rows[:, 16:].sum(1))[:, None]

    network = FeatureNetwork(
        extractor=Extractor(name="cnn", sha256="a" * 64),
        num_features=1,
        features=centre,
        logits=lambda found: torch.cat([found, -found], dim=1),
        shape=dataset.spec.shape,  # type: ignore[arg-type]
        spec=dataset.spec,
    )
    found = recognised_part(subject(Player(dataset)), dataset, "test", network, 8, CONTEXT)
    assert [score.metric for score in found.scores[:2]] == ["recognised", "recognised_by_ear"]
    assert [score.value for score in found.scores[:2]] == [1, 1]
    assert [floor.metric for floor in found.floors] == ["recognised_floor", "recognised_by_ear_floor"]
