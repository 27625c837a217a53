import json
from typing import get_args

import pytest

from command_line import run_command
from creuset.cli.console import SUITES
from creuset.recipe.evaluation import Suite
from creuset.runs.folder import RunFolder


def test_the_suites_of_the_command_line_are_those_of_recipes() -> None:
    assert get_args(Suite) == SUITES


def test_scores_are_printed_with_what_simple_models_reach(vae: RunFolder) -> None:
    answer = run_command(["eval", "vae"])
    assert answer.exit_code == 0
    assert answer.stdout.startswith("nll ")
    assert "for comparison: nll_class_mixture " in answer.stdout
    assert answer.stderr.endswith("next: creuset runs show vae\n")


def test_json_has_the_form_of_scores(cnn: RunFolder) -> None:
    document = json.loads(run_command(["eval", "cnn", "--json"]).stdout)
    assert document.keys() == {"scores", "floors", "findings", "remarks"}
    for score in document["scores"]:
        assert score.keys() == {"metric", "value", "unit", "better", "interval", "n", "signature"}
        assert score["better"] in ("higher", "lower")
        assert score["n"] == 180
        low, high = score["interval"]
        assert low <= score["value"] <= high
    accuracy = document["scores"][0]
    assert (accuracy["metric"], accuracy["unit"]) == ("accuracy", "fraction")
    assert 0 <= accuracy["value"] <= 1


@pytest.mark.parametrize(("limit", "code"), [("0.01", 0), ("0.9999", 4)])
def test_a_gate_says_yes_or_no(limit: str, code: int, cnn: RunFolder) -> None:
    answer = run_command(["eval", "cnn", "--json", "--min", f"accuracy={limit}"])
    assert answer.exit_code == code
    assert json.loads(answer.stdout)["scores"]  # either way it was measured
    if code:
        assert "accuracy misses its limit" in answer.stderr
        assert f"expected: at least {limit}" in answer.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["cnn", "--min", "accuracy"], 2, '"accuracy" is no limit; write accuracy=0.97'),
        (["cnn", "--min", "accuracy=nan"], 2, "is no limit"),
        (["cnn", "--min", "=0.5"], 2, "is no limit"),
        (["cnn", "--min", "acuracy=0.5"], 2, 'did you mean "accuracy"?'),
        (["cnn", "--suite", "images"], 2, "the suite images does not fit the family cnn"),
        (["cnn", "--suite", "text"], 2, "--suite"),
        (["cnn", "--split", "tset"], 2, 'no "tset" split'),
        (["cnn", "--importance-samples", "0"], 2, "--importance-samples"),
        (["cnn", "--data", "nowhere"], 3, "nowhere"),
        (["cnm"], 3, 'did you mean "cnn"'),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: list[str], code: int, message: str, cnn: RunFolder
) -> None:
    before = cnn.evaluations()
    answer = run_command(["eval", *words])
    assert answer.exit_code == code
    assert message in answer.stderr
    assert cnn.evaluations() == before
