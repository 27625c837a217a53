"""`creuset data validate` of records to tune a language model on, with and without a base."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import command_line
from chat_templates import CHATML
from command_line import run_command
from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.models.transformer import Transformer
from creuset.pretrained.folder import Pretrained, save_folder
from creuset.pretrained.gguf.writing import write_gguf
from small_tokenizers import byte_level
from small_transformers import OF_BYTES

CONFIG = replace(OF_BYTES, context_length=200)


def bases(folder: Path) -> list[str]:
    """One base, as a folder and as a GGUF file."""
    torch.manual_seed(0)
    state = Transformer(CONFIG).state_dict()
    tokenizer = Tokenizer(byte_level(), special=SpecialTokens(bos=0, eos=(2,)))
    template = ChatTemplate(CHATML)
    save_folder(
        folder / "base",
        Pretrained(
            config=CONFIG, state=state, model_type="llama", tokenizer=tokenizer, chat_template=template
        ),
    )
    path = folder / "base.gguf"
    write_gguf(path, CONFIG, state, tokenizer, chat_template=template, stored="f32", name="base")
    return [str(folder / "base"), str(path)]


def written(folder: Path, *records: dict[str, Any], name: str = "rows.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


GOOD = [{"prompt": f"question {number}", "completion": f"answer {number}"} for number in range(3)]


def test_the_form_is_told(tmp_path: Path) -> None:
    answer = run_command(["data", "validate", written(tmp_path, *GOOD)])
    assert answer.exit_code == 0
    assert answer.stdout == "form      3 records of the form prompt\n"
    assert "--base smollm2-135m" in answer.stderr


def test_with_a_base_what_is_trained_is_shown(tmp_path: Path) -> None:
    path = written(tmp_path, *GOOD, GOOD[0])
    for base in bases(tmp_path):
        answer = run_command(["data", "validate", path, "--base", base])
        assert answer.exit_code == 0, answer.stderr
        lines = answer.stdout.splitlines()
        assert lines[1].startswith("rows      4 rows, ")
        assert lines[2].endswith("<|im_start|>assistant\\n⟦answer 0<|im_end|>\\n⟧")
        assert lines[3] == "gate      0 fatal, 1 worth knowing"
        assert "duplicates: 1 row that equal an earlier one (rows.jsonl:4)" in lines[4]
        document = json.loads(run_command(["data", "validate", path, "--base", base, "--json"]).stdout)
        assert document["gate"]["passed"]
        assert document["gate"]["findings"][0]["places"] == ["rows.jsonl:4"]
        assert [piece["trained"] for piece in document["gate"]["sample"]] == [False, True]


def test_a_terminal_shows_what_is_trained_in_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line._Tee, "isatty", lambda _: True)
    answer = run_command(["data", "validate", written(tmp_path, *GOOD), "--base", bases(tmp_path)[0]])
    assert "assistant\\n\x1b[92manswer 0<|im_end|>\\n\x1b[0m" in answer.stdout
    assert "⟦" not in answer.stdout


def test_a_fatal_finding_ends_with_4_and_the_row(tmp_path: Path) -> None:
    long = {"prompt": "a", "completion": "x " * 300}
    answer = run_command(["data", "validate", written(tmp_path, *GOOD, long), "--base", bases(tmp_path)[0]])
    assert answer.exit_code == 4
    assert "too long: 1 row of more than 200 tokens (rows.jsonl:4)" in answer.stderr
    assert "shorten these rows" in answer.stderr


@pytest.mark.parametrize(
    ("record", "words", "code", "message"),
    [
        ({"prompt": "a", "completion": " "}, [], 2, 'rows.jsonl:1:1: "completion" is empty'),
        ({"text": "a", "label": "b"}, ["--base", "BASE"], 2, "too few classes to tell apart"),
        ({"text": "a"}, ["--template", "a.jinja"], 2, "--template: a template without a base"),
        (GOOD[0], ["--base", "nowhere"], 3, '"nowhere" is not there'),
        (GOOD[0], ["--seed", "3"], 2, "an option without effect"),
    ],
)
def test_what_is_wrong_is_said(
    record: dict[str, Any], words: list[str], code: int, message: str, tmp_path: Path
) -> None:
    base = bases(tmp_path)[0]
    words = [base if word == "BASE" else word for word in words]
    answer = run_command(["data", "validate", written(tmp_path, record), *words])
    assert answer.exit_code == code
    assert message in answer.stderr


def test_a_broken_line_is_named_as_what_it_is(tmp_path: Path) -> None:
    path = Path(written(tmp_path, *GOOD))
    path.write_text("{broken\n" + path.read_text())
    answer = run_command(["data", "validate", str(path)])
    assert answer.exit_code == 2
    assert "rows.jsonl:1:2: this is no JSON" in answer.stderr


def test_pairs_of_texts_are_validated_as_before(tmp_path: Path) -> None:
    pairs = [{"source": f"a {number}", "target": f"b {number}"} for number in range(30)]
    answer = run_command(["data", "validate", written(tmp_path, *pairs)])
    assert answer.exit_code == 0, answer.stderr
    assert "pairs of texts" in answer.stdout


def test_what_a_terminal_would_obey_is_shown_as_what_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, {"prompt": "a\u001b[2Jb", "completion": "c", "\u001b]0;x\u0007": 1})
    answer = run_command(["data", "validate", path, "--base", bases(tmp_path)[0]])
    assert "\u001b" not in answer.terminal
    assert "a\\u001b[2Jb" in answer.stdout


def csv_file(folder: Path, header: str, *lines: str) -> str:
    path = folder / "rows.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("prompt,completion", "prompt"),
        ("instruction,input,output", "instruction"),
        ("prompt,chosen,rejected", "preference"),
        ("prompt,completion,label", "kto"),
        ("text,label", "labelled"),
    ],
)
def test_tables_are_known_by_their_header(header: str, form: str, tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        header,
        *(f"a {number},b,{number % 2}"[: None if header.count(",") > 1 else -2] for number in range(3)),
    )
    answer = run_command(["data", "validate", path])
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout == f"form      3 records of the form {form}\n"


def test_messages_in_a_cell_are_read(tmp_path: Path) -> None:
    turns = json.dumps([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    cell = turns.replace('"', '""')
    path = csv_file(tmp_path, "id,messages", *(f'{number},"{cell}"' for number in range(3)))
    answer = run_command(["data", "validate", path, "--base", bases(tmp_path)[0]])
    assert answer.exit_code == 0, answer.stderr
    assert "3 records of the form messages; not read: id" in answer.stdout
    path = csv_file(tmp_path, "messages", "[{'role': 'user'}]")
    answer = run_command(["data", "validate", path])
    assert answer.exit_code == 2
    assert '"messages" is no JSON' in answer.stderr


def test_tables_of_numbers_and_named_columns_are_read_as_before(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a,b,label", *(f"{number},{number * 2},{number % 2}" for number in range(30)))
    answer = run_command(["data", "validate", path])
    assert "form      table, 2 columns of numbers" in answer.stdout, answer.stderr
    path = csv_file(tmp_path, "text,label", *(f"word{number},{number % 2}" for number in range(30)))
    answer = run_command(["data", "validate", path, "--text-column", "text"])
    assert "form      texts, cut into words" in answer.stdout, answer.stderr


def test_what_comes_next_fits_the_form(tmp_path: Path) -> None:
    labelled = written(tmp_path, *({"text": f"a {number}", "label": "x"} for number in range(3)))
    answer = run_command(["data", "validate", labelled])
    assert f"next: creuset data validate {labelled} --base minilm" in answer.stderr
    rated = written(tmp_path, {"prompt": "a", "completion": "b", "label": "False"})
    answer = run_command(["data", "validate", rated])
    assert "chosen and rejected" in answer.stderr
    answer = run_command(["data", "validate", rated, "--base", bases(tmp_path)[0]])
    assert answer.exit_code == 2
    assert "no method learns from rated answers yet" in answer.stderr


def test_parts_that_are_all_text_are_one_text(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "good "}, {"type": "text", "text": "day"}]
    turns = [{"role": "user", "content": parts}, {"role": "assistant", "content": "b"}]
    answer = run_command(
        ["data", "validate", written(tmp_path, {"messages": turns}), "--base", bases(tmp_path)[0]]
    )
    assert "<|im_start|>user\\ngood day<|im_end|>" in answer.stdout, answer.stderr


def test_a_base_whose_tokenizer_has_more_ids_than_it_is_refused(tmp_path: Path) -> None:
    base = Path(bases(tmp_path)[0])
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "vocab_size": 20}))
    answer = run_command(["data", "validate", written(tmp_path, *GOOD), "--base", str(base)])
    assert answer.exit_code == 2
    assert "this tokenizer does not fit the weights" in answer.stderr


def test_long_texts_are_looked_at_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("a line of a book\n" * 100)
    answer = run_command(["data", "validate", str(path), "--base", bases(tmp_path)[0]])
    assert answer.exit_code == 0, answer.stderr
    assert "rows      8 rows, " in answer.stdout


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", '{"prompt": "a", "response": "b"}\n', 'of the form prompt it lacks "completion"'),
        ("rows.jsonl", '{"Messages": []}\n', ': "Messages"; did you mean "messages"?'),
        ("rows.jsonl", '{"text": "a"}\n{"txt": "b"}\n', ':2:1: a record of no form, not of text: "txt"; did'),
        ("rows.jsonl", '\n[\n {"text": "a"}\n]\n', ":2:1: this is an array of objects, not an object a"),
        ("rows.jsonl", '[{"text": "a"}]', ":1:1: this is an array of objects, not an object a line"),
        ("rows.csv", "Prompt,Completion\na,b\n", ':2:1: a record of no form that is known: "Prompt"; did'),
        ("rows.json", "", "there are no records in this file"),
    ],
)  # fmt: skip
def test_records_of_no_form_are_told_what_they_lack(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    done = run_command(["data", "validate", str(tmp_path / name)])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("a record of") <= 1


def test_pairs_of_texts_under_other_names_are_still_read(tmp_path: Path) -> None:
    path = written(tmp_path, *({"en": f"{place} red", "fr": f"{place} rouge"} for place in range(20)))
    done = run_command(["data", "validate", path, "--source-column", "en", "--target-column", "fr"])
    assert done.exit_code == 0, done.stderr
    assert "pairs of texts" in done.stdout


def test_texts_with_classes_are_looked_at(tmp_path: Path) -> None:
    rows = [{"text": f"thing {place}", "label": place % 2} for place in range(8)]
    for base in bases(tmp_path):
        answer = run_command(["data", "validate", written(tmp_path, *rows), "--base", base])
        assert answer.exit_code == 0, answer.stderr
        assert "8 texts of 2 classes" in answer.stdout
        again = written(tmp_path, *rows, {"text": "thing 2", "label": 1})
        answer = run_command(["data", "validate", again, "--base", base])
        assert answer.exit_code == 4
        assert "two labels: 2 texts" in answer.stderr


def test_a_template_of_ones_own_is_looked_at(tmp_path: Path) -> None:
    path, base = written(tmp_path, *GOOD), bases(tmp_path)[0]
    own = tmp_path / "own.jinja"
    own.write_text(CHATML.replace("You are a helpful AI assistant", "Be brief"))
    answer = run_command(["data", "validate", path, "--base", base, "--template", str(own)])
    assert answer.exit_code == 0, answer.stderr
    assert "Be brief" in answer.stdout
    own.write_text(CHATML.replace("<|im_end|>", ""))
    answer = run_command(["data", "validate", path, "--base", base, "--template", str(own)])
    assert answer.exit_code == 4
    assert "no end: 3 rows" in answer.stderr


def test_rows_that_a_tuning_refuses_as_too_long_are_refused(tmp_path: Path) -> None:
    config = replace(CONFIG, context_length=4096)
    tokenizer = Tokenizer(byte_level(), special=SpecialTokens(bos=0, eos=(2,)))
    state = Transformer(config).state_dict()
    template = ChatTemplate(CHATML)
    held = Pretrained(
        config=config, state=state, model_type="llama", tokenizer=tokenizer, chat_template=template
    )
    save_folder(tmp_path / "base", held)
    path = written(tmp_path, {"prompt": "a", "completion": "no, " * 600})
    answer = run_command(["data", "validate", path, "--base", str(tmp_path / "base")])
    assert answer.exit_code == 4
    assert "too long: 1 row of more than 2,048 tokens" in answer.stderr
    assert "set model.context" in answer.stderr
