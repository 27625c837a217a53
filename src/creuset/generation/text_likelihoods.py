"""How likely a language model trained here finds documents: the rows of perplexity and bits per byte.

A document is read in sliding windows of the model's context. Where documents follow a separator in training,
the separator stands before each, and all of its tokens are scored; else its first token, which nothing stands
before, is only read, and its bytes are left out as well.

A row is a document. Where there are few, as where one long text was cut into splits, a row is a passage: some
windows that follow each other in a document.

Legend of shapes: B windows, T tokens.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from creuset.data.text_loss import TextLoss
from creuset.data.token_stream import IGNORED, Document, TokenStream, block_batch
from creuset.data.tokenizer import Tokenizer
from creuset.metrics.inputs import IntArray
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.metrics.text.perplexity import (
    DocumentLikelihoods,
    WindowSetting,
    bits_per_byte,
    nats_per_token_rows,
    perplexity,
    sliding_windows,
)
from creuset.models.language_model import LanguageModel
from creuset.progress import Progress

_TOKENS_AT_ONCE = 2**15
_FEW_DOCUMENTS = 20
_NUM_PASSAGES = 200
"""Into how many passages few documents are cut: many for an interval, and long, as neighbours are alike."""


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """One window of one document.

    Args:
        document: The document's number.
        tokens: What is read, (T,).
        targets: What is scored after each, (T,), `IGNORED` where another window scores it.
        scored: Which of the document's tokens are scored: first, and one past the last.
    """

    document: int
    tokens: torch.Tensor
    targets: torch.Tensor
    scored: tuple[int, int]


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
    readings = list(_readings(documents, windows, stream.separator))
    nats = np.zeros(len(readings))
    progress.start("likelihood", len(stream.ids), "tokens")
    done = 0
    for first in range(0, len(readings), size := max(1, _TOKENS_AT_ONCE // model.context)):
        batch = readings[first : first + size]
        tokens = _padded([reading.tokens for reading in batch], 0).to(device)
        targets = _padded([reading.targets for reading in batch], IGNORED).to(device)
        nats[first : first + size] = model.token_nats(tokens, targets).double().sum(1).cpu().numpy()
        done += int((targets != IGNORED).sum())
        progress.advance(done)
    progress.finish()
    num_rows, row = _rows(readings, len(documents))
    num_tokens = [reading.scored[1] - reading.scored[0] for reading in readings]
    num_bytes = _bytes(readings, documents, tokenizer)
    return DocumentLikelihoods.from_sums(
        np.bincount(row, weights=nats, minlength=num_rows),
        *(
            np.bincount(row, weights=counts, minlength=num_rows).astype(np.int64)
            for counts in (num_tokens, num_bytes)
        ),
        tokenizer=tokenizer.fingerprint[:16],
        windows=windows,
        rows="documents" if len(documents) >= _FEW_DOCUMENTS else "passages",
    )


def text_scores(likelihoods: DocumentLikelihoods, *, loss: TextLoss, context: Context) -> list[Score]:
    """Nats per token, perplexity and bits per byte, each with its interval over documents or passages.

    Bits per byte are left out where the tokenizer loses something of the texts.
    """
    scores = token_scores(likelihoods, loss=loss, context=context)
    return scores if loss else [*scores, bits_per_byte(likelihoods, context=context)]


def token_scores(likelihoods: DocumentLikelihoods, *, loss: TextLoss, context: Context) -> list[Score]:
    """Nats per token and perplexity, which depend on the tokenizer; the share of unknown tokens is signed."""
    if loss.unknown:
        context = replace(context, extra={**context.extra, "unknown_tokens": f"{loss.unknown:.3g}"})
    return [
        nats_per_token_rows(likelihoods).score(context=context),
        perplexity(likelihoods, context=context),
    ]


def no_bits(loss: TextLoss) -> list[str]:
    """A remark where bits per byte are left out."""
    return [f"bits per byte are left out: {loss.reason}"] if loss else []


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
            begin = window.start + window.context + (0 if separator is not None else 1)
            yield _Reading(
                document=number,
                tokens=tokens[place],
                targets=scored,
                scored=(begin, begin + window.scored),
            )


def _rows(readings: Sequence[_Reading], num_documents: int) -> tuple[int, IntArray]:
    """How many rows there are, and the row of each window."""
    document = np.array([reading.document for reading in readings], dtype=np.int64)
    if num_documents >= _FEW_DOCUMENTS:
        return num_documents, document
    length = -(-len(readings) // _NUM_PASSAGES)  # windows
    place = np.concatenate([np.arange(count) for count in np.bincount(document)])
    begins = place % length == 0
    return int(begins.sum()), np.cumsum(begins) - 1


def _bytes(readings: Sequence[_Reading], documents: Sequence[Document], tokenizer: Tokenizer) -> list[int]:
    """Bytes of text that the tokens of each window stand for, white space before them as well."""
    found: list[int] = []
    for number, own in itertools.groupby(readings, key=lambda reading: reading.document):
        before = _bytes_before(documents[number], tokenizer)
        found += [int(before[reading.scored[1]] - before[reading.scored[0]]) for reading in own]
    return found


def _bytes_before(document: Document, tokenizer: Tokenizer) -> IntArray:
    """Bytes of a document's text before the end of its first 0, 1, ... tokens, (T + 1,).

    A character that several tokens spell counts with the first of them.
    """
    offsets = tokenizer.encode_with_offsets(document.text, add_special=False).offsets
    if len(offsets) != len(document.ids):  # a text that was cut for timing
        return np.linspace(0, document.num_bytes, len(document.ids) + 1).astype(np.int64)
    widths = [len(character.encode()) for character in document.text]
    bytes_before = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])
    ends = np.maximum.accumulate([0, *(end for _, end in offsets)])
    ends[-1] = len(document.text)
    return bytes_before[ends]


def _padded(rows: Sequence[torch.Tensor], filling: int) -> torch.Tensor:
    """Rows of unequal length, filled up behind: nothing reads what stands behind it."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=filling)
