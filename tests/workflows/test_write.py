"""Texts by a model that others trained, through `creuset generate --prompt`."""

import json
from pathlib import Path

import pytest

from command_line import run_command
from creuset.errors import NotFoundError, UsageError
from creuset.workflows.write import write


@pytest.mark.starter
def test_a_gguf_file_goes_on_with_a_prompt(model_file: Path, tmp_path: Path) -> None:
    made = write(
        model_file, tmp_path / "x.json", prompt="The capital of France is", max_tokens=3, temperature=0
    )
    assert made.texts[0].startswith(" Paris")
    assert made.step is None
    assert json.loads((tmp_path / "x.json").read_text())["texts"] == list(made.texts)


@pytest.mark.starter
def test_several_texts_differ_and_come_again(model_file: Path) -> None:
    first = write(model_file, prompt="Once", num=2, max_tokens=12, temperature=1.2, seed=3).texts
    assert first[0] != first[1]
    assert write(model_file, prompt="Once", num=2, max_tokens=12, temperature=1.2, seed=3).texts == first
    with pytest.raises(UsageError, match="nothing would be written"):
        write(model_file, prompt="Once", num=0)


@pytest.mark.starter
def test_a_checkpoint_of_a_model_that_has_none_is_refused(model_file: Path) -> None:
    answer = run_command(["generate", str(model_file), "--prompt", "Once", "--checkpoint", "best"])
    assert answer.exit_code == 2
    assert "--checkpoint: a setting without effect" in answer.stderr


def test_what_is_neither_a_run_nor_a_model_is_not_found(workspace: Path) -> None:
    with pytest.raises(NotFoundError, match="nosuch"):
        write("nosuch", prompt="Once")
    answer = run_command(["generate", "nosuch", "--prompt", "Once"])
    assert answer.exit_code == 3
