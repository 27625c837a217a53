"""Aliases of runs: promoted where they are not worse, and rolled back."""

import json
from pathlib import Path

import pytest

from command_line import run_command
from creuset.assets.places import aliases
from creuset.errors import GateError, NotFoundError, UsageError
from creuset.workflows.aliases import promote, rollback
from creuset.workflows.load import find_run
from creuset.workflows.train import train
from small_runs import CNN, write_recipe


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classifiers of one data set: one that learned next to nothing, and two that learned more."""
    folder = tmp_path_factory.mktemp("aliases")
    recipe = write_recipe(folder, CNN, "cnn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREUSET_WORKSPACE", str(folder))
        for seed, (name, steps) in enumerate({"poor": 1, "good": 60, "other": 60}.items()):
            train(recipe, name=name, settings={"training.num_steps": steps}, seed=seed)
        train(recipe, name="unmeasured", settings={"training.num_steps": 1}, measure=False)
    return folder


@pytest.fixture
def _here(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREUSET_WORKSPACE", str(workshop))
    monkeypatch.setenv("CREUSET_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("_here")
def test_an_alias_moves_to_what_is_not_worse_and_back() -> None:
    first = promote("poor", "digits")
    assert (first.run, first.before, first.comparison) == ("poor", None, None)
    assert find_run("digits").id == "poor"
    second = promote("good", "digits")
    assert second.before == "run:poor"
    assert second.comparison is not None
    assert {one.verdict for _, one in second.comparison.comparisons} <= {"better", "cannot tell apart"}
    assert aliases() == {"digits": "run:good"}
    with pytest.raises(GateError, match="poor is worse than run:good, which digits stands for"):
        promote("poor", "digits")
    assert find_run("digits").id == "good"
    assert promote("poor", "digits", force=True).comparison is None
    assert rollback("digits").run == "good"
    assert rollback("digits").run == "poor"
    with pytest.raises(NotFoundError, match="never stood for anything else"):
        rollback("digits")
    assert find_run("digits").id == "poor"


@pytest.mark.usefixtures("_here")
def test_verbs_take_an_alias() -> None:
    assert run_command(["models", "promote", "good", "--as", "digits"]).stdout == "digits -> good\n"
    again = run_command(["models", "promote", "other", "--as", "digits", "--json"])
    document = json.loads(again.stdout)
    assert (document["alias"], document["run"], document["before"]) == ("digits", "other", "run:good")
    assert document["comparison"]["comparisons"]
    shown = json.loads(run_command(["runs", "show", "digits", "--json"]).stdout)
    assert shown["manifest"]["id"] == "other"
    back = run_command(["models", "rollback", "digits"])
    assert back.stdout == "digits -> good (before: run:other)\n"
    assert json.loads(run_command(["models", "list", "--json"]).stdout)["aliases"] == {"digits": "run:good"}
    refused = run_command(["models", "promote", "poor", "--as", "digits"])
    assert refused.exit_code == 4
    assert "accuracy" in refused.stderr


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("run", "alias", "error", "message"),
    [
        ("good", "two words", UsageError, "cannot be an alias"),
        ("good", "../up", UsageError, "cannot be an alias"),
        ("good", "poor", UsageError, "a run has this name"),
        ("none", "digits", NotFoundError, "none"),
    ],
)
def test_what_cannot_be_an_alias(run: str, alias: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        promote(run, alias)
    assert aliases() == {}


@pytest.mark.usefixtures("_here")
def test_twice_the_same_is_refused() -> None:
    promote("good", "digits")
    with pytest.raises(UsageError, match="stands for this run already"):
        promote("good", "digits")
    with pytest.raises(NotFoundError, match="no such alias"):
        rollback("letters")


@pytest.mark.usefixtures("_here")
def test_a_run_that_was_not_measured_is_not_promoted() -> None:
    with pytest.raises(NotFoundError, match="was not measured"):
        promote("unmeasured", "digits")
    assert aliases() == {}
