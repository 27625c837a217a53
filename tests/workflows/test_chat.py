"""A conversation over an engine that says what is written for it."""

import pytest

from creuset.engines.request import Request
from creuset.errors import UsageError
from creuset.generation.sampling import Sampling
from creuset.workflows.chat import Conversation
from scripted_engine import ScriptedEngine

SETTINGS = Request(prompt="-", max_tokens=20, sampling=Sampling(temperature=0.5, seed=3))


def said(conversation: Conversation, text: str) -> str:
    return "".join(piece.text for piece in conversation.say(text))


def test_each_turn_is_asked_with_all_before_it() -> None:
    engine = ScriptedEngine(["good day", "it is blue", "who are you"])
    conversation = Conversation(engine, SETTINGS, system="be short")
    assert said(conversation, "hello").split() == ["good", "day"]
    said(conversation, "what colour")
    turns = engine.requests[1].messages
    assert turns is not None
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert [turn.content.strip() for turn in turns] == ["be short", "hello", "good day", "what colour"]
    assert engine.requests[1].sampling == Sampling(temperature=0.5, seed=3)
    conversation.clear()
    said(conversation, "hello again")
    last = engine.requests[2].messages
    assert last is not None
    assert [turn.role for turn in last] == ["system", "user"]


def test_a_turn_without_room_and_one_that_was_stopped_are_not_kept() -> None:
    engine = ScriptedEngine(["good day to you", "yes"], context_length=30)
    conversation = Conversation(engine, SETTINGS)
    with pytest.raises(UsageError, match="longer than the model's context"):
        conversation.say("word " * 30)
    pieces = conversation.say("hello")
    next(pieces)
    pieces.close()
    assert conversation.turns == ()
    said(conversation, "hello")
    assert len(conversation.turns) == 2


def test_a_model_without_a_template_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    engine = ScriptedEngine([])
    described = replace(engine.describe(), abilities=frozenset())
    monkeypatch.setattr(engine, "describe", lambda: described)
    with pytest.raises(UsageError, match="scripted: this model has no chat template"):
        Conversation(engine, SETTINGS)
