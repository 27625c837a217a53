import json
from pathlib import Path

import pytest

from command_line import run_command
from creuset.runs.folder import RunFolder
from creuset.workflows.train import train
from small_runs import CNN, write_recipe


@pytest.fixture
def bad(cnn: RunFolder, workspace: Path) -> RunFolder:
    """The recipe of `cnn`, two steps of it."""
    recipe = write_recipe(workspace, CNN, "bad")
    return train(recipe, settings={"training.num_steps": 2}, name="bad").folder


def test_a_table_says_what_is_known(bad: RunFolder) -> None:
    answer = run_command(["compare", "cnn", "bad"])
    assert answer.exit_code == 0
    first, header, *rows = answer.stdout.splitlines()
    assert first == "against cnn, classification on test, 180 samples"
    assert header.split("  ")[0] == "run"
    assert [row.split()[:2] for row in rows] == [
        ["bad", metric] for metric in ("accuracy", "f1_macro", "label_nll", "brier_score")
    ]
    assert rows[0].endswith("B is worse")
    assert "not compared: auroc" in answer.stderr
    assert answer.stderr.endswith("next: creuset runs show bad\n")


def test_a_run_against_itself(cnn: RunFolder) -> None:
    answer = run_command(["compare", "cnn", "cnn", "--metric", "accuracy", "--fail-if-worse"])
    assert answer.exit_code == 0
    assert answer.stdout.rstrip().endswith("cannot tell apart")


def test_json_has_all_of_it(bad: RunFolder) -> None:
    document = json.loads(run_command(["compare", "cnn", "bad", "--json"]).stdout)
    assert document.keys() == {"suite", "split", "baseline", "comparisons", "left_out"}
    first = document["comparisons"][0]
    assert (first["run"], first["metric"], first["verdict"]) == ("bad", "accuracy", "worse")
    assert first["p_value"] <= first["p_corrected"] < 0.05


def test_the_gate(bad: RunFolder) -> None:
    answer = run_command(["compare", "cnn", "bad", "--fail-if-worse"])
    assert answer.exit_code == 4
    assert "bad is worse by accuracy" in answer.stderr
    assert run_command(["compare", "bad", "cnn", "--fail-if-worse"]).exit_code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["cnn"], 2, "a comparison is of two runs or more"),
        ([], 2, "Missing argument"),
        (["cnn", "cnm"], 3, 'did you mean "cnn"'),
        (["cnn", "cnn", "--suite", "images"], 3, "not measured with the suite images"),
        (["cnn", "cnn", "--metric", "acuracy"], 2, 'did you mean "accuracy"?'),
    ],
)
def test_what_cannot_be_compared_is_refused(
    words: list[str], code: int, message: str, cnn: RunFolder
) -> None:
    answer = run_command(["compare", *words])
    assert answer.exit_code == code
    assert message in answer.stderr
