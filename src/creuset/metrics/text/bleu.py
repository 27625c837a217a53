"""BLEU: how many n-grams of the hypotheses are in the references, times a penalty for brevity.

BLEU = 100 min(1, exp(1 - r/h)) exp(mean over n of log p_n), with h words in all hypotheses, r in the
references closest in length, and p_n the share of hypothesis n-grams that a reference has, each counted at
most as often as it is there.

Sources: Papineni et al. (2002), "BLEU: a Method for Automatic Evaluation of Machine Translation"; Post (2018)
for its fixed form, computed by sacreBLEU; Chen and Cherry (2014) for the smoothing.
"""

from collections.abc import Sequence
from typing import Literal

from sacrebleu.metrics.bleu import BLEU

from creuset.errors import UsageError, did_you_mean
from creuset.metrics.intervals import NUM_RESAMPLES
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.corpus_scores import corpus_rows
from creuset.metrics.text.pairs import References
from creuset.metrics.text.rows import TextRows

BleuTokenizer = Literal["13a", "intl", "char", "zh", "none"]
Smoothing = Literal["exp", "floor", "add-k", "none"]

_TOKENIZERS = ("13a", "intl", "char", "zh", "none")
"""Those of sacreBLEU's tokenizers that need no further package and no download."""

_SMOOTHINGS = ("exp", "floor", "add-k", "none")


def bleu(
    hypotheses: Sequence[str],
    references: References,
    *,
    tokenizer: BleuTokenizer = "13a",
    lowercase: bool = False,
    smoothing: Smoothing = "exp",
    max_order: int = 4,
    context: Context = NO_CONTEXT,
    num_resamples: int = NUM_RESAMPLES,
) -> Score:
    """BLEU in points from 0 to 100, with a BCa bootstrap interval over sentences.

    Args:
        hypotheses: N texts, as they are: not tokenized.
        references: For each its reference, or a list of references.
        tokenizer: "13a" for most languages (the default of WMT and of sacreBLEU), "intl" with Unicode
            punctuation, "char", "zh" for Chinese, "none" for texts that are tokenized already.
        lowercase: Whether case is ignored.
        smoothing: What a precision of 0 is replaced by, as sacreBLEU names it.
        max_order: Longest n-grams, from 1.
        context: Data, split and seed.
        num_resamples: Resamples of the interval.

    Raises:
        DataError: No texts, unequal numbers, a hypothesis without reference.
        UsageError: A tokenizer, smoothing or order that there is not.
    """
    rows = bleu_rows(
        hypotheses,
        references,
        tokenizer=tokenizer,
        lowercase=lowercase,
        smoothing=smoothing,
        max_order=max_order,
    )
    return rows.score(context=context, num_resamples=num_resamples)


def bleu_rows(
    hypotheses: Sequence[str],
    references: References,
    *,
    tokenizer: BleuTokenizer = "13a",
    lowercase: bool = False,
    smoothing: Smoothing = "exp",
    max_order: int = 4,
) -> TextRows:
    """The rows of BLEU, one a sentence: words, words of the closest reference, matches and n-grams by order.

    Args and Raises: as `bleu`.
    """
    if tokenizer not in _TOKENIZERS:
        raise UsageError(f'no BLEU tokenizer "{tokenizer}"{did_you_mean(tokenizer, _TOKENIZERS)}')
    if smoothing not in _SMOOTHINGS:
        raise UsageError(f'no BLEU smoothing "{smoothing}"{did_you_mean(smoothing, _SMOOTHINGS)}')
    if max_order < 1:
        raise UsageError("not a length of n-grams", where="max_order", got=max_order, expected="1 or more")
    peer = BLEU(
        lowercase=lowercase,
        tokenize=tokenizer,
        smooth_method=smoothing,
        max_ngram_order=max_order,
        force=True,
    )
    return corpus_rows(
        peer,
        hypotheses,
        references,
        metric="bleu",
        unit="points",
        better="higher",
        fields={"order": max_order},
    )
