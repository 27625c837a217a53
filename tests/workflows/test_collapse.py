"""The collapse alarm in whole trainings: what is told, stopping, going back, and resuming in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import creuset
from creuset.errors import GateError, RecipeError
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal, without_abandoned
from creuset.training.adversary_watch import AdversaryWatch
from creuset.training.loop import Loop
from creuset.workflows.collapse_panel import alarm_sentences
from creuset.workflows.report import write_run_report
from creuset.workflows.train import resume
from small_runs import journal, tensors

RECIPE = """
model: {family: gan, latent_dim: 8, hidden_dims: [16]}
objective: {name: non_saturating}
data: {source: digits, batch_size: 32}
training: {num_steps: 60, checkpoint_every: 10, log_every: 20, validate_every: 60, sample_every: 60}
collapse: {on_collapse: WHAT, check_every: 5, patience: 2, num_samples: 32}
evaluation: {suite: none}
"""
HEALTHY = {
    "spread": 1.0,
    "deviation": 1.0,
    "modes": 1.0,
    "near_duplicates": 0.05,
    "cells": 0.0,
    "realism": 0.9,
    "accuracy": 0.6,
    "copies": 0.0,
    "copies_z": 0.0,
    "critic_gap": 0.5,
}
COLLAPSES = 30
"""The step from which on samples are alike, unless the critic's gradient is held."""

DIFFER = ("journal_bytes", "seconds", "seconds_of_checks")
"""What of a remedy differs from run to run: times, and lengths of journals that hang on them."""


class Killed(BaseException):
    """What ends a training at once, as a signal that cannot be caught."""


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is measured, and then overwritten by a collapse that R1 and R2 prevent."""
    measured = AdversaryWatch.look

    def look(self: AdversaryWatch, step: int) -> dict[str, float]:
        values = {**measured(self, step), **HEALTHY}
        model: Any = self._model
        if step >= COLLAPSES and not model.objective.penalises_gradients:
            values["spread"] = 0.1
        return values

    monkeypatch.setattr(AdversaryWatch, "look", look)


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    def write(what: str) -> Path:
        path = tmp_path / "gan.yaml"
        path.write_text(RECIPE.replace("WHAT", what))
        return path

    return write


def of_event(run: RunFolder, event: str) -> list[dict[str, Any]]:
    return [line for line in read_journal(run.journal_path) if line["event"] == event]


def test_a_warning_names_cause_signal_step_sheet_and_setting(recipe: Callable[[str], Path]) -> None:
    run = creuset.train(recipe("warn"), name="warned", measure=False).folder
    assert run.manifest().status == "finished"
    (alarm,) = of_event(run, "alarm")
    assert alarm["step"] == 35
    told = alarm["values"]
    assert (told["cause"], told["signal"], told["began"]) == ("diversity loss", "spread", 30)
    assert (told["value"], told["setting"]) == (0.1, "objective.r1=1.0 objective.r2=1.0")
    assert told["z"] > 5
    assert (run.path / told["sheet"]).is_file()
    checks = of_event(run, "collapse")
    assert [line["step"] for line in checks] == list(range(5, 61, 5))
    assert all(isinstance(value, float) for line in checks for value in line["values"].values())
    (calibration,) = of_event(run, "calibration")
    assert calibration["step"] == 0
    assert calibration["values"]["spread_mean"] == pytest.approx(1, abs=0.1)


def test_a_collapse_stops_the_training_after_a_checkpoint(recipe: Callable[[str], Path]) -> None:
    with pytest.raises(GateError, match="the training collapsed: diversity loss, since step 30") as caught:
        creuset.train(recipe("stop"), name="stopped", measure=False)
    assert caught.value.exit_code == 4
    assert "objective.r1=1.0" in str(caught.value)
    run = creuset.load("stopped").run
    state = run.manifest()
    assert (state.status, state.stop_reason, state.step) == ("stopped", "collapse", 35)
    assert state.healthy == "step-00000020"
    assert resume("stopped", measure=False).outcome.reason == "finished"


@pytest.fixture
def rolled_back(recipe: Callable[[str], Path]) -> RunFolder:
    return creuset.train(recipe("rollback"), name="whole", measure=False).folder


def test_a_rollback_goes_on_from_the_last_healthy_checkpoint(rolled_back: RunFolder) -> None:
    state = rolled_back.manifest()
    assert (state.status, state.step) == ("finished", 60)
    (remedy,) = state.remedies
    assert {key: value for key, value in remedy.items() if key not in DIFFER} == {
        "from_step": 35,
        "began": 30,
        "back_to": 20,
        "cause": "diversity loss",
        "signal": "spread",
        "settings": {"objective.r1": 1.0, "objective.r2": 1.0},
    }
    (line,) = of_event(rolled_back, "rollback")
    assert (line["step"], line["values"]["back_to"]) == (35, 20)
    clocks = [one["clock"]["seconds"] for one in read_journal(rolled_back.journal_path) if one["clock"]]
    assert clocks == sorted(clocks)  # what was abandoned took its time
    of_checks = [one["clock"]["seconds_of_checks"] for one in of_event(rolled_back, "collapse")]
    assert of_checks == sorted(of_checks)
    assert state.seconds >= remedy["seconds"] == line["clock"]["seconds"] > 0
    steps = [line["step"] for line in of_event(rolled_back, "collapse")]
    assert steps == [*range(5, 36, 5), *range(25, 61, 5)]
    way = [line["step"] for line in without_abandoned(read_journal(rolled_back.journal_path))]
    assert way == sorted(way)
    alarm, back = alarm_sentences(rolled_back)
    assert alarm.startswith("collapse at step 35: diversity loss, since step 30 (spread 0.1, limit 0.")
    assert back == "rollback at step 35, to step 20, with `objective.r1=1.0 objective.r2=1.0`"
    write_run_report(rolled_back)
    page = rolled_back.report_path.read_text()
    assert "Collapse monitor" in page
    assert "abandoned" in page
    assert creuset.load("whole").recipe.values()["objective.r1"] == 1.0
    assert "r1: null" in rolled_back.recipe_path.read_text()


@pytest.fixture
def killing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes a training die before it takes its n-th step."""
    take_step, taken = Loop.take_step, 0

    def arm(number: int) -> None:
        nonlocal taken
        taken = 0

        def step(self: Loop) -> Any:
            nonlocal taken
            taken += 1
            if taken == number:
                raise Killed
            return take_step(self)

        monkeypatch.setattr(Loop, "take_step", step)

    return arm


@pytest.mark.parametrize("number", [26, 36, 47])
def test_killed_and_resumed_it_writes_the_same_bytes(
    number: int, recipe: Callable[[str], Path], rolled_back: RunFolder, killing: Callable[[int], None]
) -> None:
    """Before and after the alarm at step 35, right after going back to step 20, and later."""
    killing(number)
    with pytest.raises(Killed):
        creuset.train(recipe("rollback"), name="killed", measure=False)
    killing(-1)
    run = resume("killed", measure=False).folder
    assert journal(run) == journal(rolled_back)
    assert tensors(run) == tensors(rolled_back)
    names = ("status", "last", "best", "healthy", "step", "remedies", "best_validation_loss")
    states = [{name: getattr(one.manifest(), name) for name in names} for one in (run, rolled_back)]
    assert lengths_dropped(states[0]) == lengths_dropped(states[1])


def lengths_dropped(state: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from run to run."""
    remedies = [{k: v for k, v in one.items() if k not in DIFFER} for one in state["remedies"]]
    return {**state, "remedies": remedies}


def test_watching_changes_nothing_of_what_is_trained(recipe: Callable[[str], Path], tmp_path: Path) -> None:
    watched = creuset.train(recipe("warn"), name="watched", measure=False).folder
    path = tmp_path / "alone.yaml"
    lines = [line for line in RECIPE.splitlines() if not line.startswith("collapse:")]
    path.write_text("\n".join([*lines, "collapse: {on_collapse: 'off'}", ""]))
    alone = creuset.train(path, name="alone", measure=False).folder
    assert not of_event(alone, "collapse")
    name = "checkpoints/step-00000060/weights.safetensors"
    assert (watched.path / name).read_bytes() == (alone.path / name).read_bytes()


def test_too_many_rollbacks_stop_the_training(
    recipe: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = AdversaryWatch.look

    def look(self: AdversaryWatch, step: int) -> dict[str, float]:
        return {**measured(self, step), **({"spread": 0.1} if step >= COLLAPSES else {})}

    monkeypatch.setattr(AdversaryWatch, "look", look)
    with pytest.raises(GateError, match="diversity loss"):
        creuset.train(recipe("rollback"), name="again", measure=False, settings=["collapse.max_rollbacks=2"])
    run = creuset.load("again").run
    state = run.manifest()
    assert [one["settings"] for one in state.remedies] == [
        {"objective.r1": 1.0, "objective.r2": 1.0},
        {"objective.name": "relativistic", "objective.r1": 1.0, "objective.r2": 1.0},
    ]
    assert [one["back_to"] for one in state.remedies] == [20, 0]
    aside = creuset.load(run.path / "abandoned-2")  # before it began anew
    assert aside.run.manifest().settings == {"objective.r1": 1.0, "objective.r2": 1.0}
    assert aside.generate(2).shape[0] == 2
    monkeypatch.setattr(AdversaryWatch, "look", measured)
    assert resume(aside.run.path, measure=False).outcome.reason == "finished"
    assert not (run.path / "abandoned-1").exists()  # the first one kept its checkpoint
    assert (state.status, state.stop_reason) == ("stopped", "collapse")


def test_a_family_without_anything_that_collapses_refuses_the_section(tmp_path: Path) -> None:
    path = tmp_path / "cnn.yaml"
    path.write_text("model: {family: cnn}\ndata: {source: digits}\ncollapse: {on_collapse: stop}\n")
    with pytest.raises(RecipeError, match="on_collapse has no effect: nothing is known that"):
        creuset.train(path, name="refused")


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("{max_rollbacks: 2}", "max_rollbacks has no effect without on_collapse: rollback"),
        ("{on_collapse: 'off', patience: 2}", "patience has no effect while on_collapse is off"),
    ],
)
def test_settings_without_effect_are_refused(section: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "gan.yaml"
    path.write_text(f"model: {{family: gan}}\ndata: {{source: digits}}\ncollapse: {section}\n")
    with pytest.raises(RecipeError, match=why):
        creuset.train(path, name="refused")
