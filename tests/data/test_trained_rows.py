"""Which tokens of a conversation are trained, and batches of them without padding."""

import pytest
import torch

from chat_templates import CHATML
from creuset.data.chat_template import ChatTemplate
from creuset.data.token_stream import IGNORED
from creuset.data.tokenizer import Tokenizer
from creuset.data.trained_rows import TrainedRows, TrainedText, answer_text, chat_text, plain_text
from creuset.data.tuning_records import Conversation
from creuset.errors import DataError
from small_tokenizers import small

TURNS = (
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "good day"},
    {"role": "user", "content": "and now"},
    {"role": "assistant", "content": "good bye"},
)


def written(text: TrainedText, tokenizer: Tokenizer) -> str:
    """The trained tokens as text."""
    ids = [number for number, flag in zip(text.ids, text.trained, strict=True) if flag]
    return tokenizer.decode(ids, skip_special=False)


def by_bytes() -> Tokenizer:
    return Tokenizer(small("byte_level"))


def test_answers_and_their_ends_are_trained() -> None:
    tokenizer, template = by_bytes(), ChatTemplate(CHATML)
    text = chat_text(Conversation(turns=TURNS, place="a:1"), template, tokenizer)
    assert tokenizer.decode(list(text.ids), skip_special=False) == template.render(TURNS)
    assert written(text, tokenizer) == "good day<|im_end|>\ngood bye<|im_end|>\n"
    assert not text.straddles


def test_turns_that_are_not_to_be_learned_are_context() -> None:
    tokenizer, template = by_bytes(), ChatTemplate(CHATML)
    conversation = Conversation(turns=TURNS, place="a:1", untrained=frozenset({1}))
    text = chat_text(conversation, template, tokenizer)
    assert written(text, tokenizer) == "good bye<|im_end|>\n"
    assert text.ids == chat_text(Conversation(turns=TURNS, place="a:1"), template, tokenizer).ids


def test_of_a_preference_the_answer_alone_is_trained() -> None:
    tokenizer, template = by_bytes(), ChatTemplate(CHATML)
    text = answer_text(TURNS[:3], TURNS[3:], template, tokenizer)
    assert written(text, tokenizer) == "good bye<|im_end|>\n"


def test_batches_lie_in_one_row() -> None:
    rows = TrainedRows.of(
        [
            TrainedText(ids=(1, 2, 3, 4), trained=(False, False, True, True)),
            TrainedText(ids=(5,), trained=(True,)),
            TrainedText(ids=(6, 7, 8), trained=(True, True, False)),
        ]
    )
    assert rows.num_trained.tolist() == [2, 0, 1]
    batch = rows.batch(torch.tensor([2, 0, 1]))
    assert batch["tokens"].tolist() == [[6, 7, 8, 1, 2, 3, 4, 5]]
    x = IGNORED
    assert batch["targets"].tolist() == [[7, x, x, x, 3, 4, x, x]]
    assert batch["documents"].tolist() == [[0, 0, 0, 1, 1, 1, 1, 2]]
    assert int((batch["targets"] != IGNORED).sum()) == int(rows.num_trained.sum())
    again = rows.select(torch.tensor([1, 2]))
    assert again.rows.row(1).tolist() == [6, 7, 8]
    assert again.trained.tolist() == [True, True, True, False]
    assert again.num_trained.tolist() == [0, 1]


def test_a_token_of_prompt_and_answer_together_is_not_trained() -> None:
    template = ChatTemplate(
        "{% for each in messages %}{{ each.content }}"
        "{% if each.role == 'assistant' %}</s>{% endif %}{% endfor %}"
    )
    tokenizer = Tokenizer(small("sentencepiece"))
    turns = ({"role": "user", "content": "Lt"}, {"role": "assistant", "content": "he L"})
    text = chat_text(Conversation(turns=turns, place="a:1"), template, tokenizer)
    shown = [tokenizer.readable(number) for number in text.ids]
    trained = [piece for piece, flag in zip(shown, text.trained, strict=True) if flag]
    assert "the" in shown
    assert "the" not in trained
    assert trained[-1] == "</s>"
    assert text.straddles


def test_a_plain_text_is_trained_whole_and_ends_once() -> None:
    tokenizer = by_bytes()
    end = tokenizer.id_of("<|endoftext|>")
    text = plain_text("good day", tokenizer, ends_with=end)
    assert text.ids[-1] == end
    assert all(text.trained)
    ending = Tokenizer(small("metaspace"))  # puts </s> behind each text itself
    twice = plain_text("the", ending, ends_with=ending.id_of("</s>"))
    assert twice.ids.count(ending.id_of("</s>")) == 1


def test_what_a_template_leaves_out_is_refused() -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": 2}}}
    turns = (
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    )
    with pytest.raises(DataError, match=r"leaves out messages\[1\]\.tool_calls\.add"):
        chat_text(Conversation(turns=turns, place="rows.jsonl:1"), ChatTemplate(CHATML), by_bytes())
    silent = ChatTemplate(CHATML.replace("message['content']", "message['content'][:2]"))
    with pytest.raises(DataError, match=r"leaves out messages\[0\]\.content"):
        answer_text(turns[:1], [{"role": "assistant", "content": "4"}], silent, by_bytes())


def test_thoughts_before_an_answer_may_be_left_out() -> None:
    brief = ChatTemplate(CHATML.replace("message['content']", "message['content'].split('</think>')[-1]"))
    answer = {"role": "assistant", "content": "<think>2 and 2</think> 4"}
    text = answer_text([{"role": "user", "content": "2 + 2?"}], [answer], brief, by_bytes())
    assert "2 and 2" not in written(text, by_bytes())
