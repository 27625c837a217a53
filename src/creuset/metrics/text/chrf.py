"""chrF and chrF++: the F-score of character n-grams, with word n-grams added in chrF++.

chrF = 100 (1 + beta^2) P R / (beta^2 P + R), P and R averaged over the lengths of n-grams.

Sources: Popović (2015), "chrF: character n-gram F-score for automatic MT evaluation"; Popović (2017),
"chrF++: words helping character n-grams"; computed by sacreBLEU.
"""

from collections.abc import Sequence

from sacrebleu.metrics.chrf import CHRF

from creuset.errors import UsageError
from creuset.metrics.intervals import NUM_RESAMPLES
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.corpus_scores import corpus_rows
from creuset.metrics.text.pairs import References
from creuset.metrics.text.rows import TextRows


def chrf(
    hypotheses: Sequence[str],
    references: References,
    *,
    char_order: int = 6,
    word_order: int = 0,
    beta: int = 2,
    lowercase: bool = False,
    whitespace: bool = False,
    context: Context = NO_CONTEXT,
    num_resamples: int = NUM_RESAMPLES,
) -> Score:
    """chrF in points from 0 to 100, with a BCa bootstrap interval over sentences.

    Args:
        hypotheses: N texts.
        references: For each its reference, or a list: the one with the best F counts.
        char_order: Longest character n-grams, from 1.
        word_order: Longest word n-grams: 0 for chrF, 2 for chrF++.
        beta: How many times as much recall weighs as precision.
        lowercase: Whether case is ignored.
        whitespace: Whether spaces are characters of n-grams.
        context: Data, split and seed.
        num_resamples: Resamples of the interval.

    Raises:
        DataError: No texts, unequal numbers, a hypothesis without reference.
        UsageError: An order or beta out of range.
    """
    rows = chrf_rows(
        hypotheses,
        references,
        char_order=char_order,
        word_order=word_order,
        beta=beta,
        lowercase=lowercase,
        whitespace=whitespace,
    )
    return rows.score(context=context, num_resamples=num_resamples)


def chrf_rows(
    hypotheses: Sequence[str],
    references: References,
    *,
    char_order: int = 6,
    word_order: int = 0,
    beta: int = 2,
    lowercase: bool = False,
    whitespace: bool = False,
) -> TextRows:
    """The rows of chrF, one a sentence: n-grams of the hypothesis, the best reference, and both, by order.

    Args and Raises: as `chrf`.
    """
    if char_order < 1 or word_order < 0 or beta < 1:
        raise UsageError(
            "not a form of chrF",
            got=f"char_order {char_order}, word_order {word_order}, beta {beta}",
            expected="char_order and beta from 1, word_order from 0",
        )
    peer = CHRF(
        char_order=char_order,
        word_order=word_order,
        beta=beta,
        lowercase=lowercase,
        whitespace=whitespace,
    )
    return corpus_rows(
        peer,
        hypotheses,
        references,
        metric="chrf" + "+" * word_order,
        unit="points",
        better="higher",
        fields={"beta": beta},
    )
