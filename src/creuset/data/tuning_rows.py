"""From a file for tuning to rows of tokens: each with what is trained of it, split by what is asked.

Rows that ask the same question, but for capitals, marks and white space, go to one split together: what
was trained would be known before it is measured. Their order follows from their content, not from that of
the file. A plain text that is longer than the context is cut into blocks, each of them a row, and all of
them stay in one split; but where the texts are too few for that, the blocks that are measured are those at
the end.

Of a file of preferences each sample has two rows, that of the chosen answer and that of the rejected one.

    chats         a batch of B texts: one row, each behind the other (`trained_rows.py`)
    preferences   a batch of B pairs: likewise, the B chosen answers first and then the B rejected ones

Legend of shapes: N samples, B those of a batch, T their tokens together.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.alike import alike
from creuset.data.chat_template import ChatTemplate, TemplateError
from creuset.data.conversations import CHAT_FORMS, TuningFile
from creuset.data.hashing import Hashes, sample_hashes
from creuset.data.records import refusal, shown
from creuset.data.source import counted
from creuset.data.split import cut
from creuset.data.tokenizer import Tokenizer
from creuset.data.trained_rows import (
    TrainedRows,
    TrainedText,
    answer_text,
    blocks_of,
    chat_text,
    plain_text,
)
from creuset.data.tuning_records import Conversation, LabelledText, Preference, Row
from creuset.data.turns import Turn, said_in, strings_in
from creuset.errors import CreusetError, DataError, Problem, UsageError

Indices = NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the first trained answer of a conversation answers.

    Args:
        prompt: The text of the user's last turn before it.
        messages: All turns before it, oldest first.
        reference: The answer that stands in the data, as text.
        record: The values of the row that its form does not read, by name.
    """

    prompt: str
    messages: tuple[Turn, ...] = ()
    reference: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TunedRow:
    """A row as it is trained or measured.

    Args:
        text: Its tokens.
        place: file:line.
        messages: The contents of its messages as they stand in the file, or the plain text.
        asked: What the first answer of a conversation answers; None of others.
        document: Of a block of a plain text: the hash of the whole text; empty of others.
        goes_on: Of a block: whether another one follows.
        other: Of an answer of a pair: the tokens of the other one; empty of others.
        preferred: Of an answer of a pair: whether it is the chosen one.
        asked_alike: What it asks, or a plain text, as `alike` compares it; empty of blocks.
        said_alike: All that it says, likewise; of a pair with both answers.
    """

    text: TrainedText
    place: str
    messages: tuple[str, ...] = ()
    asked: Asked | None = None
    document: str = ""
    goes_on: bool = False
    other: tuple[int, ...] = ()
    preferred: bool = True
    asked_alike: str = ""
    said_alike: str = ""

    @property
    def prompt(self) -> tuple[int, ...]:
        """The tokens before the first trained one."""
        first = next((place for place, flag in enumerate(self.text.trained) if flag), len(self.text.ids))
        return self.text.ids[:first]

    @property
    def question(self) -> tuple[int | str, ...]:
        """What rows that belong into one split share: what they ask, the text that they are blocks of, or,
        of a plain text, all of it."""
        return (self.document,) if self.document else self.prompt or self.text.ids

    @property
    def asks(self) -> bool:
        """Whether the model is asked for a token of it: the first of a text is given."""
        return any(self.text.trained[1:])


@dataclass(frozen=True, kw_only=True)
class AnswerPair:
    """Two answers to the same turns, the first of them preferred."""

    chosen: TunedRow
    rejected: TunedRow


@dataclass(frozen=True, kw_only=True, eq=False)
class TuningRows:
    """The samples of a split.

    Args:
        rows: Each sample's row, or that of its chosen answer.
        rejected: Those of rejected answers; empty of other data.
    """

    rows: tuple[TunedRow, ...]
    rejected: tuple[TunedRow, ...] = ()

    @property
    def everything(self) -> tuple[TunedRow, ...]:
        """All rows, chosen ones first."""
        return (*self.rows, *self.rejected)

    @cached_property
    def trained(self) -> TrainedRows:
        """The tokens of all rows."""
        return TrainedRows.of([row.text for row in self.everything])

    @property
    def lengths(self) -> Tensor:
        """Tokens of each sample, those of both answers together, int64 (N,)."""
        lengths = self.trained.rows.lengths
        return lengths.view(-1, len(self.rows)).sum(0)

    @property
    def num_trained(self) -> Tensor:
        """Tokens that are learned of each sample, of its chosen answer, int64 (N,)."""
        return self.trained.num_trained[: len(self.rows)]

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Samples as a model takes them: "tokens", "targets" and "documents", int64 (1, T).

        Args:
            indices: Which samples, int64 (B,).
        """
        places = torch.cat([indices, indices + len(self.rows)]) if self.rejected else indices
        return self.trained.batch(places)

    def select(self, indices: Indices) -> "TuningRows":
        """These samples only."""
        return TuningRows(
            rows=tuple(self.rows[index] for index in indices),
            rejected=tuple(self.rejected[index] for index in indices) if self.rejected else (),
        )


def conversation_rows(
    file: TuningFile,
    tokenizer: Tokenizer,
    *,
    template: ChatTemplate | None,
    end_id: int | None,
    context: int | None = None,
) -> list[TunedRow]:
    """The rows of a file of conversations or of plain texts, in its order.

    Args:
        file: What was read.
        tokenizer: The base's.
        template: How chats are written for the base; None where it knows none.
        end_id: The token that ends a plain text.
        context: Tokens that are read at once: longer plain texts are cut into blocks; None cuts none.

    Raises:
        UsageError: Conversations for a base without a template, or a file of another form.
        DataError: Conversations that the template does not take, each by its place.
    """
    if file.form in CHAT_FORMS:
        chats = _required(template)
        return _all(file.rows, lambda row: _conversation(row, chats, tokenizer))
    if file.form != "text":
        raise UsageError(
            "this tuning learns from conversations or plain texts",
            got=f"records of the form {file.form}",
            expected=", ".join((*CHAT_FORMS, "text")),
        )
    texts = _all(file.rows, lambda row: _plain(row, tokenizer, end_id, context))
    return [row for blocks in texts for row in blocks]


def answer_pairs(file: TuningFile, tokenizer: Tokenizer, template: ChatTemplate | None) -> list[AnswerPair]:
    """The pairs of answers of a file of preferences, in its order.

    Raises:
        UsageError: A base without a template, or a file of another form.
        DataError: Conversations that the template does not take, each by its place.
    """
    if file.form != "preference":
        raise UsageError(
            "this tuning learns from preferences",
            got=f"records of the form {file.form}",
            expected="chosen and rejected",
        )
    chats = _required(template)
    return _all(file.rows, lambda row: pair_of(row, chats, tokenizer))


def split_by_question(
    questions: Sequence[tuple[int | str, ...]],
    contents: Sequence[tuple[int, ...]],
    *,
    shares: Mapping[str, float],
    seed: int,
) -> dict[str, Indices]:
    """Which rows go to which split.

    Args:
        questions: What each row asks; equal ones go together.
        contents: All of each row, as tokens, which decides the order within a split.
        shares: Split name -> share of the rows; the rest is "train".
        seed: Decides, with the questions, what goes where.

    Raises:
        DataError: A split would be empty.
    """
    places = cut(content_hashes(questions), None, shares=shares, seed=seed)
    return in_content_order(places, contents)


def split_in_the_text(
    contents: Sequence[tuple[int, ...]], *, shares: Mapping[str, float]
) -> dict[str, Indices]:
    """The blocks of few long texts by their order: what is trained comes before what is measured.

    Args:
        contents: All of each block, as tokens, in the order of the texts.
        shares: As in `split_by_question`; the last one is cut off first, from the end.
    """
    end = len(contents)
    places: dict[str, Indices] = {}
    for name, share in shares.items():
        begin = end - max(1, int(len(contents) * share + 0.5))
        places[name] = np.arange(begin, end)
        end = begin
    if end < 1:
        raise DataError(
            "too little text to train and to measure",
            got=counted(len(contents), "block"),
            expected=f"{len(shares) + 1} blocks at least",
            next_step="give more text",
        )
    return in_content_order({"train": np.arange(end), **places}, contents)


def in_content_order(
    places: Mapping[str, Indices], contents: Sequence[tuple[int, ...]]
) -> dict[str, Indices]:
    """The places of each split, in an order that the rows themselves decide."""
    order = content_hashes(contents)
    return {
        name: indices[np.lexsort((order[indices][:, 1], order[indices][:, 0]))]
        for name, indices in places.items()
    }


def messages_of(row: Row) -> tuple[str, ...]:
    """All texts that a row holds, as they stand in the file: contents of messages, parts, tool calls; or the
    plain text."""
    if isinstance(row, Conversation):
        return (*_texts(row.turns), *strings_in(row.tools))
    if isinstance(row, Preference):
        return _texts((*row.turns, *row.chosen, *row.rejected))
    return (row.text,) if isinstance(row, LabelledText) else ()


def _texts(turns: Sequence[Turn]) -> tuple[str, ...]:
    said = [{key: value for key, value in turn.items() if key != "role"} for turn in turns]
    return tuple(text for turn in said for text in strings_in(list(turn.values())))


def _all(rows: Sequence[Row], make: Callable[[Row], T]) -> list[T]:
    """What is made of each row; all that fail are named together."""
    made: list[T] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            made.append(make(row))
        except TemplateError:
            raise  # the template is wrong, not the row
        except UsageError as error:  # DataError is one
            file, _, line = row.place.rpartition(":")
            said = shown(list(messages_of(row)))
            problems.append(Problem(file=file, line=int(line), column=1, message=_reason(error), shown=said))
    if problems:
        raise refusal(problems)
    return made


def _reason(error: CreusetError) -> str:
    return error.message if error.got is None else f"{error.message} ({error.got})"


def _required(template: ChatTemplate | None) -> ChatTemplate:
    if template is None:
        raise UsageError(
            "this base knows no chat template, so that conversations cannot be written for it",
            expected="a base that was tuned on chats, or plain texts",
            next_step="take an instruction model for a base, or a template: creuset finetune --template FILE",
        )
    return template


def _conversation(row: Row, template: ChatTemplate, tokenizer: Tokenizer) -> TunedRow:
    assert isinstance(row, Conversation)
    text = chat_text(row, template, tokenizer)
    asked, messages = _asked(row), messages_of(row)
    return TunedRow(
        text=text,
        place=row.place,
        messages=messages,
        asked=asked,
        asked_alike=alike(_texts(asked.messages)),
        said_alike=alike(messages),
    )


def _asked(row: Conversation) -> Asked:
    """What comes before the first answer that is trained: the prompt ends where that begins."""
    numbered = enumerate(row.turns)
    first = next(n for n, turn in numbered if turn["role"] == "assistant" and n not in row.untrained)
    before = row.turns[:first]
    said = [turn for turn in before if turn["role"] == "user"] or before
    return Asked(
        prompt=said_in(said[-1]), messages=before, reference=said_in(row.turns[first]), record=row.others
    )


def _plain(row: Row, tokenizer: Tokenizer, end_id: int | None, context: int | None) -> list[TunedRow]:
    assert isinstance(row, LabelledText)
    text, messages = plain_text(row.text, tokenizer, ends_with=end_id), messages_of(row)
    if context is None or len(text.ids) <= context:
        said = alike(messages)
        return [TunedRow(text=text, place=row.place, messages=messages, asked_alike=said, said_alike=said)]
    blocks, document = blocks_of(text, context), hashlib.sha256(row.text.encode()).hexdigest()
    return [
        TunedRow(
            text=block,
            place=row.place,
            messages=messages,
            document=document,
            goes_on=number < len(blocks),
        )
        for number, block in enumerate(blocks, 1)
    ]


def pair_of(row: Row, template: ChatTemplate, tokenizer: Tokenizer) -> AnswerPair:
    """Both answers of a preference as rows."""
    assert isinstance(row, Preference)
    texts = [answer_text(row.turns, answer, template, tokenizer) for answer in (row.chosen, row.rejected)]
    messages = messages_of(row)
    asked_alike, said_alike = alike(_texts(row.turns)), alike(messages)
    chosen, rejected = (
        TunedRow(
            text=text,
            place=row.place,
            messages=messages,
            other=other.ids,
            preferred=text is texts[0],
            asked_alike=asked_alike,
            said_alike=said_alike,
        )
        for text, other in zip(texts, reversed(texts), strict=True)
    )
    return AnswerPair(chosen=chosen, rejected=rejected)


def content_hashes(rows: Sequence[tuple[int | str, ...]]) -> Hashes:
    """The hash of each row of tokens."""
    texts = np.empty(len(rows), dtype=object)
    texts[:] = [" ".join(map(str, row)) for row in rows]
    return sample_hashes(texts)
