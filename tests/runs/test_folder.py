import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from creuset.errors import CheckpointError, NotFoundError, UsageError
from creuset.runs.checkpoint import Checkpoint, DamagedCheckpoint
from creuset.runs.folder import RunFolder, refuse_existing, run_paths
from creuset.runs.manifest import Manifest, now
from small_runs import leftovers


def manifest(**changes: object) -> Manifest:
    fields: dict[str, object] = {
        "id": "a",
        "created": now(),
        "command": "creuset train a.yaml",
        "family": "vae",
        "seed": 0,
        "device": "cpu",
        "precision": "float32",
        "precision_reason": "float32, as the recipe asks",
        "machine": {},
        "data_source": "digits",
        "data_hash": "0" * 64,
        "data_spec": {},
        "data_report": {},
    }
    return Manifest.model_validate({**fields, **changes})


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
    assert caught.value.next_step == "creuset train --resume a, or another --name"
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


@pytest.mark.parametrize("which", ["best", "step-00000009", "", "..", "../samples"])
def test_a_checkpoint_that_is_not_there_is_answered_with_those_that_are(run: RunFolder, which: str) -> None:
    with pytest.raises(NotFoundError, match=f'no checkpoint "{which}" in this run') as caught:
        run.checkpoint_path(which)
    assert caught.value.expected == "a run that made a checkpoint"
    run.keep(checkpoint(1), best=False)
    if which != "best":
        with pytest.raises(NotFoundError) as caught:
            run.checkpoint_path(which)
        assert caught.value.expected == "one of best, last, step-00000001"


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


def test_evaluations_are_read_back_by_name(run: RunFolder) -> None:
    path = run.write_evaluation("images", {"suite": "images", "scores": []})
    assert path.name == "images.json"
    assert run.evaluations() == {"images": {"suite": "images", "scores": []}}
    path.write_text("{")
    with pytest.raises(CheckpointError, match=r"images.json: this evaluation cannot be read") as caught:
        run.evaluations()
    assert caught.value.next_step == f"delete it, then creuset eval {run.path}"
