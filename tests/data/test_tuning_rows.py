"""Files for tuning as rows of tokens, split by what is asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from chat_templates import CHATML, GEMMA
from creuset.data.chat_template import ChatTemplate
from creuset.data.conversations import read_tuning_file
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.data.tuning_rows import TunedRow, answer_pairs, conversation_rows, split_by_question
from creuset.errors import DataError, UsageError
from small_tokenizers import byte_level

TOKENIZER = Tokenizer(byte_level(), special=SpecialTokens(eos=(2,)))
TEMPLATE = ChatTemplate(CHATML)


def written(tmp_path: Path, *records: Any) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_rows_of_conversations_and_of_texts(tmp_path: Path) -> None:
    file = read_tuning_file(written(tmp_path, {"prompt": "a", "completion": "b"}))
    (row,) = conversation_rows(file, TOKENIZER, template=TEMPLATE, end_id=2)
    assert (row.place, row.messages) == ("rows.jsonl:1", ("a", "b"))
    assert TOKENIZER.decode(list(row.prompt), skip_special=False).endswith("<|im_start|>assistant\n")
    assert row.asks
    file = read_tuning_file(written(tmp_path, {"text": "good day"}))
    (row,) = conversation_rows(file, TOKENIZER, template=None, end_id=2)
    assert row.text.ids[-1] == 2
    assert row.prompt == ()


def test_pairs_of_answers(tmp_path: Path) -> None:
    file = read_tuning_file(written(tmp_path, {"prompt": "a", "chosen": "b", "rejected": "c"}))
    (pair,) = answer_pairs(file, TOKENIZER, TEMPLATE)
    assert pair.chosen.prompt == pair.rejected.prompt
    for row, answer in ((pair.chosen, "b"), (pair.rejected, "c")):
        assert TOKENIZER.decode(list(row.text.ids[len(row.prompt) :]), skip_special=False).startswith(answer)


def test_equal_questions_stay_together(tmp_path: Path) -> None:
    records = [
        {"prompt": f"question {number % 20}", "completion": f"answer {number}"} for number in range(60)
    ]
    file = read_tuning_file(written(tmp_path, *records))
    rows = conversation_rows(file, TOKENIZER, template=TEMPLATE, end_id=2)

    def split(rows: list[TunedRow], seed: int) -> dict[str, Any]:
        prompts, texts = [row.prompt for row in rows], [row.text.ids for row in rows]
        return split_by_question(prompts, texts, shares={"test": 0.2, "validation": 0.1}, seed=seed)

    found = split(rows, 0)
    asked = {name: {rows[place].prompt for place in places} for name, places in found.items()}
    assert {name: len(places) for name, places in found.items()} == {"train": 42, "test": 12, "validation": 6}
    assert not asked["train"] & asked["test"]
    assert not asked["train"] & asked["validation"]
    turned = list(reversed(rows))
    texts = {name: [turned[place].text.ids for place in places] for name, places in split(turned, 0).items()}
    assert texts == {name: [rows[place].text.ids for place in places] for name, places in found.items()}
    assert set(split(rows, 1)["test"]) != set(found["test"])


def test_what_a_template_does_not_take_is_named_by_its_line(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    records = [{"messages": turns}, {"messages": [{"role": "system", "content": "s"}, *turns]}]
    file = read_tuning_file(written(tmp_path, *records))
    template = ChatTemplate(GEMMA, special={"bos_token": "<|endoftext|>"})
    with pytest.raises(DataError, match=r"rows\.jsonl:2:1: the template refuses.*System role"):
        conversation_rows(file, TOKENIZER, template=template, end_id=2)


def test_what_does_not_fit_the_tuning_is_refused(tmp_path: Path) -> None:
    preference = read_tuning_file(written(tmp_path, {"prompt": "a", "chosen": "b", "rejected": "c"}))
    with pytest.raises(UsageError, match="conversations or plain texts"):
        conversation_rows(preference, TOKENIZER, template=TEMPLATE, end_id=2)
    chat = read_tuning_file(written(tmp_path, {"prompt": "a", "completion": "b"}))
    with pytest.raises(UsageError, match="learns from preferences"):
        answer_pairs(chat, TOKENIZER, TEMPLATE)
    with pytest.raises(UsageError, match="knows no chat template"):
        conversation_rows(chat, TOKENIZER, template=None, end_id=2)
