"""Requests are refused when they are made, with the field's name."""

from typing import Any

import pytest

from creuset.engines.request import Message, Request
from creuset.errors import UsageError


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_tokens": 0}, r"max_tokens: out of range\n  got: 0"),
        ({"temperature": -0.1}, "temperature: out of range"),
        ({"temperature": float("nan")}, "temperature: out of range"),
        ({"top_k": -1}, "top_k: out of range"),
        ({"top_p": 0.0}, r"top_p: out of range\n  got: 0.0\n  expected: a number in \(0, 1\]"),
        ({"min_p": 1.0}, "min_p: out of range"),
        ({"repeat_penalty": 0.0}, "repeat_penalty: out of range"),
        ({"presence_penalty": float("inf")}, "presence_penalty: out of range"),
        ({"frequency_penalty": float("nan")}, "frequency_penalty: out of range"),
        ({"penalty_window": 0}, "penalty_window: out of range"),
        ({"stop": "end"}, r"stop: no tuple of strings\n  got: 'end'"),
        ({"stop": ("a", "")}, "stop: no tuple of strings"),
        ({"seed": -1}, "seed: out of range"),
        ({"seed": 2**32 - 1}, "seed: out of range"),
        ({"num_logprobs": -1}, "num_logprobs: out of range"),
        ({"logit_bias": {-1: 0.0}}, "logit_bias: out of range"),
        ({"logit_bias": {1: float("inf")}}, "logit_bias: out of range"),
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
