"""`creuset feedback`: judgements from the command line to data to tune on."""

import json
from pathlib import Path

import pytest

from command_line import Answer, run_command


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))


def add(verdict: str, *more: str) -> Answer:
    words = ["feedback", "add", "--prompt", "2 + 2 ?", "--a", "4", "--b", "5", "--judge", "ann"]
    return run_command([*words, "--verdict", verdict, *more])


def test_from_judgements_to_records(tmp_path: Path) -> None:
    assert add("a", "--run-a", "one", "--run-b", "two").exit_code == 0
    assert json.loads(add("b", "--run-a", "one", "--run-b", "two", "--json").stdout)["id"] == 2
    assert add("both_bad", "--edit", "four", "--system", "Be short.", "--order", "ba").exit_code == 0
    listed = run_command(["feedback", "list"])
    assert [line.split()[0] for line in listed.stdout.splitlines()[-3:]] == ["1", "2", "3"]
    document = json.loads(run_command(["feedback", "list", "--json"]).stdout)
    assert document["judgements"][2]["prompt"][0] == {"role": "system", "content": "Be short."}
    stats = run_command(["feedback", "stats"])
    assert stats.exit_code == 0, stats.stderr
    assert "judgements  3, 1 with an answer of the judge's own" in stats.stdout
    assert "order       the answer shown first was preferred 1 times of 2" in stats.stdout
    assert stats.stdout.count("rating      ") == 2
    out = tmp_path / "pairs.jsonl"
    exported = run_command(["feedback", "export", "--to", "dpo", "--out", str(out)])
    assert exported.stdout == f"{out}: 4 records\n"
    assert "creuset data validate" in exported.stderr
    assert (
        run_command(["data", "validate", str(out)]).stdout == "form      4 records of the form preference\n"
    )
    assert run_command(["feedback", "export", "--to", "sft"]).stdout.count("\n") == 3
    assert run_command(["feedback", "export", "--to", "dpo", "--out", str(out)]).exit_code == 2


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    for words in (["list"], ["stats"], ["export", "--to", "dpo"]):
        answer = run_command(["feedback", *words])
        assert answer.exit_code == 3
        assert "nothing was judged here yet" in answer.stderr
    assert add("c").exit_code == 2
    assert add("tie", "--b", "4").exit_code == 2
    assert not (tmp_path / "feedback.sqlite").exists()
    add("tie")
    answer = run_command(["feedback", "export", "--to", "dpo"])
    assert answer.exit_code == 2
    assert "no judgement says anything of this form" in answer.stderr
    stats = run_command(["feedback", "stats"])
    assert "rating      none: no judgement names two runs" in stats.stdout


def test_ratings_without_a_finite_answer_say_why() -> None:
    for _ in range(2):
        add("a", "--run-a", "one", "--run-b", "two")
    stats = run_command(["feedback", "stats"])
    assert stats.exit_code == 0
    assert "rating      none: " in stats.stdout
