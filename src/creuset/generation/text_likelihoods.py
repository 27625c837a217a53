"""How likely a language model trained here finds documents: the rows of perplexity and bits per byte.

A document is read in sliding windows of the model's context. Where documents follow a separator in training,
the separator stands before each, and all of its tokens are scored; else its first token, which nothing stands
before, is only read, and its bytes are left out as well.

Legend of shapes: B windows, T tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from creuset.data.byte_level import bytes_of
from creuset.data.token_stream import IGNORED, Document, TokenStream, block_batch
from creuset.data.tokenizer import Tokenizer
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.metrics.text.perplexity import (
    DocumentLikelihoods,
    WindowSetting,
    bits_per_byte,
    perplexity,
    perplexity_rows,
    sliding_windows,
)
from creuset.models.language_model import LanguageModel
from creuset.progress import Progress

_TOKENS_AT_ONCE = 2**15
_FIRST_CHARACTERS = 100
"""What the first token of a document stands for is looked for among so many."""


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """One window of one document: its number, and what is read and scored."""

    document: int
    tokens: torch.Tensor
    targets: torch.Tensor


def document_likelihoods(
    model: LanguageModel,
    stream: TokenStream,
    tokenizer: Tokenizer,
    *,
    device: torch.device,
    progress: Progress,
    stride: int | None = None,
) -> DocumentLikelihoods:
    """The nats of each document of a split.

    Args:
        model: In evaluation mode, on `device`.
        stream: The split.
        tokenizer: The one that the model was trained with; its fingerprint stands in the signature.
        device: Where the model is.
        progress: Is told how many tokens are done.
        stride: Tokens that a window after the first scores; None for half the context.

    Raises:
        DataError: There is no token to score.
    """
    windows = WindowSetting(
        context_length=model.context, stride=max(1, model.context // 2) if stride is None else stride
    )
    documents = stream.documents
    nats = np.zeros(len(documents))
    progress.start("likelihood", len(stream.ids), "tokens")
    done = 0
    readings = _readings(documents, windows, stream.separator)
    for batch in _batches(readings, max(1, _TOKENS_AT_ONCE // model.context)):
        tokens = _padded([reading.tokens for reading in batch], 0).to(device)
        targets = _padded([reading.targets for reading in batch], IGNORED).to(device)
        sums = model.token_nats(tokens, targets).double().sum(1).cpu().numpy()
        np.add.at(nats, [reading.document for reading in batch], sums)
        done += int((targets != IGNORED).sum())
        progress.advance(done)
    progress.finish()
    unread = 0 if stream.separator is not None else 1
    unread_bytes = [0 if not unread else _first_bytes(document, tokenizer) for document in documents]
    return DocumentLikelihoods.from_sums(
        nats,
        [max(0, len(document.ids) - unread) for document in documents],
        [
            document.num_bytes - first if len(document.ids) > unread else 0
            for document, first in zip(documents, unread_bytes, strict=True)
        ],
        tokenizer=tokenizer.fingerprint[:16],
        windows=windows,
    )


def text_scores(likelihoods: DocumentLikelihoods, *, context: Context) -> list[Score]:
    """Nats per token, perplexity and bits per byte, each with its interval over documents."""
    return [*token_scores(likelihoods, context=context), bits_per_byte(likelihoods, context=context)]


def token_scores(likelihoods: DocumentLikelihoods, *, context: Context) -> list[Score]:
    """Nats per token and perplexity, which depend on the tokenizer."""
    as_nats = replace(
        perplexity_rows(likelihoods),
        metric="nats_per_token",
        unit="nats_per_token",
        statistic=lambda sums: sums[:, 0] / sums[:, 1],
    )
    return [as_nats.score(context=context), perplexity(likelihoods, context=context)]


def nats_by_place(model: LanguageModel, stream: TokenStream, *, device: torch.device) -> list[float]:
    """The mean nats of a token by its place in a block: how much a longer text before it helps.

    Place 0 follows a single token. Blocks stand side by side, each read by itself.

    Args:
        model: In evaluation mode, on `device`.
        stream: The split.
        device: Where the model is.

    Returns:
        One number a place at which there is a token, at most the context of them.
    """
    sums, counts = torch.zeros(model.context, dtype=torch.float64), torch.zeros(model.context)
    for rows in torch.split(stream.all_blocks(), max(1, _TOKENS_AT_ONCE // model.context)):
        batch = block_batch(rows)
        nats = model.token_nats(batch["tokens"].to(device), batch["targets"].to(device))
        sums += nats.double().sum(0).cpu()
        counts += (batch["targets"] != IGNORED).sum(0)
    there = counts > 0
    return (sums[there] / counts[there]).tolist()


def _readings(
    documents: Sequence[Document], windows: WindowSetting, separator: int | None
) -> Iterator[_Reading]:
    """What is read, document by document: token by token what stands before it, and itself as a target."""
    for number, document in enumerate(documents):
        ids = document.ids.long()
        if separator is not None:
            ids = torch.cat([torch.tensor([separator]), ids])
        tokens, targets = ids[:-1], ids[1:]
        for window in sliding_windows(len(targets), windows):
            place = slice(window.start, window.stop)
            scored = targets[place].clone()
            scored[: window.context] = IGNORED
            yield _Reading(document=number, tokens=tokens[place], targets=scored)


def _batches(readings: Iterator[_Reading], size: int) -> Iterator[list[_Reading]]:
    batch: list[_Reading] = []
    for reading in readings:
        batch.append(reading)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _padded(rows: Sequence[torch.Tensor], filling: int) -> torch.Tensor:
    """Rows of unequal length, filled up behind: nothing reads what stands behind it."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=filling)


def _first_bytes(document: Document, tokenizer: Tokenizer) -> int:
    """Bytes that the first token of a document stands for, white space before it as well."""
    if tokenizer.is_byte_level:
        return len(bytes_of(tokenizer.token(int(document.ids[0]))) or b"")
    beginning = document.text[:_FIRST_CHARACTERS]
    offsets = tokenizer.encode_with_offsets(beginning, add_special=False).offsets
    return len(beginning[: offsets[0][1]].encode())
