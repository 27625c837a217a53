from pathlib import Path

import pytest

from creuset.progress import Silent
from creuset.training.loop import Loop
from creuset.workflows import estimate as module
from creuset.workflows.estimate import estimate
from creuset.workflows.train import train
from small_runs import CNN, LINEAR, write_recipe


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRAINING_SECONDS", 0.2)
    monkeypatch.setattr(module, "_EVALUATION_SECONDS", 0.2)
    monkeypatch.setattr(module, "_REPEAT_SECONDS", 0.0)


@pytest.fixture
def recipe(workspace: Path) -> Path:
    return write_recipe(workspace)


def test_an_estimate_names_each_part(recipe: Path, workspace: Path) -> None:
    settings = {"training.num_steps": 1000, "training.checkpoint_every": 300, "training.validate_every": 400}
    result = estimate(recipe, settings={**settings, "training.sample_every": 250})
    step = result.seconds_per_step
    assert step is not None
    assert 0 < step.low <= step.middle <= step.high
    assert 1 <= result.steps_measured < 1000
    assert {name: part.count for name, part in result.parts.items()} == {
        "preparation": 1,
        "training": 1000,
        "validations": 3,  # 400, 800, 1000
        "checkpoints": 6,  # 300, 400, 600, 800, 900, 1000
        "sheets": 4,
        "evaluation": 1,
        "distances": 1,
        "report": 1,
    }
    assert all(0 < p.seconds.low <= p.seconds.middle <= p.seconds.high for p in result.parts.values())
    total = result.total_seconds
    assert total.middle == pytest.approx(sum(part.seconds.middle for part in result.parts.values()))
    assert result.parts["training"].seconds.middle >= 1000 * step.middle
    assert result.peak_memory_bytes > 50e6
    assert [path.name for path in workspace.iterdir()] == ["vae.yaml"]
    document = result.to_json()
    assert document["num_steps"] == 1000
    assert document["seconds_per_step"]["mean"] == step.middle
    assert document["parts"]["sheets"].keys() == {"count", "middle", "low", "high"}


def test_steps_count_by_their_mean(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([5.0, *[0.01] * 8, 0.11, 0.01])  # the first step, then nine quick ones and a slow one
    real = module._seconds

    def seconds(work: object) -> float:
        assert callable(work)
        spent = real(work)
        return next(taken) if getattr(work, "__func__", None) is Loop.take_step else spent

    monkeypatch.setattr(module, "_seconds", seconds)
    monkeypatch.setattr(module, "_TRAINING_SECONDS", 60.0)
    result = estimate(recipe, settings={"training.num_steps": 11})
    assert result.steps_measured == 10
    assert result.seconds_per_step is not None
    assert result.seconds_per_step.middle == pytest.approx(0.02)
    # what only the first step takes is added once
    assert result.parts["training"].seconds.middle == pytest.approx(11 * 0.02 + 4.98)


def test_an_estimate_of_one_step(recipe: Path) -> None:
    result = estimate(recipe, settings={"training.num_steps": 1})
    assert (result.steps_measured, result.num_steps) == (1, 1)
    assert result.parts["checkpoints"].count == 1


def test_parts_that_a_training_has_not_are_not_there(workspace: Path) -> None:
    recipe = write_recipe(workspace, CNN, "cnn")
    assert "sheets" not in estimate(recipe).parts
    settings = {"evaluation.suite": "none"}
    parts = estimate(recipe, settings=settings).parts
    assert parts.keys() == {"preparation", "training", "validations", "checkpoints", "report"}


def test_patience_is_named(recipe: Path) -> None:
    result = estimate(recipe, settings={"training.patience": 3, "training.num_steps": 2})
    assert result.remarks == ("the training may stop earlier: training.patience is 3",)


def test_a_fit_is_measured_on_growing_parts(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(workspace, LINEAR, "linear")
    result = estimate(recipe)
    sizes = [size for size, _ in result.fits_measured]
    assert sizes == sorted(sizes)
    assert (result.num_steps, result.seconds_per_step) == (None, None)
    assert result.parts.keys() == {"preparation", "training", "checkpoints", "evaluation", "report"}
    monkeypatch.setattr(module, "_TRAINING_SECONDS", 0.0)
    result = estimate(recipe)
    assert len(result.fits_measured) == 1
    assert "its growth is a guess, n to the power of 2.00 (1.00 to 3.00)" in result.remarks[0]
    training = result.parts["training"].seconds
    assert training.low < training.middle < training.high
    assert [path.name for path in workspace.iterdir()] == ["linear.yaml"]


def test_an_estimate_changes_nothing_of_the_training_after_it(recipe: Path, workspace: Path) -> None:
    settings = {"training.num_steps": 2}
    first = train(recipe, name="first", settings=settings, measure=False)
    estimate(recipe, settings=settings, progress=Silent())
    second = train(recipe, name="second", settings=settings, measure=False)
    names = [run.folder.checkpoint_path("last") / "weights.safetensors" for run in (first, second)]
    assert names[0].read_bytes() == names[1].read_bytes()
