"""How likely a language model trained here finds documents: the rows of perplexity and bits per byte.

A document is read in sliding windows of the model's context. Where documents follow a separator in training,
the separator stands before each. Else nothing stands before a document's first token, of which the model says
nothing: all tokens then count as equally likely, ln V nats. So every byte is measured, by any tokenizer.

A row is a document. Where there are few, as where one long text was cut into splits, a row is a passage.
Passages are cut at bytes that are the same for any tokenizer, and a token belongs to that of its first byte.

Legend of shapes: B windows, T tokens, V vocabulary, M tokens of all documents, N rows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from creuset.data.text_loss import TextLoss
from creuset.data.token_bytes import bytes_before
from creuset.data.token_stream import IGNORED, Document, TokenStream, block_batch
from creuset.data.tokenizer import Tokenizer
from creuset.metrics.inputs import FloatArray, IntArray
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
_SHORTEST_PASSAGE = 16
"""Bytes of a passage of a short text, about."""


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """One window of one document.

    Args:
        tokens: What is read, (T,).
        targets: What is scored after each, (T,), `IGNORED` where another window scores it.
        scored: Which of the tokens of all documents are scored: first, and one past the last.
    """

    tokens: torch.Tensor
    targets: torch.Tensor
    scored: tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """The rows that tokens are added up to.

    Args:
        of_tokens: The row of each token, (M,).
        num_bytes: Bytes of each row, (N,).
    """

    of_tokens: IntArray
    num_bytes: IntArray

    @property
    def num_tokens(self) -> IntArray:
        """Tokens of each row, (N,)."""
        return np.bincount(self.of_tokens, minlength=len(self.num_bytes)).astype(np.int64)

    def sums(self, values: FloatArray) -> FloatArray:
        """The values of each row's tokens, (M,), added up, (N,)."""
        sums = np.bincount(self.of_tokens, weights=values, minlength=len(self.num_bytes))
        return sums.astype(np.float64)


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
    rows = _rows(stream.documents, tokenizer)
    return DocumentLikelihoods.from_sums(
        rows.sums(_nats(model, stream, windows, device, progress)),
        rows.num_tokens,
        rows.num_bytes,
        tokenizer=tokenizer.fingerprint[:16],
        windows=windows,
        rows="documents" if len(stream.documents) >= _FEW_DOCUMENTS else "passages",
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


def _nats(
    model: LanguageModel,
    stream: TokenStream,
    windows: WindowSetting,
    device: torch.device,
    progress: Progress,
) -> FloatArray:
    """The nats of each token of the documents, (M,)."""
    readings = list(_readings(stream.documents, windows, stream.separator))
    num_tokens = sum(len(document.ids) for document in stream.documents)
    nats = np.full(num_tokens, math.log(model.vocab_size))
    progress.start("likelihood", len(stream.ids), "tokens")
    done = 0
    for first in range(0, len(readings), size := max(1, _TOKENS_AT_ONCE // model.context)):
        batch = readings[first : first + size]
        tokens = _padded([reading.tokens for reading in batch], 0).to(device)
        targets = _padded([reading.targets for reading in batch], IGNORED).to(device)
        found = model.token_nats(tokens, targets).double().cpu().numpy()
        for values, reading in zip(found, batch, strict=True):
            begin, end = reading.scored
            nats[begin:end] = values[len(reading.tokens) - (end - begin) : len(reading.tokens)]
            done += end - begin
        progress.advance(done)
    progress.finish()
    return nats


def _readings(
    documents: Sequence[Document], windows: WindowSetting, separator: int | None
) -> Iterator[_Reading]:
    """What is read, document by document: token by token what stands before it, and itself as a target."""
    first = 0
    for document in documents:
        ids = document.ids.long()
        if separator is not None:
            ids = torch.cat([torch.tensor([separator]), ids])
        tokens, targets = ids[:-1], ids[1:]
        for window in sliding_windows(len(targets), windows):
            place = slice(window.start, window.stop)
            scored = targets[place].clone()
            scored[: window.context] = IGNORED
            begin = first + window.start + window.context + (0 if separator is not None else 1)
            yield _Reading(tokens=tokens[place], targets=scored, scored=(begin, begin + window.scored))
        first += len(document.ids)


def _rows(documents: Sequence[Document], tokenizer: Tokenizer) -> _Rows:
    """Documents, or passages of few of them."""
    num_bytes = [document.num_bytes for document in documents]
    if len(documents) >= _FEW_DOCUMENTS:
        lengths = [len(document.ids) for document in documents]
        return _Rows(of_tokens=np.repeat(np.arange(len(documents)), lengths), num_bytes=np.array(num_bytes))
    length = max(_SHORTEST_PASSAGE, sum(num_bytes) / _NUM_PASSAGES)
    of_tokens: list[IntArray] = []
    sizes: list[int] = []
    for document, size in zip(documents, num_bytes, strict=True):
        number = max(1, round(size / length))
        first_bytes = np.minimum(bytes_before(document, tokenizer)[:-1], size - 1)
        of_tokens.append(len(sizes) + first_bytes * number // size)
        borders = -(-np.arange(number + 1) * size // number)
        sizes += np.diff(borders).tolist()
    return _Rows(of_tokens=np.concatenate(of_tokens), num_bytes=np.array(sizes))


def _padded(rows: Sequence[torch.Tensor], filling: int) -> torch.Tensor:
    """Rows of unequal length, filled up behind: nothing reads what stands behind it."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=filling)
