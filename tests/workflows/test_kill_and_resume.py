import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "kill_and_resume.py"


@pytest.mark.slow
def test_runs_that_are_killed_and_resumed_are_equal_to_one_that_was_not() -> None:
    words = [sys.executable, str(SCRIPT), "--runs", "8", "--seed", "7"]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count(": equal\n") == 8
    for name in ("vae", "cnn", "rnn", "collapse"):
        assert f"{name}, uninterrupted: " in finished.stdout
        assert finished.stdout.count(f"\n{name}-00") == 2


def test_a_recipe_that_is_not_there_is_refused() -> None:
    words = [sys.executable, str(SCRIPT), "--recipes", "vae,dream"]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 2
    assert "no recipe dream; there is: vae, cnn, rnn, collapse" in finished.stderr
