"""Turns of a conversation as data holds them: roles in the words of several forms, texts, tools, tool calls.

    {"role": "user", "content": "..."}          messages, as OpenAI and TRL have them
    {"from": "human", "value": "..."}           ShareGPT
    "\\n\\nHuman: ...\\n\\nAssistant: ..."          one text, as the HH-RLHF data has it

Content that is a list of parts is read as one text; parts that are no text are refused. Texts of white space
and invisible characters alone are empty. Arguments of tool calls come as JSON texts on OpenAI's wire, and
templates take objects: texts are parsed.
What is wrong with a turn is a `Fault`, which whoever reads the record gives its place.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from creuset.data.chat_template import ROLES
from creuset.errors import did_you_mean

Turn = Mapping[str, Any]
"""{"role": one of ROLES, "content": a text}, perhaps with more that templates read, such as tool_calls."""

SPEAKERS: Mapping[str, str] = {
    "human": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "function": "tool",
    "observation": "tool",
    **{role: role for role in ROLES},
}
"""Who speaks, in any form's words, as chat templates call it."""
_HH_TURN = re.compile(r"\n\n(Human|Assistant):")
_HH_ROLES = {"Human": "user", "Assistant": "assistant"}


_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")
"""Unicode's categories of controls, invisible characters such as U+200B, and spaces."""

_RATINGS = {"true": True, "1": True, "false": False, "0": False}
"""As texts, such as the cells of a table."""


class Fault(Exception):
    """What is wrong with a record."""


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: white space, controls, characters without a width."""
    return all(unicodedata.category(character) in _UNSEEN for character in text)


def text_of(value: Any, name: str, *, empty: bool = False) -> str:
    """A value that is a text.

    Raises:
        Fault: It is none, holds half a character, or is empty where it must not be.
    """
    if not isinstance(value, str):
        raise Fault(f'"{name}" is no text, but {"null" if value is None else type(value).__name__}')
    if not empty and is_blank(value):
        raise Fault(f'"{name}" is empty')
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise Fault(f'"{name}" holds half a character (a lone surrogate), which no text can')
    return value


def turn_of(message: Any, name: str) -> Turn:
    """A message in the words of either form.

    Raises:
        Fault: It is none, of an unknown role, without content, or holds what is no JSON.
    """
    if not isinstance(message, Mapping):
        raise Fault(f'"{name}" is no message, but {type(message).__name__}')
    turn: dict[str, Any] = {key: value for key, value in message.items() if value is not None}
    speaker_key, content_key = (
        ("from", "value") if "from" in turn and "value" in turn else ("role", "content")
    )
    speaker = turn.pop(speaker_key, None)
    if not isinstance(speaker, str) or speaker not in SPEAKERS:
        hint = did_you_mean(speaker, SPEAKERS) if isinstance(speaker, str) else ""
        raise Fault(f'"{name}": nobody speaks as {json.dumps(speaker, default=str)}{hint}')
    content = turn.pop(content_key, None)
    if "weight" in turn and (isinstance(turn["weight"], bool) or turn["weight"] not in (0, 1)):
        raise Fault(f'"{name}.weight" is neither 0 nor 1')
    if "function_call" in turn:
        turn["tool_calls"] = [{"type": "function", "function": turn.pop("function_call")}]
    if turn.get("tool_calls"):
        turn["tool_calls"] = [_call(call, f"{name}.tool_calls") for call in turn["tool_calls"]]
    else:
        turn.pop("tool_calls", None)
    for key, value in turn.items():
        _require_json(value, f"{name}.{key}")
    if isinstance(content, list):
        content = _joined(content, f"{name}.{content_key}")
    if not (content is None and "tool_calls" in turn):
        content = text_of(content, f"{name}.{content_key}", empty=SPEAKERS[speaker] != "user")
    return {"role": SPEAKERS[speaker], "content": content, **turn}


def turns_of(value: Any, name: str) -> list[Turn]:
    """A list of messages, or the JSON text of one, as a cell of a table holds it.

    Raises:
        Fault: It is none, or a message is wrong.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _parsed(value, name)
    if not isinstance(value, list) or not value:
        raise Fault(f'"{name}" is no list of messages, but {type(value).__name__ if value else "empty"}')
    return [turn_of(message, f"{name}[{number}]") for number, message in enumerate(value)]


def as_turns(value: Any, name: str, role: str) -> list[Turn]:
    """A text as one turn of `role`, or as turns where it is written as HH-RLHF has it; a message as itself;
    or a list of messages.

    Raises:
        Fault: It is none of these.
    """
    if isinstance(value, str) and _HH_TURN.match(value):
        return _hh_turns(value)
    if isinstance(value, Mapping):
        return [turn_of(value, name)]
    if isinstance(value, list):
        return turns_of(value, name)
    return [{"role": role, "content": text_of(value, name)}]


def system_turn(values: Mapping[str, Any]) -> list[Turn]:
    """The turn of the system that a record's value of that name asks for."""
    system = values.get("system")
    return [{"role": "system", "content": text_of(system, "system")}] if system else []


def tools_of(values: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Descriptions of functions: a list of objects, or the JSON text of one.

    Raises:
        Fault: They are none.
    """
    tools = values.get("tools")
    if not tools:
        return ()
    if isinstance(tools, str):
        tools = _parsed(tools, "tools")
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        raise Fault('"tools" is no list of descriptions of functions')
    _require_json(tools, "tools")
    return tuple(tools)


def rating_of(label: Any) -> bool | None:
    """Whether a label says that an answer is good, as true or false, 1 or 0; None where it says neither."""
    if isinstance(label, str):
        return _RATINGS.get(label.strip().lower())
    return bool(label) if isinstance(label, int | float) and label in (0, 1) else None


def is_empty(turn: Turn) -> bool:
    """Whether a turn says nothing."""
    content = turn.get("content")
    return (content is None or is_blank(content)) and not turn.get("tool_calls")


def said_in(turn: Turn) -> str:
    """What a turn says, as one text; "" of one that only calls tools."""
    return str(turn.get("content") or "")


def strings_in(value: Any) -> list[str]:
    """All texts within a value of JSON, names of objects among them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for part in pair for text in strings_in(part)]
    if isinstance(value, Sequence):
        return [text for part in value for text in strings_in(part)]
    return []


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Fault(f'"{name}" is no JSON: {error}') from error


def _joined(parts: list[Any], name: str) -> str:
    """The texts of parts behind each other, as each template takes them."""
    texts = []
    for number, part in enumerate(parts):
        text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else part
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise Fault(
                f'"{name}[{number}]" is a part of the type {json.dumps(kind, default=str)}: '
                "only texts are read"
            )
        texts.append(text)
    return "".join(texts)


def _call(call: Any, name: str) -> dict[str, Any]:
    """A tool call with its arguments as an object."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise Fault(f'"{name}" holds no call of a function with a name')
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            raise Fault(f'the arguments of "{function["name"]}" in "{name}" are no JSON: {error}') from error
    return {**call, "function": {**function, "arguments": arguments}}


def _hh_turns(text: str) -> list[Turn]:
    parts = _HH_TURN.split(text)[1:]
    return [
        {"role": _HH_ROLES[speaker], "content": content.strip()}
        for speaker, content in zip(parts[::2], parts[1::2], strict=True)
    ]


def _require_json(value: Any, name: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault(f'"{name}" is no JSON: {str(error)[:80]}') from error
