"""What models of texts are tuned on, in the forms that such data comes in.

    form            a record                                                    is
    messages        {"messages": [{"role": ..., "content": ...}, ...]}          a conversation
    sharegpt        {"conversations": [{"from": ..., "value": ...}, ...]}       a conversation
    prompt          {"prompt": ..., "completion": ...}                          a conversation
    instruction     {"instruction": ..., "input": ..., "output": ...}           a conversation
    kto             {"prompt": ..., "completion": ..., "label": true}           an answer, good or bad
    preference      "chosen" and "rejected" beside any of these, or alone       two answers to compare
    labelled        {"text": ..., "label": ...}                                 a text and its class
    anchor, query and question                                                  pairs (`anchored_pairs.py`)
    text            {"text": ...}                                               a text

Prompts, completions and answers are texts or lists of messages (`turns.py`). Where `chosen` and `rejected`
are whole conversations, they part at the answer, and what stands beside them must be what they answer. The
form is that of all records of a file: it is told by the names of values, and said; values that a form does
not read are named. A turn of the assistant with "weight": 0 is read and not trained. What cannot be learned
from is named by its line: turns without an answer, an empty answer, two equal answers.

Source: the words of the forms: ShareGPT; Taori et al. 2023, "Stanford Alpaca"; the data formats of TRL and of
OpenAI's fine-tuning.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from creuset.data.anchored_pairs import PAIR_NAMES, read_pair
from creuset.data.corpus import is_corpus, read_documents
from creuset.data.records import NEXT, Record, read_records, refusal
from creuset.data.source import counted
from creuset.data.tuning_records import Conversation, LabelledText, Preference, RatedAnswer, Row
from creuset.data.turns import (
    Fault,
    Turn,
    as_turns,
    is_empty,
    rating_of,
    said_in,
    system_turn,
    text_of,
    tools_of,
    turns_of,
)
from creuset.errors import DataError, Problem, did_you_mean

Form = Literal[
    "messages",
    "sharegpt",
    "prompt",
    "instruction",
    "kto",
    "preference",
    "labelled",
    "anchor",
    "query",
    "question",
    "text",
]
CHAT_FORMS: tuple[Form, ...] = ("messages", "sharegpt", "prompt", "instruction")
PAIR_FORMS: tuple[Form, ...] = ("anchor", "query", "question")

_NEEDED: Mapping[Form, tuple[str, ...]] = {
    "preference": ("chosen", "rejected"),
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "kto": ("prompt", "completion", "label"),
    "prompt": ("prompt", "completion"),
    "instruction": ("instruction", "output"),
    "labelled": ("text", "label"),
    "anchor": PAIR_NAMES["anchor"],
    "query": PAIR_NAMES["query"],
    "question": PAIR_NAMES["question"],
    "text": ("text",),
}
"""The names that a record of each form has; of several forms that fit, the first."""
INSTEAD: Mapping[Form, str] = {
    "kto": "write good answers as prompt and completion, or two answers as chosen and rejected"
}
"""What can be done with records that no method learns from."""
_ALSO_READ: Mapping[Form, tuple[str, ...]] = {
    "messages": ("tools",),
    "sharegpt": ("system", "tools"),
    "kto": ("system", "tools"),
    "prompt": ("system", "tools"),
    "instruction": ("input", "system"),
    "labelled": ("group",),
    "anchor": ("negative",),
    "query": ("negative",),
    "question": ("negative",),
    "preference": ("messages", "conversations", "prompt", "instruction", "input", "system"),
}


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
        path: .jsonl, .json, .csv, .tsv or .parquet; or plain text, a .txt file or a folder of them.
        form: That of its records; None to tell it by their names.

    Raises:
        NotFoundError: There is no such file.
        DataError: A damaged file, or records of no form that is known.
        RowsError: Records of several forms, or ones that cannot be learned from, each as file:line:column.
    """
    if is_corpus(path):
        return _documents(path)
    records = read_records(path)
    found = _form_of_all(records) if form is None else form
    read, known = _READERS[found], {*_NEEDED[found], *_ALSO_READ.get(found, ())}
    rows: list[Row] = []
    problems: list[Problem] = []
    for record in records:
        missing = [name for name in _NEEDED[found] if name not in record.values]
        try:
            if missing:
                raise Fault(f'no "{missing[0]}"{did_you_mean(missing[0], list(record.values)[:20])}')
            row = read(record)
        except Fault as fault:
            problems.append(record.problem_shown(str(fault)))
            continue
        if isinstance(row, Conversation):
            row = replace(row, others={str(k): v for k, v in record.values.items() if k not in known})
        rows.append(row)
    if problems:
        raise refusal(problems)
    names = dict.fromkeys(str(name) for record in records for name in record.values)
    return TuningFile(form=found, rows=tuple(rows), unread=tuple(name for name in names if name not in known))


def _documents(path: Path) -> TuningFile:
    """Plain text, each document a row."""
    source = read_documents(path)
    part = source.parts["train"]
    pairs = zip(part.names, part.inputs.tolist(), strict=True)
    rows = tuple(LabelledText(text=text, label="", place=f"{name}:1") for name, text in pairs)
    return TuningFile(form="text", rows=rows)


def form_of(values: Mapping[str, Any]) -> Form | None:
    """The form of a record by the names of its values; None where it has none."""
    for form, needed in _NEEDED.items():
        is_rating = form != "kto" or rating_of(values.get("label")) is not None
        if values.keys() >= set(needed) and is_rating:
            return form
    return None


def form_of_names(names: Sequence[str]) -> Form | None:
    """The form of a table's records by its header; a label beside completions rates them."""
    return form_of(dict.fromkeys(names, "1"))


def _form_of_all(records: Sequence[Record]) -> Form:
    first = form_of(records[0].values)
    if first is None:
        names = [str(name) for name in records[0].values]
        raise DataError(
            str(records[0].problem_shown(f"a record of no form that is known{_nearly(names)}")),
            got=", ".join(names[:10]) or "an empty object",
            expected="messages; conversations; prompt and completion; instruction and output; chosen and "
            "rejected; text and label; anchor and positive; or text",
            next_step="rename the values",
        )
    forms = [form_of(record.values) for record in records]
    others = [
        record.problem_shown(
            f"a record of the form {form}, not {first}"
            if form is not None
            else f"a record of no form, not of {first}{_nearly([str(name) for name in record.values])}"
        )
        for record, form in zip(records, forms, strict=True)
        if form != first
    ]
    if others:
        mixed = any(form not in (first, None) for form in forms)
        raise refusal(others, next_step="give one form a file" if mixed else NEXT)
    return first


def _nearly(names: Sequence[str]) -> str:
    """What names of values lack of the form that has most in common with them, or nearly have."""
    shared = {form: sum(name in names for name in needed) for form, needed in _NEEDED.items()}
    form = max(shared, key=lambda form: (shared[form], -len(_NEEDED[form])))
    missing = [name for name in _NEEDED[form] if name not in names]
    known = missing if shared[form] else [name for needed in _NEEDED.values() for name in needed]
    for name in names:
        hint = did_you_mean(name, known) if name not in _NEEDED[form] else ""
        if "did you mean" in hint:
            return f': "{name}"{hint}'
    lacks = " and ".join(f'"{name}"' for name in missing)
    return f": of the form {form} it lacks {lacks}" if shared[form] else ""


def _instruction(values: Mapping[str, Any]) -> list[Turn]:
    """What an instruction with its input asks."""
    asked = text_of(values["instruction"], "instruction")
    given = values.get("input")
    given = "" if given is None else text_of(given, "input", empty=True)
    content = f"{asked}\n\n{given}" if given.strip() else asked
    return [*system_turn(values), {"role": "user", "content": content}]


def _require_answer(turns: Sequence[Turn], name: str) -> None:
    """Refuses turns that nothing can be learned from."""
    answers = [turn for turn in turns if turn["role"] == "assistant"]
    if not answers:
        roles = ", ".join(dict.fromkeys(turn["role"] for turn in turns))
        raise Fault(f"no turn of the assistant in {name}, so there is nothing to learn (roles: {roles})")
    if any(map(is_empty, answers)):
        raise Fault(f"an empty answer in {name}")
    if turns[0]["role"] == "assistant":
        raise Fault(f"{name} begins with the assistant, which answers nothing")


def _conversation(record: Record, turns: Sequence[Turn], name: str) -> Conversation:
    _require_answer(turns, f'"{name}"')
    untrained = frozenset(number for number, turn in enumerate(turns) if turn.get("weight") == 0)
    if all(number in untrained for number, turn in enumerate(turns) if turn["role"] == "assistant"):
        raise Fault(f'each turn of the assistant in "{name}" has the weight 0, so there is nothing to learn')
    return Conversation(
        turns=tuple({key: value for key, value in turn.items() if key != "weight"} for turn in turns),
        place=record.place,
        tools=tools_of(record.values),
        untrained=untrained,
    )


def _messages(record: Record) -> Conversation:
    return _conversation(record, turns_of(record.values["messages"], "messages"), "messages")


def _sharegpt(record: Record) -> Conversation:
    turns = turns_of(record.values["conversations"], "conversations")
    return _conversation(record, [*system_turn(record.values), *turns], "conversations")


def _completed(record: Record) -> tuple[list[Turn], list[Turn]]:
    values = record.values
    before = [*system_turn(values), *as_turns(values["prompt"], "prompt", "user")]
    return before, as_turns(values["completion"], "completion", "assistant")


def _prompt(record: Record) -> Conversation:
    before, answer = _completed(record)
    return _conversation(record, [*before, *answer], "completion")


def _alpaca(record: Record) -> Conversation:
    answer = as_turns(record.values["output"], "output", "assistant")
    return _conversation(record, [*_instruction(record.values), *answer], "output")


def _rated(record: Record) -> RatedAnswer:
    before, answer = _completed(record)
    _require_begun(answer, "completion")
    good = rating_of(record.values["label"])
    if good is None:
        raise Fault(f'"label" is neither true nor false, but {record.values["label"]!r}')
    return RatedAnswer(turns=tuple(before), answer=tuple(answer), good=good, place=record.place)


def _preference(record: Record) -> Preference:
    values = record.values
    chosen, rejected = (as_turns(values[name], name, "assistant") for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise Fault("chosen equals rejected, so neither is preferred")
    given = _given(values)
    shared = _shared(chosen, rejected)
    if shared:
        before, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
        if given and not _same_question(given, before):
            raise Fault("chosen and rejected begin with another question than the one beside them")
    else:
        before = given
    if not before:
        raise Fault("chosen and rejected share no turn that they answer; give a prompt")
    if _stripped(chosen) == _stripped(rejected):
        raise Fault("chosen equals rejected but for white space around, so neither is preferred")
    for name, answer in (("chosen", chosen), ("rejected", rejected)):
        _require_begun(answer, name)
    if before[-1]["role"] == "assistant":
        raise Fault("what is to be answered ends with the assistant's turn")
    return Preference(turns=tuple(before), chosen=tuple(chosen), rejected=tuple(rejected), place=record.place)


def _given(values: Mapping[str, Any]) -> list[Turn]:
    """What stands beside two answers as what they answer, in any form; empty where nothing does."""
    if "prompt" in values:
        return [*system_turn(values), *as_turns(values["prompt"], "prompt", "user")]
    if "instruction" in values:
        return _instruction(values)
    for name in ("conversations", "messages"):
        if name in values:
            turns = [*system_turn(values), *turns_of(values[name], name)]
            return turns if turns[-1]["role"] != "assistant" else []  # the chosen conversation once more
    return []


def _stripped(turns: Sequence[Turn]) -> list[Turn]:
    """Turns without the white space around what they say."""
    return [{**turn, "content": said_in(turn).strip()} for turn in turns]


def _same_question(first: Sequence[Turn], second: Sequence[Turn]) -> bool:
    """Whether the last turns ask the same, but for white space around it."""
    one, other = (turns[-1].get("content") for turns in (first, second))
    if isinstance(one, str) and isinstance(other, str):
        return one.strip() == other.strip()
    return one == other


def _require_begun(answer: Sequence[Turn], name: str) -> None:
    """Refuses an answer that does not begin with the assistant."""
    if not answer or answer[0]["role"] != "assistant":
        who = answer[0]["role"] if answer else "nobody"
        raise Fault(f'"{name}" is no answer: behind what both share it begins with {who}')
    if any(is_empty(turn) for turn in answer if turn["role"] == "assistant"):
        raise Fault(f'an empty answer in "{name}"')


def _shared(first: Sequence[Turn], second: Sequence[Turn]) -> int:
    """How many turns two conversations have in common at their beginning."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(first), len(second)))


def _labelled(record: Record) -> LabelledText:
    label = record.values["label"]
    if not isinstance(label, str | int) or not str(label).strip():
        raise Fault(f'"label" is no class, but {label!r}')
    name = str(label).lower() if isinstance(label, bool) else str(label).strip()
    group = record.values.get("group")
    return LabelledText(
        text=text_of(record.values["text"], "text"),
        label=name,
        place=record.place,
        group="" if group is None else str(group),
    )


def _plain_text(record: Record) -> LabelledText:
    return LabelledText(text=text_of(record.values["text"], "text"), label="", place=record.place)


_READERS: Mapping[Form, Callable[[Record], Row]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "prompt": _prompt,
    "instruction": _alpaca,
    "kto": _rated,
    "preference": _preference,
    "labelled": _labelled,
    **dict.fromkeys(PAIR_FORMS, read_pair),
    "text": _plain_text,
}
