"""Texts as tokens of which some are trained: what a language model reads, and what it learns to write.

The tokens of a batch lie behind each other in one row, without padding: attention stays within each text, and
positions begin anew (`documents` of Transformer.hidden).

    tokens      u1 u2 a1 a2 end  u1 a1 end        two texts, with a prompt each
    trained      -  -  x  x  x    -  x  x
    targets      - a1 a2 end -   a1 end -         what follows each, IGNORED where it is not trained
    documents    0  0  0  0  0    1  1  1

Legend of shapes: N texts, M tokens of all, B texts of a batch, T their tokens together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from creuset.data.chat_template import ChatTemplate, TrainedSpans
from creuset.data.text_pairs import TokenRows
from creuset.data.token_stream import IGNORED
from creuset.data.tokenizer import Tokenizer
from creuset.data.tuning_records import Conversation
from creuset.data.turns import Turn, said_in
from creuset.errors import DataError

_THOUGHT_END = "</think>"
"""What ends the thoughts of a reasoning model, which templates leave out of earlier answers."""


@dataclass(frozen=True, kw_only=True)
class TrainedText:
    """A text as tokens.

    Args:
        ids: One at least.
        trained: Whether each is learned, as many.
        straddles: Whether a token holds characters of a prompt and of its answer together: it is not trained,
            and when the model is asked it is not given that token either.
    """

    ids: tuple[int, ...]
    trained: tuple[bool, ...]
    straddles: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedRows:
    """Texts of which some tokens are trained.

    Args:
        rows: The tokens.
        trained: Which of them are learned, bool (M,).
    """

    rows: TokenRows
    trained: Tensor

    @classmethod
    def of(cls, texts: Sequence[TrainedText]) -> "TrainedRows":
        """Some texts, in this order."""
        flags = [flag for text in texts for flag in text.trained]
        return cls(
            rows=TokenRows.of([text.ids for text in texts]), trained=torch.tensor(flags, dtype=torch.bool)
        )

    @property
    def num_trained(self) -> Tensor:
        """Trained tokens of each text that a model is asked for, int64 (N,): the first of a text is not."""
        asked = self.trained.clone()
        asked[self.rows.ends[:-1]] = False
        sums = torch.cat([torch.zeros(1, dtype=torch.int64), asked.cumsum(0)])
        return sums[self.rows.ends].diff()

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Texts as a model takes them.

        Args:
            indices: Which texts, int64 (B,).

        Returns:
            "tokens", "targets" and "documents", int64 (1, T).
        """
        chosen = self.select(indices)
        ids, ends = chosen.rows.ids.long(), chosen.rows.ends
        targets = torch.full_like(ids, IGNORED)
        targets[:-1] = torch.where(chosen.trained[1:], ids[1:], IGNORED)
        targets[ends[1:] - 1] = IGNORED  # what follows is another text
        documents = torch.arange(len(indices)).repeat_interleave(chosen.rows.lengths)
        return {"tokens": ids[None], "targets": targets[None], "documents": documents[None]}

    def select(self, indices: Tensor) -> "TrainedRows":
        """These texts only."""
        lengths = self.rows.lengths[indices]
        rows = self.rows.select(indices)
        places = (self.rows.ends[indices] - rows.ends[:-1]).repeat_interleave(lengths)
        return TrainedRows(rows=rows, trained=self.trained[places + torch.arange(int(rows.ends[-1]))])


def chat_text(conversation: Conversation, template: ChatTemplate, tokenizer: Tokenizer) -> TrainedText:
    """A conversation as the template writes it; the assistant's turns with their ends are trained, but for
    those that it says are not.

    Raises:
        UsageError: See `ChatTemplate.trained_spans`.
        DataError: Likewise, or the template leaves out something that is said.
    """
    found = template.trained_spans(conversation.turns, tools=conversation.tools or None)
    _require_written(conversation.turns, found)
    answers = [number for number, turn in enumerate(conversation.turns) if turn["role"] == "assistant"]
    spans = [
        span
        for number, span in zip(answers, found.spans, strict=True)
        if number not in conversation.untrained
    ]
    return _trained(found.text, spans, tokenizer)


def answer_text(
    turns: Sequence[Turn], answer: Sequence[Turn], template: ChatTemplate, tokenizer: Tokenizer
) -> TrainedText:
    """Turns with an answer, of which the answer alone is trained.

    Raises:
        UsageError: See `ChatTemplate.trained_spans`.
        DataError: Likewise, or the template leaves out something that is said.
    """
    found = template.trained_spans([*turns, *answer])
    _require_written([*turns, *answer], found)
    before = sum(turn["role"] == "assistant" for turn in turns)
    return _trained(found.text, found.spans[before:], tokenizer)


def plain_text(text: str, tokenizer: Tokenizer, *, ends_with: int | None) -> TrainedText:
    """A text all tokens of which are trained.

    Args:
        text: Not empty.
        tokenizer: Puts around it what it puts around texts.
        ends_with: The id that ends it, where the tokenizer puts none there; None for none.
    """
    ids = tokenizer.encode(text)
    if ends_with is not None and ids[-1:] != [ends_with]:
        ids.append(ends_with)
    return TrainedText(ids=tuple(ids), trained=(True,) * len(ids))


def blocks_of(text: TrainedText, context: int) -> list[TrainedText]:
    """A plain text in blocks of whole tokens, as few as there can be and of nearly the same length.

    Args:
        text: All of which is trained.
        context: Tokens of a block at most.
    """
    number = -(-len(text.ids) // context)
    bounds = [len(text.ids) * place // number for place in range(number + 1)]
    return [
        TrainedText(ids=text.ids[begin:end], trained=text.trained[begin:end])
        for begin, end in pairwise(bounds)
    ]


def _require_written(turns: Sequence[Turn], found: TrainedSpans) -> None:
    """Refuses a template that does not write what is said and which functions are called, but for thoughts
    before an answer: nobody would see that they are missing."""
    whole = _without_space(found.text)
    spans = iter(found.spans)
    for number, turn in enumerate(turns):
        written = whole
        if turn["role"] == "assistant":
            begin, end = next(spans)
            written = _without_space(found.text[begin:end])
        said = said_in(turn).rpartition(_THOUGHT_END)[2]
        calls = [call["function"]["name"] for call in turn.get("tool_calls", ())]
        names = ["content", *(f"tool_calls.{name}" for name in calls)]
        for name, text in zip(names, [said, *calls], strict=True):
            if turn["role"] != "tool" and _without_space(text) not in written:
                raise DataError(
                    f"the chat template leaves out messages[{number}].{name}",
                    got=f"it writes {found.text[:120]!r}",
                    next_step="take a template that writes it, or leave it out of the data",
                )


def _without_space(text: str) -> str:
    return "".join(text.split())


def _trained(text: str, spans: Sequence[tuple[int, int]], tokenizer: Tokenizer) -> TrainedText:
    encoded = tokenizer.encode_with_offsets(text, add_special=False)
    flags: list[bool] = []
    straddles = False
    number = 0
    for begin, end in encoded.offsets:
        while number < len(spans) and begin >= spans[number][1]:
            number += 1
        first, last = spans[number] if number < len(spans) else (len(text) + 1, len(text) + 1)
        straddles |= begin < first < end
        flags.append(begin >= first and end <= last and end > begin)
    return TrainedText(ids=tuple(encoded.ids), trained=tuple(flags), straddles=straddles)
