import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from creuset.errors import CheckpointError, NotFoundError, ResourceError, UsageError
from creuset.runs.checkpoint import Checkpoint, DamagedCheckpoint, save_checkpoint
from creuset.runs.folder import RunFolder, refuse_existing, run_paths
from manifests import manifest
from small_runs import largest_file, leftovers


def checkpoint(step: int, loss: float | None = None) -> Checkpoint:
    return Checkpoint(
        step=step,
        family="vae",
        weights={"a": torch.full((3,), float(step))},
        facts={"seconds": float(step), "best_validation_loss": loss},
    )


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs" / "a", "format: 1\n", manifest())


def damage(run: RunFolder, name: str) -> None:
    file = run.checkpoints / name / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")


def test_a_new_run_is_complete(run: RunFolder) -> None:
    assert run.recipe_path.read_text() == "format: 1\n"
    assert RunFolder.open(run.path).manifest() == manifest(created=run.manifest().created)
    assert (run.id, run.status(), run.running_process()) == ("a", "created", None)
    assert run.journal_path.read_bytes() == b""
    assert leftovers(run.path.parent) == []


def test_an_existing_name_is_refused(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="there is a run of this name already") as caught:
        RunFolder.create(run.path, "", manifest())
    assert caught.value.next_step == f"creuset train --resume {run.path}, or another --name"
    refuse_existing(run.path.with_name("b"))


def test_the_slower_of_two_that_begin_at_once_is_refused(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []

    def refuse(path: Path) -> None:
        looks.append(path)
        if len(looks) > 1:  # at the first look there was nothing yet
            refuse_existing(path)

    monkeypatch.setattr("creuset.runs.folder.refuse_existing", refuse)
    with pytest.raises(UsageError, match="there is a run of this name already"):
        RunFolder.create(run.path, "", manifest())
    assert leftovers(run.path.parent) == []
    assert run.recipe_path.read_text() == "format: 1\n"


def test_half_made_runs_of_killed_processes_are_removed(run: RunFolder) -> None:
    old = run.path.with_name(".b.xyz.tmp")
    old.mkdir()
    os.utime(old, (0, 0))
    RunFolder.create(run.path.with_name("c"), "", manifest(id="c"))
    assert sorted(path.name for path in run.path.parent.iterdir()) == ["a", "c"]


def test_a_run_that_is_not_there_is_answered_with_the_nearest(run: RunFolder) -> None:
    other = run.path.with_name("vae-mnist")
    RunFolder.create(other, "", manifest(id="vae-mnist"))
    with pytest.raises(NotFoundError, match='did you mean "vae-mnist"') as caught:
        RunFolder.open(run.path.with_name("vae-mnit"))
    assert caught.value.exit_code == 3
    assert run_paths(run.path.parent) == [run.path, other]


def test_the_last_two_and_the_best_checkpoints_are_kept(run: RunFolder) -> None:
    for step, best in ((1, False), (2, True), (3, False), (4, False), (5, False)):
        run.keep(checkpoint(step, 0.5), best=best)
    found = run.manifest()
    assert (found.last, found.previous, found.best) == ("step-00000005", "step-00000004", "step-00000002")
    assert (found.step, found.seconds, found.best_validation_loss) == (5, 5.0, 0.5)
    assert run.checkpoint_names() == ["step-00000002", "step-00000004", "step-00000005"]
    assert run.checkpoint_path().name == "step-00000002"
    assert run.checkpoint_path("last").name == "step-00000005"
    assert run.checkpoint_path("step-00000004").name == "step-00000004"


def test_without_a_best_one_the_last_is_taken(run: RunFolder) -> None:
    run.keep(checkpoint(1), best=False)
    assert run.checkpoint_path("best").name == "step-00000001"


def test_what_somebody_put_beside_the_checkpoints_is_left_alone(run: RunFolder) -> None:
    run.keep(checkpoint(1), best=False)
    for name in ("step-00000001-good", "step-1", "step-00000001.bak", "notes"):
        (run.checkpoints / name).mkdir()
        (run.checkpoints / name / "kept").touch()
    (run.checkpoints / "step-00000009").touch()
    (run.checkpoints / "step-00000008").symlink_to(run.samples)
    before = {path.name for path in run.checkpoints.iterdir()}
    run.keep(checkpoint(2), best=False)
    run.keep(checkpoint(3), best=False)
    run.last_good()
    now_there = {path.name for path in run.checkpoints.iterdir()}
    assert now_there == before - {"step-00000001"} | {"step-00000002", "step-00000003"}
    assert (run.checkpoints / "step-00000001-good" / "kept").exists()


def test_a_whole_checkpoint_without_a_name_is_dropped_by_the_holder_of_the_lock_alone(run: RunFolder) -> None:
    run.keep(checkpoint(1), best=False)
    save_checkpoint(run.checkpoints, checkpoint(2))  # a kill came before the manifest named it
    again = RunFolder.open(run.path)
    again.load("best", parts=("weights",))
    again.repair()
    again.tidy()
    assert again.checkpoint_names() == ["step-00000001", "step-00000002"]
    with again.lock():
        again.last_good()
    assert again.checkpoint_names() == ["step-00000001"]


@pytest.mark.parametrize("which", ["best", "step-00000009", "", "..", "../samples"])
def test_a_checkpoint_that_is_not_there_is_answered_with_those_that_are(run: RunFolder, which: str) -> None:
    with pytest.raises(NotFoundError, match=f'no checkpoint "{which}" in this run') as caught:
        run.checkpoint_path(which)
    assert caught.value.expected == "a run that made a checkpoint"
    assert caught.value.next_step == f"creuset train --resume {run.path}"
    run.keep(checkpoint(1), best=False)
    if which != "best":
        with pytest.raises(NotFoundError) as caught:
            run.checkpoint_path(which)
        assert caught.value.expected == "one of best, last, step-00000001"
        assert caught.value.next_step == f"creuset runs show {run.path}"


def test_the_last_good_checkpoint_is_the_newest(run: RunFolder) -> None:
    assert run.last_good() == (None, [])
    for step in (1, 2):
        run.keep(checkpoint(step), best=False)
    found, damaged = run.last_good()
    assert found is not None
    assert (found.step, damaged) == (2, [])


def test_a_damaged_checkpoint_is_passed_over_and_forgotten(run: RunFolder) -> None:
    run.keep(checkpoint(1), best=False)
    run.keep(checkpoint(2, 0.5), best=True)
    damage(run, "step-00000002")
    found, damaged = run.last_good()
    assert found is not None
    assert found.step == 1
    assert [type(error) for error in damaged] == [DamagedCheckpoint]
    state = run.manifest()
    assert (state.last, state.previous, state.best, state.step) == ("step-00000001", None, None, 1)
    assert run.checkpoint_path().name == "step-00000001"
    run.keep(checkpoint(2, 0.5), best=True)  # done again
    found, damaged = run.last_good()
    assert found is not None
    assert (found.step, damaged) == (2, [])
    assert run.manifest().previous == "step-00000001"
    assert leftovers(run.path) == []


def test_a_best_checkpoint_that_is_whole_stays_the_best(run: RunFolder) -> None:
    run.keep(checkpoint(1, 0.5), best=True)
    run.keep(checkpoint(2, 0.5), best=False)
    run.keep(checkpoint(3, 0.5), best=False)
    for name in ("step-00000002", "step-00000003"):
        damage(run, name)
    found, damaged = run.last_good()
    assert found is not None
    assert (found.step, len(damaged)) == (1, 2)
    assert run.manifest().best == "step-00000001"


def test_a_deleted_checkpoint_is_passed_over(run: RunFolder) -> None:
    for step in (1, 2):
        run.keep(checkpoint(step), best=False)
    for file in (run.checkpoints / "step-00000002").iterdir():
        file.unlink()
    (run.checkpoints / "step-00000002").rmdir()
    found, damaged = run.last_good()
    assert found is not None
    assert (found.step, [type(error) for error in damaged]) == (1, [NotFoundError])


def test_nothing_is_forgotten_where_nothing_is_whole(run: RunFolder) -> None:
    for step in (1, 2):
        run.keep(checkpoint(step), best=False)
        damage(run, checkpoint(step).name)
    before = run.manifest()
    found, damaged = run.last_good()
    assert found is None
    assert len(damaged) == 2
    assert run.manifest() == before


def test_a_damaged_checkpoint_names_the_one_that_is_whole(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREUSET_WORKSPACE", str(run.path.parent.parent))
    run.keep(checkpoint(1), best=False)
    run.keep(checkpoint(2, 0.5), best=True)
    damage(run, "step-00000002")
    with pytest.raises(DamagedCheckpoint, match="the checkpoint is damaged") as caught:
        run.load("best", parts=("weights",))
    assert caught.value.next_step == "creuset train --resume a goes on from step-00000001, which is whole"
    damage(run, "step-00000001")
    with pytest.raises(DamagedCheckpoint) as caught:
        run.load("best", parts=("weights",))
    wanted = f"creuset train {run.recipe_path} trains it again, as a new run"
    assert caught.value.next_step == wanted
    before = run.manifest()
    with pytest.raises(CheckpointError, match="every checkpoint of this run is damaged") as found:
        run.repair()
    assert found.value.next_step == wanted
    assert run.manifest() == before


def test_a_full_disk_names_the_run_to_go_on_with(run: RunFolder) -> None:
    with largest_file(100), pytest.raises(ResourceError, match="the disk is full") as caught:
        run.keep(checkpoint(1), best=False)
    assert caught.value.next_step == f"free some space, then creuset train --resume {run.path}"


def test_a_checkpoint_of_a_newer_creuset_is_no_reason_to_go_back(run: RunFolder) -> None:
    for step in (1, 2):
        run.keep(checkpoint(step), best=False)
    file = run.checkpoints / "step-00000002" / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))
    with pytest.raises(CheckpointError, match="written by a newer creuset"):
        run.last_good()


def test_what_a_killed_process_left_is_removed(run: RunFolder) -> None:
    run.keep(checkpoint(1), best=False)
    (run.checkpoints / ".step-00000002.abc.tmp").mkdir()
    (run.path / ".manifest.json.abc.tmp").touch()
    (run.samples / ".step-00000001.png.abc.tmp").touch()
    (run.checkpoints / "step-00000002").mkdir()  # renamed, but not yet named in the manifest
    run.last_good()
    assert leftovers(run.path) == []
    assert run.checkpoint_names() == ["step-00000001"]


def test_a_second_process_is_refused(run: RunFolder) -> None:
    with run.lock():
        assert run.status() == "running"
        with (
            pytest.raises(UsageError, match=f"process {os.getpid()} is training in this run") as caught,
            run.lock(),
        ):
            pass
        assert caught.value.exit_code == 2
        with pytest.raises(UsageError, match="is training in this run"):
            run.remove()
        assert run.path.is_dir()
    run.remove()
    assert list(run.path.parent.iterdir()) == []


def test_a_run_whose_process_was_killed_counts_as_stopped(run: RunFolder) -> None:
    run.update(status="running")
    assert run.status() == "stopped"
    run.update(status="failed")
    assert run.status() == "failed"


def test_stop_asks_the_process_that_trains(run: RunFolder) -> None:
    assert not run.stop()
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        with run.lock():
            assert run.stop()
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == [signal.SIGTERM]


def waiting(body: str, run: RunFolder) -> subprocess.Popen[str]:
    """Another process that does something with the run, says a word, and waits."""
    program = (
        f"import sys, time\nfrom pathlib import Path\nfrom creuset.runs.folder import RunFolder\n"
        f"run = RunFolder(Path(sys.argv[1]))\n{body}"
    )
    words = [sys.executable, "-c", program, str(run.path)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_a_run_that_is_removed_while_its_lock_is_waited_for_is_not_trained(run: RunFolder) -> None:
    body = "print('ready', flush=True)\nsys.stdin.readline()\nwith run.lock():\n    print('trains')\n"
    with waiting(body, run) as other:
        assert other.stdout is not None
        other.stdout.readline()
        run.remove()
        said, complained = other.communicate("go\n", timeout=30)
    assert said == ""
    assert "this run was removed" in complained
    assert not run.path.exists()


def test_a_process_that_has_just_ended_is_not_asked_to_stop(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with waiting("with run.lock():\n    print('holds', flush=True)\n    time.sleep(60)\n", run) as other:
        assert other.stdout is not None
        other.stdout.readline()
        kill = os.kill

        def too_late(process: int, number: int) -> None:
            assert process == other.pid
            kill(process, signal.SIGKILL)
            other.wait()
            kill(process, number)

        monkeypatch.setattr("os.kill", too_late)
        assert not run.stop()
    assert run.status() == "created"


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (PermissionError, "process {pid} is training in this run, and belongs to another user"),
        (ProcessLookupError, "process {pid} is training in this run, and cannot be seen from here"),
    ],
)
def test_a_process_that_cannot_be_asked_to_stop_is_named(
    error: type[OSError], what: str, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_process: int, _number: int) -> None:
        raise error

    monkeypatch.setattr("os.kill", refuse)
    with run.lock(), pytest.raises(UsageError, match=what.format(pid=os.getpid())) as caught:
        run.stop()
    assert str(caught.value.next_step).startswith(f"creuset runs stop {run.path}, ")


def test_a_process_on_another_host_is_named_with_its_host(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "node7")
        holding = run.lock()
        assert holding.__enter__() is None
    name = f"process {os.getpid()} on node7 is training in this run"
    with pytest.raises(UsageError, match=f"{name}, and cannot be asked from this host") as caught:
        run.stop()
    assert caught.value.next_step == f"creuset runs stop {run.path}, on the host where it runs"
    with pytest.raises(UsageError, match=name), run.lock():
        pass
    assert run.status() == "running"
    holding.__exit__(None, None, None)
    assert run.status() == "created"


def test_a_lock_that_another_host_never_gave_back_is_told(run: RunFolder) -> None:
    (run.path / ".lock").write_text(json.dumps({"process": 12, "host": "node7"}))
    with run.lock() as before:
        assert str(before) == "process 12 on node7"
    with run.lock() as before:
        assert before is None


def test_evaluations_are_read_back_by_name(run: RunFolder) -> None:
    path = run.write_evaluation("images", {"suite": "images", "scores": []})
    assert path.name == "images.json"
    assert run.evaluations() == {"images": {"suite": "images", "scores": []}}
    path.write_text("{")
    with pytest.raises(CheckpointError, match=r"images.json: this evaluation cannot be read") as caught:
        run.evaluations()
    assert caught.value.next_step == f"delete it, then creuset eval {run.path}"
