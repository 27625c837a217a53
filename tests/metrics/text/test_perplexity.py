"""Perplexity, bits per byte and the windows of long documents."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from creuset.errors import DataError, GateError, UsageError
from creuset.metrics import (
    DocumentLikelihoods,
    WindowSetting,
    bits_per_byte,
    perplexity,
    perplexity_rows,
    require_comparable,
    sliding_windows,
)
from creuset.metrics.comparison_methods import compare_kept
from creuset.metrics.signature import Context

WINDOWS = WindowSetting(context_length=8, stride=4)


def likelihoods(tokenizer: str = "bytes", num: int = 40) -> DocumentLikelihoods:
    rng = np.random.default_rng(0)
    texts = ["é" * int(size) for size in rng.integers(1, 30, size=num)]
    log_probs = [-rng.exponential(2.0, size=len(text)) for text in texts]
    return DocumentLikelihoods.from_log_probs(log_probs, texts, tokenizer=tokenizer, windows=WINDOWS)


@pytest.mark.parametrize("num_choices", [2, 50257])
def test_a_uniform_model_hesitates_between_all_tokens(num_choices: int) -> None:
    log_probs = [np.full(size, -math.log(num_choices)) for size in (3, 5)]
    uniform = DocumentLikelihoods.from_log_probs(
        log_probs, ["abcdef", "0123456789"], tokenizer="x", windows=WINDOWS
    )
    assert perplexity(uniform).value == pytest.approx(num_choices)
    assert bits_per_byte(uniform).value == pytest.approx(8 * math.log2(num_choices) / 16)


def test_the_formulas_over_all_tokens() -> None:
    given = likelihoods()
    nats, tokens = given.nats.sum(), given.num_tokens.sum()
    assert perplexity(given).value == pytest.approx(math.exp(nats / tokens))
    assert given.num_bytes.sum() == 2 * tokens  # é takes two bytes
    assert bits_per_byte(given).value == pytest.approx(nats / math.log(2) / (2 * tokens))
    assert (perplexity(given).unit, bits_per_byte(given).unit) == ("choices_per_token", "bits_per_byte")


def test_intervals_resample_documents() -> None:
    score = perplexity(likelihoods(), context=Context(data="3f2a9c01", split="test"))
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]
    assert score.signature == (
        "perplexity|v:1|data:3f2a9c01|split:test|n:40|seed:0|context_length:8|interval:bca95|resamples:1000"
        "|stride:4|tokenizer:bytes"
    )


def test_two_models_are_compared_by_what_each_document_kept() -> None:
    base = likelihoods()
    data = Context(data="3f2a9c01", split="test")
    noise = np.random.default_rng(1).normal(scale=0.3, size=len(base.nats))
    for shift, verdict in ((0.0, "cannot tell apart"), (-1.0, "better"), (1.0, "worse")):
        nats = np.maximum(base.nats + (shift + noise) * np.sqrt(base.num_tokens), 0)
        other = DocumentLikelihoods.from_sums(
            nats,
            base.num_tokens.astype(int),
            base.num_bytes.astype(int),
            tokenizer="bytes",
            windows=WINDOWS,
        )
        kept = [
            {"nats": one.nats, "num_tokens": one.num_tokens, "num_bytes": one.num_bytes}
            for one in (base, other)
        ]
        for measure in (perplexity, bits_per_byte):
            found = compare_kept(measure(base, context=data), measure(other, context=data), *kept)
            assert found.verdict == verdict
            assert found.paired


def test_passages_are_not_compared_with_documents() -> None:
    data = Context(data="3f2a9c01", split="test")
    of_passages = replace(likelihoods(), rows="passages")
    with pytest.raises(GateError, match="they differ in rows"):
        require_comparable(
            perplexity(likelihoods(), context=data).signature, perplexity(of_passages, context=data).signature
        )


def test_only_bits_per_byte_can_be_compared_between_tokenizers() -> None:
    context = Context(data="3f2a9c01", split="test")
    one, other = likelihoods("one"), likelihoods("other")
    require_comparable(
        bits_per_byte(one, context=context).signature, bits_per_byte(other, context=context).signature
    )
    with pytest.raises(Exception, match="they differ in tokenizer"):
        require_comparable(
            perplexity(one, context=context).signature, perplexity(other, context=context).signature
        )


def test_empty_documents_are_left_out() -> None:
    rows = perplexity_rows(
        DocumentLikelihoods.from_log_probs([[-1.0], []], ["a", ""], tokenizer="x", windows=WINDOWS)
    )
    assert rows.rows.tolist() == [[1, 1]]


@pytest.mark.parametrize("num_tokens", [0, 1, 4, 7, 8, 9, 12, 13, 100])
@pytest.mark.parametrize(("context_length", "stride"), [(8, 8), (8, 4), (8, 1), (1, 1), (7, 3)])
def test_each_token_is_scored_once_with_enough_before_it(
    num_tokens: int, context_length: int, stride: int
) -> None:
    windows = list(sliding_windows(num_tokens, WindowSetting(context_length=context_length, stride=stride)))
    scored = [index for window in windows for index in range(window.stop - window.scored, window.stop)]
    assert scored == list(range(num_tokens))
    for window in windows:
        assert window.start >= 0
        assert window.stop - window.start == min(context_length, num_tokens)
        assert window.start == 0 or window.context >= context_length - stride
    assert all(before.stop < after.stop for before, after in pairwise(windows))


def test_windows_by_hand() -> None:
    setting = WindowSetting(context_length=8, stride=4)
    assert [(w.start, w.context, w.scored) for w in sliding_windows(14, setting)] == [
        (0, 0, 8),
        (4, 4, 4),
        (6, 6, 2),
    ]


@pytest.mark.parametrize(("context_length", "stride"), [(8, 9), (8, 0), (0, 0)])
def test_windows_that_leave_tokens_out_are_refused(context_length: int, stride: int) -> None:
    with pytest.raises(UsageError, match=f"got: stride {stride} with a context of {context_length} tokens"):
        WindowSetting(context_length=context_length, stride=stride)


@pytest.mark.parametrize(
    ("log_probs", "texts", "message"),
    [
        (
            [[-1.0]],
            ["a", "b"],
            r"unequal numbers of documents\n  got: 1 arrays of log-probabilities, 2 texts",
        ),
        ([[-1.0], [math.nan]], ["a", "b"], r"log_probs\[1\]: values that are not finite"),
        ([[-1.0], [0.5]], ["a", "b"], r"a probability above 1\n  got: -0.5 for document 1"),
        ([[], []], ["a", "b"], r"num_tokens: nothing to measure\n  got: 0 in 2 documents"),
        ([[-1.0], [-1.0]], ["a", ""], r"document 1: a document with nats and num_bytes of 0"),
    ],
)
def test_likelihoods_that_cannot_be_are_refused(
    log_probs: list[list[float]], texts: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        DocumentLikelihoods.from_log_probs(log_probs, texts, tokenizer="x", windows=WINDOWS)
