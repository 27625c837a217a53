"""What is looked at before a language model is tuned, and refused where the tuning would fail silently.

Each finding says what is wrong with which rows, shows one of them, and what to do. Fatal ones stop the tuning
before its first step: nobody who tunes a model wants an answer that is never learned, an end that is never
written, a text that begins twice, or an evaluation on what was learned.

    nothing trained     a row without a trained token that is asked for
    no end              a row none of whose trained tokens ends an answer: the model would not learn to stop
    doubled start       a row that begins with two start tokens
    too long            a row with more tokens than are read at once: cut, its answer would have no end
    nothing asked       a row without a prompt, where the model is to answer prompts itself
    no room             a prompt that leaves no room for an answer that the model is to write
    marks in a message  a message that holds a token of the template, and so speaks as somebody else
    unknown tokens      a row that the tokenizer does not know much of
    leak                a training row that stands in the evaluation as well
    straddling          a token that holds the end of a prompt and the beginning of its answer (a warning)
    duplicates          equal training rows (a warning)
    same question       an evaluation row whose prompt was trained with another answer (a warning)

Legend of shapes: N rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from creuset.data.source import counted
from creuset.data.tokenizer import Tokenizer
from creuset.data.trained_rows import TrainedText
from creuset.data.tuning_rows import TunedRow
from creuset.errors import GateError

TRAINED_BEGIN, TRAINED_END = "⟦", "⟧"
"""Around what is trained, where there are no colours."""
_SHOWN_CHARACTERS = 600
_SHOWN_PLACES = 5
_SHORTEST_MARK = 2
"""Characters: a special token of fewer may stand in a message by chance."""
_MOST_UNKNOWN = 0.2
"""Share of a row's tokens."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that a person should know before the tuning.

    Args:
        name: What kind of thing, see the head of this file.
        fatal: Whether it stops the tuning.
        message: What is wrong, and with how many rows.
        places: The rows, file:line.
        shown: One of them as text, what is trained of it between marks.
        next_step: What to do.
    """

    name: str
    fatal: bool
    message: str
    places: tuple[str, ...]
    shown: str
    next_step: str

    def __str__(self) -> str:
        """For people: the message, some rows, one of them whole, and what to do."""
        more = len(self.places) - _SHOWN_PLACES
        rows = ", ".join(self.places[:_SHOWN_PLACES]) + (f" and {more:,} more" if more > 0 else "")
        return f"{self.name}: {self.message} ({rows})\n    {self.shown}\n    next: {self.next_step}"


@dataclass(frozen=True, kw_only=True)
class GateReport:
    """What was found.

    Args:
        findings: The fatal ones first.
        num_rows: Training rows.
        num_tokens: Of them.
        num_trained: Tokens that are trained.
        longest: Tokens of the longest row; of pairs of the longest text.
        sample: A row that is not wrong, as `shown_row` shows it; "" where there is none.
        expected: What the training will take (`training/forecast.py`); empty where that is not known.
        verb: What is done with the tokens that `num_trained` counts.
    """

    findings: tuple[Finding, ...]
    num_rows: int
    num_tokens: int
    num_trained: int
    longest: int
    sample: str = field(default="", repr=False)
    expected: Mapping[str, float] = field(default_factory=dict)
    verb: str = "trained"

    @property
    def told(self) -> str:
        """A line for people: what is trained."""
        share = self.num_trained / max(1, self.num_tokens)
        return (
            f"{counted(self.num_rows, 'row')}, {self.num_tokens:,} tokens, {share:.0%} of them {self.verb}, "
            f"the longest {'text' if self.verb == 'read' else 'row'} {self.longest:,}"
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "num_rows": self.num_rows,
            "num_tokens": self.num_tokens,
            "num_trained": self.num_trained,
            "longest": self.longest,
            "findings": [asdict(finding) for finding in self.findings],
            "sample": self.sample,
            "expected": dict(self.expected),
            "verb": self.verb,
        }

    def require(self) -> None:
        """Stops a tuning that has a fatal finding.

        Raises:
            GateError: With all fatal findings and their rows.
        """
        fatal = [finding for finding in self.findings if finding.fatal]
        if fatal:
            raise GateError(
                "the gate refuses this tuning\n  " + "\n  ".join(map(str, fatal)),
                got=f"{counted(len(fatal), 'fatal finding')}; {self.told}",
                next_step="correct these rows, or remove them",
            )


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What is looked at."""

    training: Sequence[TunedRow]
    evaluation: Sequence[TunedRow]
    tokenizer: Tokenizer
    ends: frozenset[int]
    context: int
    room: int

    def rows(self, is_wrong: Callable[[TunedRow], bool]) -> list[TunedRow]:
        """All rows for which it is so."""
        return [row for row in (*self.training, *self.evaluation) if is_wrong(row)]


@dataclass(frozen=True, kw_only=True)
class _Check:
    """One kind of finding: its name, which rows are so, what that means, and what to do."""

    name: str
    find: Callable[[_Looked], list[TunedRow]]
    message: str
    next_step: str
    fatal: bool = True


def look(
    training: Sequence[TunedRow],
    evaluation: Sequence[TunedRow],
    tokenizer: Tokenizer,
    *,
    end_ids: Iterable[int],
    context: int,
    room: int = 0,
) -> GateReport:
    """What is wrong with rows, or worth knowing.

    Args:
        training: The rows that are trained, one at least.
        evaluation: Those that are measured.
        tokenizer: What made them.
        end_ids: The tokens that end an answer.
        context: Tokens that are read at once.
        room: Tokens of an answer that the model is to write to each prompt itself; 0 where it writes none.
    """
    looked = _Looked(
        training=training,
        evaluation=evaluation,
        tokenizer=tokenizer,
        ends=frozenset(end_ids),
        context=context,
        room=room,
    )
    found = []
    for check in CHECKS:
        wrong = check.find(looked)
        if wrong:
            found.append(
                Finding(
                    name=check.name,
                    fatal=check.fatal,
                    message=f"{counted(len(wrong), 'row')} "
                    + check.message.format(context=context, room=room, ends=_names(looked.ends, tokenizer)),
                    places=tuple(row.place for row in wrong),
                    shown=shown_row(wrong[0].text, tokenizer),
                    next_step=check.next_step,
                )
            )
    wrong_places = {place for finding in found if finding.fatal for place in finding.places}
    good = next((row for row in training if row.place not in wrong_places), None)
    return GateReport(
        findings=tuple(found),
        num_rows=len(training),
        num_tokens=sum(len(row.text.ids) for row in training),
        num_trained=sum(sum(row.text.trained[1:]) for row in training),
        longest=max(len(row.text.ids) for row in training),
        sample="" if good is None else shown_row(good.text, tokenizer),
    )


def pieces_of(text: TrainedText, tokenizer: Tokenizer) -> list[tuple[str, bool]]:
    """A row as texts, and whether each is trained, in turn."""
    pieces: list[tuple[str, bool]] = []
    begin = 0
    for place in range(1, len(text.ids) + 1):
        if place == len(text.ids) or text.trained[place] != text.trained[begin]:
            shown = tokenizer.decode(list(text.ids[begin:place]), skip_special=False)
            pieces.append((shown, text.trained[begin]))
            begin = place
    return pieces


def shown_row(text: TrainedText, tokenizer: Tokenizer) -> str:
    """A row in one line, what is trained between marks, its middle left out where it is long."""
    parts = [
        f"{TRAINED_BEGIN}{piece}{TRAINED_END}" if trained else piece
        for piece, trained in pieces_of(text, tokenizer)
    ]
    shown = "".join(parts).replace("\n", "\\n")
    half = _SHOWN_CHARACTERS // 2
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:half]} [...] {shown[-half:]}"


def _names(ids: frozenset[int], tokenizer: Tokenizer) -> str:
    """Tokens for people."""
    return " or ".join(tokenizer.readable(number) for number in sorted(ids)) or "any token that ends texts"


def _leaves_no_room(row: TunedRow, looked: _Looked) -> bool:
    """Whether an answer that the model is to write would not fit behind what is asked."""
    return looked.room > 0 and row.asks and len(row.prompt) + looked.room > looked.context


def _ends(row: TunedRow, ends: frozenset[int]) -> bool:
    return any(flag and number in ends for number, flag in zip(row.text.ids, row.text.trained, strict=True))


def _starts_twice(row: TunedRow, tokenizer: Tokenizer) -> bool:
    start = tokenizer.special.bos
    return start is not None and row.text.ids[:2] == (start, start)


def _unknown_share(row: TunedRow, tokenizer: Tokenizer) -> float:
    unknown = tokenizer.special.unk
    return 0.0 if unknown is None else row.text.ids.count(unknown) / len(row.text.ids)


def _repeated(rows: Sequence[TunedRow]) -> list[TunedRow]:
    seen: set[tuple[int, ...]] = set()
    again = []
    for row in rows:
        if row.text.ids in seen:
            again.append(row)
        seen.add(row.text.ids)
    return again


def _of_others(looked: _Looked) -> list[TunedRow]:
    """Rows with a message that holds a special token."""
    tokenizer = looked.tokenizer
    names = [tokenizer.token(number) for number in tokenizer.special_ids]
    marks = [name for name in names if len(name) > _SHORTEST_MARK]
    return looked.rows(lambda row: any(mark in message for message in row.messages for mark in marks))


def _leaked(looked: _Looked) -> list[TunedRow]:
    measured = {row.text.ids for row in looked.evaluation}
    return [row for row in looked.training if row.text.ids in measured]


def _asked_before(looked: _Looked) -> list[TunedRow]:
    """Rows of the evaluation whose prompt was trained with another answer."""
    learned = {row.text.ids for row in looked.training}
    asked = {row.prompt for row in looked.training if row.prompt}
    return [row for row in looked.evaluation if row.prompt in asked and row.text.ids not in learned]


CHECKS = (
    _Check(
        name="nothing trained",
        find=lambda looked: looked.rows(lambda row: not row.asks),
        message="without a token to learn",
        next_step="give each row an answer, or remove it",
    ),
    _Check(
        name="no end",
        find=lambda looked: looked.rows(lambda row: row.asks and not _ends(row, looked.ends)),
        message="whose answer does not end with {ends}: the model would not learn to stop",
        next_step="use a template that ends turns with a token that ends the base's answers, and keep "
        "answers whole",
    ),
    _Check(
        name="doubled start",
        find=lambda looked: looked.rows(lambda row: _starts_twice(row, looked.tokenizer)),
        message="beginning with two start tokens: the template writes one, and the tokenizer adds another",
        next_step="take the start token out of the texts, or of the template",
    ),
    _Check(
        name="too long",
        find=lambda looked: looked.rows(lambda row: len(row.text.ids) > looked.context),
        message="of more than {context:,} tokens",
        next_step="shorten these rows, or take a base that reads longer texts",
    ),
    _Check(
        name="nothing asked",
        find=lambda looked: looked.rows(lambda row: looked.room > 0 and row.asked is None),
        message="that ask nothing, where the model is to answer prompts itself",
        next_step="give conversations",
    ),
    _Check(
        name="no room",
        find=lambda looked: looked.rows(lambda row: _leaves_no_room(row, looked)),
        message="whose prompt leaves no room for {room:,} tokens of an answer within {context:,}",
        next_step="shorten these prompts, lower objective.max_answer_tokens, or take a base that reads "
        "longer texts",
    ),
    _Check(
        name="marks in a message",
        find=_of_others,
        message="with a message that holds a token of the template, and so speaks as somebody else",
        next_step="take these marks out of the messages; one conversation a row",
    ),
    _Check(
        name="unknown tokens",
        find=lambda looked: looked.rows(lambda row: _unknown_share(row, looked.tokenizer) > _MOST_UNKNOWN),
        message=f"of which the tokenizer does not know more than {_MOST_UNKNOWN:.0%}",
        next_step="use a base that was trained on this language",
    ),
    _Check(
        name="leak",
        find=_leaked,
        message="that are trained stand in the evaluation as well",
        next_step="give other rows to evaluate on",
    ),
    _Check(
        name="straddling",
        find=lambda looked: looked.rows(lambda row: row.text.straddles),
        message="where a token holds the end of a prompt and the beginning of its answer",
        next_step="begin answers with a space or a line of their own, if the template does not",
        fatal=False,
    ),
    _Check(
        name="duplicates",
        find=lambda looked: _repeated(looked.training),
        message="that equal an earlier one",
        next_step="remove them, if they are not meant to count twice",
        fatal=False,
    ),
    _Check(
        name="same question",
        find=_asked_before,
        message="to evaluate on, whose prompts were trained with another answer",
        next_step="give other questions to evaluate on, if the answers are alike",
        fatal=False,
    ),
)
"""Fatal ones first."""
