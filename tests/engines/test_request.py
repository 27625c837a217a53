"""Requests are refused when they are made, with the field's name."""

from typing import Any

import pytest

from creuset.engines.request import Message, Request
from creuset.errors import UsageError
from creuset.generation.sampling import Sampling


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_tokens": 0}, r"max_tokens: out of range\n  got: 0"),
        ({"stop": "end"}, r"stop: no tuple of strings\n  got: 'end'"),
        ({"stop": ("a", "")}, "stop: no tuple of strings"),
        ({"sampling": Sampling(seed=-1)}, "seed: out of range"),
        ({"sampling": Sampling(seed=2**32 - 1)}, "seed: out of range"),
        ({"num_logprobs": -1}, "num_logprobs: out of range"),
        ({"json_schema": {"const": {1, 2}}}, "json_schema: no JSON value"),
        ({"json_schema": {}, "grammar": "root ::= 'a'"}, "either a json_schema or a grammar"),
        ({"messages": (Message(role="user", content="hi"),)}, "either a prompt or messages"),
    ],
)
def test_a_value_out_of_range_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Request(prompt="x", **fields)


def test_a_request_needs_something_to_answer() -> None:
    with pytest.raises(UsageError, match="either a prompt or messages"):
        Request()
    with pytest.raises(UsageError, match="messages: a chat without a turn"):
        Request(messages=())


def test_halves_of_characters_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"prompt: no whole character\n  got: '\\udcff' at character 3"):
        Request(prompt="ab\udcff")
    turns = (Message(role="system", content="secret"), Message(role="user", content="\udce9"))
    with pytest.raises(UsageError, match=r"messages\[1\]\.content: no whole character") as refused:
        Request(messages=turns)
    assert "secret" not in str(refused.value)
    with pytest.raises(UsageError, match="stop: no whole character"):
        Request(prompt="x", stop=("\udcff",))
