"""What is looked at before a language model is tuned, and refused where the tuning would fail silently.

Each finding says what is wrong with which rows, shows one of them, and what to do. Fatal ones stop the tuning
before its first step: nobody who tunes a model wants an answer that is never learned, an end that is never
written, a text that begins twice, or an evaluation on what was learned.

    nothing trained     a row without a trained token that is asked for
    no end              a row none of whose trained tokens ends an answer: the model would not learn to stop
    doubled start       a row that begins with two start tokens
    too long            a row with more tokens than are read at once: cut, its answer would have no end
    marks in a message  a message that holds a token of the template, and so speaks as somebody else
    unknown tokens      a row that the tokenizer does not know much of
    leak                a training row that stands in the evaluation as well
    straddling          a token that holds the end of a prompt and the beginning of its answer (a warning)
    duplicates          equal training rows (a warning)
    same question       an evaluation row whose prompt was trained with another answer (a warning)

Legend of shapes: N rows.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from creuset.data.conversations import Conversation, Preference, Row, Turn
from creuset.data.source import counted
from creuset.data.tokenizer import Tokenizer
from creuset.data.trained_rows import TrainedText
from creuset.errors import GateError

TRAINED_BEGIN, TRAINED_END = "⟦", "⟧"
"""Around what is trained, where there are no colours."""
_SHOWN_CHARACTERS = 600
_SHOWN_PLACES = 5
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
class TunedRow:
    """A row as it is trained or measured.

    Args:
        text: Its tokens.
        place: file:line.
        messages: The contents of its messages as they stand in the file; empty of plain texts.
    """

    text: TrainedText
    place: str
    messages: tuple[str, ...] = ()

    @property
    def prompt(self) -> tuple[int, ...]:
        """The tokens before the first trained one."""
        first = next((place for place, flag in enumerate(self.text.trained) if flag), len(self.text.ids))
        return self.text.ids[:first]

    @property
    def asks(self) -> bool:
        """Whether the model is asked for a token of it: the first of a text is given."""
        return any(self.text.trained[1:])


@dataclass(frozen=True, kw_only=True)
class GateReport:
    """What was found.

    Args:
        findings: The fatal ones first.
        num_rows: Training rows.
        num_tokens: Of them.
        num_trained: Tokens that are trained.
        longest: Tokens of the longest row.
        sample: A row that is not wrong, as `shown_row` shows it; "" where there is none.
    """

    findings: tuple[Finding, ...]
    num_rows: int
    num_tokens: int
    num_trained: int
    longest: int
    sample: str = field(default="", repr=False)

    @property
    def told(self) -> str:
        """A line for people: what is trained."""
        share = self.num_trained / max(1, self.num_tokens)
        return (
            f"{counted(self.num_rows, 'row')}, {self.num_tokens:,} tokens, {share:.0%} of them trained, "
            f"the longest row {self.longest:,}"
        )

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
                next_step="correct the data; --dry-run shows what is trained",
            )


def look(
    training: Sequence[TunedRow],
    evaluation: Sequence[TunedRow],
    tokenizer: Tokenizer,
    *,
    end_ids: Iterable[int],
    context: int,
) -> GateReport:
    """What is wrong with rows, or worth knowing.

    Args:
        training: The rows that are trained, one at least.
        evaluation: Those that are measured.
        tokenizer: What made them.
        end_ids: The tokens that end an answer.
        context: Tokens that are read at once.
    """
    ends = frozenset(end_ids)
    rows = [*training, *evaluation]
    found: list[Finding] = []

    def note(
        name: str, wrong: Sequence[TunedRow], message: str, next_step: str, *, fatal: bool = True
    ) -> None:
        if wrong:
            found.append(
                Finding(
                    name=name,
                    fatal=fatal,
                    message=f"{counted(len(wrong), 'row')} {message}",
                    places=tuple(row.place for row in wrong),
                    shown=shown_row(wrong[0].text, tokenizer),
                    next_step=next_step,
                )
            )

    def those(is_wrong: Callable[[TunedRow], bool]) -> list[TunedRow]:
        return [row for row in rows if is_wrong(row)]

    note(
        "nothing trained",
        those(lambda row: not row.asks),
        "without a token to learn",
        "give each row an answer, or remove it",
    )
    note(
        "no end",
        those(lambda row: row.asks and not _ends(row, ends)),
        "whose answer has no end: the model would not learn to stop",
        "use a template that ends turns, and keep answers whole",
    )
    note(
        "doubled start",
        those(lambda row: _starts_twice(row, tokenizer)),
        "beginning with two start tokens: the template writes one, and the tokenizer adds another",
        "take the start token out of the texts, or of the template",
    )
    note(
        "too long",
        those(lambda row: len(row.text.ids) > context),
        f"of more than {context:,} tokens",
        "raise data.context, or set data.too_long: leave_out",
    )
    marks = _marks(tokenizer)
    note(
        "marks in a message",
        those(lambda row: any(mark in message for message in row.messages for mark in marks)),
        "with a message that holds a token of the template, and so speaks as somebody else",
        "take these marks out of the messages; one conversation a row",
    )
    note(
        "unknown tokens",
        those(lambda row: _unknown_share(row, tokenizer) > _MOST_UNKNOWN),
        f"of which the tokenizer does not know more than {_MOST_UNKNOWN:.0%}",
        "use a base that was trained on this language",
    )
    learned = {row.text.ids for row in training}
    measured = {row.text.ids for row in evaluation}
    note(
        "leak",
        [row for row in training if row.text.ids in measured],
        "that are trained stand in the evaluation as well",
        "give other rows to evaluate on",
    )
    note(
        "straddling",
        those(lambda row: row.text.straddles),
        "where a token holds the end of a prompt and the beginning of its answer",
        "begin answers with a space or a line of their own, if the template does not",
        fatal=False,
    )
    note(
        "duplicates",
        _repeated(training),
        "that equal an earlier one",
        "remove them, if they are not meant to count twice",
        fatal=False,
    )
    asked = {row.prompt for row in training if row.prompt}
    note(
        "same question",
        [row for row in evaluation if row.prompt in asked and row.text.ids not in learned],
        "to evaluate on, whose prompts were trained with another answer",
        "give other questions to evaluate on, if the answers are alike",
        fatal=False,
    )
    wrong = {place for finding in found if finding.fatal for place in finding.places}
    good = next((row for row in training if row.place not in wrong), None)
    return GateReport(
        findings=tuple(sorted(found, key=lambda finding: not finding.fatal)),
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


def messages_of(row: Row) -> tuple[str, ...]:
    """The contents of the messages of a row, as they stand in the file."""
    if isinstance(row, Conversation):
        return _contents(row.turns)
    if isinstance(row, Preference):
        return _contents((*row.turns, *row.chosen, *row.rejected))
    return ()


def _contents(turns: Sequence[Turn]) -> tuple[str, ...]:
    return tuple(turn["content"] for turn in turns if isinstance(turn.get("content"), str))


def _ends(row: TunedRow, ends: frozenset[int]) -> bool:
    return any(flag and number in ends for number, flag in zip(row.text.ids, row.text.trained, strict=True))


def _starts_twice(row: TunedRow, tokenizer: Tokenizer) -> bool:
    start = tokenizer.special.bos
    return start is not None and row.text.ids[:2] == (start, start)


def _marks(tokenizer: Tokenizer) -> list[str]:
    """The special tokens as they stand in a text."""
    return [mark for mark in (tokenizer.token(number) for number in tokenizer.special_ids) if len(mark) > 2]


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
