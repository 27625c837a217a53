"""What a language model is asked: a prompt or a chat, how to choose tokens, and when to stop.

The order in which the choice is narrowed is part of what a request means, and the same in every driver:
logit_bias, the three penalties, temperature, top_k, top_p, min_p, and a draw from what is left.

Sources: top_k: Fan et al. (2018), "Hierarchical Neural Story Generation"; top_p: Holtzman et al. (2020), "The
Curious Case of Neural Text Degeneration"; min_p: Nguyen et al. (2024), "Turning Up the Heat"; repeat_penalty:
Keskar et al. (2019), "CTRL".
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from creuset.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a chat.

    Args:
        role: Who speaks, as the model's chat template names it: system, user, assistant.
        content: What is said.
    """

    role: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request for text. Exactly one of `prompt` and `messages` is given.

    Args:
        prompt: A text, or token ids. A text is cut by the model's tokenizer, which reads special tokens in it
            and adds those that it puts before every text; ids are taken as they are.
        messages: A chat, brought into words by the model's own template, with the beginning of an answer
            behind it.
        max_tokens: The most tokens that are generated; None: as many as the context has room for.
        temperature: What logits are divided by; 0 takes the likeliest token (greedy) and draws nothing.
        top_k: Only so many of the likeliest tokens are left; 0: all.
        top_p: Only the likeliest tokens that together hold this probability are left, in (0, 1]; 1: all.
        min_p: Only tokens with at least this part of the likeliest one's probability are left, in [0, 1);
            0: all.
        repeat_penalty: Positive logits of tokens that were there are divided by it, others multiplied;
            1: off.
        presence_penalty: Taken once from the logit of each token that was there; 0: off.
        frequency_penalty: Taken from the logit of a token for each time that it was there; 0: off.
        penalty_window: The penalties look at so many last tokens of prompt and answer; None: at all of them.
        stop: Strings that end the answer, and are no part of it.
        seed: Decides the draws, in [0, 2**32 - 2].
        num_logprobs: For each token its log-probability and so many of the likeliest alternatives, by the
            model itself: before temperature, penalties and limits. 0: none.
        json_schema: The answer is JSON that fits this schema. An answer cut by max_tokens does not.
        grammar: The answer fits this grammar, in the driver's language (llamacpp: GBNF, rule `root`).
        logit_bias: What is added to the logits of tokens, by id; -100 as good as forbids one.

    Raises:
        UsageError: A value out of its range, or two that exclude each other.
    """

    prompt: str | tuple[int, ...] | None = None
    messages: tuple[Message, ...] | None = None
    max_tokens: int | None = None
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_window: int | None = 64
    stop: tuple[str, ...] = ()
    seed: int = 0
    num_logprobs: int = 0
    json_schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise UsageError("a request has either a prompt or messages", where="Request")
        if self.messages is not None and not self.messages:
            raise UsageError("a chat without a turn", where="messages", expected="at least one message")
        if self.json_schema is not None and self.grammar is not None:
            raise UsageError("a request has either a json_schema or a grammar", where="Request")
        self._check_counts()
        self._check_numbers()
        _require_strings(self.stop)
        if self.json_schema is not None:
            _require_json(self.json_schema)

    def _check_counts(self) -> None:
        _require(self.max_tokens is None or self.max_tokens >= 1, "max_tokens", self.max_tokens, "at least 1")
        _require(self.top_k >= 0, "top_k", self.top_k, "at least 0")
        _require(self.num_logprobs >= 0, "num_logprobs", self.num_logprobs, "at least 0")
        _require(0 <= self.seed <= 2**32 - 2, "seed", self.seed, "a number in [0, 2**32 - 2]")
        window = self.penalty_window
        _require(window is None or window >= 1, "penalty_window", window, "at least 1, or None")

    def _check_numbers(self) -> None:
        finite = math.isfinite
        _require(finite(self.temperature) and self.temperature >= 0, "temperature", self.temperature, ">= 0")
        _require(0 < self.top_p <= 1, "top_p", self.top_p, "a number in (0, 1]")
        _require(0 <= self.min_p < 1, "min_p", self.min_p, "a number in [0, 1)")
        penalty = self.repeat_penalty
        _require(finite(penalty) and penalty > 0, "repeat_penalty", penalty, "a number above 0")
        for name in ("presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            _require(finite(value), name, value, "a finite number")
        for token, bias in self.logit_bias.items():
            _require(
                token >= 0 and finite(bias), "logit_bias", f"{token}: {bias}", "a token id: a finite number"
            )


def _require(fits: bool, where: str, got: object, expected: str) -> None:
    if not fits:
        raise UsageError("out of range", where=where, got=got, expected=expected)


def _require_strings(stop: object) -> None:
    """A text in place of a tuple of texts would be read as a stop string a character."""
    if not isinstance(stop, tuple) or not all(isinstance(string, str) and string for string in stop):
        raise UsageError("no tuple of strings", where="stop", got=repr(stop), expected='such as ("\\n",)')


def _require_json(schema: Mapping[str, Any]) -> None:
    try:
        json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError("no JSON value", where="json_schema", got=str(error)) from error
