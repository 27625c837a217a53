import html
import shlex
from pathlib import Path

import pytest

from command_line import run_command
from creuset.runs.folder import RunFolder
from creuset.workflows.again import again_command, precision_setting
from creuset.workflows.train import train
from small_runs import journal, tensors, write_recipe


@pytest.mark.parametrize("chosen", ["float32", "bfloat16"])
def test_what_auto_came_to_is_repeated_to_the_byte(
    chosen: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(*_: object) -> tuple[str, str]:
        return chosen, f"{chosen}: the faster one here"

    with monkeypatch.context() as patch:
        patch.setattr("creuset.workflows.plan.choose_precision", choose)
        recipe = write_recipe(workspace)
        run = train(recipe, settings={"training.precision": "auto", "training.num_steps": 3}).folder
    assert "precision: auto" in run.recipe_path.read_text()  # what the user wrote
    command = again_command(run)
    assert command.endswith(f"--name vae-again --set training.precision={chosen}")
    assert command in html.unescape(run.report_path.read_text())
    assert f"  again           {command}\n" in run_command(["runs", "show", "vae"]).stdout
    assert run_command([*shlex.split(command)[1:], "--no-eval"]).exit_code == 0
    again = RunFolder(run.path.parent / "vae-again")
    assert again.manifest().precision == chosen
    assert tensors(again) == tensors(run)
    assert journal(again) == journal(run)


def test_a_precision_that_the_recipe_names_needs_no_setting(vae: RunFolder) -> None:
    assert precision_setting(vae) == []
    assert again_command(vae) == f"creuset train {vae.recipe_path} --name vae-again"
