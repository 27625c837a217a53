"""What the gate looks for in the rows that a language model is tuned on (`gate.py`).

    nothing trained     a row without a trained token that is asked for
    no end              an answer none of whose trained tokens ends it: the model would not learn to stop
    doubled start       a row that begins with two start tokens, perhaps with white space between them
    too long            a row with more tokens than are read at once: cut, its answer would have no end
    nothing asked       a row without a prompt, where the model is to answer prompts itself
    no room             a prompt that leaves no room for an answer that the model is to write
    marks in a message  a message or a text that holds a token of the template, and so speaks as somebody else
    unknown tokens      a row that the tokenizer does not know much of
    leak                a training row that stands in the evaluation as well, but for capitals and the like
    straddling          a token that holds the end of a prompt and the beginning of its answer (a warning)
    duplicates          equal training rows, or pairs of answers (a warning)
    contradictions      a pair of answers of which another row prefers the other one (a warning)
    same question       an evaluation row whose prompt was trained with another answer (a warning)

Legend of shapes: N rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from creuset.data.tokenizer import Tokenizer
from creuset.data.tuning_rows import TunedRow

_SHORTEST_MARK = 2
"""Characters: a special token of fewer may stand in a message by chance."""
_MOST_UNKNOWN = 0.2
"""Share of a row's tokens."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What is looked at."""

    training: Sequence[TunedRow]
    evaluation: Sequence[TunedRow]
    tokenizer: Tokenizer
    ends: frozenset[int]
    context: int
    room: int = 0

    def rows(self, is_wrong: Callable[[TunedRow], bool]) -> list[TunedRow]:
        """All rows for which it is so."""
        return [row for row in (*self.training, *self.evaluation) if is_wrong(row)]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One kind of finding: its name, which rows are so, what that means, and what to do."""

    name: str
    find: Callable[[Looked], list[TunedRow]]
    message: str
    next_step: str
    fatal: bool = True


def _leaves_no_room(row: TunedRow, looked: Looked) -> bool:
    """Whether an answer that the model is to write would not fit behind what is asked."""
    return looked.room > 0 and row.asks and len(row.prompt) + looked.room > looked.context


def _ends(row: TunedRow, ends: frozenset[int]) -> bool:
    """Whether each answer, which is what is trained without a gap, holds a token that ends it."""
    if row.goes_on:
        return True
    marked = zip(row.text.ids, row.text.trained, strict=True)
    answers = (group for trained, group in groupby(marked, key=itemgetter(1)) if trained)
    return all(any(number in ends for number, _ in answer) for answer in answers)


def _starts_twice(row: TunedRow, tokenizer: Tokenizer) -> bool:
    start = tokenizer.special.bos
    num_starts = 0
    for number in row.text.ids:
        if number == start:
            num_starts += 1
        elif tokenizer.decode([number], skip_special=False).strip():
            break
    return num_starts > 1


def _unknown_share(row: TunedRow, tokenizer: Tokenizer) -> float:
    unknown = tokenizer.special.unk
    return 0.0 if unknown is None else row.text.ids.count(unknown) / len(row.text.ids)


def _repeated(rows: Sequence[TunedRow]) -> list[TunedRow]:
    """Rows that stood there before; of a pair both answers."""
    seen: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
    again = []
    for row in filter(_speaks_for_all, rows):
        content = row.text.ids, row.other
        if content in seen:
            again.append(row)
        seen.add(content)
    return again


def _contradicted(looked: Looked) -> list[TunedRow]:
    """Pairs whose answers another pair prefers the other way round."""
    chosen = [row for row in looked.rows(_speaks_for_all) if row.other]
    judged = {(row.text.ids, row.other) for row in chosen}
    return [row for row in chosen if (row.other, row.text.ids) in judged]


def _speaks_for_all(row: TunedRow) -> bool:
    """Whether it is no rejected answer, which its pair's chosen one speaks for."""
    return row.preferred


def _of_others(looked: Looked) -> list[TunedRow]:
    """Rows with a message or a text that holds a special token."""
    tokenizer = looked.tokenizer
    names = [tokenizer.token(number) for number in tokenizer.special_ids]
    marks = [name for name in names if len(name) > _SHORTEST_MARK]
    wrong: dict[str, bool] = {}
    found = []
    for row in (*looked.training, *looked.evaluation):
        if row.document not in wrong:  # a text is read once, not with each of its blocks
            holds = any(mark in message for message in row.messages for mark in marks)
            if row.document:
                wrong[row.document] = holds
        else:
            holds = wrong[row.document]
        if holds:
            found.append(row)
    return found


def _leaked(looked: Looked) -> list[TunedRow]:
    measured = {row.text.ids for row in looked.evaluation}
    alike = {row.said_alike for row in looked.evaluation} - {""}
    return [row for row in looked.training if row.text.ids in measured or row.said_alike in alike]


def _asked_before(looked: Looked) -> list[TunedRow]:
    """Rows of the evaluation whose prompt was trained with another answer."""
    learned = {row.text.ids for row in looked.training}
    said = {row.said_alike for row in looked.training} - {""}
    asked = {row.asked_alike or row.prompt for row in looked.training if row.prompt}
    return [
        row
        for row in looked.evaluation
        if (row.asked_alike or row.prompt) in asked
        and row.text.ids not in learned
        and row.said_alike not in said
    ]


CHECKS = (
    Check(
        name="nothing trained",
        find=lambda looked: looked.rows(lambda row: not row.asks),
        message="without a token to learn",
        next_step="give each row an answer, or remove it",
    ),
    Check(
        name="no end",
        find=lambda looked: looked.rows(lambda row: row.asks and not _ends(row, looked.ends)),
        message="with an answer that does not end with {ends}: the model would not learn to stop",
        next_step="use a template that ends turns with a token that ends the base's answers, and keep "
        "answers whole",
    ),
    Check(
        name="doubled start",
        find=lambda looked: looked.rows(lambda row: _starts_twice(row, looked.tokenizer)),
        message="beginning with two start tokens: the template writes one, and the tokenizer adds another",
        next_step="take the start token out of the texts, or of the template",
    ),
    Check(
        name="too long",
        find=lambda looked: looked.rows(lambda row: len(row.text.ids) > looked.context),
        message="of more than {context:,} tokens",
        next_step="shorten these rows, leave them out with data.too_long: drop, set model.context where the "
        "base reads more, or take a base that does",
    ),
    Check(
        name="nothing asked",
        find=lambda looked: looked.rows(lambda row: looked.room > 0 and row.asked is None),
        message="that ask nothing, where the model is to answer prompts itself",
        next_step="give conversations",
    ),
    Check(
        name="no room",
        find=lambda looked: looked.rows(lambda row: _leaves_no_room(row, looked)),
        message="whose prompt leaves no room for {room:,} tokens of an answer within {context:,}",
        next_step="shorten these prompts, lower objective.max_answer_tokens, or take a base that reads "
        "longer texts",
    ),
    Check(
        name="marks in a message",
        find=_of_others,
        message="with a message or a text that holds a token of the template, and so speaks as somebody else",
        next_step="take these marks out of the texts; one conversation a row",
    ),
    Check(
        name="unknown tokens",
        find=lambda looked: looked.rows(lambda row: _unknown_share(row, looked.tokenizer) > _MOST_UNKNOWN),
        message=f"of which the tokenizer does not know more than {_MOST_UNKNOWN:.0%}",
        next_step="use a base that was trained on this language",
    ),
    Check(
        name="leak",
        find=_leaked,
        message="that are trained stand in the evaluation as well, but for capitals, marks and white space",
        next_step="give other rows to evaluate on",
    ),
    Check(
        name="straddling",
        find=lambda looked: looked.rows(lambda row: row.text.straddles),
        message="where a token holds the end of a prompt and the beginning of its answer",
        next_step="begin answers with a space or a line of their own, if the template does not",
        fatal=False,
    ),
    Check(
        name="duplicates",
        find=lambda looked: _repeated(looked.training),
        message="that equal an earlier one",
        next_step="remove them, if they are not meant to count twice",
        fatal=False,
    ),
    Check(
        name="contradictions",
        find=_contradicted,
        message="whose rejected answer another row prefers to its chosen one",
        next_step="decide which answer is better, and remove the other row",
        fatal=False,
    ),
    Check(
        name="same question",
        find=_asked_before,
        message="to evaluate on, whose prompts were trained with another answer",
        next_step="give other questions to evaluate on, if the answers are alike",
        fatal=False,
    ),
)
"""Fatal ones first."""
