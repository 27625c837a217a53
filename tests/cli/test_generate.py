import json
from pathlib import Path

import numpy as np
import pytest

from command_line import run_command
from creuset.runs.folder import RunFolder


def test_samples_are_written_where_asked(vae: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    answer = run_command(["generate", "vae", "-n", "9", "--seed", "5", "--out", str(out)])
    step = vae.checkpoint_path().name.removeprefix("step-").lstrip("0")
    assert answer.stdout == f"{out}: sample by vae at step {step}, seed 5\n"
    assert answer.stderr == "next: creuset eval vae\n"
    assert out.read_bytes().startswith(b"\x89PNG")


def test_json_holds_the_record(vae: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "codes.npz"
    answer = run_command(
        ["generate", "vae", "--mode", "encode", "--split", "validation", "--out", str(out), "--json"]
    )
    document = json.loads(answer.stdout)
    assert document["out"] == str(out)
    with np.load(out, allow_pickle=False) as file:
        assert document["record"] == json.loads(str(file["record"]))
        assert document["record"]["num"] == len(file["codes"])


def test_completions_of_a_class_are_written(pixelcnn: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "completed.png"
    answer = run_command(["generate", "pixelcnn", "--mode", "inpaint", "--class", "7", "--out", str(out)])
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith(f"{out}: inpaint by pixelcnn at step ")
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["vae"], 2, "--out"),
        (["vae", "--out", "a.gif"], 2, "unknown ending"),
        (["vae", "--out", "a.png", "--mode", "dream"], 2, "--mode"),
        (["vae", "--out", "a.png", "-n", "0"], 2, "--num"),
        (["vae", "--out", "a.png", "--split", "test"], 2, "samples are drawn from nothing"),
        (["vae", "--out", "a.png", "--mode", "denoise"], 2, "has not learned to remove noise"),
        (["vae", "--out", "a.png", "--mode", "interpolate", "-n", "1"], 2, "too few to make"),
        (["vea", "--out", "a.png"], 3, 'did you mean "vae"'),
        (["vae", "--out", "a.png", "--checkpoint", "step-1"], 3, "one of best, last, step-"),
        (["vae", "--out", "a.png", "--mode", "encode", "--data", "nowhere"], 2, "unknown ending"),
        (["vae", "--out", "a.npz", "--mode", "encode", "--data", "nowhere"], 3, "nowhere"),
    ],
)
def test_what_cannot_be_made_is_refused(
    words: list[str], code: int, message: str, vae: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = run_command(["generate", *words])
    assert (answer.exit_code, answer.stdout) == (code, "")
    assert message in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_exit_code_1(vae: RunFolder, tmp_path: Path) -> None:
    (vae.checkpoint_path() / "weights.safetensors").write_bytes(b"")
    answer = run_command(["generate", "vae", "--out", str(tmp_path / "a.png")])
    assert answer.exit_code == 1
    assert "the checkpoint is damaged" in answer.stderr
    assert "got: 0 bytes" in answer.stderr


def test_a_file_on_the_way_to_the_output_is_exit_code_2(vae: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = run_command(["generate", "vae", "-n", "1", "--out", str(tmp_path / "file" / "x.png")])
    assert answer.exit_code == 2
    assert "x.png: cannot be written: something else is in the way" in answer.stderr


def test_an_option_that_is_given_again_does_not_win_without_a_word(
    pixelcnn: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "a.png"
    answer = run_command(["generate", "pixelcnn", "--class", "3", "--class", "7", "--out", str(out)])
    assert answer.exit_code == 2
    assert "--class: one at a time: this option was given again\n  got: '3', '7'" in answer.stderr
    assert not out.exists()


@pytest.mark.parametrize("words", [[], ["--prompt", "a seven"]])
def test_without_a_file_the_endings_for_samples_are_named(words: list[str], vae: RunFolder) -> None:
    answer = run_command(["generate", "vae", *words])
    assert answer.exit_code == 2
    assert "--out is missing: the file for the samples, which ends with .png or .npz" in answer.stderr
