"""Two processes over gloo against one. Each test starts torchrun, so all of them are slow."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from creuset.runs.folder import RunFolder
from creuset.workflows.rehearse import dry_run
from creuset.workflows.train import resume, train
from players import SHARED, Listener, loop
from small_runs import VQVAE, journal, trained, write_recipe

ROOT = Path(__file__).resolve().parents[2]
PLAYERS = ROOT / "tests" / "support" / "players.py"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

pytestmark = pytest.mark.slow


def torchrun(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [*TORCHRUN, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.terminate()  # not kill: torchrun is to end the processes that it started
        process.communicate()
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def test_processes_agree_with_one() -> None:
    script = ROOT / "benchmarks" / "distributed_equality.py"
    finished = subprocess.run(
        [sys.executable, str(script), "--json"], capture_output=True, text=True, timeout=300, check=False
    )
    assert finished.returncode in (0, 1), finished.stderr
    assert finished.stdout, finished.stderr  # a program that failed on its way ends with 1 as well
    agreements = json.loads(finished.stdout)["agreements"]
    found = {(one["what"], one["way"]) for one in agreements}
    for way in ("ddp", "fsdp"):
        assert {(f"float64 {what}", way) for what in ("losses", "gradients", "gradient norms")} <= found
        assert {(f"float32 {what}", way) for what in ("last loss", "gradients", "gradient norms")} <= found
    assert sum(what == "float64 weights after a checkpoint" for what, _ in found) == 6
    assert [one for one in agreements if not one["holds"]] == []


def relative(found: Any, expected: Any) -> bool:
    return bool(torch.allclose(torch.as_tensor(found), torch.as_tensor(expected), rtol=1e-9, atol=1e-12))


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_players_train_as_on_one_process(strategy: str, tmp_path: Path) -> None:
    listener, kept = Listener(), []  # type: ignore[var-annotated]
    training = loop(listener, kept)
    training.run()
    finished = torchrun(str(PLAYERS), strategy, str(tmp_path / "found.pt"))
    assert finished.returncode == 0, finished.stderr
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    assert [line[:3] for line in found["told"]] == [list(line[:3]) for line in listener.told]
    for line, expected in zip(found["told"], listener.told, strict=True):
        assert line[3].keys() == expected[3].keys()
        assert all(relative(value, expected[3][name]) for name, value in line[3].items()), line
    assert found["best"] == [best for _, best in kept]
    expected_weights = training.checkpoint().weights
    assert found["weights"].keys() == expected_weights.keys()
    assert all(relative(value, expected_weights[name]) for name, value in found["weights"].items())


def test_an_error_on_one_process_ends_the_others(tmp_path: Path) -> None:
    begin = time.monotonic()
    finished = torchrun(str(PLAYERS), "ddp", str(tmp_path / "found.pt"), "fail")
    assert finished.returncode != 0
    assert "this process has had enough" in finished.stderr
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_what_is_not_finite_has_one_name_on_every_process(strategy: str, tmp_path: Path) -> None:
    """Under FSDP each process sees the gradient of its own rows alone, and the first one's are finite."""
    begin = time.monotonic()
    finished = torchrun(str(PLAYERS), strategy, str(tmp_path / "found"), "ruined")
    assert finished.returncode != 0
    assert time.monotonic() - begin < 60
    said = [(tmp_path / f"found.{rank}").read_text() for rank in (0, 1)]
    assert "player critic: NaN or infinity in the gradient of parameter critic.0." in said[0]
    assert said[0] == said[1]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_checkpoint_that_cannot_be_kept_ends_all_processes(strategy: str, tmp_path: Path) -> None:
    finished = torchrun(str(PLAYERS), strategy, str(tmp_path / "found"), "unsaved")
    assert finished.returncode != 0
    first, second = ((tmp_path / f"found.{rank}").read_text() for rank in (0, 1))
    assert first == "runs/a/checkpoints: the disk is full"
    assert second == f"the first process failed: {first}\n  next: see what it reported"


def test_the_first_process_tells_the_others_and_its_failures_too(tmp_path: Path) -> None:
    finished = torchrun(str(PLAYERS), "ddp", str(tmp_path / "found"), "share")
    assert finished.returncode == 0, finished.stderr
    first, second = (json.loads((tmp_path / f"found.{rank}").read_text()) for rank in (0, 1))
    assert json.dumps(first[:-1]) == json.dumps([*SHARED, 3])
    assert json.dumps(second[:-1]) == json.dumps(first[:-1])
    failure = "runs/a: there is a run of this name already"
    assert first[-1] == ["UsageError", failure]
    assert second[-1][0] == "CreusetError"
    assert second[-1][1].startswith(f"the first process failed: {failure}")


def test_nothing_is_pickled_between_processes() -> None:
    source = (ROOT / "src" / "creuset" / "training" / "distributed.py").read_text()
    assert "object_list" not in source


def test_the_command_line_under_torchrun(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    settings = ("training.precision=float64", "training.distributed=fsdp", "training.log_every=1")
    words = ["-m", "creuset", "train", str(recipe)]
    for setting in settings:
        words += ["--set", setting]
    finished = torchrun(*words, "--name", str(tmp_path / "two"), "--max-time", "0.001s")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("stopped: the time is over after 1 steps") == 1
    assert finished.stderr.count("vae on cpu, float64") == 1
    assert "Traceback" not in finished.stderr
    state = RunFolder(tmp_path / "two").manifest()
    assert (state.num_processes, state.distributed) == (2, "fsdp")
    finished = torchrun("-m", "creuset", "train", "--resume", str(tmp_path / "two"), "--json")
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout)  # one process speaks
    assert (document["step"], document["reason"]) == (40, "finished")
    assert {score["metric"] for score in document["scores"]} >= {"nll", "elbo"}
    one = train(recipe, name=tmp_path / "one", settings=settings, measure=False).folder
    two = resume(tmp_path / "two").folder
    assert two.manifest().best == one.manifest().best
    for found, expected in zip(journal(two), journal(one), strict=True):
        assert (found["step"], found["event"]) == (expected["step"], expected["event"])
        assert found["values"] == pytest.approx(expected["values"], rel=1e-9)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_codebook_moves_as_on_one_process(strategy: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, VQVAE, "vqvae")
    settings = ("training.precision=float64", "training.num_steps=12", "model.restart_below=0.3")
    words = ["-m", "creuset", "train", str(recipe), "--no-eval", "--set", f"training.distributed={strategy}"]
    for setting in settings:
        words += ["--set", setting]
    finished = torchrun(*words, "--name", str(tmp_path / "two"), "--set", "training.accumulate=2")
    assert finished.returncode == 0, finished.stderr
    one = train(recipe, name=tmp_path / "one", settings=settings, measure=False).folder
    two = RunFolder(tmp_path / "two")
    (_, expected), (_, found) = (run.load("last", parts=("weights",)) for run in (one, two))
    assert expected.weights.keys() == found.weights.keys()
    assert all(relative(found.weights[name], value) for name, value in expected.weights.items())
    assert float(expected.weights["quantiser.use"].sum()) > 1


def test_a_family_without_steps_is_refused(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "model: {family: linear}\ndata: {source: digits}\n", "linear")
    environment = {**os.environ, "WORLD_SIZE": "2", "RANK": "0"}
    words = [sys.executable, "-m", "creuset", "train", str(recipe)]
    finished = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert finished.returncode == 2
    assert "is fitted in one go, on one process" in finished.stderr


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_dry_run_trains_two_models_side_by_side(strategy: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    settings = ("training.precision=float64", f"training.distributed={strategy}", "training.accumulate=2")
    words = ["-m", "creuset", "train", str(recipe), "--dry-run", "--json"]
    for setting in settings:
        words += ["--set", setting]
    finished = torchrun(*words)
    assert finished.returncode == 0, finished.stderr
    steps = json.loads(finished.stdout)["steps"]
    expected = dry_run(recipe, settings=settings).losses
    assert [step["model"] for step in steps] == [pytest.approx(one["model"], rel=1e-9) for one in expected]


def test_the_first_process_alone_looks_after_a_finished_run(tmp_path: Path) -> None:
    run = trained("vae", tmp_path)
    previous = run.manifest().previous
    assert previous is not None
    (run.checkpoints / previous / "optimizer.safetensors").unlink()
    run.report_path.unlink()
    words = ["-m", "creuset", "train", "--resume", str(run.path), "--json"]
    finished = torchrun(*words)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["reason"] == "finished"
    assert finished.stderr.count("nothing is left to train") == 1
    assert finished.stderr.count("warning: ") == 1
    assert run.manifest().previous is None
    assert run.report_path.exists()
