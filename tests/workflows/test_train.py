import json
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch

import creuset
from creuset.errors import (
    CreusetError,
    Interrupted,
    NumericalError,
    RecipeError,
    ResourceError,
    UsageError,
)
from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal
from creuset.training.update import Updates
from creuset.workflows.train import free_path, resume, run_path, train
from listening import Heard
from small_runs import VAE, journal, leftovers, tensors, write_recipe


@pytest.fixture
def recipe(workspace: Path) -> Path:
    return write_recipe(workspace)


def test_a_run_holds_all_that_was_promised(recipe: Path, runs: Path) -> None:
    heard = Heard()
    run = creuset.train(recipe, progress=heard)
    assert run.path == runs / "vae"
    assert (run.outcome.step, run.outcome.reason) == (40, "finished")
    state = run.folder.manifest()
    assert (state.status, state.stop_reason, state.step, state.last) == (
        "finished",
        "finished",
        40,
        "step-00000040",
    )
    assert state.best is not None
    assert (state.command, state.seed, state.device) == ("creuset.train", 0, "cpu")
    assert state.machine["torch"] == torch.__version__
    assert len(state.data_hash) == 64
    assert {path.name for path in run.path.iterdir()} == {
        *("recipe.yaml", "manifest.json", "journal.jsonl", "checkpoints", "samples", "evaluation"),
        *("tensorboard", "report.html", ".lock"),
    }
    assert [path.name for path in sorted(run.folder.samples.iterdir())] == [
        "step-00000020.png",
        "step-00000040.png",
    ]
    assert {score.metric for score in run.scores} >= {"nll", "elbo", "bits_per_dim", "mse", "psnr"}
    assert "<html" in run.folder.report_path.read_text()
    assert run.model().step in (40, 30)
    assert heard.said[0] == "vae on cpu, float32, as the recipe asks"
    assert leftovers(run.path) == []


def test_the_same_recipe_and_seed_give_the_same_bytes(recipe: Path, vae: RunFolder) -> None:
    again = train(recipe, name="again", measure=False).folder
    assert tensors(again) == tensors(vae)
    assert journal(again) == journal(vae)
    other = train(recipe, name="other", seed=1, measure=False).folder
    assert other.manifest().seed == 1
    assert tensors(other) != tensors(vae)


def test_a_training_learns(vae: RunFolder) -> None:
    losses = [
        line["values"]["loss"] for line in read_journal(vae.journal_path) if line["event"] == "validation"
    ]
    assert losses[-1] < losses[0] - 1


def test_bfloat16_trains_as_well(recipe: Path) -> None:
    settings = {"training.precision": "bfloat16"}
    run = train(recipe, name="half", settings=settings, measure=False).folder
    losses = [
        line["values"]["loss"] for line in read_journal(run.journal_path) if line["event"] == "validation"
    ]
    assert losses[-1] < losses[0] - 1
    assert run.manifest().precision == "bfloat16"
    assert run.manifest().precision_reason == "bfloat16, as the recipe asks"


def test_auto_says_what_it_chose_and_a_resume_keeps_it(recipe: Path) -> None:
    run = train(recipe, name="auto", settings=["training.precision=auto"], measure=False).folder
    state = run.manifest()
    assert "products are" in state.precision_reason
    assert state.precision in ("float32", "bfloat16")
    other = "bfloat16" if state.precision == "float32" else "float32"
    run.update(precision=other, status="stopped", last=None, previous=None, best=None)
    heard = Heard()
    resume(run.path, measure=False, progress=heard)
    assert run.manifest().precision == other


def test_a_second_run_of_a_recipe_gets_the_next_name(recipe: Path, runs: Path) -> None:
    quick = {"training.num_steps": 1}
    names = [train(recipe, settings=quick, measure=False).folder.id for _ in range(3)]
    assert names == ["vae", "vae-2", "vae-3"]
    assert free_path(runs, "vae") == runs / "vae-4"


def test_the_next_name_is_taken_where_another_was_quicker(
    recipe: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = iter([runs / "taken", runs / "free"])
    (runs / "taken").mkdir()
    monkeypatch.setattr("creuset.workflows.train.free_path", lambda *_: next(offered))
    assert train(recipe, settings={"training.num_steps": 1}, measure=False).folder.id == "free"


def test_an_existing_name_is_refused_before_anything_is_done(recipe: Path, vae: RunFolder) -> None:
    before = tensors(vae)
    with pytest.raises(UsageError, match="there is a run of this name already") as caught:
        train(recipe, name="vae")
    assert caught.value.next_step == "creuset train --resume vae, or another --name"
    assert tensors(vae) == before


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden"])
def test_a_name_that_could_not_be_found_again_is_refused(name: str, recipe: Path) -> None:
    with pytest.raises(UsageError, match="not a name for a run"):
        train(recipe, name=name)


def test_a_path_is_taken_as_it_is(runs: Path, tmp_path: Path) -> None:
    assert run_path("vae") == runs / "vae"
    assert run_path(tmp_path / "x") == tmp_path / "x"
    assert run_path("folder/x") == Path("folder/x")


def test_settings_are_kept_with_their_origin(recipe: Path) -> None:
    settings = ["training.num_steps=2", "training.learning_rate=1e-4"]
    run = train(recipe, settings=settings, seed=5, measure=False).folder
    text = run.recipe_path.read_text()
    lines = {line.split(":")[0].strip(): line for line in text.splitlines() if ":" in line}
    assert "--set" in lines["num_steps"]
    assert "--set" in lines["seed"]
    assert "vae.yaml" in lines["batch_size"]
    assert "default" in lines["optimizer"]


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ("training.num_step=3", RecipeError),
        ("data.batch_size=100000", UsageError),
        ("data.source=nowhere", CreusetError),
        ("players.critic.num_steps=2", UsageError),
        ("training.device=quantum", UsageError),
        ("training.accumulate=65", UsageError),
        ("training.num_steps=0", RecipeError),
    ],
)
def test_nothing_is_written_for_a_training_that_cannot_be(
    setting: str, error: type[CreusetError], recipe: Path, workspace: Path
) -> None:
    with pytest.raises(error):
        train(recipe, settings=[setting])
    assert sorted(path.name for path in workspace.iterdir()) == ["vae.yaml"]


def test_what_is_not_finite_leaves_a_failed_run_with_its_last_good_checkpoint(
    recipe: Path, runs: Path
) -> None:
    settings = {"training.learning_rate": 1e30, "training.checkpoint_every": 1, "training.validate_every": 99}
    with pytest.raises(NumericalError, match=r"step \d+.*NaN or infinity in .*") as caught:
        train(recipe, name="wild", settings=settings)
    assert caught.value.exit_code == 1
    assert "last good checkpoint: " in str(caught.value.next_step)
    state = RunFolder(runs / "wild").manifest()
    assert state.status == "failed"
    assert state.stop_reason is not None
    assert "NaN or infinity" in state.stop_reason


class Interrupts(Silent):
    """Presses Ctrl-C twice, as far as the training can tell, at a step."""

    def advance(self, done: float, values: Mapping[str, float] | None = None) -> None:
        if done >= 21:
            raise KeyboardInterrupt


def test_an_interrupt_at_once_leaves_a_stopped_run(recipe: Path, runs: Path, vae: RunFolder) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(recipe, name="interrupted", progress=Interrupts())
    run = RunFolder(runs / "interrupted")
    assert (run.manifest().status, run.manifest().stop_reason) == ("stopped", "interrupted")
    resume("interrupted", measure=False)
    assert tensors(run) == tensors(vae)
    assert journal(run) == journal(vae)


class FullDisk(Silent):
    """From a step on, no file may grow beyond some bytes: as a full disk, without privileges."""

    def __init__(self, step: int, num_bytes: int) -> None:
        self.step, self.num_bytes = step, num_bytes
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def advance(self, done: float, values: Mapping[str, float] | None = None) -> None:
        if done >= self.step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.num_bytes, self.before[1]))

    def make_room(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


@pytest.fixture
def full_disk(request: pytest.FixtureRequest) -> Iterator[FullDisk]:
    disk = FullDisk(*request.param)
    yield disk
    disk.make_room()


# at step 21 the journal is about 4 kB long, an event file shorter, a checkpoint's file 40 kB and more
@pytest.mark.parametrize("full_disk", [(21, 0), (21, 1000), (21, 20_000), (7, 20_000)], indirect=True)
def test_a_full_disk_keeps_what_was_saved(
    full_disk: FullDisk, recipe: Path, runs: Path, vae: RunFolder
) -> None:
    with pytest.raises(ResourceError, match="the disk is full") as caught:
        train(recipe, name="full", progress=full_disk)
    assert caught.value.exit_code == 5
    full_disk.make_room()
    run = RunFolder(runs / "full")
    if full_disk.step > 8:
        assert creuset.load(run).step > 0  # an earlier checkpoint is there, and good
    resume("full", measure=False)
    assert tensors(run) == tensors(vae)
    assert journal(run) == journal(vae)
    assert leftovers(runs) == []


def test_running_out_of_memory_keeps_what_was_saved(
    recipe: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Updates.step

    def refuse(self: Updates, number: int) -> dict[str, dict[str, float]]:
        if number == 30:
            torch.empty(10**15)
        return step(self, number)

    monkeypatch.setattr(Updates, "step", refuse)
    with pytest.raises(ResourceError, match="out of memory") as caught:
        train(recipe, name="large")
    assert caught.value.exit_code == 5
    assert "data.batch_size" in str(caught.value.next_step)
    run = RunFolder(runs / "large")
    assert run.manifest().status == "failed"
    assert creuset.load(run).step > 0


def test_an_error_while_measuring_leaves_a_finished_run(
    recipe: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ResourceError("out of memory")

    monkeypatch.setattr("creuset.workflows.execute.evaluate", refuse)
    with pytest.raises(ResourceError):
        train(recipe, name="unmeasured")
    run = RunFolder(runs / "unmeasured")
    assert run.status() == "finished"
    monkeypatch.undo()
    assert resume(run.path).scores
    assert run.report_path.exists()


def test_the_time_limit_leaves_a_stopped_run(recipe: Path, vae: RunFolder) -> None:
    run = train(recipe, name="limited", max_seconds=1e-9, measure=False)
    assert (run.outcome.step, run.outcome.reason) == (1, "max_time")
    assert (run.folder.status(), run.folder.manifest().stop_reason) == ("stopped", "max_time")
    resume("limited", measure=False)
    assert tensors(run.folder) == tensors(vae)
    assert journal(run.folder) == journal(vae)


def test_patience_ends_a_run(workspace: Path) -> None:
    text = VAE.replace("num_steps: 40", "num_steps: 400, patience: 1").replace("2e-3", "0.5")
    run = train(write_recipe(workspace, text, "hasty"), measure=False)
    assert run.outcome.reason == "early_stop"
    assert run.outcome.step < 400
    assert run.folder.status() == "finished"
    assert resume("hasty", measure=False).outcome == run.outcome


def test_interrupted_carries_the_exit_code_of_its_signal() -> None:
    assert Interrupted("stopped", signal_number=15).exit_code == 143


def test_the_journal_is_json_of_one_format(vae: RunFolder) -> None:
    lines = [json.loads(line) for line in vae.journal_path.read_text().splitlines()]
    assert all(line.keys() == {"format", "step", "event", "player", "values", "clock"} for line in lines)
    assert {line["format"] for line in lines} == {1}
    train_lines = [line for line in lines if line["event"] == "train"]
    assert train_lines[0]["values"].keys() >= {"loss", "kl_nats", "gradient_norm", "learning_rate"}
    assert train_lines[0]["clock"].keys() == {"seconds", "samples_per_second", "peak_memory_bytes"}
