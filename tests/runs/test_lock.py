import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from creuset.errors import NotFoundError, UsageError
from creuset.runs.lock import Holder, held, holder, not_given_back

HOLD = """
import sys, time
from pathlib import Path
from creuset.runs.lock import held
with held(Path(sys.argv[1])) as acquired:
    print(acquired, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def test_one_holder_at_a_time(path: Path) -> None:
    assert holder(path) is None
    with held(path) as first, held(path) as second:
        assert (first, second) == (True, False)
        assert holder(path) == Holder(process=os.getpid(), host=socket.gethostname())
    assert holder(path) is None
    assert path.read_text() == ""


def test_looking_does_not_take_it(path: Path) -> None:
    with held(path):
        pass
    assert holder(path) is None
    with held(path) as acquired:
        assert acquired


def test_a_killed_holder_holds_no_more(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert holder(path) == Holder(process=other.pid, host=socket.gethostname())
        with held(path) as acquired:
            assert not acquired
        other.kill()
        other.wait()
        assert holder(path) is None
        with held(path) as acquired:
            assert acquired


def test_a_killed_holder_has_not_given_it_back(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert not_given_back(path) is None
        other.kill()
        other.wait()
    assert not_given_back(path) == Holder(process=other.pid, host=socket.gethostname())
    with held(path):
        pass
    assert not_given_back(path) is None


WAIT = """
import fcntl, sys
from pathlib import Path
from creuset.runs import lock
lock._LOOK_SECONDS = 30.0
acquire = lock._acquire
def announced(file, path):
    print("opened", flush=True)
    return acquire(file, path)
lock._acquire = announced
with lock.held(Path(sys.argv[1])) as acquired:
    print(acquired, flush=True)
"""


@pytest.mark.parametrize("what", ["the folder", "the file"])
def test_a_lock_whose_file_was_removed_excludes_nobody_and_is_taken_anew(what: str, tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"
    path.parent.mkdir()
    with held(path) as acquired:
        assert acquired
        other = subprocess.Popen(
            [sys.executable, "-c", WAIT, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "opened\n"
        if what == "the folder":
            shutil.rmtree(path.parent)
        else:
            path.unlink()
    said, complained = other.communicate(timeout=30)
    if what == "the folder":
        assert "NotFoundError: " in complained
        assert "this run was removed" in complained
        assert said == ""
        assert not path.parent.exists()
    else:
        assert said == "opened\nTrue\n"
        assert path.read_text() == ""


def test_a_removed_run_has_no_lock(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="this run was removed") as caught, held(tmp_path / "x" / ".lock"):
        pass
    assert caught.value.next_step == "creuset runs list"


def test_a_file_system_without_locks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_file: object, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UsageError, match="this file system has no locks") as caught, held(path):
        pass
    assert "CREUSET_WORKSPACE" in str(caught.value.next_step)
    assert holder(path) is None


@pytest.mark.parametrize("text", ["", "12", "{", '{"process": null, "host": null}'])
def test_a_holder_that_has_not_said_who_it_is_is_another_process(
    text: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("creuset.runs.lock._LOOK_SECONDS", 0.01)
    with held(path):
        path.write_text(text)
        assert str(holder(path)) == "another process"
