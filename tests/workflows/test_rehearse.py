import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from creuset.errors import CheckpointError, UsageError
from creuset.models.linear import LogisticRegression
from creuset.runs.journal import read_journal
from creuset.training.loop import Loop
from creuset.workflows.rehearse import dry_run
from creuset.workflows.train import train
from small_runs import LINEAR, Heard, write_recipe


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


def test_a_family_without_steps_is_fitted_to_a_part_saved_and_loaded(workspace: Path) -> None:
    heard = Heard()
    result = dry_run(write_recipe(workspace, LINEAR, "linear"), progress=heard)
    assert result.num_parameters == 10 * 64 + 10
    assert result.num_fitted is not None
    assert 450 < result.num_fitted < 550
    assert result.losses[0]["model"]["converged"] == 1
    assert result.checkpoint_bytes > 4 * 650
    assert heard.said == []
    assert [path.name for path in workspace.iterdir()] == ["linear.yaml"]


def test_a_fit_that_does_not_converge_is_told(workspace: Path) -> None:
    heard = Heard()
    dry_run(write_recipe(workspace, LINEAR, "linear"), settings={"model.max_iter": 2}, progress=heard)
    (said,) = heard.said
    assert said.startswith("warning: the solver stopped after 2 iterations")
    assert said.endswith("raise model.max_iter above 2")


def test_a_reloaded_fit_that_answers_otherwise_is_found(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = LogisticRegression.load_arrays

    def spoil(self: LogisticRegression, arrays: Mapping[str, Any]) -> None:
        load(self, {**arrays, "intercepts": arrays["intercepts"] + 1e-3})

    monkeypatch.setattr(LogisticRegression, "load_arrays", spoil)
    with pytest.raises(CheckpointError, match="does not answer as the first one did") as caught:
        dry_run(write_recipe(workspace, LINEAR, "linear"))
    assert "0.001" in str(caught.value.got)


def test_a_wrong_recipe_is_refused(recipe: Path) -> None:
    with pytest.raises(UsageError, match="a batch cannot be larger than the training split"):
        dry_run(recipe, settings={"data.batch_size": 5000})


def test_threads_are_given_back(recipe: Path) -> None:
    import torch

    before = torch.get_num_threads()
    dry_run(recipe, settings={"training.threads": before + 1})
    assert torch.get_num_threads() == before
    assert "WORLD_SIZE" not in os.environ
