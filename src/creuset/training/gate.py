"""What is looked at before a language model is tuned, and refused where the tuning would fail silently.

Each finding says what is wrong with which rows, shows one of them, and what to do. Fatal ones stop the tuning
before its first step: nobody who tunes a model wants an answer that is never learned, an end that is never
written, a text that begins twice, or an evaluation on what was learned.

What is looked for stands in `gate_checks.py`; of texts with classes in `gate_on_classes.py`.

Legend of shapes: N rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from creuset.data.source import counted
from creuset.data.tokenizer import Tokenizer
from creuset.data.trained_rows import TrainedText
from creuset.data.tuning_rows import TunedRow
from creuset.errors import GateError
from creuset.progress import TRAINED_BEGIN, TRAINED_END
from creuset.training.gate_checks import CHECKS, Looked

_SHOWN_CHARACTERS = 600
_SHOWN_PLACES = 5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that a person should know before the tuning.

    Args:
        name: What kind of thing, see `gate_checks.py` and `gate_on_classes.py`.
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
        context: Tokens that are read at once.
        packed: Tokens of the longest row that a batch is packed into; 0 where that is not known.
        num_classes: Of texts with classes; 0 of others.
        sample: A row that is not wrong, as `shown_row` shows it; "" where there is none.
        expected: What the training will take (`training/forecast.py`); empty where that is not known.
        verb: What is done with the tokens that `num_trained` counts.
    """

    findings: tuple[Finding, ...]
    num_rows: int
    num_tokens: int
    num_trained: int
    longest: int
    context: int = 0
    packed: int = 0
    num_classes: int = 0
    sample: str = field(default="", repr=False)
    expected: Mapping[str, float] = field(default_factory=dict)
    verb: str = "trained"

    @property
    def told(self) -> str:
        """A line for people: what is trained, and how rows lie in a batch."""
        if self.num_classes:
            return (
                f"{counted(self.num_rows, 'text')} of {self.num_classes:,} classes, "
                f"{self.num_tokens:,} tokens, the longest text {self.longest:,}; "
                f"filled up to the longest of a batch, the first {self.context:,} tokens are read"
            )
        share = self.num_trained / max(1, self.num_tokens)
        packed = f"packed in rows of up to {self.packed:,} tokens, no padding; " if self.packed else ""
        told = (
            f"{counted(self.num_rows, 'row')}, {self.num_tokens:,} tokens, {share:.0%} of them {self.verb}, "
            f"the longest {'text' if self.verb == 'read' else 'row'} {self.longest:,}"
        )
        return f"{told}; {packed}context {self.context:,}" if self.context else told

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "num_rows": self.num_rows,
            "num_tokens": self.num_tokens,
            "num_trained": self.num_trained,
            "longest": self.longest,
            "context": self.context,
            "packed": self.packed,
            "num_classes": self.num_classes,
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


def look(
    training: Sequence[TunedRow],
    evaluation: Sequence[TunedRow],
    tokenizer: Tokenizer,
    *,
    end_ids: Iterable[int],
    context: int,
    packed: int = 0,
    room: int = 0,
) -> GateReport:
    """What is wrong with rows, or worth knowing.

    Args:
        training: The rows that are trained, one at least.
        evaluation: Those that are measured.
        tokenizer: What made them.
        end_ids: The tokens that end an answer.
        context: Tokens that are read at once.
        packed: Tokens of the longest row that a batch is packed into; 0 where that is not known.
        room: Tokens of an answer that the model is to write to each prompt itself; 0 where it writes none.
    """
    looked = Looked(
        training=training,
        evaluation=evaluation,
        tokenizer=tokenizer,
        ends=frozenset(end_ids),
        context=context,
        room=room,
    )
    found = []
    for check in CHECKS:
        wrong = _one_a_place(check.find(looked))
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
        context=context,
        packed=packed,
        sample="" if good is None else shown_row(good.text, tokenizer),
    )


def _one_a_place(rows: Sequence[TunedRow]) -> list[TunedRow]:
    """The first of the rows that one record made: both answers of a pair, or the blocks of a text."""
    return list({(row.place, row.document or row.messages): row for row in reversed(rows)}.values())[::-1]


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
