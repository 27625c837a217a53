"""`creuset ask`: what people type, and what it says."""

import json
from pathlib import Path

import pytest

from command_line import run_command

HUT = """# The hut

The boiler of the hut is filled with 40 litres of rain water each morning.

Guests must not open the red valve of the boiler. It is opened by the guardian alone.
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path / "workspace"))
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "hut.md").write_text(HUT)
    assert run_command(["index", "build", str(documents), "--embedder", "none"]).exit_code == 0
    return documents


def test_an_answer_cites_its_place(index: Path) -> None:
    answer = run_command(["ask", "How is the boiler filled?", "--extract"])
    assert answer.exit_code == 0, answer.stderr
    quote = "The boiler of the hut is filled with 40 litres of rain water each morning."
    assert answer.stdout.startswith(f"{quote} [1]\n  [1] hut.md, characters 9-83: {quote}")
    assert "answer 1, taken from the documents" in answer.stderr
    again = run_command(["ask", "--replay", "1", "--extract"])
    assert again.stdout == answer.stdout


def test_json_holds_documents_spans_and_scores(index: Path) -> None:
    answer = run_command(["ask", "Who opens the red valve?", "--extract", "--json"])
    document = json.loads(answer.stdout)
    (citation, *_) = document["sentences"][0]["citations"]
    assert HUT.replace("# ", "")[citation["start"] : citation["end"]] == citation["quote"]
    assert document["supported"] is True
    assert document["passages"][0]["lexical_rank"] == 1
    assert document["access"] == ["public"]


def test_the_sources_do_not_say(index: Path) -> None:
    answer = run_command(
        ["ask", "In which year was Napoleon crowned emperor?", "--extract", "--require-citation"]
    )
    assert answer.stdout.startswith("The sources do not say.\n")
    assert (answer.exit_code, "the sources do not say" in answer.stderr) == (4, True)


def test_who_may_not_read_is_told_nothing(index: Path) -> None:
    answer = run_command(["ask", "How is the boiler filled?", "--extract", "--as", "strangers"])
    assert answer.stdout == "The sources do not say.\n"


def test_what_is_wrong_is_said(index: Path) -> None:
    for arguments in ([], ["a question", "--replay", "1"], ["a question", "--model", "x", "--extract"]):
        assert run_command(["ask", *arguments]).exit_code == 2
    assert run_command(["ask", "a question", "--extract", "--index", "none"]).exit_code == 3
    assert run_command(["ask", "--replay", "7", "--extract"]).exit_code == 3


def test_an_answer_goes_with_its_document(index: Path) -> None:
    assert run_command(["ask", "How is the boiler filled?", "--extract"]).exit_code == 0
    run_command(["index", "rm", "manual", "hut.md"])
    assert run_command(["index", "purge", "manual"]).exit_code == 0
    answer = run_command(["ask", "--replay", "1", "--extract"])
    assert answer.exit_code == 3
    assert "this answer was purged with a document that it was made from" in answer.stderr
    assert "receipt 1 of" in answer.stderr


@pytest.mark.starter
@pytest.mark.slow
def test_a_small_model_answers_with_proofs(index: Path, starter: Path) -> None:
    answer = run_command(["ask", "How is the boiler filled?", "--json"])
    document = json.loads(answer.stdout)
    assert document["supported"] is True
    assert document["model"] == "smollm2-135m"
    assert "40 litres" in document["answer"]
    again = json.loads(run_command(["ask", "--replay", str(document["id"]), "--json"]).stdout)
    assert again["sentences"] == document["sentences"]
