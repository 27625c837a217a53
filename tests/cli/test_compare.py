import json
from pathlib import Path

import pytest

from command_line import run_command
from creuset.runs.folder import RunFolder
from creuset.workflows.train import train
from generators import write_distances
from sentences import pairs
from small_runs import CNN, write_recipe


@pytest.fixture
def bad(cnn: RunFolder, workspace: Path) -> RunFolder:
    """The recipe of `cnn`, two steps of it."""
    recipe = write_recipe(workspace, CNN, "bad")
    return train(recipe, settings={"training.num_steps": 2}, name="bad").folder


def test_a_table_says_what_is_known(bad: RunFolder) -> None:
    answer = run_command(["compare", "cnn", "bad"])
    assert answer.exit_code == 0
    first, header, *rows = answer.stdout.splitlines()
    assert first == "against cnn, classification on test, 180 samples"
    assert header.split("  ")[0] == "run"
    assert "interval (95%, uncorrected)  p (Holm)" in header
    assert [row.split()[:2] for row in rows] == [
        ["bad", metric] for metric in ("accuracy", "f1_macro", "auroc", "label_nll", "brier_score")
    ]
    assert rows[0].endswith("B is worse")
    assert "not compared: calibration_error" in answer.stderr
    assert answer.stderr.endswith("next: creuset runs show bad\n")


def test_a_run_against_itself(cnn: RunFolder) -> None:
    answer = run_command(["compare", "cnn", "cnn", "--metric", "accuracy", "--fail-if-worse"])
    assert answer.exit_code == 0
    assert answer.stdout.rstrip().endswith("cannot tell apart")


def test_generated_samples_are_counted_beside_those_of_the_data(vae: RunFolder) -> None:
    write_distances(vae, 0, seed=0)
    first, *_ = run_command(["compare", "vae", "vae"]).stdout.splitlines()
    assert first == "against vae, images on test, 180 and 120 samples"


def test_json_has_all_of_it(bad: RunFolder) -> None:
    document = json.loads(run_command(["compare", "cnn", "bad", "--json"]).stdout)
    assert document.keys() == {"suite", "split", "baseline", "comparisons", "left_out"}
    first = document["comparisons"][0]
    assert (first["run"], first["metric"], first["verdict"]) == ("bad", "accuracy", "worse")
    assert first["p_value"] <= first["p_corrected"] < 0.05


def test_the_gate(bad: RunFolder) -> None:
    answer = run_command(["compare", "cnn", "bad", "--fail-if-worse"])
    assert answer.exit_code == 4
    assert "bad is worse by accuracy" in answer.stderr
    assert run_command(["compare", "bad", "cnn", "--fail-if-worse"]).exit_code == 0


HYPOTHESES, REFERENCES = pairs(60, seed=8)
OF_FILES = ["--metrics", "bleu,exact-match", "--references", "r.txt"]


@pytest.fixture
def files(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    workspace.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(workspace)
    for name, lines in (("a.txt", REFERENCES), ("b.txt", HYPOTHESES), ("r.txt", REFERENCES)):
        (workspace / name).write_text("".join(f"{line}\n" for line in lines))
    return workspace


def test_files_are_compared_by_their_lines(files: Path) -> None:
    answer = run_command(["compare", "a.txt", "b.txt", "a.txt", *OF_FILES])
    assert answer.exit_code == 0
    first, header, *rows = answer.stdout.splitlines()
    assert first == "against a.txt, references r.txt, 60 samples"
    assert header.split("  ")[0] == "file"
    assert [row.split()[:2] for row in rows] == [
        [name, metric] for name in ("b.txt", "a.txt") for metric in ("bleu", "exact_match")
    ]
    assert [row.endswith("B is worse") for row in rows] == [True, True, False, False]
    assert answer.stderr == "next: creuset eval --help\n"


def test_files_as_json_and_at_the_gate(files: Path) -> None:
    answer = run_command(["compare", "a.txt", "b.txt", *OF_FILES, "--json", "--fail-if-worse"])
    assert answer.exit_code == 4
    assert "b.txt is worse by bleu; b.txt is worse by exact_match" in answer.stderr
    document = json.loads(answer.stdout)
    assert document.keys() == {"references", "baseline", "comparisons", "left_out"}
    first = document["comparisons"][0]
    assert (first["file"], first["metric"], first["verdict"], first["paired"]) == (
        *("b.txt", "bleu", "worse"),
        True,
    )
    assert run_command(["compare", "b.txt", "a.txt", *OF_FILES, "--fail-if-worse"]).exit_code == 0


def test_texts_alone_need_no_references(files: Path) -> None:
    answer = run_command(["compare", "a.txt", "b.txt", "--metrics", "json-validity"])
    assert answer.exit_code == 0
    assert answer.stdout.startswith("against a.txt, line by line, 60 samples\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["a.txt", *OF_FILES], 2, "a comparison is of two files or more"),
        (["a.txt", "b.txt", "--references", "r.txt"], 2, "--metrics is missing\n  got: --references"),
        (["a.txt", "b.txt", "--metrics", "bleu"], 2, "bleu needs references\n  next: name them with"),
        (["a.txt", "b.txt", "--metrics", "bleu,", "--references", "r.txt"], 2, "after the last comma"),
        (
            ["a.txt", "b.txt", "--metrics", "json-validity", "--references", "r.txt"],
            2,
            "references without effect",
        ),
        (
            ["a.txt", "b.txt"],
            2,
            "a.txt is a file, and runs are compared\n  next: compare files of texts with",
        ),
        (
            ["a.txt", "b.txt", *OF_FILES, "--suite", "images", "--metric", "nll"],
            2,
            "--suite, --metric would have no effect: --metrics compares files, and no runs",
        ),
        (["a.txt", "cnn", *OF_FILES], 2, "cnn is a run, and --metrics compares files of texts"),
        (["cnn", "b.txt"], 2, "b.txt is a file, and runs are compared"),
        (
            ["a.txt", "b.txt", "--metrics", "distinct", "--references", "r.txt"],
            2,
            "distinct cannot be compared",
        ),
    ],
)
def test_runs_and_files_are_not_mixed(
    words: list[str], code: int, message: str, cnn: RunFolder, files: Path
) -> None:
    answer = run_command(["compare", *words])
    assert (answer.exit_code, answer.stdout) == (code, "")
    assert message in answer.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["cnn"], 2, "a comparison is of two runs or more"),
        ([], 2, "Missing argument"),
        (["cnn", "cnm"], 3, 'did you mean "cnn"'),
        (["cnn", "cnn", "--suite", "images"], 3, "not measured with the suite images"),
        (["cnn", "cnn", "--suite", "foo"], 2, "'foo' is not one of 'classification', 'images'"),
        (["cnn", "cnn", "--metric", "acuracy"], 2, 'did you mean "accuracy"?'),
    ],
)
def test_what_cannot_be_compared_is_refused(
    words: list[str], code: int, message: str, cnn: RunFolder
) -> None:
    answer = run_command(["compare", *words])
    assert answer.exit_code == code
    assert message in answer.stderr
