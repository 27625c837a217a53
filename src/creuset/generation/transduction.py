"""What an encoder with its decoder makes of texts: targets of pairs, or what was taken out of a text.

Targets are found by beam search. A span that is taken out stands in shown texts as <1>, <2> and so on, which
are the sentinels of `objectives/span_corruption.py`; in a target each stands before what belongs there.

Legend of shapes: B batch, S tokens of a source.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from creuset.data.dataset import Dataset
from creuset.data.tokenizer import Tokenizer
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.generation.beam_search import BeamSettings, beam_search
from creuset.generation.continuations import prompt_ids
from creuset.models.base import Batch
from creuset.models.encoder_decoder import EncoderDecoder
from creuset.progress import Progress, Silent

NUM_BEAMS = 4
"""Of a search, as usual for translation: more find likelier texts, which are seldom better ones."""
_AT_ONCE = 32
"""Sources that are searched for together."""
_NAMES = 11
"""Room for the name of a text on a sheet of samples."""
_GAP = re.compile(r"<(\d+)>")


@dataclass(frozen=True, kw_only=True)
class Transduced:
    """A text that was read, what was wanted of it, and what was written."""

    source: str
    reference: str
    output: str


def transduce(
    model: EncoderDecoder,
    tokenizer: Tokenizer,
    text: str,
    *,
    num_texts: int = 1,
    max_tokens: int | None = None,
) -> list[str]:
    """The best targets of a text, best first; of a model that learned to fill in spans, the text filled in.

    Args:
        model: In evaluation mode.
        tokenizer: The one that it was trained with.
        text: The source; for a model that fills in, with <1>, <2> and so on where something is missing.
        num_texts: How many, from 1: as many beams are searched at least.
        max_tokens: Tokens of a target at most, its end mark counted; None for as many as the model can write.

    Raises:
        UsageError: A number out of range, a source that is too long or holds what no token stands for, or
            gaps that cannot be filled in.
    """
    most = model.context
    if num_texts < 1:
        raise UsageError("nothing would be written", where="num", got=num_texts, expected="at least 1")
    if max_tokens is not None and not 1 <= max_tokens <= most:
        raise UsageError(
            "the model cannot write so many tokens",
            where="max_tokens",
            got=max_tokens,
            expected=f"1 to {most}, the context that it was trained with",
        )
    ids = source_ids(model, tokenizer, text)
    settings = BeamSettings(num_beams=max(NUM_BEAMS, num_texts), max_tokens=max_tokens or most)
    found = _search(model, [ids], settings)[0][:num_texts]
    return [_written(model, tokenizer, ids, target) for target in found]


def source_ids(model: EncoderDecoder, tokenizer: Tokenizer, text: str) -> list[int]:
    """What the encoder reads of a text.

    Raises:
        UsageError: See `transduce`.
    """
    if not text.strip():
        raise UsageError("there is nothing to read", where="prompt", got=repr(text), expected="a source text")
    if model.corruption is None:
        ids = prompt_ids(tokenizer, text.strip())
    else:
        ids = _with_gaps(model, tokenizer, text)
    if len(ids) > model.context:
        raise UsageError(
            "this source is longer than the model's context; nothing was cut",
            where="prompt",
            got=f"{len(ids):,} tokens",
            expected=f"at most {model.context:,} tokens",
            next_step="shorten it, or train with a larger data.context",
        )
    return ids


def held_out(
    model: EncoderDecoder, dataset: Dataset, split: str, num_samples: int, *, device: torch.device
) -> list[Transduced]:
    """The first samples of a split with their targets and what the model writes, as people read them.

    Args:
        model: In evaluation mode, on `device`.
        dataset: Data of the form that the model was made for.
        split: Which part of it.
        num_samples: At most.
        device: Where the model is.
    """
    tokenizer = dataset.tokenizer
    assert tokenizer is not None
    number = min(num_samples, dataset.split(split).num_samples)
    pairs = pairs_of(model, dataset, split, 0, number, taking_out(dataset, split, device=device))
    written = [outputs[0] for outputs in best_targets(model, pairs)]
    return [
        Transduced(
            source=readable(model, tokenizer, source),
            reference=readable(model, tokenizer, reference),
            output=readable(model, tokenizer, output),
        )
        for source, reference, output in zip(sources(pairs), targets(model, pairs), written, strict=True)
    ]


def pair_sheet(shown: Sequence[Transduced]) -> str:
    """Sources with references and outputs one below another, each under its number, as one file; further
    lines of a text are indented as its first one."""
    parts = []
    for number, one in enumerate(shown, 1):
        named = {"source": one.source, "reference": one.reference, "output": one.output}
        lines = [
            f"{name:<{_NAMES}}" + text.replace("\n", "\n" + " " * _NAMES) for name, text in named.items()
        ]
        parts.append("\n".join([f"--- {number}", *lines, "", ""]))
    return "".join(parts)


def taking_out(dataset: Dataset, split: str, *, device: torch.device, seed: int = 0) -> BatchGenerator:
    """What decides the spans that are taken out of a split's blocks: the same of a block whoever asks."""
    return BatchGenerator(seed, "taken out", split, size=dataset.split(split).num_samples, device=device)


def pairs_of(
    model: EncoderDecoder, dataset: Dataset, split: str, start: int, stop: int, draws: BatchGenerator
) -> Batch:
    """Samples [start, stop) of a split as sources and targets, where `draws` (of `taking_out`) is."""
    found = dataset.batch(split, torch.arange(start, stop))
    batch = {name: rows.to(draws.device) for name, rows in found.items()}
    return model.as_pairs(batch, draws.slice(start, stop))


def best_targets(
    model: EncoderDecoder, pairs: Batch, *, num_beams: int = NUM_BEAMS, progress: Progress | None = None
) -> list[list[list[int]]]:
    """What the model writes for the sources of pairs: for each its beams, best first, without end marks."""
    watcher = Silent() if progress is None else progress
    settings = BeamSettings(num_beams=num_beams, max_tokens=model.context)
    read = sources(pairs)
    found: list[list[list[int]]] = []
    for start in range(0, len(read), _AT_ONCE):
        found += _search(model, read[start : start + _AT_ONCE], settings)
        watcher.advance(len(found))
    return found


def sources(pairs: Batch) -> list[list[int]]:
    """The sources of a batch, each in its length."""
    rows = zip(pairs["source"].tolist(), pairs["source_lengths"].tolist(), strict=True)
    return [row[:length] for row, length in rows]


def targets(model: EncoderDecoder, pairs: Batch) -> list[list[int]]:
    """The targets of a batch, each without its end mark."""
    return [row[: row.index(model.end)] for row in pairs["targets"].tolist()]


def spans(model: EncoderDecoder, target: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """What a target puts into each gap, by the gap's number from 1; what stands before the first is left out,
    and of a gap that comes twice the first counts."""
    found: dict[int, tuple[int, ...]] = {}
    for number, ids in _pieces(model, target):
        if number:
            found.setdefault(number, tuple(ids))
    return found


def readable(model: EncoderDecoder, tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """A source or target as people read it, gaps as <1>, <2> and so on."""
    pieces = list(_pieces(model, ids))
    texts = [tokenizer.decode(piece) for _, piece in pieces]
    whole = tokenizer.decode([number for _, piece in pieces for number in piece])
    apart = "" if "".join(texts) == whole else " "  # where pieces lose the spaces around them
    shown = [f"<{gap}>{apart}{text}" if gap else text for (gap, _), text in zip(pieces, texts, strict=True)]
    return apart.join(shown).strip()


def _pieces(model: EncoderDecoder, ids: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """The ids between gaps, each with the number of the gap before it, 0 for none; marks are left out."""
    gap, piece = 0, list[int]()
    for number in ids:
        if number >= model.first_sentinel:
            yield gap, piece
            gap, piece = number - model.first_sentinel + 1, []
        elif number < model.tokenizer_size:
            piece.append(number)
    yield gap, piece


def _search(
    model: EncoderDecoder, sources: Sequence[Sequence[int]], settings: BeamSettings
) -> list[list[list[int]]]:
    found = beam_search(
        model.transformer, sources, settings, eos_ids=(model.end,), decoder_start=(model.start,)
    )
    return [[[number for number in one.token_ids if number != model.end] for one in each] for each in found]


def _written(
    model: EncoderDecoder, tokenizer: Tokenizer, source: Sequence[int], target: Sequence[int]
) -> str:
    """A target as a text; of a model that fills in, the source with its gaps filled."""
    if model.corruption is None:
        return tokenizer.decode([number for number in target if number < model.tokenizer_size])
    filling = spans(model, target)
    filled: list[int] = []
    for number in source:
        gap = number - model.first_sentinel + 1
        filled.extend(filling.get(gap, ()) if gap > 0 else [number])
    return tokenizer.decode(filled)


def _with_gaps(model: EncoderDecoder, tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text with sentinels where it says <1>, <2> and so on."""
    parts = _GAP.split(text)
    gaps = [int(number) for number in parts[1::2]]
    most = model.vocab_size - model.first_sentinel
    if not gaps or gaps != list(range(1, len(gaps) + 1)) or len(gaps) > most:
        raise UsageError(
            "the model fills in what is missing, and the prompt does not say where",
            where="prompt",
            got=", ".join(f"<{number}>" for number in gaps) or "no gap",
            expected=f"<1>, then <2> and so on, in this order, at most <{most}>",
            next_step='write it like "the <1> sat on the <2>"',
        )
    ids: list[int] = []
    for place, part in enumerate(parts):
        if place % 2:
            ids.append(model.first_sentinel + int(part) - 1)
        elif part:
            ids.extend(prompt_ids(tokenizer, part))
    return ids
