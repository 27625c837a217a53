"""What is written over `stream` alone, and the rules that all engines share."""

import pytest

from creuset.engines.base import require_fits, room_for
from creuset.engines.request import Message, Request
from creuset.errors import UsageError
from scripted_engine import ScriptedEngine


def test_complete_joins_the_pieces_of_stream() -> None:
    engine = ScriptedEngine(["one two three", "one two three"])
    request = Request(prompt="count to three")
    pieces = list(engine.stream(request))
    answer = engine.complete(request)
    assert "".join(piece.text for piece in pieces) == answer.text == "one two three"
    assert [piece.finish_reason for piece in pieces] == [None, None, None, "stop"]
    assert (answer.finish_reason, answer.usage) == ("stop", pieces[-1].usage)
    assert (answer.usage.num_prompt_tokens, answer.usage.num_completion_tokens) == (3, 3)


def test_an_answer_ends_at_max_tokens_at_a_stop_string_and_when_cancelled() -> None:
    engine = ScriptedEngine(["one two three"] * 3)
    assert engine.complete(Request(prompt="x", max_tokens=2)).finish_reason == "length"
    answer = engine.complete(Request(prompt="x", stop=(" three",)))
    assert (answer.text, answer.finish_reason) == ("one two", "stop")
    pieces = engine.stream(Request(prompt="x"))
    next(pieces)
    engine.cancel()
    assert [piece.finish_reason for piece in pieces] == ["cancelled"]


def test_a_closed_generator_generates_no_more() -> None:
    engine = ScriptedEngine(["one two three"])
    pieces = engine.stream(Request(prompt="x"))
    next(pieces)
    pieces.close()
    assert engine.num_generated == 1


def test_with_closes_the_engine() -> None:
    with ScriptedEngine([]) as engine:
        assert not engine.closed
    assert engine.closed


def test_an_ability_that_is_missing_is_refused_by_name() -> None:
    engine = ScriptedEngine([])
    with pytest.raises(UsageError, match=r"scripted: test gives no vectors of texts here\n  got: embeddings"):
        engine.embed(["a"])
    with pytest.raises(UsageError, match="expected: chat, embeddings"):
        ScriptedEngine([], vectors={}).log_probs("a")


def test_a_prompt_that_leaves_no_room_is_refused_with_both_numbers() -> None:
    assert room_for(90, 10, context_length=100, where="m") == 10
    assert room_for(90, None, context_length=100, where="m") == 10
    with pytest.raises(
        UsageError, match=r"m: longer than .*\n  got: 90 tokens of prompt and max_tokens 11: 101"
    ):
        room_for(90, 11, context_length=100, where="m")
    with pytest.raises(
        UsageError, match=r"100 tokens of prompt and at least 1: 101\n  expected: at most 100"
    ):
        room_for(100, None, context_length=100, where="m")
    require_fits(100, context_length=100, where="m")
    with pytest.raises(UsageError, match=r"got: 101 tokens\n  expected: at most 100"):
        require_fits(101, context_length=100, where="m")
    chat = Request(
        messages=(Message(role="user", content="a " * 60), Message(role="user", content="b " * 60))
    )
    with pytest.raises(UsageError, match="122 tokens of prompt"):
        ScriptedEngine(["never"]).stream(chat)
