"""Sentences of an answer proved by quotes of documents, each at its exact place.

A quote is a sentence of the evidence, or two that follow each other. No quotes are: headings, lines that lead
to the next one (they end in a colon), and halves of sentences. The model never writes a citation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.answer_records import AnswerSentence, Citation
from creuset.knowledge.injection import orders_in
from creuset.knowledge.language import detect_language
from creuset.knowledge.records import StoredChunk
from creuset.knowledge.retriever import TextEmbedder
from creuset.knowledge.sentences import sentence_spans
from creuset.knowledge.support import Stated, stated, support

_MAX_CITATIONS = 2
_LEAST_TERMS = 3
_ENDS = ".!?…\"'”’»)]"


@dataclass(frozen=True)
class Quote:
    """A piece of a chunk that may be cited: its characters in the chunk, and what it states."""

    chunk: StoredChunk
    start: int
    end: int
    stated: Stated

    @property
    def text(self) -> str:
        return self.chunk.text[self.start : self.end]


def quotes_of(chunks: Sequence[StoredChunk], analyzer: Analyzer, *, pairs: bool = True) -> list[Quote]:
    """All that may be cited of some chunks, in their order.

    Args:
        chunks: The evidence.
        analyzer: Makes terms.
        pairs: Two sentences that follow each other are quotes too.
    """
    quotes = []
    for chunk in chunks:
        orders = set(orders_in(chunk.text, chunk.language))
        spans = [
            span
            for span in sentence_spans(chunk.text, chunk.language)
            if span not in orders and _is_whole(chunk.text[slice(*span)])
        ]
        wholes = [*spans]
        if pairs:
            wholes += [
                (one[0], other[1])
                for one, other in pairwise(spans)
                if not chunk.text[one[1] : other[0]].strip()
            ]
        for start, end in wholes:
            says = stated(chunk.text[start:end], chunk.language, analyzer)
            if len(set(says.terms)) >= _LEAST_TERMS:
                quotes.append(Quote(chunk, start, end, says))
    return quotes


def prove(
    sentences: Sequence[str],
    quotes: Sequence[Quote],
    *,
    weights: Mapping[str, float],
    threshold: float,
    analyzer: Analyzer,
    embedder: TextEmbedder | None,
) -> list[AnswerSentence]:
    """Each sentence with what supports it.

    Args:
        sentences: Of an answer.
        quotes: That may be cited.
        weights: Of terms.
        threshold: The least support of a citation, in [0, 1].
        analyzer: Makes terms.
        embedder: Makes vectors; None for none.
    """
    cosines = _cosines(sentences, quotes, embedder)
    proved = []
    for number, sentence in enumerate(sentences):
        says = stated(sentence, detect_language(sentence) or _language(quotes), analyzer)
        scores = [
            support(
                says, quote.stated, quote.text, weights, None if cosines is None else cosines[number, place]
            )
            for place, quote in enumerate(quotes)
        ]
        # of equal support the shorter quote
        order = sorted(
            range(len(quotes)),
            key=lambda place: (-round(scores[place], 6), quotes[place].end - quotes[place].start),
        )
        best = scores[order[0]] if order else 0.0
        kept: list[int] = []
        for place in order:
            if scores[place] < threshold or len(kept) == _MAX_CITATIONS:
                break
            if not any(_overlap(quotes[place], quotes[other]) for other in kept):
                kept.append(place)
        proved.append(
            AnswerSentence(
                text=sentence,
                support=best,
                citations=tuple(citation(quotes[place], scores[place]) for place in kept),
            )
        )
    return proved


def citation(quote: Quote, supported: float) -> Citation:
    """Where a quote stands in its document."""
    chunk = quote.chunk
    return Citation(
        chunk_id=chunk.id,
        document_id=chunk.document_id,
        path=chunk.path,
        version=chunk.version,
        page=chunk.page,
        start=chunk.start + quote.start,
        end=chunk.start + quote.end,
        quote=quote.text,
        support=supported,
    )


def _is_whole(text: str) -> bool:
    """Whether a piece is a sentence, and no heading, half or line that leads to the next one."""
    return text[-1] in _ENDS and not text.rstrip(_ENDS[4:]).endswith(":") and not text[0].islower()


def _language(quotes: Sequence[Quote]) -> str:
    return quotes[0].chunk.language if quotes else ""


def _overlap(one: Quote, other: Quote) -> bool:
    return one.chunk.id == other.chunk.id and one.start < other.end and other.start < one.end


def _cosines(
    sentences: Sequence[str], quotes: Sequence[Quote], embedder: TextEmbedder | None
) -> NDArray[np.float32] | None:
    if embedder is None or not sentences or not quotes:
        return None
    vectors = embedder.embed([*sentences, *(quote.text for quote in quotes)], truncate=embedder.max_tokens)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found: NDArray[np.float32] = unit[: len(sentences)] @ unit[len(sentences) :].T
    return found
