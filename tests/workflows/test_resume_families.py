"""A run of any family goes on from where it stopped, and its resolved recipe makes the same run again."""

from pathlib import Path

import pytest

import creuset
from small_runs import RECIPES

IN_STEPS = [name for name in RECIPES if name != "linear"]


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.yaml"
    path.write_text(RECIPES[request.param])
    return path


@pytest.mark.parametrize("name", IN_STEPS)
def test_a_stopped_run_goes_on_to_the_weights_of_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(RECIPES[name])
    whole = creuset.train(path, name="whole", measure=False)
    stopped = creuset.train(path, name="stopped", measure=False, max_seconds=1e-6)
    assert (stopped.outcome.step, stopped.outcome.reason) == (1, "max_time")
    resumed = creuset.resume("stopped", measure=False)
    assert resumed.outcome.reason == "finished"
    weights = [
        run.folder.checkpoint_path("last").joinpath("weights.safetensors").read_bytes()
        for run in (whole, resumed)
    ]
    assert weights[0] == weights[1]


def test_a_resolved_recipe_makes_the_same_run_again(recipe: Path) -> None:
    first = creuset.train(recipe, name="first", measure=False)
    again = creuset.train(first.path / "recipe.yaml", name="again", measure=False)
    weights = [
        run.folder.checkpoint_path("last").joinpath("weights.safetensors").read_bytes()
        for run in (first, again)
    ]
    assert weights[0] == weights[1]
