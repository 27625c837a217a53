from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from creuset.progress import Silent
from creuset.runs.journal import Journal, go_back, read_journal
from creuset.training.recorder import Recorder


def recorder(folder: Path, step: int) -> Recorder:
    return Recorder(Journal(folder / "journal.jsonl"), folder / "tensorboard", step=step, progress=Silent())


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    accumulator = EventAccumulator(str(folder / "tensorboard"), purge_orphaned_data=True)
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_journal_and_curves_hold_the_same_numbers(tmp_path: Path) -> None:
    one = recorder(tmp_path, 0)
    one.record(5, "train", {"loss": 0.5}, player="critic", clock={"seconds": 1.0})
    one.record(5, "validation", {"loss": 0.25}, clock={})
    one.record(6, "stop", {"reason": "signal"}, clock={})
    assert one.sync() == (tmp_path / "journal.jsonl").stat().st_size
    one.close()
    assert [line["event"] for line in read_journal(tmp_path / "journal.jsonl")] == [
        "train",
        "validation",
        "stop",
    ]
    assert curve(tmp_path, "train/critic/loss") == [(5, 0.5)]
    assert curve(tmp_path, "validation/loss") == [(5, 0.25)]


def test_a_resume_loses_no_point_of_a_curve(tmp_path: Path) -> None:
    first = recorder(tmp_path, 0)
    for step in (1, 2):
        first.record(step, "train", {"loss": float(step)}, player="model", clock={})
    length = first.sync()
    for step in (3, 4):  # done after the checkpoint of step 2, and killed
        first.record(step, "train", {"loss": -1.0}, player="model", clock={})
    first.close()
    assert go_back(tmp_path / "journal.jsonl", length=length, step=2) is None
    journal = Journal(tmp_path / "journal.jsonl")
    second = Recorder(journal, tmp_path / "tensorboard", step=2, progress=Silent())
    second.record(3, "train", {"loss": 3.0}, player="model", clock={})
    second.close()
    assert curve(tmp_path, "train/model/loss") == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_without_a_journal_nothing_is_written(tmp_path: Path) -> None:
    silent = Recorder(None, None, step=0, progress=Silent())
    silent.record(1, "train", {"loss": 1.0}, clock={})
    assert silent.sync() == 0
    silent.close()
    assert list(tmp_path.iterdir()) == []
