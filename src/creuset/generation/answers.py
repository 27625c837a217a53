"""What a tuned language model answers to held-out prompts, beside the answers that stand there.

Legend of shapes: N rows of a split.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.tokenizer import Tokenizer
from creuset.data.tuning_rows import TunedRow
from creuset.generation.decoding import Writer
from creuset.generation.fast_decoder import FastDecoder, obstacle
from creuset.generation.sampling import Sampling
from creuset.generation.written_text import TextRequest
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig

_AT_ONCE = 16
"""Answers that are written side by side."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An answer to a held-out prompt.

    Args:
        place: file:line of the row.
        prompt: What is asked, as the model reads it.
        reference: The answer that stands there.
        answer: The model's.
        ended: Whether it ended by itself, and not at the most tokens.
    """

    place: str
    prompt: str
    reference: str
    answer: str
    ended: bool


def asking_rows(dataset: Dataset, split: str, number: int) -> list[TunedRow]:
    """The first rows of a split, in the order of their hashes, that ask something: `number` at most."""
    tuning = dataset.split(split).tuning
    assert tuning is not None
    return [row for row in tuning.rows if row.prompt and row.asks][:number]


def fast_form(config: TransformerConfig, state: Mapping[str, Tensor]) -> Transformer | FastDecoder:
    """A decoder for writing, in bfloat16 where its form has a fast way, else as it is."""
    if obstacle(config) is None:
        return FastDecoder(config, state, precision="bfloat16")
    return Transformer.from_weights(config, state)


def answers(
    decoder: Transformer | FastDecoder, rows: Sequence[TunedRow], dataset: Dataset, *, max_tokens: int
) -> list[Answered]:
    """The likeliest answer, token by token, to what each row asks first.

    Args:
        decoder: What answers.
        rows: As of `asking_rows`.
        dataset: Whose tokenizer reads them, and whose training rows show what ends an answer.
        max_tokens: Of an answer.
    """
    tokenizer = dataset.tokenizer
    assert tokenizer is not None
    ends = end_ids(dataset, tokenizer)
    writer = Writer(decoder, tokenizer, eos_ids=sorted(ends))
    limit = decoder.config.context_length
    fitting = [row for row in rows if limit is None or len(row.prompt) + max_tokens <= limit]
    found: list[Answered] = []
    for first in range(0, len(fitting), _AT_ONCE):
        part = fitting[first : first + _AT_ONCE]
        texts, ended = [""] * len(part), [False] * len(part)
        requests = [
            TextRequest(prompt=row.prompt, max_tokens=max_tokens, sampling=Sampling(temperature=0))
            for row in part
        ]
        for outputs in writer.write(requests):
            for output in outputs:
                texts[output.row] += output.text
                ended[output.row] |= output.reason == "stop"
        found += [
            Answered(
                place=row.place,
                prompt=tokenizer.decode(row.prompt, skip_special=False),
                reference=first_answer(row, tokenizer),
                answer=text,
                ended=done,
            )
            for row, text, done in zip(part, texts, ended, strict=True)
        ]
    return found


def end_ids(dataset: Dataset, tokenizer: Tokenizer) -> frozenset[int]:
    """The tokens that end an answer: the tokenizer's own, and special ones that end training rows."""
    tuning = dataset.split("train").tuning
    assert tuning is not None
    special = tokenizer.special_ids
    learned = ([number for number, flag in _flagged(row) if flag] for row in tuning.rows)
    last = {ids[-1] for ids in learned if ids and ids[-1] in special}
    return frozenset({*tokenizer.special.eos, *last})


def _flagged(row: TunedRow) -> Iterator[tuple[int, bool]]:
    """Each token of a row, and whether it is learned."""
    return zip(row.text.ids, row.text.trained, strict=True)


def first_answer(row: TunedRow, tokenizer: Tokenizer) -> str:
    """The first trained part of a row as text."""
    ids: list[int] = []
    for number, flag in _flagged(row):
        if flag:
            ids.append(number)
        elif ids:
            break
    return tokenizer.decode(ids).strip()


def answer_sheet(found: Sequence[Answered]) -> str:
    """Prompts with the answers that stand there and the model's, for people."""
    parts = [f"{one.prompt}\n--- stands there\n{one.reference}\n--- answered\n{one.answer}" for one in found]
    return ("\n\n" + "=" * 40 + "\n\n").join(parts) + "\n"
