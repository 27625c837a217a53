import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from command_line import run_command
from creuset.runs.folder import RunFolder
from small_runs import LINEAR, journal, tensors, write_recipe

QUICK = ["--set", "training.num_steps=2"]


@pytest.fixture
def recipe(workspace: Path) -> str:
    return str(write_recipe(workspace))


def test_a_training_ends_with_its_scores_and_the_next_command(recipe: str, runs: Path) -> None:
    answer = run_command(["train", recipe])
    assert answer.exit_code == 0
    assert answer.stdout.startswith(f"{runs / 'vae'}: finished after 40 steps, ")
    assert "  nll " in answer.stdout
    assert "(n=180, nll|v:1|" in answer.stdout
    assert "vae on cpu, float32, as the recipe asks" in answer.stderr
    assert answer.stderr.endswith(f"next: open {runs / 'vae' / 'report.html'}\n")
    assert RunFolder(runs / "vae").manifest().command == f"creuset train {recipe}"


def test_json_is_one_document(recipe: str, runs: Path) -> None:
    answer = run_command(["train", recipe, "--json", *QUICK])
    document = json.loads(answer.stdout)
    assert (document["run"], document["path"]) == ("vae", str(runs / "vae"))
    assert (document["step"], document["reason"]) == (2, "finished")
    assert all(
        score.keys() == {"metric", "value", "unit", "better", "interval", "n", "signature"}
        for score in document["scores"]
    )


def test_without_measuring_the_next_command_measures(recipe: str, runs: Path) -> None:
    answer = run_command(["train", recipe, "--no-eval", "--seed", "4", "--name", "mine", *QUICK])
    assert answer.stderr.endswith("next: creuset eval mine\n")
    assert not (runs / "mine" / "report.html").exists()
    assert RunFolder(runs / "mine").manifest().seed == 4


def test_the_time_limit_names_the_command_that_goes_on(recipe: str) -> None:
    answer = run_command(["train", recipe, "--max-time", "0.001s", "--no-eval"])
    assert answer.exit_code == 0
    assert "stopped: the time is over after 1 steps" in answer.stdout
    assert answer.stderr.endswith("next: creuset train --resume vae\n")
    assert run_command(["train", "--resume", "vae", "--no-eval"]).stdout.count("finished after 40 steps") == 1


def test_a_finished_run_says_so(vae: RunFolder) -> None:
    answer = run_command(["train", "--resume", "vae"])
    assert answer.exit_code == 0
    assert "vae is finished, at step 40: nothing is left to train" in answer.stderr
    assert "finished after 40 steps" in answer.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which recipe?"),
        (["RECIPE", "--resume", "vae"], "--resume takes recipe, settings, name and seed from the run itself"),
        (["--resume", "vae", "--seed", "1"], "--resume takes recipe"),
        (["--resume", "vae", "--set", "a=1"], "--resume takes recipe"),
        (["--resume", "vae", "--dry-run"], "--dry-run and --estimate come before one"),
        (["RECIPE", "--dry-run", "--estimate"], "--dry-run or --estimate, not both"),
        (["RECIPE", "--max-time", "10x"], '"10x" is no duration; write 90s, 10m or 2h'),
        (["RECIPE", "--max-time", "0"], '"0" is no duration'),
        (["RECIPE", "--seed", "-1"], "--seed"),
        (["RECIPE", "--set", "training.num_step=1"], 'did you mean "num_steps"?'),
        (["RECIPE", "--set", "training.num_steps=0"], "training.num_steps"),
        (["RECIPE", "--set", "data.batch_size=9999"], "a batch cannot be larger than the training split"),
        (["RECIPE", "--name", "vae"], "there is a run of this name already"),
        (["RECIPE", "--set", "evaluation.suite=classification"], "does not fit the family vae"),
    ],
)
def test_a_wrong_call_starts_nothing(words: list[str], message: str, recipe: str, vae: RunFolder) -> None:
    before = tensors(vae)
    answer = run_command(["train", *(recipe if word == "RECIPE" else word for word in words)])
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert message in answer.stderr
    assert [path.name for path in vae.path.parent.iterdir()] == ["vae"]
    assert tensors(vae) == before


@pytest.mark.parametrize("words", [["--resume", "nothing"], ["nothing.yaml"], ["nothing"]])
def test_what_is_not_there_is_exit_code_3(words: list[str]) -> None:
    answer = run_command(["train", *words])
    assert answer.exit_code == 3
    assert "nothing" in answer.stderr


@pytest.mark.parametrize("name", ["a" * 300, "a" * 254, "recipe.yaml/x", "recipe.yaml/x/y", "/proc/none/x"])
def test_a_name_that_no_folder_can_have_is_exit_code_2(
    name: str, workspace: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_recipe(workspace, LINEAR, "recipe").parent)
    answer = run_command(["train", "recipe.yaml", "--name", name])
    assert answer.exit_code == 2
    assert f"{name}: cannot be written" in answer.stderr
    assert list(runs.iterdir()) == []


def test_what_is_not_finite_is_exit_code_1(recipe: str, runs: Path) -> None:
    answer = run_command(["train", recipe, "--set", "training.learning_rate=1e30"])
    assert answer.exit_code == 1
    assert "NaN or infinity in" in answer.stderr
    assert "step " in answer.stderr
    assert "player model" in answer.stderr
    assert "next: last good checkpoint: " in answer.stderr
    assert "failed" in run_command(["runs", "list"]).stdout


def test_a_dry_run_shows_what_it_saw(recipe: str, workspace: Path) -> None:
    answer = run_command(["train", recipe, "--dry-run"])
    assert answer.exit_code == 0
    assert answer.stdout.startswith(
        "vae, 9,936 parameters, float32, as the recipe asks\n  step 1, model: loss "
    )
    assert "reloaded, and step 3 gave the same numbers on both" in answer.stdout
    assert answer.stderr.endswith(f"next: creuset train {recipe}\n")
    document = json.loads(run_command(["train", recipe, "--dry-run", "--json"]).stdout)
    assert document["num_parameters"] == 9936
    assert len(document["steps"]) == 3
    assert [path.name for path in workspace.iterdir()] == ["vae.yaml"]


def test_an_estimate_says_how_long_and_how_large(recipe: str) -> None:
    answer = run_command(["train", recipe, "--estimate", *QUICK])
    assert "ms a step: the mean of 1 (" in answer.stdout
    rows = [line.split() for line in answer.stdout.splitlines()]
    assert [row[:2] for row in rows[1:-1]] == [
        ["part", "times"],
        ["preparation", "1"],
        ["training", "2"],
        ["validations", "1"],
        ["checkpoints", "1"],
        ["sheets", "1"],
        ["evaluation", "1"],
        ["distances", "1"],
        ["report", "1"],
        ["total", rows[-2][1]],
    ]
    assert "peak memory: " in answer.stdout
    document = json.loads(run_command(["train", recipe, "--estimate", "--json", *QUICK]).stdout)
    assert document["num_steps"] == 2
    assert document["seconds_per_step"].keys() == {"mean", "low", "high"}
    assert document["total_seconds"]["middle"] > 0
    assert document["peak_memory_bytes"] > 1e6


def test_a_fit_is_rehearsed_and_estimated(workspace: Path) -> None:
    recipe = str(write_recipe(workspace, LINEAR, "linear"))
    answer = run_command(["train", recipe, "--dry-run"])
    assert answer.stdout.startswith("linear, 650 stored numbers\n  fitted to 499 ")
    assert " training samples: converged 1, iterations " in answer.stdout
    assert answer.stdout.endswith("reloaded, and both gave the same logits for these samples\n")
    answer = run_command(["train", recipe, "--estimate"])
    assert answer.stdout.startswith("a fit to 50 samples: ")
    assert "the fit was measured whole" in answer.stdout
    refused = run_command(["train", recipe, "--max-time", "10s"])
    assert refused.exit_code == 2
    assert "--max-time: the family linear is fitted in one go" in refused.stderr
    assert [path.name for path in workspace.iterdir()] == ["linear.yaml"]


def test_a_fit_that_did_not_converge_is_said_kept_and_reported(workspace: Path, runs: Path) -> None:
    recipe = str(write_recipe(workspace, LINEAR, "linear"))
    answer = run_command(["train", recipe, "--set", "model.max_iter=2"])
    warning = "the solver stopped after 2 iterations without reaching model.tolerance 0.001: "
    assert f"warning: {warning}raise model.max_iter above 2\n" in answer.stderr
    (line,) = journal(RunFolder(runs / "linear"))
    assert line["values"]["converged"] == 0
    assert line["values"]["warning"].startswith(warning)
    assert warning in (runs / "linear" / "report.html").read_text()
    assert "warning the solver stopped" in run_command(["runs", "log", "linear"]).stdout


LONG = ["--name", "long", "--set", "training.num_steps=100000", "--set", "training.checkpoint_every=20"]


@contextmanager
def training(recipe: str) -> Iterator[subprocess.Popen[str]]:
    """A long training in another process, which has made a checkpoint."""
    words = [sys.executable, "-m", "creuset", "train", recipe, *LONG, "--no-eval"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            manifest = Path(os.environ["CREUSET_WORKSPACE"]) / "runs" / "long" / "manifest.json"
            end = time.monotonic() + 60
            while time.monotonic() < end and process.poll() is None:
                if manifest.exists() and json.loads(manifest.read_text())["last"] is not None:
                    break
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_run_can_be_used_while_it_trains_and_stopped_from_elsewhere(
    recipe: str, runs: Path, tmp_path: Path
) -> None:
    run = RunFolder(runs / "long")
    with training(recipe) as process:
        assert getattr(run.running_process(), "process", None) == process.pid
        (row,) = json.loads(run_command(["runs", "list", "--json"]).stdout)["runs"]
        assert row["status"] == "running"
        refused = run_command(["train", "--resume", "long"])
        assert refused.exit_code == 2
        assert f"process {process.pid} is training in this run" in refused.stderr
        refused = run_command(["runs", "rm", "--yes", "long"])
        assert refused.exit_code == 2
        for _ in range(3):  # while checkpoints come and go
            assert (
                run_command(["generate", "long", "-n", "2", "--out", str(tmp_path / "a.npz")]).exit_code == 0
            )
            assert run_command(["eval", "long", "--checkpoint", "last"]).exit_code == 0
        stopped = run_command(["runs", "stop", "long"])
        assert stopped.stdout == "long: asked to stop; it makes a checkpoint first\n"
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 143
        assert "creuset: stopped after step " in stderr
        assert "next: creuset train --resume long" in stderr
        assert "Traceback" not in stderr
    state = run.manifest()
    assert (run.status(), state.stop_reason) == ("stopped", "signal")
    assert json.loads(run.journal_path.read_text().splitlines()[-1])["event"] == "stop"
    assert state.last == f"step-{state.step:08d}"
    assert "nothing is training there (status: stopped)" in run_command(["runs", "stop", "long"]).stdout


@pytest.mark.slow
def test_an_interrupt_is_a_checkpoint_and_exit_code_130(recipe: str, runs: Path) -> None:
    with training(recipe) as process:
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "creuset: stopped after step " in stderr
    assert "Traceback" not in stderr
    run = RunFolder(runs / "long")
    before = journal(run)
    # it goes on from there, and what it had written stays
    answer = run_command(["train", "--resume", "long", "--max-time", "0.01s", "--no-eval"])
    assert answer.exit_code == 0
    assert journal(run)[: len(before)] == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for the first checkpoints of a run alone; needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=420k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_exit_code_5_and_nothing_is_lost(
    small_disk: Path, recipe: str, vae: RunFolder
) -> None:
    answer = run_command(["train", recipe, "--name", str(small_disk / "vae"), "--no-eval"])
    assert answer.exit_code == 5
    assert "the disk is full" in answer.stderr
    assert "next: free some space, then " in answer.stderr
    run = RunFolder(small_disk / "vae")
    assert run.status() in ("failed", "stopped")
    assert run.manifest().last is not None
    assert run_command(["generate", str(run.path), "--out", str(vae.path / "a.png")]).exit_code == 0
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    assert run_command(["train", "--resume", str(run.path), "--no-eval"]).exit_code == 0
    assert tensors(run) == tensors(vae)
    assert journal(run) == journal(vae)


@pytest.mark.slow
def test_a_closed_terminal_stops_after_a_clean_checkpoint(recipe: str, runs: Path) -> None:
    words = [sys.executable, "-m", "creuset", "train", recipe, *LONG, "--no-eval"]
    process, terminal = pty.fork()
    if not process:
        os.execv(words[0], words)
    manifest = runs / "long" / "manifest.json"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 65536)
        if manifest.exists() and json.loads(manifest.read_text())["last"] is not None:
            break
    os.close(terminal)  # the kernel sends SIGHUP, and refuses every further line
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    run = RunFolder(runs / "long")
    state = run.manifest()
    assert (state.status, state.stop_reason) == ("stopped", "signal")
    assert state.last is not None
    assert state.step == int(state.last.removeprefix("step-"))


def test_a_training_goes_on_when_nobody_reads_its_progress(recipe: str, runs: Path) -> None:
    nobody, pipe = os.pipe()
    os.close(nobody)
    words = [sys.executable, "-m", "creuset", "train", recipe, *QUICK, "--no-eval"]
    answer = subprocess.run(words, stdout=subprocess.PIPE, stderr=pipe, text=True, check=False)
    os.close(pipe)
    assert answer.returncode == 0
    assert ": finished after 2 steps, " in answer.stdout
    assert RunFolder(runs / "vae").status() == "finished"
