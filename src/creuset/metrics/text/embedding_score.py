"""The embedding score: BERTScore's formula over any encoder of tokens.

Each token of the hypothesis is matched with the reference token whose vector is nearest in cosine, and the
other way round: P = sum_i w_i max_j cos(h_i, r_j) / sum_i w_i over the tokens of the hypothesis, R likewise
over those of the reference, F1 = 2 P R / (P + R). With idf weighting w = log((M + 1)/(df + 1)), df of M texts
holding the token; with rescaling each of the three becomes (x - b)/(1 - b), b being its value for unrelated
texts.

Source: Zhang et al. (2020), "BERTScore: Evaluating Text Generation with BERT", section 3.
Departures: the encoder is the caller's and its name stands in the signature; it leaves special tokens out by
itself; a text without tokens scores 0.

Legend of shapes: N texts, T tokens, D numbers a token.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray, as_floats
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.pairs import References, as_text_pairs, num_references
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic

BATCH_SIZE = 64
"""Pairs encoded at a time: what is held is their vectors alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedText:
    """The tokens of one text.

    Args:
        vectors: One vector a token in context, (T, D); T may be 0.
        token_ids: What each token is in the vocabulary, (T,); used by idf weights.
    """

    vectors: ArrayLike
    token_ids: Sequence[int]


Encode = Callable[[Sequence[str]], Sequence[EncodedText]]


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """What turns texts into vectors of tokens.

    Args:
        name: What stands in the signature: the model and its layer, such as "minilm.layer6", better with
            the hash of its weights.
        encode: Texts -> the tokens of each, without special tokens.
    """

    name: str
    encode: Encode


@dataclass(frozen=True, kw_only=True)
class IdfWeights:
    """How much a token counts: log((M + 1)/(df + 1)); made by `idf_weights`.

    Args:
        num_texts: Texts M that were counted.
        document_frequencies: In how many of them each token is.
    """

    num_texts: int
    document_frequencies: Mapping[int, int] = field(repr=False)

    @property
    def name(self) -> str:
        """What stands in a signature: the number of texts, and a hash of what was counted in them."""
        counted = json.dumps(sorted((int(token), num) for token, num in self.document_frequencies.items()))
        return f"texts{self.num_texts}-{hashlib.sha256(counted.encode()).hexdigest()[:8]}"

    def of(self, token_ids: Sequence[int]) -> FloatArray:
        """The weight of each token, (T,)."""
        counts = [self.document_frequencies.get(int(token), 0) for token in token_ids]
        return np.array([math.log((self.num_texts + 1) / (count + 1)) for count in counts])


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What unrelated texts score with this encoder, each below 1; the scores are rescaled so that it is 0."""

    precision: float
    recall: float
    f1: float

    def __post_init__(self) -> None:
        if not all(-1 <= value < 1 for value in (self.precision, self.recall, self.f1)):
            raise UsageError("not a baseline", got=str(self), expected="numbers in [-1, 1)")

    def rescale(self, scores: FloatArray) -> FloatArray:
        """F1, precision and recall in columns, rescaled; (N, 3)."""
        base = np.array([self.f1, self.precision, self.recall])
        rescaled: FloatArray = (scores - base) / (1 - base)
        return rescaled


def idf_weights(token_ids: Iterable[Sequence[int]]) -> IdfWeights:
    """The weights that a set of texts gives its tokens, commonly the references of a test set.

    Args:
        token_ids: The tokens of each text.

    Raises:
        DataError: No texts.
    """
    counts: Counter[int] = Counter()
    num_texts = 0
    for tokens in token_ids:
        counts.update({int(token) for token in tokens})
        num_texts += 1
    if not num_texts:
        raise DataError("no texts to count tokens in", where="token_ids", expected="one or more")
    return IdfWeights(num_texts=num_texts, document_frequencies=dict(counts))


def embedding_score(
    hypotheses: Sequence[str],
    references: References,
    *,
    encoder: Encoder,
    idf: IdfWeights | None = None,
    baseline: Baseline | None = None,
    context: Context = NO_CONTEXT,
) -> list[Score]:
    """F1, precision and recall of matched tokens: means over texts with Student's interval.

    Cosines lie in [-1, 1], and so do the scores before rescaling. Intervals are cut at 1.

    Args:
        hypotheses: N texts.
        references: For each its reference, or a list: of each of the three the best value counts.
        encoder: What makes vectors of texts.
        idf: Weights of tokens; None where all weigh the same.
        baseline: What unrelated texts score; None leaves the scores as they are.
        context: Data and split.

    Returns:
        "embedding_score_f1", "embedding_score_precision" and "embedding_score_recall".

    Raises:
        DataError: No texts, unequal numbers; vectors that are not finite, of length 0 or of unlike sizes;
            texts whose tokens all have weight 0.
    """
    rows = embedding_rows(hypotheses, references, encoder=encoder, idf=idf, baseline=baseline)
    return [each.score(context=context) for each in rows]


def embedding_rows(
    hypotheses: Sequence[str],
    references: References,
    *,
    encoder: Encoder,
    idf: IdfWeights | None = None,
    baseline: Baseline | None = None,
) -> list[TextRows]:
    """The rows of F1, precision and recall, one a text: its value, and 1.

    Args and Raises: as `embedding_score`.
    """
    texts, answers = as_text_pairs(hypotheses, references)
    parts = [
        _score_batch(
            start, texts[start : start + BATCH_SIZE], answers[start : start + BATCH_SIZE], encoder, idf
        )
        for start in range(0, len(texts), BATCH_SIZE)
    ]
    scores = np.concatenate(parts)  # (N, 3)
    if baseline is not None:
        scores = baseline.rescale(scores)
    return [
        TextRows(
            metric=f"embedding_score_{name}",
            unit="fraction",
            better="higher",
            rows=mean_rows(scores[:, column]),
            statistic=mean_statistic,
            spread="t",
            bounds=(-math.inf, 1),
            fields={
                "baseline": "none" if baseline is None else f"{getattr(baseline, name):g}",
                "encoder": encoder.name,
                "idf": "none" if idf is None else idf.name,
                "nrefs": num_references(answers),
            },
        )
        for column, name in enumerate(("f1", "precision", "recall"))
    ]


def _score_batch(
    start: int,
    texts: Sequence[str],
    answers: Sequence[tuple[str, ...]],
    encoder: Encoder,
    idf: IdfWeights | None,
) -> FloatArray:
    """F1, precision and recall of some texts, the first of them number `start`; (n, 3)."""
    flat = [reference for several in answers for reference in several]
    own = _encode("hypotheses", texts, encoder, idf)
    others = iter(_encode("references", flat, encoder, idf))
    scores = []
    for index, (tokens, several) in enumerate(zip(own, answers, strict=True), start):
        rivals = [_match(index, tokens, next(others)) for _ in several]
        scores.append(np.max(rivals, axis=0))
    return np.array(scores)


@dataclass(frozen=True, eq=False)
class _Tokens:
    """Unit vectors (T, D) and weights that sum to 1 (T,)."""

    vectors: FloatArray
    weights: FloatArray


def _encode(name: str, texts: Sequence[str], encoder: Encoder, idf: IdfWeights | None) -> list[_Tokens]:
    encoded = encoder.encode(texts)
    if len(encoded) != len(texts):
        raise DataError(
            "the encoder lost texts",
            where=encoder.name,
            got=f"{len(encoded)} for {len(texts)} {name}",
            expected="one for each text",
        )
    return [_tokens(name, text, each, idf) for text, each in zip(texts, encoded, strict=True)]


def _tokens(name: str, text: str, encoded: EncodedText, idf: IdfWeights | None) -> _Tokens:
    num_tokens = len(encoded.token_ids)
    shape = np.shape(encoded.vectors)
    where = f'{name}, "{text[:40]}"'
    if len(shape) != 2 or shape[0] != num_tokens:
        raise DataError(
            "vectors that do not fit their tokens",
            where=where,
            got=f"shape {shape} for {num_tokens} tokens",
            expected="one row a token",
        )
    if num_tokens == 0:
        return _Tokens(np.zeros((0, 0)), np.zeros(0))
    vectors = as_floats(where, encoded.vectors, "tokens numbers")
    norms = np.linalg.norm(vectors, axis=1)
    if not norms.all():
        raise DataError("a vector of length 0", where=where, got=f"token {int(np.argmin(norms))}")
    weights = np.ones(num_tokens) if idf is None else idf.of(encoded.token_ids)
    if not weights.sum() > 0:
        raise DataError(
            "idf leaves no token to weigh: each is in every text that was counted",
            where=where,
            got=f"{num_tokens} tokens of weight 0",
            next_step="count more texts, or leave idf out",
        )
    return _Tokens(vectors / norms[:, None], weights / weights.sum())


def _match(index: int, hypothesis: _Tokens, reference: _Tokens) -> tuple[float, float, float]:
    """F1, precision and recall of one pair."""
    if not (len(hypothesis.weights) and len(reference.weights)):
        return 0.0, 0.0, 0.0
    sizes = hypothesis.vectors.shape[1], reference.vectors.shape[1]
    if sizes[0] != sizes[1]:
        raise DataError(
            "vectors of unlike sizes",
            where=f"text {index}",
            got=f"{sizes[0]} numbers a token in the hypothesis, {sizes[1]} in the reference",
            expected="one encoder for both",
        )
    cosines = hypothesis.vectors @ reference.vectors.T  # (T, T')
    precision = float(hypothesis.weights @ cosines.max(axis=1))
    recall = float(reference.weights @ cosines.max(axis=0))
    total = precision + recall
    return (2 * precision * recall / total if total else 0.0), precision, recall
