"""Each wrong input of wrong_inputs.yaml gets its message, word for word, and its exit code, as a command.

To write the messages of a changed table, and then read them, each one:
PYTHONPATH=tests/support python tests/bad_input/test_wrong_inputs.py; make pages
"""

import contextlib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import Answer, run_command
from pages import WRONG_INPUTS, WRONG_RECIPES
from wrong_inputs import PREPARATIONS, full_disk, write_recipes

CASES: list[dict[str, Any]] = yaml.safe_load(WRONG_INPUTS.read_text())


@contextlib.contextmanager
def folder_of(case: dict[str, Any]) -> Iterator[Path]:
    """The case's folder, with what it needs, as current folder and workspace."""
    before, environment = Path.cwd(), dict(os.environ)
    folder = Path(tempfile.mkdtemp()).resolve()
    places = {"HOME": "home", "WORKSPACE": "."}
    os.environ.update({f"CREUSET_{name}": str(folder / place) for name, place in places.items()})
    os.environ.update(CREUSET_OFFLINE="1", HF_HUB_CACHE=str(folder / "hub"), COLUMNS="80")
    os.chdir(folder)
    try:
        write_recipes(folder)
        for preparation in case["prepare"]:
            PREPARATIONS[preparation](folder)
        yield folder
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)
        shutil.rmtree(folder)


def answer_to(case: dict[str, Any]) -> tuple[Answer, str]:
    """What the command of a case gives back, and its error with the folder's name taken out."""
    with folder_of(case) as folder:
        disk = full_disk() if case.get("full_disk", False) else contextlib.nullcontext()
        with disk:
            answer = run_command(shlex.split(case["command"]))
    message = error_of(answer.stderr.replace(str(folder), "FOLDER"))
    return answer, re.sub(r"\b[0-9a-f]{64}\b", "64 DIGITS", message)  # weights differ between processors


def error_of(text: str) -> str:
    """The error at the end of stderr, without what was said before it."""
    lines = text.rstrip("\n").splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith(("creuset: ", "Usage: creuset"))]
    return "\n".join(lines[begins[-1] :]) if begins else text


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_message_of_a_wrong_input(case: dict[str, Any]) -> None:
    answer, message = answer_to(case)
    assert message == case["message"]
    assert answer.exit_code == case["exit_code"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_message_says_what_to_do(case: dict[str, Any]) -> None:
    """What would have been right, what is nearest, or the next step; and never a traceback."""
    message = case["message"]
    helps = (
        "  next: ",
        "  expected: ",
        "did you mean",
        "Did you mean",
        "Try 'creuset",
        " must be ",
        " expected ",
        " is one YAML file",
        "has no effect",
    )
    assert any(words in message for words in helps)
    assert "Traceback" not in message
    assert "Error:" not in message.replace("\nError: ", "\n")


def test_the_table_is_a_table() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert len(CASES) >= 40
    assert len(CASES) + len(yaml.safe_load(WRONG_RECIPES.read_text())) >= 100
    assert {case["exit_code"] for case in CASES} == {1, 2, 3, 4, 5, 6}
    used = {preparation for case in CASES for preparation in case["prepare"]}
    assert used == set(PREPARATIONS)


def test_a_full_disk_loses_nothing() -> None:
    """What was saved before is there, and the run goes on from it when there is space again."""
    case = {"prepare": [], "command": ""}
    with folder_of(case) as folder:
        words = ["train", "vae.yaml", "--no-eval", "--set", "model.hidden_dims=[300]"]
        with full_disk():
            assert run_command(words).exit_code == 5
        assert not list((folder / "runs" / "vae" / "checkpoints").glob("*"))
        assert run_command(["train", "--resume", "vae", "--no-eval"]).exit_code == 0
        assert len(list((folder / "runs" / "vae" / "checkpoints").glob("step-*"))) >= 1


def write_messages() -> None:
    """Fills in message and exit code of each case."""
    for case in CASES:
        answer, case["message"] = answer_to(case)
        case["exit_code"] = answer.exit_code
    WRONG_INPUTS.write_text(table_text(CASES))


def table_text(cases: list[dict[str, Any]]) -> str:
    """The table as it is written: one block a case, messages as they are printed."""
    text = (
        "# Wrong inputs and the message that each one gets (test_wrong_inputs.py asserts them as commands).\n"
        "# given: what lies in the folder, beside vae.yaml, cnn.yaml and linear.yaml, which are right;\n"
        "# prepare: what makes it (tests/support/wrong_inputs.py); message: the error on stderr, in full.\n"
    )
    for case in cases:
        text += f"\n- name: {case['name']}\n  given: {_scalar(case['given'])}\n"
        text += f"  prepare: [{', '.join(case['prepare'])}]\n"
        text += "  full_disk: true\n" if case.get("full_disk", False) else ""
        text += f"  command: {_scalar(case['command'])}\n"
        text += f"  exit_code: {case['exit_code']}\n  message: |-\n"
        text += "".join(f"    {line}".rstrip() + "\n" for line in case["message"].splitlines())
    return text


def _scalar(text: str) -> str:
    """The text as YAML, in quotes where it needs them."""
    return str(yaml.safe_dump(text, width=10_000)).removesuffix("...\n").rstrip()


if __name__ == "__main__":
    write_messages()
