"""What a language model is asked: a prompt or a chat, how tokens are chosen, and when to stop."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from creuset.errors import UsageError
from creuset.generation.sampling import Sampling

MAX_SEED = 2**32 - 2
"""The largest that all drivers take: llama.cpp draws a seed of its own for 2**32 - 1."""


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
        sampling: How tokens are chosen; its seed is in [0, 2**32 - 2], which all drivers take.
        stop: Strings that end the answer, and are no part of it.
        num_logprobs: For each token its log-probability and so many of the likeliest alternatives, by the
            model itself: before temperature, penalties and limits. 0: none.
        json_schema: The answer is JSON that fits this schema. An answer cut by max_tokens does not.
        grammar: The answer fits this grammar, in the driver's language (llamacpp: GBNF, rule `root`).

    Raises:
        UsageError: A value out of its range, or two that exclude each other.
    """

    prompt: str | tuple[int, ...] | None = None
    messages: tuple[Message, ...] | None = None
    max_tokens: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    num_logprobs: int = 0
    json_schema: Mapping[str, Any] | None = None
    grammar: str | None = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise UsageError("a request has either a prompt or messages", where="Request")
        if self.messages is not None and not self.messages:
            raise UsageError("a chat without a turn", where="messages", expected="at least one message")
        if self.json_schema is not None and self.grammar is not None:
            raise UsageError("a request has either a json_schema or a grammar", where="Request")
        _require(self.max_tokens is None or self.max_tokens >= 1, "max_tokens", self.max_tokens, "at least 1")
        _require(self.num_logprobs >= 0, "num_logprobs", self.num_logprobs, "at least 0")
        seed = self.sampling.seed
        _require(0 <= seed <= MAX_SEED, "seed", seed, f"a number in [0, {MAX_SEED}]")
        _require_strings(self.stop)
        _require_characters("prompt", self.prompt if isinstance(self.prompt, str) else "")
        for number, message in enumerate(self.messages or ()):
            _require_characters(f"messages[{number}].role", message.role)
            _require_characters(f"messages[{number}].content", message.content)
        for name, texts in (("stop", self.stop), ("grammar", (self.grammar or "",))):
            for text in texts:
                _require_characters(name, text)
        if self.json_schema is not None:
            _require_json(self.json_schema)


def _require(fits: bool, where: str, got: object, expected: str) -> None:
    if not fits:
        raise UsageError("out of range", where=where, got=got, expected=expected)


def _require_strings(stop: object) -> None:
    """A text in place of a tuple of texts would be read as a stop string a character."""
    if not isinstance(stop, tuple) or not all(isinstance(string, str) and string for string in stop):
        raise UsageError("no tuple of strings", where="stop", got=repr(stop), expected='such as ("\\n",)')


def _require_characters(where: str, text: str) -> None:
    """Halves of characters, as which Python reads bytes that are no UTF-8, are no text for a model."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            "no whole character",
            where=where,
            got=f"{text[error.start]!a} at character {error.start + 1}",
            expected="UTF-8",
        ) from error


def _require_json(schema: Mapping[str, Any]) -> None:
    try:
        json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError("no JSON value", where="json_schema", got=str(error)) from error
