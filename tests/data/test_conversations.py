"""Each form of data for tuning, told by its names; what cannot be learned from, named by its line."""

import json
from pathlib import Path
from typing import Any

import pytest

from creuset.data.conversations import read_tuning_file
from creuset.data.tuning_records import Conversation, LabelledText, Preference, RatedAnswer
from creuset.errors import DataError

ASKED = {"role": "user", "content": "2 + 2?"}
ANSWER = {"role": "assistant", "content": "4"}
WRONG = {"role": "assistant", "content": "5"}
SYSTEM = {"role": "system", "content": "Be short."}


def written(tmp_path: Path, *records: Any) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize(
    ("record", "form"),
    [
        ({"messages": [SYSTEM, ASKED, ANSWER]}, "messages"),
        (
            {
                "conversations": [
                    {"from": "system", "value": "Be short."},
                    {"from": "human", "value": "2 + 2?"},
                    {"from": "gpt", "value": "4"},
                ]
            },
            "sharegpt",
        ),
        (
            {
                "system": "Be short.",
                "conversations": [
                    {"from": "user", "value": "2 + 2?"},
                    {"from": "assistant", "value": "4"},
                ],
            },
            "sharegpt",
        ),
        ({"conversations": [SYSTEM, ASKED, ANSWER]}, "sharegpt"),
        ({"system": "Be short.", "prompt": "2 + 2?", "completion": "4"}, "prompt"),
        ({"prompt": [SYSTEM, ASKED], "completion": [ANSWER]}, "prompt"),
        ({"instruction": "2 + 2?", "input": "", "output": "4", "system": "Be short."}, "instruction"),
    ],
)
def test_forms_of_one_conversation(record: dict[str, Any], form: str, tmp_path: Path) -> None:
    found = read_tuning_file(written(tmp_path, record))
    assert found.form == form
    assert found.rows == (Conversation(turns=(SYSTEM, ASKED, ANSWER), place="rows.jsonl:1"),)
    assert found.unread == ()


def test_an_instruction_with_an_input(tmp_path: Path) -> None:
    record = {"instruction": "Translate.", "input": "chat", "output": "cat", "id": 7}
    found = read_tuning_file(written(tmp_path, record))
    row = found.rows[0]
    assert isinstance(row, Conversation)
    assert row.turns[0] == {"role": "user", "content": "Translate.\n\nchat"}
    assert found.told == "1 record of the form instruction; not read: id"


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"},
        {"prompt": "2 + 2?", "chosen": [ASKED, ANSWER], "rejected": [ASKED, WRONG]},
        {"chosen": [ASKED, ANSWER], "rejected": [ASKED, WRONG]},
        {
            "conversations": [{"from": "human", "value": "2 + 2?"}],
            "chosen": {"from": "gpt", "value": "4"},
            "rejected": {"from": "gpt", "value": "5"},
        },
        {"messages": [ASKED], "chosen": ANSWER, "rejected": WRONG},
        {  # ultrafeedback_binarized
            "prompt": "2 + 2? ",
            "messages": [ASKED, ANSWER],
            "chosen": [ASKED, ANSWER],
            "rejected": [ASKED, WRONG],
        },
        {"chosen": "\n\nHuman: 2 + 2?\n\nAssistant: 4", "rejected": "\n\nHuman: 2 + 2?\n\nAssistant: 5"},
    ],
)
def test_forms_of_one_preference(record: dict[str, Any], tmp_path: Path) -> None:
    found = read_tuning_file(written(tmp_path, record))
    assert found.form == "preference"
    assert found.rows == (
        Preference(turns=(ASKED,), chosen=(ANSWER,), rejected=(WRONG,), place="rows.jsonl:1"),
    )
    assert found.unread == ()


def test_a_form_reads_its_own_names_alone(tmp_path: Path) -> None:
    record = {"instruction": "2 + 2?", "input": None, "output": "4", "prompt": "### 2 + 2? ### 4"}
    found = read_tuning_file(written(tmp_path, record))
    (row,) = found.rows
    others = {"prompt": "### 2 + 2? ### 4"}
    assert row == Conversation(turns=(ASKED, ANSWER), place="rows.jsonl:1", others=others)
    assert found.unread == ("prompt",)
    record = {"prompt": "2 + 2?", "completion": "4", "text": "2 + 2? 4"}
    assert read_tuning_file(written(tmp_path, record)).form == "prompt"
    assert read_tuning_file(written(tmp_path, record), form="text").rows[0].text == "2 + 2? 4"
    with pytest.raises(DataError, match='no "label"'):
        read_tuning_file(written(tmp_path, record), form="labelled")


def test_turns_with_the_weight_0_are_not_trained(tmp_path: Path) -> None:
    turns = [ASKED, {**WRONG, "weight": 0}, ASKED, {**ANSWER, "weight": 1}]
    (row,) = read_tuning_file(written(tmp_path, {"messages": turns})).rows
    assert row == Conversation(
        turns=(ASKED, WRONG, ASKED, ANSWER), place="rows.jsonl:1", untrained=frozenset({1})
    )
    for weights, message in (((0, 0), "weight 0, so there is nothing"), ((0, 2), "neither 0 nor 1")):
        turns = [ASKED, {**WRONG, "weight": weights[0]}, ASKED, {**ANSWER, "weight": weights[1]}]
        with pytest.raises(DataError, match=message):
            read_tuning_file(written(tmp_path, {"messages": turns}))


def test_calls_of_tools_have_objects_for_arguments(tmp_path: Path) -> None:
    function = {"name": "add", "arguments": '{"a": 2, "b": 2}'}
    calls = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}
    older = {"role": "assistant", "content": None, "function_call": function}
    result = {"role": "function", "name": "add", "content": "4"}
    tools = [{"type": "function", "function": {"name": "add"}}]
    for record in (
        {"messages": [ASKED, calls, result, ANSWER], "tools": tools},
        {"messages": [ASKED, older, result, ANSWER], "tools": json.dumps(tools)},
    ):
        (row,) = read_tuning_file(written(tmp_path, record)).rows
        assert row.turns[1]["tool_calls"][0]["function"] == {"name": "add", "arguments": {"a": 2, "b": 2}}
        assert row.turns[2] == {"role": "tool", "content": "4", "name": "add"}
        assert row.tools == tuple(tools)


def test_parts_of_text_are_one_text_whatever_stands_beside_them(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "2 +", "image_url": None}, {"type": "text", "text": " 2?", "cache": 1}]
    record = {"messages": [{"role": "user", "content": parts}, ANSWER]}
    (row,) = read_tuning_file(written(tmp_path, record)).rows
    assert isinstance(row, Conversation)
    assert row.turns == (ASKED, ANSWER)


def test_rated_answers_are_no_conversations(tmp_path: Path) -> None:
    found = read_tuning_file(written(tmp_path, {"prompt": "2 + 2?", "completion": "5", "label": False}))
    assert found.form == "kto"
    assert found.rows == (RatedAnswer(turns=(ASKED,), answer=(WRONG,), good=False, place="rows.jsonl:1"),)


def test_texts_with_and_without_classes(tmp_path: Path) -> None:
    assert read_tuning_file(written(tmp_path, {"text": "good", "label": 1})).rows == (
        LabelledText(text="good", label="1", place="rows.jsonl:1"),
    )
    assert read_tuning_file(written(tmp_path, {"text": "good"})).form == "text"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"messages": [ASKED]}, r"rows\.jsonl:2:1: no turn of the assistant.*roles: user"),
        ({"messages": [ANSWER]}, "begins with the assistant"),
        ({"messages": [ASKED, {"role": "assistant", "content": " "}]}, "an empty answer"),
        ({"messages": []}, '"messages" is no list of messages, but empty'),
        ({"messages": "hello"}, '"messages" is no list of messages, but str'),
        ({"messages": [ASKED, {"role": "assistent", "content": "4"}]}, 'did you mean "assistant"'),
        ({"messages": [ASKED, {"role": ["a"], "content": "4"}]}, r'nobody speaks as \["a"\]'),
        ({"messages": [ASKED, {"role": "assistant", "content": []}]}, "an empty answer"),
        ({"messages": [ASKED, {"role": "assistant", "content": "", "tool_calls": []}]}, "an empty answer"),
        (
            {"messages": [ASKED, {**ANSWER, "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]},
            "no JSON",
        ),
        ({"messages": [ASKED, {"role": "assistant"}]}, r'"messages\[1\]\.content" is no text, but null'),
        ({"messages": [ASKED, {"role": "assistant", "content": "\u200b\u00a0\ufeff"}]}, "an empty answer"),
        ({"messages": [{"role": "user", "content": "\n"}, ANSWER]}, r'"messages\[0\]\.content" is empty'),
        (
            {"messages": [ASKED, {"role": "assistant", "content": [{"type": "text", "text": " ", "n": 1}]}]},
            "an empty answer",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, ANSWER]},
            r'"messages\[0\]\.content\[0\]" is a part of the type "image_url": only texts are read',
        ),
        ({"messages": [ASKED, 4]}, "is no message, but int"),
        ({"messages": [ASKED, {"role": "assistant", "content": "\ud800"}]}, "half a character"),
        ({"messages": [ASKED, ANSWER], "tools": "all"}, '"tools" is no JSON'),
        ({"messages": [ASKED, ANSWER], "tools": {"a": 1}}, '"tools" is no list'),
    ],
)
def test_what_cannot_be_learned_from_is_named(record: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as found:
        read_tuning_file(written(tmp_path, {"messages": [ASKED, ANSWER]}, record, record))
    assert "2 wrong records" in str(found.value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"prompt": "a", "chosen": "4", "rejected": "4"}, "chosen equals rejected"),
        ({"prompt": "a", "chosen": "4", "rejected": "4 \n"}, "chosen equals rejected but for white space"),
        (
            {"chosen": [ASKED, ANSWER], "rejected": [ASKED, {**ANSWER, "content": " 4"}]},
            "chosen equals rejected but for white space",
        ),
        ({"prompt": "a", "chosen": "4", "rejected": None}, '"rejected" is no text, but null'),
        ({"chosen": [ASKED, ANSWER], "rejected": [ASKED, ANSWER]}, "chosen equals rejected"),
        ({"chosen": [ASKED, ANSWER], "rejected": [SYSTEM, WRONG]}, "share no turn"),
        ({"prompt": "3 + 3?", "chosen": [ASKED, ANSWER], "rejected": [ASKED, WRONG]}, "another question"),
        ({"prompt": "a", "chosen": [SYSTEM, ANSWER], "rejected": [ASKED, WRONG]}, "begins with system"),
        ({"chosen": "4", "rejected": "5"}, "share no turn"),
        ({"prompt": "a", "chosen": "4", "rejected": " "}, '"rejected" is empty'),
        ({"messages": [ASKED, ANSWER], "chosen": "4", "rejected": "5"}, "share no turn"),
        ({"conversations": [{"from": "alien", "value": "a"}], "chosen": "4", "rejected": "5"}, "speaks as"),
    ],
)
def test_preferences_that_say_nothing_are_named(record: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_tuning_file(written(tmp_path, record))


def test_forms_that_are_unknown_or_mixed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no form that is known") as found:
        read_tuning_file(written(tmp_path, {"mesages": [ASKED]}))
    assert 'did you mean "messages"' in str(found.value)
    with pytest.raises(DataError, match=r"rows\.jsonl:2:1: a record of the form text, not messages"):
        read_tuning_file(written(tmp_path, {"messages": [ASKED, ANSWER]}, {"text": "a"}))


@pytest.mark.parametrize(
    ("name", "form", "number"),
    [("instructions_alpaca_999.json", "instruction", 999), ("preferences_dpo_300.json", "preference", 300)],
)
def test_real_files(name: str, form: str, number: int) -> None:
    path = Path(__file__).resolve().parents[3] / "shared" / "data" / name
    if not path.exists():
        pytest.skip("the shared data is not here")
    found = read_tuning_file(path)
    assert (found.form, len(found.rows)) == (form, number)
