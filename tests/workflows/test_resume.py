import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from creuset.errors import CheckpointError, NotFoundError, UsageError
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal
from creuset.training.distributed import Processes
from creuset.workflows.train import resume
from listening import Heard
from small_runs import journal, tensors, trained


@pytest.fixture
def original(tmp_path: Path) -> RunFolder:
    """The run as it was trained, to compare with."""
    return trained("vae", tmp_path)


def go_back(run: RunFolder) -> str:
    """A finished run as it was while it trained, at the checkpoint before its last one."""
    state = run.manifest()
    assert state.previous is not None
    best, healthy = (name if name != state.last else None for name in (state.best, state.healthy))
    run.update(
        status="running", stop_reason=None, last=state.previous, previous=None, best=best, healthy=healthy
    )
    return state.previous


def damage(run: RunFolder, name: str, file: str = "weights.safetensors") -> None:
    path = run.checkpoints / name / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def as_trained(run: RunFolder, original: RunFolder) -> bool:
    names = ("status", "last", "step", "best_validation_loss")
    states = [{name: getattr(one.manifest(), name) for name in names} for one in (run, original)]
    return states[0] == states[1] and journal(run) == journal(original)


def test_a_killed_run_goes_on_as_if_it_had_not_been(vae: RunFolder, original: RunFolder) -> None:
    name = go_back(vae)
    run = resume("vae", measure=False)
    assert (run.outcome.step, run.outcome.reason) == (40, "finished")
    assert as_trained(vae, original)
    last = f"{original.manifest().last}/"
    expected = {key: value for key, value in tensors(original).items() if key.startswith(last)}
    assert {key: value for key, value in tensors(vae).items() if key.startswith(last)} == expected
    (line,) = (line for line in read_journal(vae.journal_path) if line["event"] == "resume")
    assert line["step"] == int(name.removeprefix("step-"))


def test_a_run_killed_before_its_first_checkpoint_begins_again(vae: RunFolder, original: RunFolder) -> None:
    vae.update(status="running", last=None, previous=None, best=None, healthy=None, step=0)
    resume("vae", measure=False)
    assert tensors(vae) == tensors(original)
    assert as_trained(vae, original)


def test_a_torn_journal_is_cut(vae: RunFolder, original: RunFolder) -> None:
    go_back(vae)
    with vae.journal_path.open("a") as file:
        file.write('{"step": 40, "ev')
    resume("vae", measure=False)
    assert journal(vae) == journal(original)


@pytest.mark.parametrize("left", [None, 0, 700, -200])
def test_a_run_without_its_journal_goes_on(left: int | None, vae: RunFolder, original: RunFolder) -> None:
    name = go_back(vae)
    step = int(name.removeprefix("step-"))
    length = json.loads((vae.checkpoints / name / "manifest.json").read_text())["facts"]["journal_bytes"]
    content = vae.journal_path.read_bytes()[:length]
    if left is None:
        vae.journal_path.unlink()
    else:
        vae.journal_path.write_bytes(content[:left])
    kept = [] if left is None else content[:left].splitlines(keepends=True)
    heard = Heard()
    resume("vae", measure=False, progress=heard)
    lost = f"some of what happened before step {step} is missing from the journal"
    assert any(one.startswith(f"warning: {vae.journal_path}: {lost}") for one in heard.said)
    lines = list(read_journal(vae.journal_path))
    whole = sum(line.endswith(b"\n") for line in kept)
    assert [json.dumps(line).encode() + b"\n" for line in lines[:whole]] == kept[:whole]
    first = lines[whole]
    assert (first["event"], first["step"]) == ("resume", step)
    assert first["values"]["lost"].startswith(lost)
    after = [line for line in journal(original) if line["step"] > step]
    assert [line for line in journal(vae) if line["step"] > step] == after
    last = f"{original.manifest().last}/"
    for key, value in tensors(original).items():
        if key.startswith(last):
            assert tensors(vae)[key] == value
    resume("vae", measure=False)
    vae.update(status="running")
    heard.said.clear()
    resume("vae", measure=False, progress=heard)  # the new journal is as good as any
    assert not [one for one in heard.said if "journal" in one]


def test_a_fitted_model_without_its_journal_goes_on(linear: RunFolder) -> None:
    linear.update(status="running")
    linear.journal_path.unlink()
    assert resume("linear", measure=False).outcome.reason == "finished"
    (line,) = read_journal(linear.journal_path)
    assert line["event"] == "resume"
    assert "is missing from the journal" in line["values"]["lost"]


def test_what_trained_is_in_the_manifest(vae: RunFolder) -> None:
    state = vae.manifest()
    assert (state.num_processes, state.distributed) == (1, None)
    assert state.device_name == state.machine["processor"]
    go_back(vae)
    vae.update(num_processes=2, distributed="ddp")
    heard = Heard()
    resume("vae", measure=False, progress=heard)
    expected = "the last digits may differ from an uninterrupted run: num_processes 2 is now 1"
    assert f"warning: {expected}" in heard.said
    assert (vae.manifest().num_processes, vae.manifest().distributed) == (1, None)


def test_a_lock_that_another_host_never_gave_back_is_worth_a_warning(vae: RunFolder) -> None:
    go_back(vae)
    (vae.path / ".lock").write_text(json.dumps({"process": 12, "host": "node7"}))
    heard = Heard()
    resume("vae", measure=False, progress=heard)
    assert "warning: process 12 on node7 did not give back the lock of vae" in heard.said[0]


def test_curves_have_no_gap_after_a_resume(vae: RunFolder) -> None:
    go_back(vae)
    resume("vae", measure=False)
    accumulator = EventAccumulator(str(vae.tensorboard), purge_orphaned_data=True)
    accumulator.Reload()
    for event, tag in (("train", "train/model/loss"), ("validation", "validation/loss")):
        lines = [line for line in read_journal(vae.journal_path) if line["event"] == event]
        scalars = accumulator.Scalars(tag)
        assert [scalar.step for scalar in scalars] == [line["step"] for line in lines]
        values = [line["values"]["loss"] for line in lines]
        assert [scalar.value for scalar in scalars] == pytest.approx(values, rel=1e-6)
    assert len(list(vae.tensorboard.iterdir())) == 2


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    file: str, vae: RunFolder, original: RunFolder
) -> None:
    last = vae.manifest().last
    assert last is not None
    vae.update(status="stopped")
    damage(vae, last, file)
    heard = Heard()
    resume("vae", measure=False, progress=heard)
    warning = heard.said[0]
    assert warning.startswith(f"warning: {vae.checkpoints / last / file}: the checkpoint is damaged")
    assert "got: " in warning
    assert "expected: " in warning
    assert as_trained(vae, original)
    assert vae.manifest().best == original.manifest().best
    assert tensors(vae)[f"{last}/weights.safetensors"] == tensors(original)[f"{last}/weights.safetensors"]


def test_nothing_but_damaged_checkpoints_is_an_error(vae: RunFolder) -> None:
    vae.update(status="stopped")
    for name in vae.checkpoint_names():
        damage(vae, name)
    with pytest.raises(CheckpointError, match="every checkpoint of this run is damaged") as caught:
        resume("vae")
    assert caught.value.exit_code == 1
    assert caught.value.next_step == f"creuset train {vae.recipe_path} trains it again, as a new run"
    assert vae.manifest().status == "failed"
    before = vae.manifest()
    vae.update(status="finished")
    with pytest.raises(CheckpointError, match="every checkpoint of this run is damaged"):
        resume("vae")
    assert vae.manifest() == before.model_copy(update={"status": "finished"})


def test_a_finished_run_is_left_as_it_is(vae: RunFolder) -> None:
    before = {path: path.read_bytes() for path in vae.path.rglob("*") if path.is_file()}
    heard = Heard()
    run = resume("vae", progress=heard)
    assert heard.said == ["vae is finished, at step 40: nothing is left to train"]
    assert (run.outcome.step, run.outcome.reason) == (40, "finished")
    assert run.scores
    assert {path: path.read_bytes() for path in vae.path.rglob("*") if path.is_file()} == before


def test_a_finished_run_that_was_not_measured_is_measured(vae: RunFolder) -> None:
    wanted = vae.evaluations()["images"]["scores"]
    (vae.evaluation / "images.json").unlink()
    vae.report_path.unlink()
    (vae.path / ".report.html.x.tmp").touch()
    resume("vae")
    assert vae.evaluations()["images"]["scores"] == wanted
    assert vae.report_path.exists()
    assert not (vae.path / ".report.html.x.tmp").exists()


def test_a_fitted_model_that_was_killed_is_fitted_again(linear: RunFolder, tmp_path: Path) -> None:
    linear.update(status="running", last=None, previous=None, best=None, healthy=None, step=0)
    resume("linear", measure=False)
    assert tensors(linear) == tensors(trained("linear", tmp_path))
    assert linear.status() == "finished"
    linear.update(status="running")  # killed between its checkpoint and its end
    assert resume("linear", measure=False).outcome.reason == "finished"
    assert linear.status() == "finished"


def test_other_data_is_refused(vae: RunFolder) -> None:
    go_back(vae)
    vae.update(data_hash="f" * 64)
    before = tensors(vae)
    with pytest.raises(UsageError, match="the data is not what this run was trained on") as caught:
        resume("vae")
    assert caught.value.expected == f"data hash {'f' * 16}"
    assert tensors(vae) == before


def test_a_run_that_trains_is_refused(vae: RunFolder) -> None:
    go_back(vae)
    before = vae.manifest()
    with vae.lock(), pytest.raises(UsageError, match="is training in this run"):
        resume("vae")
    assert vae.manifest() == before


def test_another_machine_is_worth_a_warning(vae: RunFolder) -> None:
    go_back(vae)
    machine = {**vae.manifest().machine, "threads": 64, "system": "another"}
    vae.update(machine=machine)
    heard = Heard()
    resume("vae", measure=False, progress=heard)
    assert "warning: the last digits may differ from an uninterrupted run: threads 64 is now 1" in heard.said


def test_a_changed_recipe_does_not_fit_its_checkpoint(vae: RunFolder) -> None:
    go_back(vae)
    text = vae.recipe_path.read_text()
    vae.recipe_path.write_text(text.replace("latent_dim: 8", "latent_dim: 9"))
    with pytest.raises(CheckpointError, match="this checkpoint is of another model") as caught:
        resume("vae")
    assert "other shapes" in str(caught.value.got)
    assert vae.manifest().status == "failed"


def test_a_newer_checkpoint_is_refused(vae: RunFolder) -> None:
    name = go_back(vae)
    file = vae.checkpoints / name / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))
    with pytest.raises(CheckpointError, match="written by a newer creuset"):
        resume("vae")
    assert file.exists()


def test_no_such_run(vae: RunFolder) -> None:
    with pytest.raises(NotFoundError, match='did you mean "vae"'):
        resume("vea")


def test_another_process_than_the_first_leaves_a_finished_run_alone(
    vae: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: RunFolder) -> None:
        raise AssertionError("only the first process holds the lock")

    waited: list[str] = []
    monkeypatch.setattr(RunFolder, "lock", refuse)
    monkeypatch.setattr(Processes, "wait", lambda _: waited.append("before the first one's lock"))
    monkeypatch.setattr(Processes, "share_result", lambda _, _work: False)  # as the first one answers
    heard = Heard()
    assert resume("vae", progress=heard).outcome.reason == "finished"
    assert (heard.said, len(waited)) == ([], 1)
