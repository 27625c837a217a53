"""How unlike one another texts are: distinct-n and self-BLEU, both of a whole set of texts.

Sources: Li et al. (2016), "A Diversity-Promoting Objective Function for Neural Conversation Models"
(distinct); Zhu et al. (2018), "Texygen: A Benchmarking Platform for Text Generation Models" (self-BLEU);
Efron and Stein (1981), "The Jackknife Estimate of Variance" (the interval).
Departures: distinct-n is divided by the number of n-grams, not of words, so that 1 can be reached; self-BLEU
is sacreBLEU's sentence BLEU with effective order.

Both depend on how many texts there are: more texts share more. Sets are compared at the same n, which their
signatures hold. A bootstrap would draw texts twice and make copies of them, so the interval is made by
leaving out each of 20 random blocks of texts in turn.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TypeVar

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.helpers import extract_all_word_ngrams
from scipy.special import stdtrit

from creuset.errors import DataError, UsageError
from creuset.metrics.intervals import CONFIDENCE, ROUNDING, Interval, within
from creuset.metrics.jackknife import NUM_BLOCKS, leave_one_out_error, random_blocks
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.pairs import as_texts
from creuset.metrics.text.tokens import unicode_tokens

Ngrams = Counter[tuple[str, ...]]

T = TypeVar("T")


def distinct_n(texts: Sequence[str], *, n: int = 2, context: Context = NO_CONTEXT) -> Score:
    """The share of n-grams of words that are not a repetition, in [0, 1]: distinct ones/all of them.

    Words are those of metrics/text/tokens.py. The interval is cut at 0 and 1.

    Args:
        texts: N texts.
        n: Length of the n-grams, from 1.
        context: Data, split and the seed of the blocks.

    Raises:
        DataError: No texts, or none with n words.
        UsageError: n below 1.
    """
    if n < 1:
        raise UsageError("not a length of n-grams", where="n", got=n, expected="1 or more")
    counted = [_ngrams(unicode_tokens(text), n) for text in as_texts("texts", texts)]
    if not any(counted):
        raise DataError("nothing to measure", where="texts", got=f"no text of {n} words or more")
    value = _distinct(counted)
    return context.score(
        metric=f"distinct_{n}",
        value=value,
        unit="fraction",
        better="higher",
        interval=within(_jackknife(counted, _distinct, value, context.generator()), 0, 1),
        n=len(counted),
        fields={"interval": f"jackknife{NUM_BLOCKS}_95", "tokenizer": "unicode"},
        seeded=True,
    )


def self_bleu(texts: Sequence[str], *, max_order: int = 4, context: Context = NO_CONTEXT) -> Score:
    """The mean BLEU of each text with all others as its references, in points; high where texts are alike.

    In [0, 100], where the interval is cut.

    Args:
        texts: N texts, from 2.
        max_order: Longest n-grams, from 1.
        context: Data, split and the seed of the blocks.

    Raises:
        DataError: Less than two texts.
        UsageError: max_order below 1.
    """
    if max_order < 1:
        raise UsageError("not a length of n-grams", where="max_order", got=max_order, expected="1 or more")
    checked = as_texts("texts", texts)
    if len(checked) < 2:
        raise DataError("self-BLEU compares texts", got="1 text", expected="2 or more")
    peer = BLEU(max_ngram_order=max_order, effective_order=True, force=True)
    counted = [_sentence(peer._preprocess_segment(text), max_order) for text in checked]

    def mean_bleu(some: Sequence[tuple[Ngrams, int]]) -> float:
        return _mean_bleu(some, max_order)

    value = mean_bleu(counted)
    return context.score(
        metric="self_bleu",
        value=value,
        unit="points",
        better="lower",
        interval=within(_jackknife(counted, mean_bleu, value, context.generator()), 0, 100),
        n=len(counted),
        fields={
            "interval": f"jackknife{NUM_BLOCKS}_95",
            "order": max_order,
            "sacrebleu": version("sacrebleu"),
            "smooth": "exp",
            "tok": peer.tokenizer_signature,
        },
        seeded=True,
    )


def _ngrams(words: Sequence[str], n: int) -> Ngrams:
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))


def _distinct(counted: Sequence[Ngrams]) -> float:
    total = sum(each.total() for each in counted)
    return len(set().union(*counted)) / total if total else 0.0


def _sentence(words: str, max_order: int) -> tuple[Ngrams, int]:
    """All n-grams of a tokenized text, and its number of words."""
    return extract_all_word_ngrams(words, 1, max_order)


def _mean_bleu(counted: Sequence[tuple[Ngrams, int]], max_order: int) -> float:
    """The mean over texts of BLEU against all others, in one pass over their n-grams.

    Of each n-gram the two highest counts are kept, and whose the highest is: the most that any other text
    has of it is the highest where it is not the text's own, else the second.
    """
    highest: dict[tuple[str, ...], tuple[int, int, int]] = {}  # n-gram -> highest, its text, second highest
    for index, (ngrams, _) in enumerate(counted):
        for ngram, count in ngrams.items():
            first, owner, second = highest.get(ngram, (0, -1, 0))
            if count > first:
                highest[ngram] = (count, index, first)
            elif count > second:
                highest[ngram] = (first, owner, count)
    lengths = Counter(length for _, length in counted)
    scores = []
    for index, (ngrams, length) in enumerate(counted):
        correct, total = [0] * max_order, [0] * max_order
        for ngram, count in ngrams.items():
            first, owner, second = highest[ngram]
            total[len(ngram) - 1] += count
            correct[len(ngram) - 1] += min(count, second if owner == index else first)
        others = (other for other, number in lengths.items() if number > (other == length))
        closest = min(others, key=lambda other: (abs(other - length), other))
        scores.append(
            BLEU.compute_bleu(
                correct,
                total,
                length,
                closest,
                smooth_method="exp",
                effective_order=True,
                max_ngram_order=max_order,
            ).score
        )
    return math.fsum(scores) / len(scores)


def _jackknife(
    items: Sequence[T],
    statistic: Callable[[Sequence[T]], float],
    value: float,
    generator: np.random.Generator,
) -> Interval | None:
    """The interval of `value` from the statistic without each block; None for few texts, or no spread.

    The jackknife's error is too large rather than too small on the average (Efron and Stein 1981).
    """
    if len(items) < 2 * NUM_BLOCKS:
        return None
    without = []
    for block in random_blocks(len(items), NUM_BLOCKS, generator):
        left_out = set(block.tolist())
        without.append(statistic([item for index, item in enumerate(items) if index not in left_out]))
    error = leave_one_out_error(np.array(without))
    if error <= ROUNDING * abs(value):
        return None
    half = float(stdtrit(NUM_BLOCKS - 1, (1 + CONFIDENCE) / 2)) * error
    return value - half, value + half
