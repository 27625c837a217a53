import json
from pathlib import Path

import pytest

from creuset.errors import CheckpointError, ResourceError
from creuset.runs.journal import Journal, read_journal
from small_runs import largest_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def steps(path: Path) -> list[int]:
    return [line["step"] for line in read_journal(path)]


def test_a_line_has_the_documented_form(path: Path) -> None:
    journal = Journal(path)
    journal.append(50, "train", {"loss": 0.25}, player="model", clock={"seconds": 1.5})
    journal.append(50, "checkpoint", {})
    journal.close()
    assert path.read_text() == (
        '{"step": 50, "event": "train", "player": "model", "values": {"loss": 0.25}, '
        '"clock": {"seconds": 1.5}}\n'
        '{"step": 50, "event": "checkpoint", "player": null, "values": {}, "clock": {}}\n'
    )


def test_a_line_is_handed_to_the_system_at_once(path: Path) -> None:
    journal = Journal(path)
    journal.append(1, "sample", {})
    assert steps(path) == [1]
    journal.close()


def test_lines_after_a_length_are_cut(path: Path) -> None:
    journal = Journal(path)
    journal.append(1, "train", {"loss": 1.0})
    length = journal.sync()
    journal.append(2, "train", {"loss": 1.0})
    journal.close()
    again = Journal(path)
    again.cut(length)
    again.append(3, "resume", {})
    again.close()
    assert steps(path) == [1, 3]
    assert length == len(path.read_bytes().splitlines(keepends=True)[0])


def test_a_journal_that_is_too_short_is_refused(path: Path) -> None:
    journal = Journal(path)
    with pytest.raises(CheckpointError, match="shorter than when the checkpoint was made") as caught:
        journal.cut(1)
    assert (caught.value.got, caught.value.expected) == (0, 1)
    journal.close()


def test_a_torn_last_line_is_passed_over(path: Path) -> None:
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert steps(path) == [1, 2]


def test_a_damaged_line_within_is_named(path: Path) -> None:
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(CheckpointError, match=r"journal.jsonl:2: this line of the journal is damaged"):
        steps(path)


def test_no_journal_has_no_lines(path: Path) -> None:
    assert steps(path) == []


def test_numbers_that_json_has_not_are_refused(path: Path) -> None:
    journal = Journal(path)
    with pytest.raises(ValueError, match="Out of range float"):
        journal.append(1, "train", {"loss": float("nan")})
    journal.close()
    assert path.read_bytes() == b""


def test_a_full_disk_is_reported_and_leaves_whole_lines(path: Path) -> None:
    journal = Journal(path)

    def write() -> None:
        for step in range(100):
            journal.append(step, "train", {"loss": 1.0})

    with largest_file(600), pytest.raises(ResourceError, match="the disk is full"):
        write()
    journal.close()  # nothing is left that would have to be written
    whole = steps(path)
    assert whole == list(range(len(whole)))
    assert 0 < len(whole) < 100
    assert json.loads(path.read_text().splitlines()[0])["step"] == 0
