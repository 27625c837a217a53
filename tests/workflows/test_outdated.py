import html
import os
import signal
from pathlib import Path

import pytest

from command_line import run_command
from creuset.errors import Interrupted
from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.workflows.evaluate import evaluate
from creuset.workflows.outdated import outdated_scores
from creuset.workflows.report import write_run_report
from creuset.workflows.train import resume, train
from small_runs import CNN, write_recipe

SENTENCE = "classification: measured at step 20; the run is now at step 40: creuset eval cnn"


class Interrupting(Silent):
    """Ctrl-C at step 20."""

    def advance(self, done: float, values: object = None) -> None:
        if done == 20:
            os.kill(os.getpid(), signal.SIGINT)


def stopped_at_20(workspace: Path) -> RunFolder:
    """A run that was stopped, measured and reported in the middle."""
    recipe = write_recipe(workspace, CNN, "cnn")
    with pytest.raises(Interrupted):
        train(recipe, settings={"training.log_every": 10}, progress=Interrupting())
    run = RunFolder(workspace / "runs" / "cnn")
    evaluate(run)
    write_run_report(run)
    return run


def test_scores_of_an_earlier_step_say_so_until_they_are_measured_anew(workspace: Path) -> None:
    run = stopped_at_20(workspace)
    assert run.evaluations()["classification"]["step"] == 20
    assert outdated_scores(run) == {}
    answer = run_command(["train", "--resume", "cnn", "--no-eval"])
    assert "finished after 40 steps" in answer.stdout
    best = run.manifest().best
    assert best is not None
    assert best > "step-00000020"
    assert f"  {SENTENCE}\n" in answer.stdout
    assert outdated_scores(run) == {"classification": SENTENCE}
    shown = run_command(["runs", "show", "cnn"])
    assert f"  {SENTENCE}\n" in shown.stdout
    assert shown.stderr == "next: creuset eval cnn\n"
    assert SENTENCE in html.unescape(run.report_path.read_text())
    # a finished run is measured where that was done at an earlier step alone
    assert resume("cnn", measure=False).outdated_scores == [SENTENCE]
    again = resume("cnn")
    assert again.outdated_scores == []
    assert run.evaluations()["classification"]["step"] == int(best[5:])
    assert "measured at step" not in run.report_path.read_text()


def test_scores_of_the_best_checkpoint_are_current_whatever_the_last_step(vae: RunFolder) -> None:
    assert outdated_scores(vae) == {}
    step = vae.evaluations()["images"]["step"]
    vae.update(step=step + 1000)
    assert outdated_scores(vae) == {}


def test_what_was_asked_of_the_last_checkpoint_is_current_too(cnn: RunFolder) -> None:
    last = cnn.manifest().last
    assert last is not None
    evaluate(cnn, checkpoint="last")
    cnn.update(best=cnn.manifest().previous or last)
    names = set(outdated_scores(cnn))
    assert not any("-" in name for name in names)


def test_a_run_without_checkpoint_has_no_outdated_scores(vae: RunFolder) -> None:
    vae.update(last=None, previous=None, best=None)
    assert outdated_scores(vae) == {}
