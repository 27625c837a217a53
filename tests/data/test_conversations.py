"""Each form of data for tuning, told by its names; what cannot be learned from, named by its line."""

import json
from pathlib import Path
from typing import Any

import pytest

from creuset.data.conversations import Conversation, LabelledText, Preference, read_tuning_file
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
    ],
)
def test_forms_of_one_preference(record: dict[str, Any], tmp_path: Path) -> None:
    found = read_tuning_file(written(tmp_path, record))
    assert found.form == "preference"
    assert found.rows == (
        Preference(turns=(ASKED,), chosen=(ANSWER,), rejected=(WRONG,), place="rows.jsonl:1"),
    )
    assert found.unread == ()


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
        ({"messages": [ASKED, {"role": "assistant"}]}, r'"messages\[1\]\.content" is no text'),
        ({"messages": [ASKED, 4]}, "is no message, but int"),
        ({"messages": [ASKED, {"role": "assistant", "content": "\ud800"}]}, "half a character"),
        ({"messages": [ASKED, ANSWER], "tools": "all"}, '"tools" is no list'),
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
        ({"chosen": [ASKED, ANSWER], "rejected": [ASKED, ANSWER]}, "chosen equals rejected"),
        ({"chosen": [ASKED, ANSWER], "rejected": [SYSTEM, WRONG]}, "share no turn"),
        ({"chosen": "4", "rejected": "5"}, "share no turn"),
        ({"prompt": "a", "chosen": "4", "rejected": " "}, '"rejected" is empty'),
        ({"messages": [ASKED, ANSWER], "chosen": "4", "rejected": "5"}, "ends with the assistant's turn"),
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
