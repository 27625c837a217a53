import json
from pathlib import Path

import pytest

from creuset.errors import CheckpointError
from creuset.runs.follow import JournalReader


def line(step: int, event: str = "sample", seconds: float = 0.0) -> str:
    return json.dumps({"step": step, "event": event, "clock": {"seconds": seconds}}) + "\n"


def steps(reader: JournalReader) -> list[tuple[int, str]]:
    return [(event["step"], event["event"]) for event in reader.new_lines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_each_line_comes_once_and_whole(path: Path) -> None:
    reader = JournalReader(path)
    assert steps(reader) == []
    path.write_text(line(1) + line(2)[:9])
    assert steps(reader) == [(1, "sample")]
    assert steps(reader) == []
    path.write_text(line(1) + line(2) + line(3))
    assert steps(reader) == [(2, "sample"), (3, "sample")]


def test_only_what_is_new_is_read(path: Path) -> None:
    reader = JournalReader(path)
    path.write_text(line(1) + line(2))
    assert len(reader.new_lines()) == 2
    path.write_text("x" * (len(line(1)) - 1) + "\n" + line(2) + line(3))
    assert steps(reader) == [(3, "sample")]


@pytest.mark.parametrize("seen_cut", [False, True])
def test_what_a_resume_writes_is_new(seen_cut: bool, path: Path) -> None:
    reader = JournalReader(path)
    path.write_text(line(1) + line(1, "resume") + line(2) + line(2, "checkpoint") + line(3))
    assert len(reader.new_lines()) == 5
    kept = line(1) + line(1, "resume") + line(2)
    if seen_cut:
        path.write_text(kept)
        assert steps(reader) == []
    new = line(2, "resume", 1.0) + line(3, "sample", 1.0) + line(3, "resume", 2.0) + line(4, "sample", 2.0)
    path.write_text(kept + new)
    assert steps(reader) == [(2, "resume"), (3, "sample"), (3, "resume"), (4, "sample")]
    path.write_text(kept + new + line(5))
    assert steps(reader) == [(5, "sample")]


def test_a_journal_begun_anew_is_read_from_its_start(path: Path) -> None:
    reader = JournalReader(path)
    path.write_text(line(1) + line(2))
    assert len(reader.new_lines()) == 2
    path.unlink()
    assert steps(reader) == []
    path.write_text(line(1, seconds=1.0))
    assert steps(reader) == [(1, "sample")]


def test_a_damaged_line_is_named(path: Path) -> None:
    reader = JournalReader(path)
    path.write_text(line(1))
    assert len(reader.new_lines()) == 1
    path.write_text(line(1) + "{\n")
    with pytest.raises(CheckpointError, match=r"journal.jsonl:2: this line of the journal is damaged"):
        reader.new_lines()
