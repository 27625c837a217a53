"""A base without a chat template, tuned with one of one's own, which the run keeps."""

import re
from pathlib import Path

import pytest

from chat_templates import CHATML
from command_line import run_command
from creuset.data.chat_template import ChatTemplate
from creuset.engines.request import Message, Request
from creuset.errors import NotFoundError, UsageError
from creuset.pretrained.text_side import open_text_side
from creuset.workflows.export import export, exportable_run
from creuset.workflows.finetune import finetune
from creuset.workflows.train import resume
from creuset.workflows.tuned_model import open_chat_engine
from small_bases import conversations, write_base, write_rows

QUICK = {"training.num_steps": 4, "training.precision": "float32"}
OWN = CHATML.replace("a helpful AI assistant", "brief")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREUSET_WORKSPACE", str(tmp_path))
    write_base(tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    assert open_text_side(tmp_path / "base").chat_template is None
    write_rows(tmp_path / "chats.jsonl", conversations())
    (tmp_path / "own.jinja").write_text(OWN)


def test_without_a_template_the_option_is_named() -> None:
    done = run_command(["finetune", "base", "--data", "chats.jsonl"])
    assert done.exit_code == 2
    assert "knows no chat template" in done.stderr
    assert "--template FILE" in done.stderr


def test_the_run_keeps_the_template(tmp_path: Path) -> None:
    run = finetune(
        "base", data="chats.jsonl", template="own.jinja", settings=QUICK, max_seconds=1e-6, measure=False
    )
    assert run.folder.manifest().status == "stopped"
    Path("own.jinja").unlink()
    run = resume(run.folder.path, measure=False)
    turns = [{"role": "user", "content": "red 3?"}]
    expected = ChatTemplate(OWN).render(turns, add_generation_prompt=True)
    tokenizer = open_text_side(Path("base")).tokenizer
    with open_chat_engine(run.folder.id, precision="float32") as engine:
        asked = Request(messages=(Message(role="user", content="red 3?"),), max_tokens=3)
        assert engine.count_tokens(asked) == len(tokenizer.encode(expected, add_special=False))
    export(exportable_run(run.folder), "safetensors", tmp_path / "whole")
    assert (tmp_path / "whole" / "chat_template.jinja").read_text() == OWN


def test_a_template_that_is_not_there_or_has_no_effect_is_refused() -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        finetune("base", data="chats.jsonl", template="nowhere.jinja", settings=QUICK)
    write_rows(Path("pages.jsonl"), [{"text": f"page {number}"} for number in range(20)])
    with pytest.raises(UsageError, match="no conversations are written"):
        finetune("base", data="pages.jsonl", template="own.jinja", settings=QUICK)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("{% for message in messages %}", 2, r"own\.jinja:1: no Jinja template"),
        ("You are helpful.", 2, r"own\.jinja: no chat template: it writes no messages"),
        (
            OWN.replace("message['content']", "message['content'][:2]"),
            4,
            r"leaves out messages\[0\]\.content",
        ),
        (OWN.replace("message['content']", "message.text|default('')"), 4, r"leaves out messages\[0\]"),
    ],
)
def test_a_template_that_writes_no_conversation_is_refused(text: str, code: int, message: str) -> None:
    Path("own.jinja").write_text(text)
    done = run_command(["finetune", "base", "--data", "chats.jsonl", "--template", "own.jinja", "--dry-run"])
    assert done.exit_code == code, done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert done.stderr.count("no Jinja template") <= 1


def test_a_byte_order_mark_is_no_text_of_a_template() -> None:
    turns = [{"role": "user", "content": "red 3?"}]
    assert ChatTemplate("\ufeff" + OWN).render(turns) == ChatTemplate(OWN).render(turns)
