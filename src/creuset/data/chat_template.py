"""Chat templates: a list of messages as the one text that a model was tuned on.

The template comes with the model, in Jinja, and is run as a stranger's: in Jinja's immutable sandbox, with
the settings and functions that all of its writers expect (trim_blocks, lstrip_blocks, loop controls, `tojson`
without HTML escapes, `raise_exception`, `strftime_now`). Tokenize what it renders with add_special=False: it
writes BOS itself.

A hostile template gains nothing: it runs in a process of its own (`chat_process.py`), whose memory, time and
output are limited, and which jinja2's sandbox keeps to its data. The process starts with the first rendering
and takes a tenth of a second for it; later ones take less than a thousandth of a second more than in here.

Departures from transformers: the same text, or an error. Roles and content are checked before the template
sees them, `{% generation %}` marks are passed over, and data that is no JSON is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from creuset.data.chat_process import ChatProcess
from creuset.data.tokenizer_files import CONFIG_FILE, read_limited, read_settings
from creuset.errors import DataError, NotFoundError, UsageError, did_you_mean
from creuset.files import write_atomic

TEMPLATE_FILE = "chat_template.jinja"
DEFAULT = "default"
ROLES = ("system", "developer", "user", "assistant", "tool")

MAX_TEMPLATE_BYTES = 1_000_000
MAX_CHARACTERS = 10_000_000
"""Of a rendered conversation; the longest contexts hold about 4,000,000."""
MAX_SECONDS = 10.0
"""For one rendering, which takes a thousandth of it where nothing is wrong."""

_REFUSALS = {
    "refused": (
        "the template refuses this conversation",
        "change the messages so that the template accepts them",
    ),
    "failed": ("the template failed on this conversation", None),
    "size": ("the chat template makes too much", None),
}

Message = Mapping[str, Any]
"""A turn: "role" out of ROLES, "content" (a text, a list of parts, or None), perhaps "tool_calls"."""


@dataclass(frozen=True, kw_only=True)
class TrainedSpans:
    """A conversation as text, and what of it a model learns to write.

    Args:
        text: The whole conversation, as `render` gives it.
        spans: Where the assistant's turns stand in it, first character and behind the last: what comes after
            the prompt for an answer, to the end of the turn, its end-of-turn token with it.
    """

    text: str
    spans: tuple[tuple[int, int], ...]


class TemplateError(DataError):
    """A template that renders no conversation at all: it is wrong, not what is rendered."""


class ChatTemplate:
    """Renders messages by a template, which is compiled when it is first rendered.

    Args:
        source: The template in Jinja.
        where: What errors name.
        special: What templates call bos_token, eos_token and so on: {"bos_token": "<s>"}.

    Raises:
        DataError: It is longer than any template.
    """

    def __init__(
        self, source: str, *, where: object = "chat template", special: Mapping[str, str] | None = None
    ) -> None:
        self.source = source.removeprefix("\ufeff")  # a file's byte order mark is no text of the template
        self._where = where
        self._special = dict(special or {})
        if len(source) > MAX_TEMPLATE_BYTES:
            raise DataError(
                "too large for a chat template",
                where=where,
                got=f"{len(source):,} characters",
                expected=f"at most {MAX_TEMPLATE_BYTES:,}",
            )
        self._process = ChatProcess(self.source, max_characters=MAX_CHARACTERS, seconds=MAX_SECONDS)

    @property
    def process_id(self) -> int | None:
        """The number of the process in which it is rendered, None where there is none now."""
        return self._process.pid

    @classmethod
    def from_folder(cls, folder: Path | str, *, name: str | None = None) -> Self:
        """The template of a model's folder: chat_template.jinja, else of tokenizer_config.json.

        Args:
            folder: Of the model.
            name: Which one, where the folder holds several; None: the one called default.

        Raises:
            NotFoundError: It has no template, or none of this name.
            DataError: A file is damaged.
        """
        folder = Path(folder)
        config = read_settings(folder / CONFIG_FILE)
        special = _special_names(config)
        templates, where = _templates(folder, config)
        if not templates:
            raise NotFoundError(
                "no chat template",
                where=folder,
                expected=f"{TEMPLATE_FILE}, or chat_template in {CONFIG_FILE}",
                next_step="use a model that was tuned on chats, or complete plain text with it",
            )
        chosen = DEFAULT if name is None else name
        if chosen not in templates:
            raise NotFoundError(f'no chat template "{chosen}"{did_you_mean(chosen, templates)}', where=where)
        return cls(templates[chosen], where=where, special=special)

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[Mapping[str, Any]] | None = None,
        **settings: Any,
    ) -> str:
        """The conversation as text.

        Args:
            messages: The turns, oldest first; one at least.
            add_generation_prompt: Whether the beginning of an assistant's turn is written behind them.
            tools: Descriptions of functions as JSON Schema, for templates that know them.
            **settings: Further variables that the template reads, such as enable_thinking.

        Raises:
            UsageError: A message without a role, of an unknown role, or without content.
            DataError: The template cannot be compiled; it refused the conversation, with its reason; it
                failed, took too long, or asked for too much memory.
        """
        variables = {
            **self._special,
            "messages": [_checked(number, message) for number, message in enumerate(messages)],
            "tools": None if tools is None else _plain("tools", list(tools)),
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **_plain("settings", settings),
        }
        if not messages:
            raise UsageError("no messages", where="messages", expected="one at least")
        return self._run(variables)

    def trained_spans(
        self, messages: Sequence[Message], *, tools: Sequence[Mapping[str, Any]] | None = None
    ) -> TrainedSpans:
        """The conversation as text, and where the assistant's turns are in it.

        Found by rendering turn by turn, since templates do not say it. This needs a template that only ever
        appends: what precedes a turn, with the prompt for an answer, must be how the text with it begins.

        Args:
            messages: The turns; of the assistant one at least.
            tools: As for `render`.

        Raises:
            UsageError: No turn of the assistant, or messages that `render` refuses.
            DataError: The template rewrites earlier turns, so that what was trained is not what is asked
                later; or it fails on a part of the conversation.
        """
        whole = self.render(messages, tools=tools)
        spans = []
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self._prompt(messages[:number], tools)
            after = self.render(messages[: number + 1], tools=tools)
            self._require_prefix(number, before, after, "the prompt for its answer")
            self._require_prefix(number, after, whole, "the conversation up to it")
            spans.append((len(before), len(after)))
        if not spans:
            raise UsageError(
                "no turn of the assistant, so there is nothing to learn",
                where="messages",
                got=[message["role"] for message in messages],
            )
        return TrainedSpans(text=whole, spans=tuple(spans))

    def close(self) -> None:
        """Ends the process in which it is rendered; the next rendering starts another."""
        self._process.close()

    def save(self, folder: Path | str) -> Path:
        """Writes chat_template.jinja into a folder and returns its path."""
        path = Path(folder) / TEMPLATE_FILE
        write_atomic(path, self.source)
        return path

    def _prompt(self, before: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None) -> str:
        """What the model is given when it is to write the next turn."""
        if not before:
            raise UsageError(
                "the first turn is the assistant's, which answers nothing",
                where="messages[0]",
                next_step="begin with a turn of the user or the system",
            )
        return self.render(before, add_generation_prompt=True, tools=tools)

    def _require_prefix(self, number: int, start: str, text: str, what: str) -> None:
        if text.startswith(start):
            return
        same = next((i for i, (a, b) in enumerate(zip(start, text, strict=False)) if a != b), len(text))
        raise DataError(
            f"this template rewrites what precedes a turn: messages[{number}] does not go on from {what}",
            where=self._where,
            got=repr(text[max(0, same - 20) : same + 40]),
            expected=repr(start[max(0, same - 20) : same + 40]),
            next_step="train on conversations with one answer, or use a template that keeps earlier turns",
        )

    def _run(self, variables: Mapping[str, Any]) -> str:
        try:
            answer = self._process.render(json.dumps(variables).encode())
        except DataError as error:
            raise DataError(
                error.message, where=self._where, got=error.got, expected=error.expected
            ) from error
        if answer.kind == "text":
            return answer.text
        if answer.kind == "syntax":
            line, _, reason = answer.text.partition("\n")
            raise TemplateError("no Jinja template", where=f"{self._where}:{line}", got=_short(reason))
        message, next_step = _REFUSALS[answer.kind]
        raise DataError(message, where=self._where, got=_short(answer.text), next_step=next_step)


def _templates(folder: Path, config: Mapping[str, Any]) -> tuple[dict[str, str], Path]:
    """The folder's templates by name, and the file that they are in."""
    path = folder / TEMPLATE_FILE
    if path.exists():
        return {DEFAULT: read_limited(path, MAX_TEMPLATE_BYTES)}, path
    where, value = folder / CONFIG_FILE, config.get("chat_template")
    if value is None:
        return {}, where
    entries = [{"name": DEFAULT, "template": value}] if isinstance(value, str) else value
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("template"), str)
        for entry in entries
    ):
        raise DataError(
            "chat_template is no template",
            where=where,
            got=repr(value)[:80],
            expected='a text, or a list of {"name": ..., "template": ...}',
        )
    return {entry["name"]: entry["template"] for entry in entries}, where


def _special_names(config: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the special tokens that a tokenizer_config.json names: {"eos_token": "</s>"}."""
    found = {}
    for key, value in config.items():
        content = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(content, str):
            found[key] = content
    return found


def _checked(number: int, message: Message) -> dict[str, Any]:
    """A message as plain data, with a role that is known."""
    where = f"messages[{number}]"
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise UsageError("a message without a role", where=where, got=repr(message)[:80], expected=ROLES)
    if message["role"] not in ROLES:
        raise UsageError(
            f'no role "{message["role"]}"{did_you_mean(message["role"], ROLES)}', where=f"{where}.role"
        )
    content = message.get("content")
    if not isinstance(content, str | list) and not (content is None and "tool_calls" in message):
        raise UsageError(
            "a message without content",
            where=f"{where}.content",
            got=repr(content)[:80],
            expected="a text, or a list of parts",
        )
    checked: dict[str, Any] = _plain(where, dict(message))
    return checked


def _plain(where: str, value: Any) -> Any:
    """The same out of plain JSON types, so that nothing the template touches has methods of its own."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError("this is no JSON", where=where, got=str(error)[:80]) from error


def _short(reason: str) -> str:
    """The beginning of what a template says, which may be long."""
    return reason if len(reason) <= 500 else f"{reason[:500]}..."
