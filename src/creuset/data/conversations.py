"""What language models are tuned on, in the forms that such data comes in.

    form            a record                                                    is
    messages        {"messages": [{"role": ..., "content": ...}, ...]}          a conversation
    sharegpt        {"conversations": [{"from": ..., "value": ...}, ...]}       a conversation
    prompt          {"prompt": ..., "completion": ...}                          a conversation
    instruction     {"instruction": ..., "input": ..., "output": ...}           a conversation
    preference      "chosen" and "rejected" beside any of these, or alone       two answers to compare
    labelled        {"text": ..., "label": ...}                                 a text and its class
    text            {"text": ...}                                               a text

Prompts, completions and answers are texts or lists of messages. Where `chosen` and `rejected` stand alone,
each is a whole conversation, and they part at the answer; beside a prompt they may begin with it or not. The
form is that of all records of a file: it is read from the names, and said. What cannot be learned from is
named by its line, all of it together: turns without an answer, an empty answer, two equal answers.

Source: the words of the forms: ShareGPT; Taori et al. 2023, "Stanford Alpaca"; the data formats of TRL.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from creuset.data.chat_template import ROLES
from creuset.data.records import Record, read_records, refusal
from creuset.data.source import counted
from creuset.errors import DataError, Problem, did_you_mean

Form = Literal["messages", "sharegpt", "prompt", "instruction", "preference", "labelled", "text"]
CHAT_FORMS: tuple[Form, ...] = ("messages", "sharegpt", "prompt", "instruction")

Turn = Mapping[str, Any]
"""{"role": one of ROLES, "content": a text}, perhaps with more that templates read, such as tool_calls."""

_SPEAKERS = {
    "human": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "function": "tool",
    "observation": "tool",
    **{role: role for role in ROLES},
}
"""Who speaks in ShareGPT's words."""
_ALSO_READ = {
    "messages": {"messages", "tools"},
    "sharegpt": {"conversations", "system", "tools"},
    "prompt": {"prompt", "completion", "system", "tools"},
    "instruction": {"instruction", "input", "output", "system"},
    "preference": {"chosen", "rejected"},
    "labelled": {"text", "label"},
    "text": {"text"},
}
_PROMPTS = {"messages", "conversations", "prompt", "instruction", "input", "system"}
"""Names that say what the answers of a preference were given to."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Turns, the last of them an answer.

    Args:
        turns: Oldest first.
        place: file:line.
        tools: Descriptions of functions, for templates that know them.
    """

    turns: tuple[Turn, ...]
    place: str
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Two answers to the same turns.

    Args:
        turns: What both answer.
        chosen: The preferred answer.
        rejected: The other one.
        place: file:line.
    """

    turns: tuple[Turn, ...]
    chosen: tuple[Turn, ...]
    rejected: tuple[Turn, ...]
    place: str


@dataclass(frozen=True, kw_only=True)
class LabelledText:
    """A text, and its class where there is one.

    Args:
        text: Not empty.
        label: The class; "" of plain texts.
        place: file:line.
    """

    text: str
    label: str
    place: str


Row = Conversation | Preference | LabelledText


@dataclass(frozen=True, kw_only=True)
class TuningFile:
    """What a file holds.

    Args:
        form: Of its records.
        rows: Each record.
        unread: Names of values that are not read.
    """

    form: Form
    rows: tuple[Row, ...]
    unread: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """A line for people: how the file was read."""
        said = f"{counted(len(self.rows), 'record')} of the form {self.form}"
        return said + (f"; not read: {', '.join(self.unread)}" if self.unread else "")


def read_tuning_file(path: Path, *, form: Form | None = None) -> TuningFile:
    """The rows of a file, in the form that its records have.

    Args:
        path: .jsonl, .json, .csv, .tsv or .parquet.
        form: That of its records; None to tell it by their names.

    Raises:
        NotFoundError: There is no such file.
        DataError: A damaged file, records of no form or of several, or ones that cannot be learned from,
            each as file:line:column.
    """
    records = read_records(path)
    found = _form_of_all(records) if form is None else form
    read = _READERS[found]
    rows: list[Row] = []
    problems: list[Problem] = []
    for record in records:
        try:
            rows.append(read(record))
        except _Fault as fault:
            problems.append(record.problem(str(fault)))
    if problems:
        raise refusal(problems)
    names = dict.fromkeys(name for record in records for name in record.values)
    known = _ALSO_READ[found] | (_PROMPTS if found == "preference" else set())
    return TuningFile(form=found, rows=tuple(rows), unread=tuple(name for name in names if name not in known))


class _Fault(Exception):
    """What is wrong with a record."""


def form_of(names: Mapping[str, Any]) -> Form | None:
    """The form of a record by the names of its values; None where it has none."""
    there = set(names)
    for form, wanted in (
        ("preference", {"chosen", "rejected"}),
        ("messages", {"messages"}),
        ("sharegpt", {"conversations"}),
        ("prompt", {"prompt", "completion"}),
        ("instruction", {"instruction", "output"}),
        ("labelled", {"text", "label"}),
        ("text", {"text"}),
    ):
        if wanted <= there:
            assert form in get_args(Form)
            return form  # type: ignore[return-value]
    return None


def _form_of_all(records: Sequence[Record]) -> Form:
    first = form_of(records[0].values)
    if first is None:
        names = list(records[0].values)
        known = [name for each in _ALSO_READ.values() for name in sorted(each)]
        hints = [did_you_mean(name, known) for name in names]
        raise DataError(
            f"{records[0].problem('a record of no form that is known')}"
            + next((hint for hint in hints if "did you mean" in hint), ""),
            got=", ".join(map(str, names[:10])) or "an empty object",
            expected="messages; conversations; prompt and completion; instruction and output; chosen and "
            "rejected; text and label; or text",
            next_step="rename the values",
        )
    others = [
        record.problem(f"a record of the form {form_of(record.values) or 'unknown'}, not {first}")
        for record in records
        if form_of(record.values) != first
    ]
    if others:
        raise refusal(others, next_step="give one form a file")
    return first


def _text(value: Any, name: str, *, empty: bool = False) -> str:
    """A value that is a text."""
    if not isinstance(value, str):
        raise _Fault(f'"{name}" is no text, but {type(value).__name__}')
    if not empty and not value.strip():
        raise _Fault(f'"{name}" is empty')
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise _Fault(f'"{name}" holds half a character (a lone surrogate), which no text can')
    return value


def _turns(value: Any, name: str) -> list[Turn]:
    """A list of messages, in the words of either form."""
    if not isinstance(value, list) or not value:
        raise _Fault(f'"{name}" is no list of messages, but {type(value).__name__ if value else "empty"}')
    return [_turn(message, f"{name}[{number}]") for number, message in enumerate(value)]


def _turn(message: Any, name: str) -> Turn:
    if not isinstance(message, Mapping):
        raise _Fault(f'"{name}" is no message, but {type(message).__name__}')
    turn: dict[str, Any] = {key: value for key, value in message.items() if value is not None}
    if "from" in turn and "value" in turn:
        speaker = turn["from"]
        if speaker not in _SPEAKERS:
            raise _Fault(f'"{name}": nobody speaks as "{speaker}"{did_you_mean(str(speaker), _SPEAKERS)}')
        return {"role": _SPEAKERS[speaker], "content": _text(turn["value"], f"{name}.value", empty=True)}
    role = turn.get("role")
    if role not in ROLES:
        raise _Fault(f'"{name}": no role "{role}"{did_you_mean(str(role), ROLES)}')
    content = turn.get("content")
    if not isinstance(content, list) and not (content is None and "tool_calls" in turn):
        turn["content"] = _text(content, f"{name}.content", empty=True)
    return turn


def _as_turns(value: Any, name: str, role: str) -> list[Turn]:
    """A text as one turn of `role`, a message as itself, or a list of messages."""
    if isinstance(value, str):
        return [{"role": role, "content": _text(value, name)}]
    if isinstance(value, Mapping):
        return [_turn(value, name)]
    return _turns(value, name)


def _system(values: Mapping[str, Any]) -> list[Turn]:
    """The turn of the system that a value of that name asks for."""
    system = values.get("system")
    return [{"role": "system", "content": _text(system, "system")}] if system else []


def _tools(values: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    tools = values.get("tools")
    if not tools:
        return ()
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        raise _Fault('"tools" is no list of descriptions of functions')
    return tuple(tools)


def _prompt_turns(values: Mapping[str, Any]) -> list[Turn]:
    """What is to be answered, in any form that a record says it in; empty where it says none."""
    if "messages" in values:
        return _turns(values["messages"], "messages")
    if "conversations" in values:
        return [*_system(values), *_turns(values["conversations"], "conversations")]
    if "prompt" in values:
        return [*_system(values), *_as_turns(values["prompt"], "prompt", "user")]
    if "instruction" in values:
        asked = _text(values["instruction"], "instruction")
        given = values.get("input")
        given = "" if given is None else _text(given, "input", empty=True)
        return [
            *_system(values),
            {"role": "user", "content": f"{asked}\n\n{given}" if given.strip() else asked},
        ]
    return []


def _require_answer(turns: Sequence[Turn], name: str) -> None:
    """Refuses turns that nothing can be learned from."""
    answers = [turn for turn in turns if turn["role"] == "assistant"]
    if not answers:
        roles = ", ".join(dict.fromkeys(turn["role"] for turn in turns))
        raise _Fault(f"no turn of the assistant in {name}, so there is nothing to learn (roles: {roles})")
    for turn in answers:
        content = turn.get("content")
        if isinstance(content, str) and not content.strip() and "tool_calls" not in turn:
            raise _Fault(f"an empty answer in {name}")
    if turns[0]["role"] == "assistant":
        raise _Fault(f"{name} begins with the assistant, which answers nothing")


def _conversation(record: Record) -> Conversation:
    values = record.values
    turns = _prompt_turns(values)
    if "completion" in values:
        turns += _as_turns(values["completion"], "completion", "assistant")
    elif "output" in values and "instruction" in values:
        turns += _as_turns(values["output"], "output", "assistant")
    name = next(each for each in ("messages", "conversations", "completion", "output") if each in values)
    _require_answer(turns, f'"{name}"')
    return Conversation(turns=tuple(turns), place=record.place, tools=_tools(values))


def _preference(record: Record) -> Preference:
    values = record.values
    before = _prompt_turns(values)
    chosen, rejected = (_as_turns(values[name], name, "assistant") for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise _Fault("chosen equals rejected, so neither is preferred")
    shared = _shared(chosen, rejected)
    if not before:
        before, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    elif chosen[: len(before)] == before and shared >= len(before):  # whole conversations beside a prompt
        chosen, rejected = chosen[len(before) :], rejected[len(before) :]
    if not before:
        raise _Fault("chosen and rejected share no turn that they answer; give a prompt")
    for name, answer in (("chosen", chosen), ("rejected", rejected)):
        _require_answer([{"role": "user", "content": "?"}, *answer], f'"{name}"')
    if before[-1]["role"] == "assistant":
        raise _Fault("what is to be answered ends with the assistant's turn")
    return Preference(turns=tuple(before), chosen=tuple(chosen), rejected=tuple(rejected), place=record.place)


def _shared(first: Sequence[Turn], second: Sequence[Turn]) -> int:
    """How many turns two conversations have in common at their beginning."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(first), len(second)))


def _labelled(record: Record) -> LabelledText:
    label = record.values["label"]
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
        raise _Fault(f'"label" is no class, but {label!r}')
    text = _text(record.values["text"], "text")
    return LabelledText(text=text, label=str(label).strip(), place=record.place)


def _plain_text(record: Record) -> LabelledText:
    return LabelledText(text=_text(record.values["text"], "text"), label="", place=record.place)


_READERS: dict[Form, Callable[[Record], Row]] = {
    **dict.fromkeys(CHAT_FORMS, _conversation),
    "preference": _preference,
    "labelled": _labelled,
    "text": _plain_text,
}
