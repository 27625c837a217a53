"""`creuset eval --metrics`: files of one's own, without any run."""

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import sacrebleu

from command_line import run_command
from creuset.metrics.signature import Signature
from creuset.workflows.own_files import TEXT_METRICS
from sentences import pairs

HYPOTHESES, REFERENCES = pairs(60, seed=8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, lines in (("h.txt", HYPOTHESES), ("r.txt", REFERENCES), ("r2.txt", REFERENCES[::-1])):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    return tmp_path


def test_scores_are_those_of_the_metrics(folder: Path) -> None:
    answer = run_command(["eval", "--metrics", "bleu,ter", "--hypotheses", "h.txt", "--references", "r.txt"])
    assert answer.exit_code == 0
    bleu, ter = answer.stdout.splitlines()
    assert bleu.startswith(
        f"bleu {sacrebleu.BLEU().corpus_score(HYPOTHESES, [REFERENCES]).score:.6g} points ["
    )
    assert ter.startswith(f"ter {sacrebleu.TER().corpus_score(HYPOTHESES, [REFERENCES]).score:.6g} percent [")
    assert answer.stderr.endswith("next: creuset eval --help\n")


def test_every_metric_has_a_command(folder: Path) -> None:
    words = ["eval", "--metrics", ",".join(TEXT_METRICS), "--hypotheses", "h.txt", "--references", "r.txt"]
    answer = run_command([*words, "--json", "--seed", "5"])
    assert answer.exit_code == 0
    scores = json.loads(answer.stdout)["scores"]
    assert [score["metric"] for score in scores] == [
        name for metric in TEXT_METRICS.values() for name in metric.scores
    ]
    assert len(scores) == len(TEXT_METRICS) + 5  # ROUGE gives three scores, twice, and distinct two
    signatures = [Signature.parse(score["signature"]) for score in scores]
    alone = ("distinct_1", "distinct_2", "self_bleu", "json_validity")
    assert {(each.data, each.split, each.n) for each in signatures if each.metric not in alone} == {
        (signatures[0].data, "everything", 60)
    }
    assert {each.data for each in signatures if each.metric in alone} == {"60_texts"}
    assert {each.seed for each in signatures} == {None, 5}


def test_the_data_of_a_signature_are_the_references(folder: Path) -> None:
    def data(*words: str) -> str:
        answer = run_command(["eval", "--metrics", "chrf", "--json", *words])
        return Signature.parse(json.loads(answer.stdout)["scores"][0]["signature"]).data

    first = data("--hypotheses", "h.txt", "--references", "r.txt")
    assert data("--hypotheses", "r2.txt", "--references", "r.txt") == first
    assert data("--hypotheses", "h.txt", "--references", "r2.txt") != first


def test_several_references_and_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.stdin", SimpleNamespace(buffer=io.BytesIO("\n".join(HYPOTHESES).encode() + b"\n"))
    )
    words = ["eval", "--metrics", "bleu", "--json", "--hypotheses", "-"]
    answer = run_command([*words, "--references", "r.txt", "--references", "r2.txt"])
    (score,) = json.loads(answer.stdout)["scores"]
    expected = sacrebleu.BLEU().corpus_score(HYPOTHESES, [REFERENCES, REFERENCES[::-1]])
    assert score["value"] == expected.score
    assert "|nrefs:2|" in score["signature"]


def test_texts_alone_are_measured_without_references(folder: Path) -> None:
    answer = run_command(["eval", "--metrics", "distinct, self-bleu", "--hypotheses", "h.txt", "--json"])
    names = [score["metric"] for score in json.loads(answer.stdout)["scores"]]
    assert names == ["distinct_1", "distinct_2", "self_bleu"]


@pytest.mark.parametrize(("limit", "code"), [("1", 0), ("99", 4)])
def test_a_gate_says_yes_or_no(limit: str, code: int, folder: Path) -> None:
    words = ["eval", "--metrics", "bleu", "--hypotheses", "h.txt", "--references", "r.txt"]
    assert run_command([*words, "--min", f"bleu={limit}"]).exit_code == code


def test_texts_alone_have_the_same_signature_whatever_is_measured_beside(folder: Path) -> None:
    def signatures(*words: str) -> list[str]:
        answer = run_command(["eval", "--json", "--hypotheses", "h.txt", *words])
        scores = json.loads(answer.stdout)["scores"]
        return [score["signature"] for score in scores if score["metric"] != "bleu"]

    names = "distinct,self-bleu,json-validity"
    alone = signatures("--metrics", names)
    assert alone == signatures("--metrics", f"{names},bleu", "--references", "r.txt")
    assert all("|data:60_texts|" in signature for signature in alone)


def test_answers_are_normalised_by_language(folder: Path) -> None:
    (folder / "said.txt").write_text("L'été\nthe cat\nChloë\n")
    (folder / "right.txt").write_text("été\ncat\nchloë\n")
    names = "exact-match,exact-match-french,exact-match-unicode,token-f1,token-f1-french,token-f1-unicode"
    words = ["--metrics", names, "--hypotheses", "said.txt", "--references", "right.txt"]
    scores = json.loads(run_command(["eval", *words, "--json"]).stdout)["scores"]
    assert [score["metric"] for score in scores] == ["exact_match"] * 3 + ["token_f1"] * 3
    assert [score["value"] for score in scores] == pytest.approx([2 / 3, 2 / 3, 1 / 3, 2 / 3, 8 / 9, 7 / 9])
    found = [dict(Signature.parse(score["signature"]).extra)["normalisation"] for score in scores]
    assert found == ["squad", "french", "unicode"] * 2


def test_bleu_of_texts_without_four_words_says_why_it_is_0(folder: Path) -> None:
    (folder / "short.txt").write_text("the cat sat\nyes\n")
    words = ["eval", "--metrics", "bleu,chrf", "--hypotheses", "short.txt", "--references", "short.txt"]
    answer = run_command(words)
    assert answer.stdout.startswith("bleu 0 points")
    remark = (
        "bleu is 0 whatever the texts say: it is made of runs of 4 words, and no hypothesis has more than 3"
    )
    assert f"note: {remark}; chrf, token-f1" in answer.stderr
    (found,) = json.loads(run_command([*words, "--json"]).stdout)["remarks"]
    assert found.startswith(remark)
    (folder / "short.txt").write_text("the cat sat down\nyes\n")
    assert json.loads(run_command([*words, "--json"]).stdout)["remarks"] == []


OWN = ["--hypotheses", "h.txt", "--references", "r.txt"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "nothing to measure\n  expected: a run, or files of your own"),
        (["--metrics", "bleu"], 2, "--hypotheses is missing\n  got: --metrics"),
        (OWN, 2, "--metrics is missing\n  got: --hypotheses"),
        (["--references", "r.txt"], 2, "is missing\n  got: --references"),
        (["run", "--metrics", "bleu", *OWN], 2, "--metrics, --hypotheses, --references would have no effect"),
        (
            ["--metrics", "bleu", *OWN, "--suite", "images", "--importance-samples", "3"],
            2,
            "--suite, --importance-samples would have no effect: files are measured",
        ),
        (["--metrics", "bleu", *OWN, "--checkpoint", "best"], 2, "--checkpoint would have no effect"),
        (["--metrics", "blue", *OWN], 2, 'no metric "blue"; did you mean "bleu"?'),
        (["--metrics", "bleu,bleu", *OWN], 2, '"bleu" is named twice'),
        (["--metrics", "bleu,", *OWN], 2, '--metrics: an empty name after the last comma\n  got: "bleu,"'),
        (["--metrics", ",bleu", *OWN], 2, "an empty name before the first comma"),
        (["--metrics", "bleu, ,ter", *OWN], 2, "an empty name between two commas"),
        (["--metrics", " ", *OWN], 2, "--metrics: an empty name\n"),
        (["--metrics", "bleu,rouge", "--hypotheses", "h.txt"], 2, "bleu, rouge need references"),
        (
            ["--metrics", "bleu", "--hypotheses", "", "--references", "r.txt"],
            2,
            'an empty name of a file\n  got: ""',
        ),
        (["--metrics", "bleu", *OWN, "--min", "blue=3"], 2, '--min: no score "blue"; did you mean "bleu"?'),
        (
            ["--metrics", "bleu", *OWN, "--min", "bleu=0", "--min", "bleu=99"],
            2,
            '--min: two limits for "bleu"\n  got: bleu=0 and bleu=99\n  next: give one',
        ),
        (
            ["--metrics", "exact-match,exact-match-french", *OWN, "--min", "exact_match=0"],
            2,
            '2 scores are called "exact_match", so a limit for it is unclear\n  got: exact-match; exact',
        ),
        (["--metrics", "bleu", "--hypotheses", "h.txt"], 2, "bleu needs references"),
        (["--metrics", "distinct", *OWN], 2, "references without effect"),
        (["--metrics", "bleu", "--hypotheses", "x.txt", "--references", "r.txt"], 3, "x.txt: no such file"),
        (
            ["--metrics", "bleu", "--hypotheses", "-", "--references", "-"],
            2,
            'standard input can be read once\n  got: "-" 2 times',
        ),
        (
            ["--metrics", "bleu", "--hypotheses", "h.txt", "--references", "short.txt"],
            2,
            "short.txt: unequal numbers of lines\n  got: 2, against 60 in h.txt",
        ),
        (
            ["--metrics", "bleu", "--hypotheses", "h.txt", "--references", "latin.txt"],
            2,
            "latin.txt:2: this line is not UTF-8",
        ),
    ],
)
def test_wrong_combinations_are_refused(words: list[str], code: int, message: str, folder: Path) -> None:
    (folder / "short.txt").write_text("a\nb\n")
    (folder / "latin.txt").write_bytes("a\nété\n".encode("latin-1"))
    answer = run_command(["eval", *words])
    assert (answer.exit_code, answer.stdout) == (code, "")
    assert message in answer.stderr


def test_measuring_texts_imports_no_torch(folder: Path) -> None:
    code = (
        "import sys\n"
        "from creuset.workflows.own_files import measure_texts\n"
        "measure_texts(['bleu'], hypotheses='h.txt', references=['r.txt'])\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)
