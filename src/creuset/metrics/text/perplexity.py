"""Perplexity and bits per byte of a language model, from the log-probabilities of tokens.

Perplexity is exp(nats/tokens) over all documents: how many tokens the model hesitates between. It depends on
the tokenizer, whose name stands in its signature. Bits per byte, nats/(bytes ln 2), can be compared between
tokenizers.

A document that is longer than the model's context is read in windows (`sliding_windows`); a token that is
scored with less before it gets a lower probability, so stride and context are part of the signature.

Intervals are over documents. Of a few long documents that would say little: their passages stand for them
then, and the signature says so.

Source: Jelinek et al. (1977), "Perplexity - a measure of the difficulty of speech recognition tasks".
Departures: the last window is moved back so that it is as long as the others.

Legend of shapes: N documents, T tokens of one document.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray, as_floats, as_integers, require_same_length
from creuset.metrics.intervals import NUM_RESAMPLES
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context, FieldValue
from creuset.metrics.text.pairs import as_texts
from creuset.metrics.text.rows import TextRows


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of a document that the model reads at once: tokens [start, start + context + scored).

    Args:
        start: The first token that is read.
        context: How many tokens are only read, since a window before has scored them.
        scored: How many tokens after these are scored.
    """

    start: int
    context: int
    scored: int

    @property
    def stop(self) -> int:
        """One past the last token."""
        return self.start + self.context + self.scored


@dataclass(frozen=True, kw_only=True)
class WindowSetting:
    """How documents are cut into windows.

    Args:
        context_length: Tokens that the model reads at once, from 1.
        stride: Tokens that each window after the first scores, in [1, context_length]: small is slow and
            gives each token much context, context_length is fast and gives some tokens none.

    Raises:
        UsageError: A number out of range.
    """

    context_length: int
    stride: int

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.context_length:
            raise UsageError(
                "not a sliding window",
                got=f"stride {self.stride} with a context of {self.context_length} tokens",
                expected="1 <= stride <= context_length",
            )


def sliding_windows(num_tokens: int, setting: WindowSetting) -> Iterator[Window]:
    """The windows of a document, in order; each of its tokens is scored exactly once.

    From the second window on, a token has at least context_length - stride tokens before it. The first token
    of a document has none: put a token that begins a text in front, or leave it out of the sums.

    Args:
        num_tokens: Tokens of the document, from 0.
        setting: Context and stride.
    """
    done = 0
    while done < num_tokens:
        scored = min(setting.stride if done else setting.context_length, num_tokens - done)
        start = max(0, done + scored - setting.context_length)
        yield Window(start=start, context=done - start, scored=scored)
        done += scored


@dataclass(frozen=True, kw_only=True, eq=False)
class DocumentLikelihoods:
    """What a language model gave each document: the rows of perplexity and bits per byte.

    Args:
        nats: -log p of the scored tokens, summed; finite, from 0; float64 (N,).
        num_tokens: Tokens scored, from 0; float64 (N,).
        num_bytes: Bytes in UTF-8 of what was scored, from 0; float64 (N,).
        tokenizer: The name of the tokenizer, for the signature.
        windows: How the documents were read.
        rows: What a row is: a document, or a passage of one, so that there are N passages.
    """

    nats: FloatArray
    num_tokens: FloatArray
    num_bytes: FloatArray
    tokenizer: str
    windows: WindowSetting
    rows: Literal["documents", "passages"] = "documents"

    @classmethod
    def from_log_probs(
        cls,
        log_probs: Sequence[ArrayLike],
        texts: Sequence[str],
        *,
        tokenizer: str,
        windows: WindowSetting,
    ) -> "DocumentLikelihoods":
        """From the log-probability in nats of each token, (T,) for each document, and the documents' texts.

        Raises:
            DataError: No documents, unequal numbers, or log-probabilities above 0 or not finite.
        """
        documents = as_texts("texts", texts)
        if len(log_probs) != len(documents):
            raise DataError(
                "unequal numbers of documents",
                got=f"{len(log_probs)} arrays of log-probabilities, {len(documents)} texts",
                expected="one of each a document",
            )
        lengths = [len(np.atleast_1d(np.asarray(each))) for each in log_probs]
        sums = [
            -float(as_floats(f"log_probs[{index}]", each, "tokens").sum()) if lengths[index] else 0.0
            for index, each in enumerate(log_probs)
        ]
        return cls.from_sums(
            sums,
            lengths,
            [len(text.encode()) for text in documents],
            tokenizer=tokenizer,
            windows=windows,
        )

    @classmethod
    def from_sums(
        cls,
        nats: ArrayLike,
        num_tokens: ArrayLike,
        num_bytes: ArrayLike,
        *,
        tokenizer: str,
        windows: WindowSetting,
        rows: Literal["documents", "passages"] = "documents",
    ) -> "DocumentLikelihoods":
        """From the sums of each document or passage, where they were added up window by window.

        Raises:
            DataError: No documents, unequal numbers, negative or infinite sums, no token or byte at all or
                in a document with nats.
        """
        sums = as_floats("nats", nats, "documents")
        counts = {
            name: as_integers(name, values, "documents", below=2**53).astype(np.float64)
            for name, values in (("num_tokens", num_tokens), ("num_bytes", num_bytes))
        }
        require_same_length(nats=sums, **counts)
        lowest = float(sums.min())
        if lowest < 0:
            raise DataError(
                "a probability above 1",
                where="nats",
                got=f"{lowest:.6g} for document {int(sums.argmin())}",
                expected="-log p, which is 0 or more",
            )
        for name, column in counts.items():
            if not column.any():
                raise DataError("nothing to measure", where=name, got=f"0 in {len(column)} documents")
            unexplained = (sums > 0) & (column == 0)
            if unexplained.any():
                first = int(np.argmax(unexplained))
                raise DataError(
                    f"a document with nats and {name} of 0",
                    where=f"document {first}",
                    got=f"{sums[first]:.6g} nats",
                    next_step="leave empty documents out",
                )
        return cls(nats=sums, **counts, tokenizer=tokenizer, windows=windows, rows=rows)


def perplexity(
    likelihoods: DocumentLikelihoods,
    *,
    context: Context = NO_CONTEXT,
    num_resamples: int = NUM_RESAMPLES,
) -> Score:
    """exp(nats/tokens), from 1 up, with a BCa bootstrap interval over documents.

    Args:
        likelihoods: The documents' sums.
        context: Data, split and seed.
        num_resamples: Resamples of the interval.
    """
    return perplexity_rows(likelihoods).score(context=context, num_resamples=num_resamples)


def bits_per_byte(
    likelihoods: DocumentLikelihoods,
    *,
    context: Context = NO_CONTEXT,
    num_resamples: int = NUM_RESAMPLES,
) -> Score:
    """nats/(bytes ln 2), with a BCa bootstrap interval over documents; the tokenizer is no part of it.

    Args: as `perplexity`.
    """
    return bits_per_byte_rows(likelihoods).score(context=context, num_resamples=num_resamples)


def perplexity_rows(likelihoods: DocumentLikelihoods) -> TextRows:
    """The rows of perplexity, one a document that has tokens: nats and tokens."""
    return TextRows(
        metric="perplexity",
        unit="choices_per_token",
        better="lower",
        rows=counted(likelihoods.nats, likelihoods.num_tokens),
        statistic=perplexity_of,
        spread="bca",
        fields={**_reading(likelihoods), "tokenizer": likelihoods.tokenizer},
    )


def bits_per_byte_rows(likelihoods: DocumentLikelihoods) -> TextRows:
    """The rows of bits per byte, one a document that has bytes: nats and bytes."""
    return TextRows(
        metric="bits_per_byte",
        unit="bits_per_byte",
        better="lower",
        rows=counted(likelihoods.nats, likelihoods.num_bytes),
        statistic=bits_per_byte_of,
        spread="bca",
        fields=_reading(likelihoods),
    )


def nats_per_token_rows(likelihoods: DocumentLikelihoods) -> TextRows:
    """The rows of nats per token, the logarithm of perplexity: one a document that has tokens."""
    return replace(
        perplexity_rows(likelihoods),
        metric="nats_per_token",
        unit="nats_per_token",
        statistic=nats_per_token_of,
    )


def counted(nats: FloatArray, counts: FloatArray) -> FloatArray:
    """Documents with something to count, so that no resample divides by 0; (N, 2)."""
    return np.stack([nats, counts], axis=1)[counts > 0]


def nats_per_token_of(sums: FloatArray) -> FloatArray:
    """Sums of nats and of tokens, (R, 2) -> nats per token, (R,)."""
    ratios: FloatArray = sums[:, 0] / sums[:, 1]
    return ratios


def perplexity_of(sums: FloatArray) -> FloatArray:
    """Sums of nats and of tokens, (R, 2) -> perplexity, (R,)."""
    return np.exp(nats_per_token_of(sums))


def bits_per_byte_of(sums: FloatArray) -> FloatArray:
    """Sums of nats and of bytes, (R, 2) -> bits per byte, (R,)."""
    return nats_per_token_of(sums) / math.log(2)


def _reading(likelihoods: DocumentLikelihoods) -> dict[str, FieldValue]:
    """The choices that change the numbers, for the signature."""
    return {
        "context_length": likelihoods.windows.context_length,
        "stride": likelihoods.windows.stride,
        **({"rows": likelihoods.rows} if likelihoods.rows != "documents" else {}),
    }
