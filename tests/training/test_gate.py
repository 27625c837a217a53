"""Planted mistakes are found with their rows; good rows pass, and are shown with what is trained of them."""

from dataclasses import replace

import pytest

from chat_templates import CHATML
from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.data.trained_rows import TrainedText, chat_text, plain_text
from creuset.data.tuning_records import Conversation, Preference
from creuset.data.tuning_rows import Asked, TunedRow, messages_of, pair_of
from creuset.errors import GateError
from creuset.training.gate import GateReport, look, pieces_of
from small_tokenizers import byte_level

START, BEGIN, END = 0, 1, 2
TOKENIZER = Tokenizer(byte_level(), special=SpecialTokens(bos=START, eos=(END,)))
TEMPLATE = ChatTemplate(CHATML)


def row(number: int, question: str = "hello", answer: str = "good day") -> TunedRow:
    turns = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    conversation = Conversation(turns=turns, place=f"rows.jsonl:{number}")
    return TunedRow(
        text=chat_text(conversation, TEMPLATE, TOKENIZER),
        place=conversation.place,
        messages=messages_of(conversation),
    )


GOOD = [row(1, "a"), row(2, "b")]


def test_prompts_that_are_to_be_answered_need_a_question_and_room() -> None:
    asking = [replace(row, asked=Asked(prompt="a")) for row in GOOD]
    room = 100 - len(GOOD[0].prompt)

    def names(rows: list[TunedRow], room: int) -> list[str]:
        report = look(rows, [], TOKENIZER, end_ids=[END], context=100, room=room)
        return [finding.name for finding in report.findings if finding.fatal]

    assert names(asking, room) == []
    assert names(asking, room + 1) == ["no room"]
    assert names(GOOD, room) == ["nothing asked"]
    assert names(GOOD, 0) == []


def found(
    training: list[TunedRow], evaluation: list[TunedRow] | None = None, context: int = 500
) -> GateReport:
    return look(training, evaluation or [], TOKENIZER, end_ids=[END], context=context)


def changed(number: int, **values: object) -> TunedRow:
    """A good row with other tokens."""
    whole = row(number, "c")
    return replace(whole, text=replace(whole.text, **values))


def masked() -> TunedRow:
    return changed(3, trained=(False,) * len(row(3, "c").text.ids))


def without_end() -> TunedRow:
    text = row(3, "c").text
    kept = [place for place, number in enumerate(text.ids) if not (number == END and text.trained[place])]
    ids, trained = ([values[place] for place in kept] for values in (text.ids, text.trained))
    return changed(3, ids=tuple(ids), trained=tuple(trained))


def started_twice() -> TunedRow:
    text = row(3, "c").text
    return changed(3, ids=(START, START, *text.ids), trained=(False, False, *text.trained))


PLANTED: dict[str, tuple[list[TunedRow], list[TunedRow]]] = {
    "nothing trained": ([*GOOD, masked()], []),
    "no end": ([*GOOD, without_end()], []),
    "doubled start": ([*GOOD, started_twice()], []),
    "too long": ([*GOOD, row(3, "c", "x" * 600)], []),
    "marks in a message": ([*GOOD, row(3, "c", "yes<|im_end|>\n<|im_start|>user\nmore")], []),
    "leak": ([*GOOD, row(3, "c")], [row(9, "c")]),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_refused_with_its_row(name: str) -> None:
    training, evaluation = PLANTED[name]
    report = found(training, evaluation)
    fatal = [finding for finding in report.findings if finding.fatal]
    assert [finding.name for finding in fatal] == [name]
    assert fatal[0].places == ("rows.jsonl:3",)
    with pytest.raises(GateError, match=rf"{name}: .*1 row .*rows\.jsonl:3") as error:
        report.require()
    assert "assistant" in str(error.value)


def test_each_answer_of_a_conversation_must_end() -> None:
    first, second = row(3, "c").text, row(3, "d").text
    whole = TrainedText(ids=(*first.ids, *second.ids), trained=(*first.trained, *second.trained))
    assert found([*GOOD, replace(row(3), text=whole)]).findings == ()
    (end,) = [place for place, flag in enumerate(first.trained) if flag and first.ids[place] == END]
    first = replace(first, ids=(*first.ids[:end], 7, *first.ids[end + 1 :]))
    half = TrainedText(ids=(*first.ids, *second.ids), trained=(*first.trained, *second.trained))
    report = found([*GOOD, replace(row(3), text=half)])
    assert [finding.name for finding in report.findings] == ["no end"]


def test_a_block_that_goes_on_needs_no_end_but_the_last_one_does() -> None:
    ids = tuple(TOKENIZER.encode("one block of a text"))
    block = TunedRow(
        text=TrainedText(ids=ids, trained=(True,) * len(ids)),
        place="rows.jsonl:3",
        document="d",
        goes_on=True,
    )
    assert found([*GOOD, block]).findings == ()
    report = found([*GOOD, replace(block, goes_on=False)])
    assert [finding.name for finding in report.findings] == ["no end"]


def test_start_tokens_are_counted_with_what_stands_between_them() -> None:
    text = row(3, "c").text
    (space,) = TOKENIZER.encode(" ", add_special=False)
    for begin in ((START, space, START), (space, START, START), (START, START, START)):
        wrong = changed(3, ids=(*begin, *text.ids), trained=((False,) * len(begin)) + text.trained)
        assert [finding.name for finding in found([*GOOD, wrong]).findings] == ["doubled start"]
    (letter,) = TOKENIZER.encode("x", add_special=False)
    good = changed(3, ids=(START, letter, START, *text.ids), trained=((False,) * 3) + text.trained)
    assert found([*GOOD, good]).findings == ()


def test_marks_are_found_in_plain_texts() -> None:
    for text, findings in (("all is well", []), ("it ends <|im_end|> here", ["marks in a message"])):
        whole = plain_text(text, TOKENIZER, ends_with=END)
        wrong = TunedRow(text=whole, place="rows.jsonl:3", messages=(text,))
        assert [finding.name for finding in found([GOOD[0], wrong]).findings] == findings


def pairs(*answers: tuple[str, str]) -> list[TunedRow]:
    """Rows of answers to one question, of which the first ones are preferred, as a data set holds them."""
    asked = {"role": "user", "content": "which?"}
    made = [
        pair_of(
            Preference(
                turns=(asked,),
                chosen=({"role": "assistant", "content": chosen},),
                rejected=({"role": "assistant", "content": rejected},),
                place=f"rows.jsonl:{number}",
            ),
            TEMPLATE,
            TOKENIZER,
        )
        for number, (chosen, rejected) in enumerate(answers, 1)
    ]
    return [*(pair.chosen for pair in made), *(pair.rejected for pair in made)]


def test_pairs_are_duplicates_where_both_answers_are() -> None:
    assert found(pairs(("a", "b"), ("a", "c"), ("d", "b"))).findings == ()
    (finding,) = found(pairs(("a", "b"), ("a", "c"), ("a", "b"))).findings
    assert (finding.name, finding.places) == ("duplicates", ("rows.jsonl:3",))


def test_pairs_that_contradict_each_other_are_named() -> None:
    report = found(pairs(("a", "b"), ("a", "c"), ("b", "a")))
    (finding,) = report.findings
    assert (finding.name, finding.fatal) == ("contradictions", False)
    assert finding.places == ("rows.jsonl:1", "rows.jsonl:3")


def test_a_pair_that_is_wrong_is_named_once() -> None:
    (finding,) = found(pairs(("a", "b"), ("x" * 600, "y" * 600))).findings
    assert finding.places == ("rows.jsonl:2",)
    assert finding.message.startswith("1 row of more than")


def test_how_rows_lie_in_a_batch_is_said() -> None:
    report = look(GOOD, [], TOKENIZER, end_ids=[END], context=500, packed=1234)
    assert report.told.endswith("packed in rows of up to 1,234 tokens, no padding; context 500")


def test_marks_are_found_in_parts_and_calls_as_well() -> None:
    from creuset.data.turns import turn_of

    call = {"function": {"name": "f", "arguments": {"a": "x<|im_end|>"}}}
    for turn in (
        {"role": "user", "content": [{"type": "text", "text": "x<|im_end|>"}]},
        {"role": "assistant", "content": "a", "tool_calls": [call]},
    ):
        conversation = Conversation(turns=(turn_of(turn, "turn"),), place="rows.jsonl:3")
        wrong = replace(GOOD[0], place="rows.jsonl:3", messages=messages_of(conversation))
        assert [finding.name for finding in found([GOOD[1], wrong]).findings] == ["marks in a message"]


def test_a_mistake_in_the_evaluation_is_found_as_well() -> None:
    report = found(GOOD, [masked()])
    assert [finding.name for finding in report.findings] == ["nothing trained"]


def test_unknown_tokens() -> None:
    tokenizer = Tokenizer(byte_level(), special=SpecialTokens(unk=9, eos=(END,)))
    text = TrainedText(ids=(9, 9, 7, END), trained=(False, False, True, True))
    report = look([TunedRow(text=text, place="a:1")], [], tokenizer, end_ids=[END], context=10)
    assert [finding.name for finding in report.findings] == ["unknown tokens"]


def test_good_rows_pass_and_are_shown() -> None:
    report = found(GOOD, [row(9, "d")])
    assert report.findings == ()
    report.require()
    assert report.sample.endswith("<|im_start|>assistant\\n⟦good day<|im_end|>\\n⟧")
    assert report.told.startswith("2 rows, ")
    assert report.num_trained == sum(sum(each.text.trained) for each in GOOD)
    pieces = pieces_of(GOOD[0].text, TOKENIZER)
    assert [trained for _, trained in pieces] == [False, True]
    assert "".join(text for text, _ in pieces) == TOKENIZER.decode(list(GOOD[0].text.ids), skip_special=False)


def test_warnings_do_not_stop() -> None:
    again, straddling = row(3, "a"), replace(row(4, "e"), text=replace(row(4, "e").text, straddles=True))
    report = found([*GOOD, again, straddling], [row(9, "b", "another answer")])
    assert [finding.name for finding in report.findings] == ["straddling", "duplicates", "same question"]
    assert [finding.places for finding in report.findings] == [
        ("rows.jsonl:4",),
        ("rows.jsonl:3",),
        ("rows.jsonl:9",),
    ]
    report.require()


def test_long_rows_are_shown_by_their_ends() -> None:
    report = found([row(1, "a" * 3000, "end")], context=5000)
    assert " [...] " in report.sample
    assert len(report.sample) < 700
