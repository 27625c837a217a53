"""The comparison of a Transformer with recurrent models ends in a page of all three."""

import subprocess
import sys
from pathlib import Path

import pytest

from source_tree import ROOT

PROGRAM = ROOT / "benchmarks" / "transformer_against_rnn.py"


@pytest.mark.slow
def test_one_command_trains_measures_and_compares(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(f"line {number} of {number * 7 % 100} lines\n" for number in range(400)))
    out = tmp_path / "out"
    words = [sys.executable, str(PROGRAM), str(text), "--steps", "4", "--out", str(out), "--threads", "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    commands = [line for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert [line.split()[2] for line in commands] == ["train", "train", "train", "compare"]
    page = (out / "report.html").read_text()
    for name in ("decoder-shakespeare", "lstm-shakespeare", "gru-shakespeare"):
        assert f'<p class="name">{name}</p>' in page
    assert "gru-shakespeare against decoder-shakespeare: " in page
    assert "validation loss against seconds of training" in page


def test_a_text_that_is_not_there_is_said(tmp_path: Path) -> None:
    words = [sys.executable, str(PROGRAM), str(tmp_path / "nothing.txt")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no such text" in done.stderr
