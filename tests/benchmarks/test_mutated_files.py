"""Mutated files of weights and tokenizers are refused or plausible: none crashes, hangs or takes too much."""

from pathlib import Path

import pytest

from benchmark_programs import program

mutated_files = program("mutated_files")


def test_mutated_files_are_refused_or_plausible() -> None:
    problems, counts = mutated_files.check(80, seed=1)
    assert problems == []
    assert counts.total() == 80
    for name in ("file.gguf", "file.safetensors", "tokenizer.json", *mutated_files.IN_FOLDER[:2]):
        assert counts[name, "refused"] >= 3


@pytest.mark.parametrize(
    ("reader", "outcome"),
    [
        (lambda path: None, "read"),
        (lambda path: "ids beyond the vocabulary", "wrong"),
        (lambda path: bytearray(40 << 20) and None, "wrong"),
        (lambda path: bytearray(2 << 30) and None, "crashed"),
        (lambda path: 1 / 0, "crashed"),
        (lambda path: mutated_files.os.kill(mutated_files.os.getpid(), 9), "ended by SIGKILL"),
    ],
)
def test_each_way_to_go_wrong_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: object, outcome: str
) -> None:
    monkeypatch.setattr(mutated_files, "_READERS", {".x": reader})
    assert mutated_files.outcome_of(tmp_path, ".x", b"content")[0] == outcome


def test_a_reader_that_hangs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutated_files, "_SECONDS", 1)
    monkeypatch.setattr(mutated_files, "_READERS", {".x": lambda path: mutated_files.signal.pause()})
    assert mutated_files.outcome_of(tmp_path, ".x", b"content")[0] == "ended by SIGALRM"
