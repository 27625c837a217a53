"""`creuset chat` in a terminal that is a file."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from command_line import run_command
from creuset.engines import opening
from creuset.errors import NotFoundError, UsageError
from creuset.generation.sampling import Sampling
from creuset.workflows import tuned_model
from scripted_engine import ScriptedEngine


def chat(monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine, text: str, *words: str) -> tuple[str, str]:
    monkeypatch.setattr(tuned_model, "open_engine", lambda name, **_: engine)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    done = run_command(["chat", "some-model", *words])
    assert done.exit_code == 0
    return done.stdout, done.stderr


def test_lines_are_turns_and_answers_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(["good day", "it is blue"])
    stdout, stderr = chat(monkeypatch, engine, "hello\n\nwhat colour\n/exit\nnever\n", "--system", "be short")
    assert [line.split() for line in stdout.splitlines()] == [["good", "day"], ["it", "is", "blue"]]
    assert "scripted by test" in stderr
    assert engine.closed
    turns = engine.requests[1].messages
    assert turns is not None
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]


def test_no_model_steers_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, _ = chat(monkeypatch, ScriptedEngine(["a\x1b]0;owned\x07\x9b2J\tb"]), "hello\n")
    assert not any(character in stdout for character in "\x1b\x07\x9b")
    assert r"\u001b" in stdout


def test_clear_forgets_and_the_settings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(["one", "two"])
    words = ["--temperature", "0", "--top-p", "0.5", "--seed", "4", "--stop", "X", "--max-tokens", "9"]
    chat(monkeypatch, engine, "first\n/clear\nsecond", *words)
    request = engine.requests[1]
    assert request.messages is not None
    assert [turn.content for turn in request.messages] == ["second"]
    assert request.sampling == Sampling(temperature=0, top_p=0.5, seed=4)
    assert (request.stop, request.max_tokens) == (("X",), 9)


def test_what_the_user_does_not_say_is_the_model_s_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(["one", "two", "three"])
    chat(monkeypatch, engine, "first")
    assert engine.requests[0].sampling == Sampling(temperature=0.7, top_p=0.95)
    own = Sampling(temperature=0.3, top_k=9, repeat_penalty=1.1)
    described = replace(engine.describe(), sampling=own)
    monkeypatch.setattr(engine, "describe", lambda: described)
    chat(monkeypatch, engine, "second")
    assert engine.requests[1].sampling == own
    chat(monkeypatch, engine, "third", "--top-p", "0.5", "--seed", "4")
    assert engine.requests[2].sampling == replace(own, top_p=0.5, seed=4)


def test_a_turn_without_room_is_told_and_the_chat_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(["still here"], context_length=10)
    text = "word " * 20 + "\nhello\n"
    stdout, stderr = chat(monkeypatch, engine, text, "--max-tokens", "4")
    assert "longer than the model's context" in stderr
    assert "/clear" in stderr
    assert stdout.split() == ["still", "here"]


def test_a_model_that_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        opening.open_engine("no-such-model")
    assert run_command(["chat", "no-such-model"]).exit_code == 3


def test_each_driver_reads_what_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"llama.cpp reads GGUF files alone\n  got: model"):
        opening.open_engine(str(folder), driver="llamacpp")
    with pytest.raises(UsageError, match="a GGUF file has its own precision\n  got: int8"):
        opening.open_engine(str(folder), driver="llamacpp", precision="int8")


@pytest.mark.starter
@pytest.mark.parametrize("driver", ["llamacpp", "native"])
def test_the_starter_answers(starter: Path, driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Count from 1 to 10.\n"))
    words = ["--engine", driver, "--temperature", "0", "--max-tokens", "12", "--context", "128"]
    done = run_command(["chat", "smollm2-135m", *words])
    assert done.exit_code == 0
    assert "1" in done.stdout
    assert f"smollm2-135m by {driver}" in done.stderr
