import json
from pathlib import Path

import pytest

from creuset.errors import CheckpointError, ResourceError
from creuset.runs.journal import Event, Journal, go_back, read_journal
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
        '{"format": 1, "step": 50, "event": "train", "player": "model", "values": {"loss": 0.25}, '
        '"clock": {"seconds": 1.5}}\n'
        '{"format": 1, "step": 50, "event": "checkpoint", "player": null, "values": {}, "clock": {}}\n'
    )


def test_a_line_is_handed_to_the_system_at_once(path: Path) -> None:
    journal = Journal(path)
    journal.append(1, "sample", {})
    assert steps(path) == [1]
    journal.close()


def events(path: Path) -> list[tuple[int, str]]:
    return [(line["step"], line["event"]) for line in read_journal(path)]


def write(path: Path, *lines: tuple[int, Event]) -> int:
    """Appends events; returns the journal's length."""
    journal = Journal(path)
    for step, event in lines:
        journal.append(step, event, {"loss": 1.0})
    length = journal.sync()
    journal.close()
    return length


def test_lines_after_a_checkpoint_are_cut(path: Path) -> None:
    length = write(path, (1, "train"))
    write(path, (1, "checkpoint"), (2, "train"))
    assert go_back(path, length=length, step=1) is None
    write(path, (1, "resume"))
    assert events(path) == [(1, "train"), (1, "resume")]
    assert length == len(path.read_bytes().splitlines(keepends=True)[0])
    assert go_back(path, length=0, step=0) is None
    assert path.read_bytes() == b""


def test_a_journal_that_was_deleted_is_missed_but_no_obstacle(path: Path) -> None:
    length = write(path, (1, "train"))
    path.unlink()
    lost = go_back(path, length=length, step=1)
    assert lost is not None
    assert "some of what happened before step 1 is missing from the journal" in lost.message
    assert (lost.got, lost.expected) == ("0 bytes of whole lines up to step 1", f"{length} bytes")
    assert path.read_bytes() == b""


def test_of_a_journal_cut_short_whole_lines_are_kept(path: Path) -> None:
    first = write(path, (1, "train"))
    length = write(path, (2, "train"))
    path.write_bytes(path.read_bytes()[:-5])
    lost = go_back(path, length=length, step=2)
    assert lost is not None
    assert lost.got == f"{first} bytes of whole lines up to step 2"
    assert events(path) == [(1, "train")]


def test_a_journal_begun_anew_is_not_cut_at_the_old_place(path: Path) -> None:
    length = write(path, (1, "train"), (2, "train"))
    path.unlink()
    write(path, (2, "resume"), (3, "train"), (4, "train"), (5, "train"))
    assert go_back(path, length=length, step=3) is not None  # it is longer than it was then
    assert events(path) == [(2, "resume"), (3, "train")]


@pytest.mark.parametrize("damage", [b"{\n", b"\0\0\0\n", b"[1]\n", b"\xff\n"])
def test_damaged_lines_are_dropped_and_the_rest_is_kept(damage: bytes, path: Path) -> None:
    write(path, (1, "train"))
    path.write_bytes(path.read_bytes() + damage)
    length = write(path, (2, "train"), (2, "checkpoint"), (2, "stop"))
    assert go_back(path, length=length, step=2) is not None
    assert events(path) == [(1, "train"), (2, "train")]  # the rest of step 2 is written again


def test_a_journal_of_a_newer_creuset_is_refused(path: Path) -> None:
    path.write_text('{"format": 2, "step": 1, "event": "dream"}\n')
    for read in (lambda: steps(path), lambda: go_back(path, length=5, step=1)):
        with pytest.raises(CheckpointError, match="written by a newer creuset") as caught:
            read()
        assert (caught.value.got, caught.value.next_step) == ("format 2", "upgrade creuset")


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

    def write_all() -> None:
        for step in range(100):
            journal.append(step, "train", {"loss": 1.0})

    with largest_file(600), pytest.raises(ResourceError, match="the disk is full"):
        write_all()
    journal.close()  # nothing is left that would have to be written
    whole = steps(path)
    assert whole == list(range(len(whole)))
    assert 0 < len(whole) < 100
    assert json.loads(path.read_text().splitlines()[0])["step"] == 0
