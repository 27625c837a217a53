import os
import subprocess
import sys
from pathlib import Path

import pytest

from creuset.runs.lock import held, holder

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
        assert holder(path) == os.getpid()
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
        assert holder(path) == other.pid
        with held(path) as acquired:
            assert not acquired
        other.kill()
        other.wait()
        assert holder(path) is None
        with held(path) as acquired:
            assert acquired
