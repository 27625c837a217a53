import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest
from PIL import Image

from creuset.cli import cli
from creuset.errors import CreusetError, DataError, NotFoundError, UsageError
from sounds import levels, tone, tone_folder, write_wav

Invoke = Callable[..., click.testing.Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `creuset data ...` in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> click.testing.Result:
        return click.testing.CliRunner().invoke(cli, ["data", *arguments])

    return run


def failure(result: click.testing.Result) -> CreusetError:
    assert isinstance(result.exception, CreusetError), result.output
    return result.exception


def table(path: Path) -> str:
    path.write_text("x,y,label\n" + "\n".join(f"{i},{i * i},{'ab'[i % 2]}" for i in range(40)))
    return str(path)


def test_show_says_form_classes_and_counts(invoke: Invoke) -> None:
    result = invoke("show", "digits")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "source    digits: scikit-learn's handwritten digits"
    assert lines[1] == "form      pictures, 8 x 8 (height x width), grey, 17 levels"
    assert lines[2] == "classes   10"
    assert [line.split()[:3] for line in lines if line.startswith(("train", "validation", "test"))] == [
        ["train", "1,437", "142"],
        ["validation", "180", "18"],
        ["test", "180", "18"],
    ]
    assert result.stderr == "next: creuset data validate digits\n"


def test_show_as_json(invoke: Invoke) -> None:
    document = json.loads(invoke("show", "digits", "--json").stdout)
    assert document["spec"]["shape"] == [1, 8, 8]
    assert document["spec"]["num_levels"] == 17
    assert document["num_samples"] == {"train": 1437, "validation": 180, "test": 180}
    assert len(document["content_hash"]) == 64
    assert document["examples"][0]["name"].startswith("digits[")
    assert document["examples"][0]["class"] in document["spec"]["class_names"]


def test_show_describes_the_columns_of_a_table(invoke: Invoke, tmp_path: Path) -> None:
    output = invoke("show", table(tmp_path / "t.csv")).stdout
    assert "form      table, 2 columns of numbers" in output
    assert "column  mean in train  standard deviation" in output


def test_show_writes_a_sheet_with_a_row_a_class(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("show", "digits", "--out", "sheet.png")
    assert result.exit_code == 0
    assert result.stderr == "next: open sheet.png\n"
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (580, 580)  # ten by ten digits of 8 x 8, enlarged seven times, padded by 1
        assert np.asarray(sheet).max() == 255


@pytest.mark.parametrize(
    ("out", "message"),
    [("sheet.png", "a table has no pictures"), ("sheet.gif", "a table has no pictures")],
)
def test_a_table_has_no_sheet(invoke: Invoke, tmp_path: Path, out: str, message: str) -> None:
    assert message in str(failure(invoke("show", table(tmp_path / "t.csv"), "--out", out)))


def test_a_sheet_is_a_png(invoke: Invoke) -> None:
    error = failure(invoke("show", "digits", "--out", "sheet.gif"))
    assert "sheet.gif: sheets are written as .png\n  next: write --out sheet.png" in str(error)


def near_and_equal(path: Path) -> str:
    """A sample of test that is in train as well, and one that is nearly one of train."""
    from sklearn.datasets import load_digits

    images = (load_digits().images[:60] * 15.9).astype(np.uint8)
    images[50] = images[0]
    images[51] = (images[1] * 0.9).astype(np.uint8)
    np.savez(path, train_images=images[:50], test_images=images[50:])
    return str(path)


def test_validate_reports_equal_and_nearly_equal_samples(invoke: Invoke, tmp_path: Path) -> None:
    source = near_and_equal(tmp_path / "a.npz")
    result = invoke("validate", source, "--validation-share", "0.02")
    assert result.exit_code == 0
    assert (
        "equal samples in two splits of the source, removed from one: 1\n    train_images[0]" in result.stdout
    )
    assert (
        "samples of test nearly the same as one of train: 1\n    test_images[1] like train_images[1]"
        in result.stdout
    )
    assert "data: 1 sample removed from train, because another split holds the same" in result.stderr
    assert f"next: creuset data split {source} --out splits.npz" in result.stderr
    document = json.loads(invoke("validate", source, "--validation-share", "0.02", "--json").stdout)
    assert document["duplicates_removed"] == {"train": 1}
    found = {(one["split"], one["other"]): one for one in document["near_duplicates"]}
    assert found["test", "train"]["count"] == 1
    assert found["test", "train"]["examples"][0]["name"] == "test_images[1]"


def test_validate_says_what_it_does_not_look_for(invoke: Invoke, tmp_path: Path) -> None:
    assert (
        "near duplicates: only looked for among pictures"
        in invoke("validate", table(tmp_path / "t.csv")).stdout
    )


def test_validate_names_skipped_files(invoke: Invoke, tmp_path: Path) -> None:
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (9, 4, 4), dtype=np.uint8)):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_text("x")
    error = failure(invoke("validate", "."))
    assert isinstance(error, DataError)
    assert error.exit_code == 2
    result = invoke("validate", ".", "--unreadable", "skip")
    assert result.exit_code == 0
    assert "files skipped: 1\n    broken.png: is no picture of a known format" in result.stdout


def test_split_writes_a_source_with_the_same_splits(invoke: Invoke, tmp_path: Path) -> None:
    first = json.loads(invoke("split", "digits", "--seed", "4", "--out", "s.npz", "--json").stdout)
    assert first["file"] == "s.npz"
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert arrays["train_images"].shape == (1437, 8, 8)
        assert arrays["test_labels"].shape == (180,)
    again = json.loads(invoke("show", "s.npz", "--json").stdout)
    assert again["content_hash"] == first["content_hash"]
    assert (
        invoke("split", "s.npz", "--out", "t.npz").stdout == "t.npz: train 1,437, validation 180, test 180\n"
    )


def test_split_keeps_what_is_there(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(b"precious")
    error = failure(invoke("split", "digits", "--out", "s.npz"))
    assert "s.npz: this file exists already" in str(error)
    assert error.exit_code == 2
    assert (tmp_path / "s.npz").read_bytes() == b"precious"
    assert "splits are written as .npz" in str(failure(invoke("split", "digits", "--out", "s.zip")))


def test_options_reach_the_reader(invoke: Invoke, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (30, 12))
    (tmp_path / "p.csv").write_text(
        "\n".join(",".join(map(str, [i % 3, *row])) for i, row in enumerate(rows))
    )
    arguments = (
        "--image-size",
        "3x4",
        "--label-column",
        "1",
        "--validation-share",
        "0.2",
        "--test-share",
        "0",
    )
    document: dict[str, Any] = json.loads(invoke("show", "p.csv", *arguments, "--json").stdout)
    assert document["spec"]["shape"] == [1, 3, 4]
    assert document["spec"]["class_names"] == ["0", "1", "2"]
    assert document["num_samples"] == {"train": 24, "validation": 6}


def test_wrong_options_are_refused(invoke: Invoke) -> None:
    result = invoke("show", "digits", "--image-size", "28")
    assert result.exit_code == 2
    assert "28 is no size; write it like 28x28" in result.stderr
    assert invoke("show", "digits", "--validation-share", "0").exit_code == 2
    error = failure(invoke("show", "digits", "--validation-share", "0.5", "--test-share", "0.5"))
    assert isinstance(error, UsageError)
    assert "nothing would be left to train on" in str(error)


def test_an_unknown_source_is_not_found(invoke: Invoke) -> None:
    error = failure(invoke("show", "no-such-data"))
    assert isinstance(error, NotFoundError)
    assert error.exit_code == 3
    assert "no-such-data" in str(error)


def test_sound_of_other_rates_and_channels_is_brought_to_one_and_said(invoke: Invoke, tmp_path: Path) -> None:
    tone_folder(tmp_path / "tones")
    both = np.stack([tone(300, rate=22_050), tone(320, rate=22_050)], axis=1)
    write_wav(tmp_path / "tones" / "low" / "3.wav", levels(both), rate=22_050)
    said = invoke("show", "tones").stderr.splitlines()
    assert "data: 1 clip resampled to 8,000 samples a second, from 22,050" in said
    assert "data: the channels of 1 clip averaged to one" in said


def test_sound_is_shown_as_what_it_is(invoke: Invoke, tmp_path: Path) -> None:
    folder = str(tone_folder(tmp_path / "tones"))
    output = invoke("show", folder, "--out", "sheet.png").output
    assert (
        "form      sound, 1.024 seconds at 8,000 samples a second; log-mel pictures of 64 bands x 64"
        in output
    )
    assert "classes   2" in output
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "near duplicates: not looked for in sound" in invoke("validate", folder).output
    assert "the splits of sound are no file of arrays" in str(
        failure(invoke("split", folder, "--out", "a.npz"))
    )
