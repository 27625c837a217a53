"""Short answers against the right ones: exact match and the F1 of words, after normalisation.

    squad        lower case, without ASCII punctuation and a, an, the; words between spaces
    french       words of any script (metrics/text/tokens.py), without le, la, les, l, un, une, des, du
    unicode      words of any script, all of them

Source: Rajpurkar et al. (2016), "SQuAD: 100,000+ Questions for Machine Comprehension of Text", with the
official script's rule of version 2 that two empty answers agree (Rajpurkar et al. 2018).
Departures: the normalisations french and unicode.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from creuset.errors import UsageError, did_you_mean
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.pairs import References, as_text_pairs, num_references
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic
from creuset.metrics.text.tokens import unicode_tokens

Normalisation = Literal["squad", "french", "unicode"]
_NORMALISATIONS = ("squad", "french", "unicode")

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_FRENCH_ARTICLES = frozenset({"le", "la", "les", "l", "un", "une", "des", "du"})


def exact_match(
    answers: Sequence[str],
    references: References,
    *,
    normalisation: Normalisation = "squad",
    context: Context = NO_CONTEXT,
) -> Score:
    """The share of answers with the same words in the same order as a right one, with Wilson's interval.

    Args:
        answers: N texts.
        references: For each its right answer, or a list of right answers.
        normalisation: "squad" for English, "french", or "unicode" for other languages.
        context: Data and split.

    Raises:
        DataError: No texts, unequal numbers, an answer without a right one.
        UsageError: A normalisation that there is not.
    """
    return exact_match_rows(answers, references, normalisation=normalisation).score(context=context)


def token_f1(
    answers: Sequence[str],
    references: References,
    *,
    normalisation: Normalisation = "squad",
    context: Context = NO_CONTEXT,
) -> Score:
    """2 P R / (P + R) of the words that an answer shares with the closest right one; Student's interval.

    Not to be confused with `f1_macro`, a classifier's.

    Args and Raises: as `exact_match`.
    """
    return token_f1_rows(answers, references, normalisation=normalisation).score(context=context)


def exact_match_rows(
    answers: Sequence[str], references: References, *, normalisation: Normalisation = "squad"
) -> TextRows:
    """The rows of exact match, one an answer: 1 where it is right, else 0, and 1.

    Args and Raises: as `exact_match`.
    """
    texts, right = as_text_pairs(answers, references)
    found = [
        float(any(own == other for other in others))
        for own, others in _normalised(texts, right, normalisation)
    ]
    return TextRows(
        metric="exact_match",
        unit="fraction",
        better="higher",
        rows=mean_rows(found),
        statistic=mean_statistic,
        spread="wilson",
        fields={"normalisation": normalisation, "nrefs": num_references(right)},
    )


def token_f1_rows(
    answers: Sequence[str], references: References, *, normalisation: Normalisation = "squad"
) -> TextRows:
    """The rows of token F1, one an answer: its F1, and 1.

    Args and Raises: as `exact_match`.
    """
    texts, right = as_text_pairs(answers, references)
    found = [
        max(_f1(own, other) for other in others) for own, others in _normalised(texts, right, normalisation)
    ]
    return TextRows(
        metric="token_f1",
        unit="fraction",
        better="higher",
        rows=mean_rows(found),
        statistic=mean_statistic,
        spread="t",
        bounds=(0, 1),
        fields={"normalisation": normalisation, "nrefs": num_references(right)},
    )


def answer_words(text: str, normalisation: Normalisation = "squad") -> list[str]:
    """The words of an answer that count.

    Raises:
        UsageError: A normalisation that there is not.
    """
    if normalisation == "squad":
        return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()
    if normalisation == "french":
        return [word for word in unicode_tokens(text) if word not in _FRENCH_ARTICLES]
    if normalisation == "unicode":
        return unicode_tokens(text)
    raise UsageError(
        f'no normalisation of answers "{normalisation}"{did_you_mean(normalisation, _NORMALISATIONS)}'
    )


def _normalised(
    texts: Sequence[str], right: Sequence[tuple[str, ...]], normalisation: Normalisation
) -> list[tuple[list[str], list[list[str]]]]:
    return [
        (answer_words(text, normalisation), [answer_words(other, normalisation) for other in others])
        for text, others in zip(texts, right, strict=True)
    ]


def _f1(answer: Sequence[str], reference: Sequence[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = (Counter(answer) & Counter(reference)).total()
    return 2 * shared / (len(answer) + len(reference))
