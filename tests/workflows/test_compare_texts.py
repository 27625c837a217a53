"""Files of texts against each other; sacreBLEU's own paired tests agree."""

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from creuset.errors import DataError, GateError, NotFoundError, UsageError
from creuset.metrics.comparison import compare_paired
from creuset.metrics.signature import Signature
from creuset.metrics.text.bleu import bleu_rows
from creuset.metrics.text.rouge import rouge_rows
from creuset.workflows.compare_texts import compare_texts
from creuset.workflows.own_files import TEXT_METRICS, text_context
from creuset.workflows.verdicts import fail_if_worse
from sentences import damaged, pairs

GOOD, REFERENCES = pairs(120, seed=8)


def worse(texts: list[str], seed: int = 0, share: float = 1.0) -> list[str]:
    """The texts damaged once more, or a share of them."""
    rng = np.random.default_rng(seed)
    return [damaged(text, rng) if rng.random() < share else text for text in texts]


SYSTEMS = {
    "a.txt": GOOD,
    "alike.txt": worse(REFERENCES, seed=1),
    "hurt.txt": worse(REFERENCES, seed=4),
    "bad.txt": worse(GOOD),
    "r.txt": REFERENCES,
    "r2.txt": REFERENCES[::-1],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, lines in SYSTEMS.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    return tmp_path


def test_identical_files_cannot_be_told_apart() -> None:
    names = [name for name, metric in TEXT_METRICS.items() if metric.rows is not None]
    found = compare_texts(["a.txt", "a.txt"], metrics=names, references=["r.txt"])
    assert len(found.comparisons) == len(names) + 4  # ROUGE gives three scores, twice
    for _, one in found.comparisons:
        assert (one.difference, one.p_value, one.verdict) == (0, 1, "cannot tell apart")
    fail_if_worse(found)


def test_each_system_is_tested_against_the_first() -> None:
    found = compare_texts(["a.txt", "alike.txt", "bad.txt"], metrics=["bleu", "ter"], references=["r.txt"])
    assert (found.baseline, found.references, found.kind) == ("a.txt", ("r.txt",), "file")
    by_name = {(name, one.metric): one for name, one in found.comparisons}
    assert list(by_name) == [(n, m) for n in ("alike.txt", "bad.txt") for m in ("bleu", "ter")]
    assert {one.num_comparisons for one in by_name.values()} == {4}
    assert [by_name["bad.txt", metric].verdict for metric in ("bleu", "ter")] == ["worse", "worse"]
    assert by_name["alike.txt", "bleu"].verdict == "cannot tell apart"
    assert by_name["bad.txt", "bleu"].b == BLEU().corpus_score(SYSTEMS["bad.txt"], [REFERENCES]).score
    with pytest.raises(GateError, match=r"bad\.txt is worse by bleu; bad\.txt is worse by ter"):
        fail_if_worse(found)


@pytest.mark.parametrize("system", ["alike.txt", "hurt.txt", "bad.txt"])
def test_sacrebleu_s_paired_tests_agree(system: str) -> None:
    found = compare_texts(["a.txt", system], metrics=["bleu", "chrf"], references=["r.txt"])
    named = [("a.txt", GOOD), (system, SYSTEMS[system])]
    # approximate randomisation is the same test; its paired bootstrap counts one tail, some half of it
    for test_type, tolerance in (("ar", 0.03), ("bs", 0.15)):
        peer = PairedTest(
            named,
            {"BLEU": BLEU(references=[REFERENCES]), "chrF2": CHRF(references=[REFERENCES])},
            references=None,
            test_type=test_type,
            n_samples=2000,
            n_jobs=1,
        )
        _, scores = peer()
        for (_, one), name in zip(found.comparisons, ("BLEU", "chrF2"), strict=True):
            baseline, other = scores[name]
            assert one.difference == pytest.approx(other.score - baseline.score)
            assert one.p_value == pytest.approx(other.p_value, abs=tolerance)
            assert (one.p_value < 0.05) == (other.p_value < 0.05)


def test_a_share_of_right_answers_is_tested_exactly() -> None:
    (_, one), *_ = compare_texts(
        ["a.txt", "bad.txt"], metrics=["exact-match"], references=["r.txt"]
    ).comparisons
    assert "|test:mcnemar_exact" in one.signature


def test_several_references_and_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("\n".join(GOOD).encode() + b"\n")))
    found = compare_texts(["-", "a.txt"], metrics=["bleu"], references=["r.txt", "r2.txt"])
    assert found.baseline == "standard input"
    assert found.comparisons[0][1].difference == 0
    assert "|nrefs:2|" in found.comparisons[0][1].signature


def test_scores_by_another_tokenizer_or_other_references_are_refused_by_the_field() -> None:
    answers = list(zip(REFERENCES, strict=True))
    context = text_context(TEXT_METRICS["bleu"], answers, len(GOOD), 0)
    plain, other = bleu_rows(GOOD, answers), bleu_rows(GOOD, answers, tokenizer="intl")
    with pytest.raises(GateError, match="they differ in tok\n  got: tok 13a against intl"):
        compare_paired(plain.score(context=context), other.score(context=context), plain.rows, other.rows)
    ascii_rows, unicode_rows = (
        rouge_rows(GOOD, answers, variants=["rouge1"], tokenizer=tokenizer)["rouge1"]
        for tokenizer in ("ascii", "unicode")
    )
    with pytest.raises(GateError, match="they differ in tokenizer\n"):
        compare_paired(ascii_rows.score(context=context), unicode_rows.score(context=context), GOOD, GOOD)
    elsewhere = text_context(TEXT_METRICS["bleu"], answers[::-1], len(GOOD), 0)
    with pytest.raises(GateError, match="they differ in data\n"):
        compare_paired(plain.score(context=context), plain.score(context=elsewhere), plain.rows, plain.rows)
    twice = [*zip(REFERENCES, REFERENCES, strict=True)]
    with pytest.raises(GateError, match="they differ in nrefs\n"):
        compare_paired(
            plain.score(context=context),
            bleu_rows(GOOD, twice).score(context=context),
            plain.rows,
            plain.rows,
        )


def test_the_data_are_the_references() -> None:
    def data(*references: str) -> str:
        found = compare_texts(["a.txt", "bad.txt"], metrics=["exact-match"], references=references)
        return Signature.parse(found.comparisons[0][1].signature).data

    assert data("r.txt") != data("r2.txt")


def test_texts_alone_are_compared_line_by_line(folder: Path) -> None:
    (folder / "good.jsonl").write_text("{}\n[1]\n" * 20)
    (folder / "bad.jsonl").write_text("{}\n[1\n" * 20)
    found = compare_texts(["good.jsonl", "bad.jsonl"], metrics=["json-validity"], references=[])
    ((_, one),) = found.comparisons
    assert (one.verdict, one.n, found.measured_on) == ("worse", 40, "line by line")
    assert Signature.parse(one.signature).data == "40_texts"
    assert found.to_json()["references"] == []
    (folder / "r40.txt").write_text("{}\n" * 40)
    mixed = compare_texts(
        ["good.jsonl", "bad.jsonl"], metrics=["exact-match", "json-validity"], references=["r40.txt"]
    )
    right, valid = (Signature.parse(one.signature).data for _, one in mixed.comparisons)
    assert (valid, right != valid) == ("40_texts", True)


def test_what_cannot_be_compared_is_refused(folder: Path) -> None:
    (folder / "short.txt").write_text("a\nb\n")
    (folder / "latin.txt").write_bytes("a\nété\n".encode("latin-1"))
    with pytest.raises(UsageError, match="a comparison is of two files or more\n  got: 1"):
        compare_texts(["a.txt"], metrics=["bleu"], references=["r.txt"])
    with pytest.raises(UsageError, match="distinct, self-bleu cannot be compared: of a whole set") as caught:
        compare_texts(["a.txt", "bad.txt"], metrics=["bleu", "distinct", "self-bleu"], references=["r.txt"])
    assert "expected: bleu, chrf, chrf++, ter, rouge" in str(caught.value)
    with pytest.raises(UsageError, match="bleu needs references\n  next: name them with --references"):
        compare_texts(["a.txt", "bad.txt"], metrics=["bleu"], references=[])
    with pytest.raises(UsageError, match="references without effect: none of these metrics uses them"):
        compare_texts(["a.txt", "bad.txt"], metrics=["json-validity"], references=["r.txt"])
    with pytest.raises(UsageError, match='no metric "blue"; did you mean "bleu"'):
        compare_texts(["a.txt", "bad.txt"], metrics=["blue"], references=["r.txt"])
    with pytest.raises(UsageError, match="standard input can be read once"):
        compare_texts(["-", "a.txt"], metrics=["bleu"], references=["-"])
    with pytest.raises(NotFoundError, match=r"x\.txt: no such file"):
        compare_texts(["a.txt", "x.txt"], metrics=["bleu"], references=["r.txt"])
    with pytest.raises(
        DataError, match=r"short\.txt: unequal numbers of lines\n  got: 2, against 120 in a\.txt"
    ):
        compare_texts(["a.txt", "short.txt"], metrics=["bleu"], references=["r.txt"])
    with pytest.raises(
        DataError, match=r"short\.txt: unequal numbers of lines\n.*\n  expected: one reference"
    ):
        compare_texts(["a.txt", "bad.txt"], metrics=["bleu"], references=["short.txt"])
    with pytest.raises(DataError, match=r"latin\.txt:2: this line is not UTF-8"):
        compare_texts(["a.txt", "latin.txt"], metrics=["bleu"], references=["r.txt"])


def test_a_run_among_files_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREUSET_WORKSPACE", str(folder))
    (folder / "runs" / "vae").mkdir(parents=True)
    (folder / "runs" / "vae" / "manifest.json").write_text("{}")
    for name in ("vae", "runs/vae"):
        with pytest.raises(UsageError, match=f"{name} is a run, and --metrics compares files of texts"):
            compare_texts(["a.txt", name], metrics=["bleu"], references=["r.txt"])


def test_comparing_texts_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from creuset.workflows.compare_texts import compare_texts\n"
        "compare_texts(['a.txt', 'bad.txt'], metrics=['exact-match'], references=['r.txt'])\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
