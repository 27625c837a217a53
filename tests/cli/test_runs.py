import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import run_command
from creuset.cli.runs import _journal_line
from creuset.runs.folder import RunFolder


def test_no_runs_yet() -> None:
    answer = run_command(["runs", "list"])
    assert answer.exit_code == 0
    assert answer.stdout.startswith("no runs in ")
    assert json.loads(run_command(["runs", "list", "--json"]).stdout) == {"runs": []}


def test_runs_are_listed_oldest_first(vae: RunFolder, cnn: RunFolder) -> None:
    cnn.update(created="2001-01-01T00:00:00Z")
    lines = run_command(["runs", "list"]).stdout.splitlines()
    assert lines[0].split() == ["run", "family", "status", "step", "trained", "validation", "loss", "created"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["cnn", "cnn", "finished"],
        ["vae", "vae", "finished"],
    ]
    rows = json.loads(run_command(["runs", "list", "--json"]).stdout)["runs"]
    assert [(row["id"], row["status"], row["step"]) for row in rows] == [
        ("cnn", "finished", 40),
        ("vae", "finished", 40),
    ]
    assert rows[1]["best_validation_loss"] == vae.manifest().best_validation_loss


def test_a_run_that_cannot_be_read_hides_no_other(vae: RunFolder, cnn: RunFolder) -> None:
    cnn.manifest_path.write_text("{")
    answer = run_command(["runs", "list", "--json"])
    assert [row["id"] for row in json.loads(answer.stdout)["runs"]] == ["vae"]
    assert "warning: " in answer.stderr
    assert "the run's manifest cannot be read" in answer.stderr


def test_a_run_is_shown_with_its_scores(vae: RunFolder) -> None:
    answer = run_command(["runs", "show", "vae"])
    assert answer.stdout.startswith(f"{vae.path}: vae, finished at step 40\n")
    assert "step-00000040 (last" in answer.stdout
    assert "best)" in answer.stdout
    assert "  nll " in answer.stdout
    document = json.loads(run_command(["runs", "show", "vae", "--json"]).stdout)
    assert document["manifest"] == vae.manifest().model_dump(mode="json")
    assert document["checkpoints"] == vae.checkpoint_names()
    assert document["scores"] == vae.evaluations()["images"]["scores"]


def test_the_journal_is_printed_a_line_an_event(vae: RunFolder) -> None:
    lines = vae.journal_path.read_text().splitlines()
    answer = run_command(["runs", "log", "vae"])
    assert answer.stdout.count("\n") == len(lines)
    assert answer.stdout.splitlines()[1].split()[:3] == ["7", "train", "loss"]
    document = json.loads(run_command(["runs", "log", "vae", "--json"]).stdout)
    assert document == {"events": [json.loads(line) for line in lines]}


def test_following_ends_with_the_run(vae: RunFolder) -> None:
    lines = vae.journal_path.read_text().splitlines()
    answer = run_command(["runs", "log", "-f", "vae", "--json"])
    assert [json.loads(line) for line in answer.stdout.splitlines()] == [json.loads(line) for line in lines]


def test_following_shows_what_comes_and_what_a_resume_writes_again(
    vae: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def line(step: int, event: str) -> str:
        return json.dumps({"step": step, "event": event, "player": None, "values": {}, "clock": {}}) + "\n"

    contents = iter(
        [
            line(1, "sample") + line(2, "sample") + line(3, "sample") + line(4, "sample"),
            line(1, "sample") + line(2, "checkpoint") + line(2, "resume"),  # cut, and on from step 2
            line(1, "sample") + line(2, "checkpoint") + line(2, "resume") + line(3, "sample") + '{"st',
        ]
    )
    running = iter([True, True, False])
    monkeypatch.setattr("creuset.cli.runs._POLL_SECONDS", 0)

    def process(self: RunFolder) -> int | None:
        self.journal_path.write_text(next(contents))
        return 1 if next(running) else None

    monkeypatch.setattr(RunFolder, "running_process", process)
    shown = [
        (event["step"], event["event"])
        for event in map(json.loads, run_command(["runs", "log", "-f", "vae", "--json"]).stdout.splitlines())
    ]
    first = [(1, "sample"), (2, "sample"), (3, "sample"), (4, "sample")]
    assert shown == [*first, (2, "resume"), (3, "sample")]


def test_following_loses_nothing_of_a_journal_that_was_cut_and_grew_again(
    vae: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lines(*steps: int, event: str = "sample", seconds: float = 0.0) -> str:
        rest = {"player": None, "values": {}, "clock": {"seconds": seconds}}
        return "".join(json.dumps({"step": step, "event": event, **rest}) + "\n" for step in steps)

    resumed = lines(1, 2) + lines(2, event="resume", seconds=1.0) + lines(3, 4, 5, seconds=1.0)
    contents = iter([lines(1, 2, 3, 4), resumed, resumed + lines(6)])
    running = iter([True, True, False])
    monkeypatch.setattr("creuset.cli.runs._POLL_SECONDS", 0)

    def process(self: RunFolder) -> int | None:
        self.journal_path.write_text(next(contents))
        return 1 if next(running) else None

    monkeypatch.setattr(RunFolder, "running_process", process)
    shown = map(json.loads, run_command(["runs", "log", "-f", "vae", "--json"]).stdout.splitlines())
    expected = lines(1, 2, 3, 4) + resumed.removeprefix(lines(1, 2)) + lines(6)
    assert list(shown) == [json.loads(line) for line in expected.splitlines()]


def test_a_line_for_people() -> None:
    event = {"step": 50, "event": "train", "player": "critic", "values": {"loss": 0.25, "note": "x"}}
    text = _journal_line({**event, "clock": {"seconds": 61.0}})
    assert text.split() == ["50", "train", "critic", "loss", "0.25", "note", "x", "[1", "min", "01", "s]"]


def test_runs_are_removed_after_a_yes(
    vae: RunFolder, cnn: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answers = iter([False, True])

    def confirm(text: str, **_: object) -> bool:
        asked.append(text)
        return next(answers)

    monkeypatch.setattr("click.confirm", confirm)
    answer = run_command(["runs", "rm", "vae", "cnn"])
    assert answer.exit_code == 0
    assert vae.path.exists()
    assert not cnn.path.exists()
    assert f"{vae.path}: kept" in answer.stdout
    assert f"{cnn.path}: deleted" in answer.stdout
    assert f"delete {vae.path} (" in asked[0]
    answer = run_command(["runs", "rm", "--yes", "vae", "vae"])
    assert answer.exit_code == 0
    assert list(vae.path.parent.iterdir()) == []
    assert " GB free now" in answer.stdout


@pytest.mark.parametrize("words", [["show"], ["log"], ["stop"], ["rm", "--yes"]])
def test_a_run_that_is_not_there_is_exit_code_3(words: list[str], vae: RunFolder) -> None:
    answer = run_command(["runs", *words, "vea"])
    assert answer.exit_code == 3
    assert 'no run here; did you mean "vae"?' in answer.stderr


def test_a_linked_run_is_not_removed_in_place_of_its_link(vae: RunFolder, runs: Path) -> None:
    (runs / "link").symlink_to(vae.path)
    answer = run_command(["runs", "rm", "--yes", "link"])
    assert answer.exit_code == 2
    assert "link: a symbolic link, not the folder itself: nothing was removed" in answer.stderr
    assert f"got: a link to {vae.path.resolve()}" in answer.stderr
    assert (runs / "link" / "manifest.json").exists()


@pytest.mark.parametrize("name", ["a" * 300, "./" + "a" * 300])
def test_a_name_that_no_run_can_have_is_exit_code_3(name: str, runs: Path) -> None:
    answer = run_command(["runs", "show", name])
    assert answer.exit_code == 3
    assert "no run can have this name" in answer.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output_is_exit_code_5(runs: Path) -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [sys.executable, "-c", "from creuset.cli import main; main()", "runs", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert answer.returncode == 5
    assert "creuset: the disk is full" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "Exception ignored" not in answer.stderr


def test_what_the_system_refuses_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTCONN, "not connected", "/a/place")

    monkeypatch.setattr("creuset.runs.folder.run_paths", refuse)
    monkeypatch.setattr("pathlib.Path.is_dir", lambda _: True)
    answer = run_command(["runs", "list"])
    assert (answer.exit_code, answer.stderr) == (
        1,
        "creuset: /a/place: the system refused\n  got: not connected\n",
    )


@pytest.mark.parametrize("options", [[], ["-f"], ["--json"]])
def test_a_log_ends_quietly_when_its_reader_goes_away(options: list[str], vae: RunFolder) -> None:
    nobody, pipe = os.pipe()
    os.close(nobody)
    words = [sys.executable, "-m", "creuset", "runs", "log", "vae", *options]
    with vae.lock():  # the run goes on, and so would -f
        answer = subprocess.run(words, stdout=pipe, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(pipe)
    assert (answer.returncode, answer.stderr) == (0, b"")
