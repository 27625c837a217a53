import os
from pathlib import Path

import pytest

from creuset.errors import CheckpointError, UsageError
from creuset.runs.journal import read_journal
from creuset.training.loop import Loop
from creuset.workflows import rehearse
from creuset.workflows.rehearse import dry_run, estimate
from creuset.workflows.train import train
from small_runs import LINEAR, write_recipe


@pytest.fixture
def recipe(workspace: Path) -> Path:
    return write_recipe(workspace)


def test_a_dry_run_makes_real_steps_and_leaves_nothing(recipe: Path, workspace: Path) -> None:
    result = dry_run(recipe)
    assert (result.family, result.precision_reason) == ("vae", "float32, as the recipe asks")
    assert result.num_parameters == 9936
    assert result.checkpoint_bytes > 4 * 4 * result.num_parameters  # weights, two moments, averages
    assert [path.name for path in workspace.iterdir()] == ["vae.yaml"]
    run = train(recipe, settings={"training.log_every": 1, "training.num_steps": 3}, measure=False)
    lines = [line for line in read_journal(run.folder.journal_path) if line["event"] == "train"]
    assert [line["values"]["loss"] for line in lines] == [step["model"]["loss"] for step in result.losses]


def test_a_reload_that_goes_on_otherwise_is_found(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Loop.restore

    def forget(self: Loop, *arguments: object) -> None:
        restore(self, *arguments)  # type: ignore[arg-type]
        for player in self.players:
            player.optimizer.state.clear()
        for parameter in self.players[0].parameters.values():
            parameter.data.mul_(1.0001)

    monkeypatch.setattr(Loop, "restore", forget)
    with pytest.raises(CheckpointError, match="does not go on as the first one did") as caught:
        dry_run(recipe)
    assert caught.value.got != caught.value.expected


def test_an_estimate_is_measured(recipe: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearse, "_ESTIMATE_SECONDS", 0.2)
    result = estimate(recipe, settings={"training.num_steps": 1000})
    middle, low, high = result.seconds_per_step
    assert 0 < low <= middle <= high
    assert result.total_seconds[0] > 1000 * middle
    assert result.total_seconds[1] <= result.total_seconds[0] <= result.total_seconds[2]
    assert 1 <= result.steps_measured < 1000
    assert result.peak_memory_bytes > 50e6
    assert [path.name for path in workspace.iterdir()] == ["vae.yaml"]
    assert result.to_json()["num_steps"] == 1000


def test_an_estimate_of_one_step(recipe: Path) -> None:
    result = estimate(recipe, settings={"training.num_steps": 1})
    assert (result.steps_measured, result.num_steps) == (1, 1)
    assert result.seconds_per_step[0] > 0


def test_a_family_without_steps_has_nothing_to_rehearse(workspace: Path) -> None:
    recipe = write_recipe(workspace, LINEAR, "linear")
    for rehearsal in (dry_run, estimate):
        with pytest.raises(UsageError, match="is fitted in one go"):
            rehearsal(recipe)


def test_a_wrong_recipe_is_refused(recipe: Path) -> None:
    with pytest.raises(UsageError, match="a batch cannot be larger than the training split"):
        dry_run(recipe, settings={"data.batch_size": 5000})


def test_threads_are_given_back(recipe: Path) -> None:
    import torch

    before = torch.get_num_threads()
    dry_run(recipe, settings={"training.threads": before + 1})
    assert torch.get_num_threads() == before
    assert "WORLD_SIZE" not in os.environ
