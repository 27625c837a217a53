"""Distinct-n by hand; self-BLEU against sacreBLEU's sentence scores; the spread of both in simulation."""

from collections.abc import Callable

import numpy as np
import pytest
import sacrebleu

from creuset.errors import DataError, UsageError
from creuset.metrics import Context, Score, distinct_n, self_bleu
from sentences import pairs


def test_distinct_by_hand() -> None:
    texts = ["a b a b", "A b", ""]
    assert distinct_n(texts, n=1).value == pytest.approx(2 / 6)
    assert distinct_n(texts, n=2).value == pytest.approx(2 / 4)
    assert distinct_n(texts, n=4).value == 1
    assert distinct_n(texts, n=2).metric == "distinct_2"


@pytest.mark.parametrize("max_order", [4, 2])
def test_sacrebleu_agrees_on_each_text_against_all_others(max_order: int) -> None:
    texts = [*pairs(40, seed=4)[0], "a b c", "a b c"]
    peer = sacrebleu.BLEU(effective_order=True, max_ngram_order=max_order, force=True)
    expected = [
        peer.sentence_score(text, texts[:index] + texts[index + 1 :]).score
        for index, text in enumerate(texts)
    ]
    assert self_bleu(texts, max_order=max_order).value == pytest.approx(np.mean(expected), rel=1e-12)


def test_copies_are_alike_and_strangers_are_not() -> None:
    assert self_bleu(["one two three four five"] * 3).value == pytest.approx(100)
    assert self_bleu(["one two", "three four", "five six"]).value == 0
    assert distinct_n(["one two three"] * 50, n=1).value == pytest.approx(1 / 50)


@pytest.mark.parametrize("metric", [distinct_n, self_bleu])
def test_intervals_are_as_wide_as_scores_spread(metric: Callable[..., Score]) -> None:
    """The half width over 40 sets of texts is 1 to 3 times what covers 95% of the scores."""
    scores = [metric(pairs(120, seed=seed)[1]) for seed in range(40)]
    spread = 1.96 * np.std([score.value for score in scores], ddof=1)
    intervals = [score.interval for score in scores]
    half = np.mean([(high - low) / 2 for low, high in (pair for pair in intervals if pair is not None)])
    assert None not in intervals
    assert 0.9 < half / spread < 3


def test_few_texts_have_no_interval_and_blocks_are_seeded() -> None:
    texts = pairs(39)[1]
    assert distinct_n(texts).interval is None
    score = self_bleu(pairs(60)[1], context=Context(data="3f2a9c01", split="test", seed=7))
    assert score.interval is not None
    assert score.signature == (
        "self_bleu|v:1|data:3f2a9c01|split:test|n:60|seed:7|interval:jackknife20_95|order:4"
        f"|sacrebleu:{sacrebleu.__version__}|smooth:exp|tok:13a"
    )


def test_what_has_no_diversity_is_refused() -> None:
    with pytest.raises(DataError, match="self-BLEU compares texts"):
        self_bleu(["a"])
    with pytest.raises(DataError, match="no text of 2 words or more"):
        distinct_n(["a", ""], n=2)
    with pytest.raises(UsageError, match="n: not a length of n-grams"):
        distinct_n(["a"], n=0)
    with pytest.raises(UsageError, match="max_order: not a length"):
        self_bleu(["a", "b"], max_order=0)


def test_intervals_stay_within_what_can_be() -> None:
    strangers = [f"a{number} b{number} c{number}" for number in range(40)]
    few_alike = [*strangers[:-2], "one two three four", "one two three four"]
    alike = self_bleu(few_alike)
    assert alike.interval is not None
    assert alike.interval[0] == 0 < alike.value < alike.interval[1] <= 100
    distinct = distinct_n(few_alike)
    assert distinct.interval is not None
    assert 0 <= distinct.interval[0] < distinct.value < distinct.interval[1] == 1


def test_what_never_varies_has_no_interval() -> None:
    assert self_bleu(["one two three four five"] * 40).interval is None
    assert distinct_n([f"a{number} b{number}" for number in range(40)]).interval is None
