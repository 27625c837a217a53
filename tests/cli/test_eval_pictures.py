"""`creuset eval --metrics` on pictures of one's own, and what is refused beside texts and runs."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from command_line import run_command
from creuset.metrics.signature import Signature
from creuset.runs.folder import RunFolder
from sentences import pairs

SOURCES = ["--generated", "made", "--reference", "real"]
OWN = [*SOURCES, "--extractor", "cnn"]
TEXTS = ["--hypotheses", "h.txt", "--references", "r.txt"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pixels = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    for name, start in (("made", 0), ("real", 50), ("learned", 100)):
        (tmp_path / name).mkdir()
        for number, picture in enumerate(pixels[start : start + 50]):
            Image.fromarray(picture).save(tmp_path / name / f"{number}.png")
    for name, lines in zip(("h.txt", "r.txt"), pairs(20, seed=8), strict=True):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    return tmp_path


def test_scores_floors_and_notes_are_printed(folder: Path, cnn: RunFolder) -> None:
    answer = run_command(["eval", "--metrics", "fid, kd", *OWN])
    assert answer.exit_code == 0
    fd, kd, floor = answer.stdout.splitlines()
    assert fd.startswith("fd ")
    assert kd.startswith("kd ")
    assert floor.startswith("for comparison: fd_floor ")
    notes = [line for line in answer.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == 3
    assert notes[-1].startswith(
        "note: fid is called fd: FID is defined on the features of Inception v3 alone"
    )
    assert answer.stderr.endswith("next: creuset eval --help\n")


def test_one_document_for_runs_texts_and_pictures(folder: Path, cnn: RunFolder) -> None:
    asked = {
        "pictures": ["--metrics", "fd,precision", *OWN, "--training", "learned", "--seed", "7"],
        "texts": ["--metrics", "bleu", *TEXTS],
        "run": ["cnn"],
    }
    found = {
        name: json.loads(run_command(["eval", *words, "--json"]).stdout) for name, words in asked.items()
    }
    for document in found.values():
        assert list(document) == ["scores", "floors", "findings", "remarks"]
        assert document["scores"]
    of_pictures = found["pictures"]
    assert [score["metric"] for score in of_pictures["floors"]] == ["fd_floor", "precision_floor"]
    assert {Signature.parse(floor["signature"]).seed for floor in of_pictures["floors"]} == {7}
    assert [remark.partition(":")[0] for remark in of_pictures["remarks"]] == ["no intercept on 1/N"]


@pytest.mark.parametrize(("limit", "code"), [("precision=0.1", 0), ("precision=1.01", 4), ("fd=0.0", 4)])
def test_a_gate_says_yes_or_no(limit: str, code: int, folder: Path, cnn: RunFolder) -> None:
    answer = run_command(["eval", "--metrics", "fd,precision", *OWN, "--min", limit])
    assert answer.exit_code == code
    assert answer.stdout.startswith("fd ")


@pytest.mark.parametrize(("limit", "code"), [("kid=1e9", 0), ("kid=-1e9", 4), ("is=1", 0), ("is-cnn=99", 4)])
def test_a_limit_takes_the_names_of_metrics(limit: str, code: int, folder: Path, cnn: RunFolder) -> None:
    answer = run_command(["eval", "--metrics", "kd,is", *OWN, "--min", limit])
    assert answer.exit_code == code, answer.stderr


def test_a_limit_for_two_scores_of_one_name_is_refused(folder: Path) -> None:
    words = ["eval", "--metrics", "rouge,rouge-unicode", *TEXTS]
    assert run_command(words).exit_code == 0
    answer = run_command([*words, "--min", "rouge1_f1=0.1"])
    assert answer.exit_code == 2
    assert answer.stdout == ""  # nothing was measured
    assert (
        '--min: 2 scores are called "rouge1_f1", so a limit for it is unclear\n  got: rouge; rouge-unicode'
    ) in answer.stderr
    assert run_command([*words[:2], "rouge", *TEXTS, "--min", "rouge1_f1=0.0"]).exit_code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["--metrics", "fd"],
            2,
            "--generated is missing\n  got: --metrics\n  expected: creuset eval --metrics fd",
        ),
        (
            ["--metrics", "fd", "--generated", "made"],
            2,
            "--reference is missing\n  got: --metrics, --generated",
        ),
        (SOURCES, 2, "--metrics is missing\n  got: --generated, --reference\n  expected: creuset eval --m"),
        (["--extractor", "cnn"], 2, "nothing to measure"),
        (["--metrics", "fdd", *SOURCES], 2, 'no metric "fdd"; did you mean "fd"'),
        (["--metrics", "fd,", *SOURCES], 2, "--metrics: an empty name after the last comma"),
        (
            ["--metrics", "fd", *SOURCES, "--extractor", "missing.pth"],
            3,
            "missing.pth: the weights of Inception v3 are not there\n  expected: efficientnet-lite0, the",
        ),
        (
            ["--metrics", "fd", *OWN[2:], "--generated", "nowhere"],
            3,
            "expected: a folder of pictures, a .npz or IDX file of pictures, or a name such as mnist-5k",
        ),
        (["--metrics", "fd", *OWN, "--min", "kd=5"], 2, '--min: no score "kd"; there is: fd, fd_intercept'),
        (
            ["--metrics", "kd", *OWN, "--min", "kd=-5", "--min", "kd=5"],
            2,
            'two limits for "kd"\n  got: kd=-5 a',
        ),
        (["--metrics", "kd", *OWN, "--min", "kd=5", "--min", "kid=3"], 2, "got: kd=5 and kid=3"),
        (
            ["--metrics", "bleu", *SOURCES],
            2,
            "--metrics: bleu: a metric of texts, and pictures are measured\n  expected: fd, fd-intercept",
        ),
        (
            ["--metrics", "fid,bleu", *TEXTS],
            2,
            "--metrics: fid: a metric of pictures, and texts are measured\n  expected: bleu, chrf",
        ),
        (
            ["--metrics", "bleu", *TEXTS, "--generated", "made", "--extractor", "cnn"],
            2,
            "--hypotheses, --references are of texts, --generated, --extractor of pictures",
        ),
        (["--metrics", "bleu", *TEXTS, "--extractor", "cnn"], 2, "--extractor of pictures"),
        (
            ["vae", "--metrics", "fd", *SOURCES],
            2,
            "--metrics, --generated, --reference would have no effect: the run vae is measured",
        ),
        (["--metrics", "fd", *SOURCES, "--split", "test"], 2, "--split would have no effect: files are"),
        (["--metrics", "fd", *SOURCES], 6, "creuset models pull efficientnet-lite0"),
        (["--metrics", "fd", *SOURCES, "--extractor", "w.pth"], 6, "not the weights that FID is defined by"),
        (["--metrics", "fd", *SOURCES, "--extractor", "none"], 3, 'no extractor "none"'),
        (["--metrics", "fd", *OWN[:-1], "linear"], 2, "this run gives no features of pictures"),
        (["--metrics", "fd", *OWN[2:], "--generated", "nowhere"], 3, '"nowhere" is not there'),
        (["--metrics", "memorisation", *OWN], 2, "measured by the training samples"),
    ],
)
def test_wrong_combinations_are_refused(
    words: list[str], code: int, message: str, folder: Path, cnn: RunFolder, linear: RunFolder
) -> None:
    (folder / "w.pth").write_bytes(b"other weights")
    answer = run_command(["eval", *words])
    assert (answer.exit_code, answer.stdout) == (code, "")
    assert message in answer.stderr


def test_the_cache_holds_the_features(folder: Path, cnn: RunFolder) -> None:
    run_command(["eval", "--metrics", "kd", *OWN])
    kept = Path(os.environ["CREUSET_HOME"]) / "cache" / "features"
    assert len(list(kept.glob("*.npy"))) == 2
