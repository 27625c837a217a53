"""ROUGE-1, -2, -L and -Lsum: the overlap of a text with its reference in words, pairs of words, and order.

Each is 2 P R / (P + R), with P the matched part of the hypothesis and R that of the reference: for ROUGE-1
and -2 in n-grams, for ROUGE-L in the longest common subsequence of words, for ROUGE-Lsum in the union of
those of all lines. The score is the mean over texts.

Source: Lin (2004), "ROUGE: A Package for Automatic Evaluation of Summaries"; computed by rouge-score.
Departures: none with the tokenizer "ascii". rouge-score keeps the letters a to z and digits alone, which
makes "L'été, l'élève" [l, t, l, l, ve]; the tokenizer "unicode" hands it the words of any script
(metrics/text/tokens.py), here [l, été, l, élève]. Which of the two stands in the signature.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

from creuset.errors import UsageError, did_you_mean
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.pairs import References, as_text_pairs, num_references
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic
from creuset.metrics.text.tokens import Stemmer, unicode_tokens

RougeVariant = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
RougeTokenizer = Literal["ascii", "unicode"]

ROUGE_VARIANTS: tuple[RougeVariant, ...] = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class UnicodeTokenizer:
    """A tokenizer in the form that rouge-score asks for: words of any script, stemmed where asked."""

    def __init__(self, stemmer: Stemmer | None = None) -> None:
        self._stemmer = stemmer

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text."""
        tokens = unicode_tokens(text)
        return tokens if self._stemmer is None else [self._stemmer.stem(token) for token in tokens]


def rouge(
    hypotheses: Sequence[str],
    references: References,
    *,
    variants: Sequence[RougeVariant] = ROUGE_VARIANTS,
    tokenizer: RougeTokenizer = "ascii",
    stemmer: Literal["porter"] | Stemmer | None = None,
    context: Context = NO_CONTEXT,
) -> list[Score]:
    """The F-measure of each variant in [0, 1], the mean over texts with Student's interval.

    Args:
        hypotheses: N texts; for ROUGE-Lsum with one sentence a line.
        references: For each its reference, or a list: the one with the best F-measure counts.
        variants: Which of "rouge1", "rouge2", "rougeL", "rougeLsum".
        tokenizer: "ascii" as published scores have it, for English; "unicode" for everything else.
        stemmer: None; "porter", rouge-score's own, with "ascii"; or a `Stemmer` with "unicode".
        context: Data and split.

    Returns:
        A score for each variant, named "rouge1_f1" and so on.

    Raises:
        DataError: No texts, unequal numbers, a hypothesis without reference.
        UsageError: A variant or tokenizer that there is not, or a stemmer that does not fit the tokenizer.
    """
    rows = rouge_rows(hypotheses, references, variants=variants, tokenizer=tokenizer, stemmer=stemmer)
    return [rows[variant].score(context=context) for variant in variants]


def rouge_rows(
    hypotheses: Sequence[str],
    references: References,
    *,
    variants: Sequence[RougeVariant] = ROUGE_VARIANTS,
    tokenizer: RougeTokenizer = "ascii",
    stemmer: Literal["porter"] | Stemmer | None = None,
) -> dict[RougeVariant, TextRows]:
    """The rows of each variant, one a text: F-measure, 1, precision, recall.

    Args and Raises: as `rouge`.
    """
    _check(variants, tokenizer, stemmer)
    texts, answers = as_text_pairs(hypotheses, references)
    from rouge_score.rouge_scorer import RougeScorer  # seconds to import, and only ROUGE needs it

    scorer = RougeScorer(
        list(variants),
        use_stemmer=stemmer == "porter",
        tokenizer=UnicodeTokenizer(_own(stemmer)) if tokenizer == "unicode" else None,
    )
    scored = [scorer.score_multi(several, text) for text, several in zip(texts, answers, strict=True)]
    return {
        variant: TextRows(
            metric=f"{variant}_f1",
            unit="fraction",
            better="higher",
            rows=mean_rows(
                [each[variant].fmeasure for each in scored],
                [each[variant].precision for each in scored],
                [each[variant].recall for each in scored],
            ),
            statistic=mean_statistic,
            spread="t",
            bounds=(0, 1),
            fields={
                "nrefs": num_references(answers),
                "rouge_score": version("rouge_score"),
                "stemmer": stemmer.name if isinstance(stemmer, Stemmer) else stemmer or "none",
                "tokenizer": tokenizer,
            },
        )
        for variant in variants
    }


def _own(stemmer: Literal["porter"] | Stemmer | None) -> Stemmer | None:
    return stemmer if isinstance(stemmer, Stemmer) else None


def _check(variants: Sequence[str], tokenizer: str, stemmer: Literal["porter"] | Stemmer | None) -> None:
    if not variants:
        raise UsageError("no variant of ROUGE was asked for", expected=", ".join(ROUGE_VARIANTS))
    for variant in variants:
        if variant not in ROUGE_VARIANTS:
            raise UsageError(f'no variant of ROUGE "{variant}"{did_you_mean(variant, ROUGE_VARIANTS)}')
    if tokenizer not in ("ascii", "unicode"):
        raise UsageError(f'no ROUGE tokenizer "{tokenizer}"', expected="ascii or unicode")
    fits = isinstance(stemmer, Stemmer) if tokenizer == "unicode" else stemmer == "porter"
    if stemmer is not None and not fits:
        raise UsageError(
            "this stemmer does not fit the tokenizer",
            where="rouge",
            got=f"{stemmer.name if isinstance(stemmer, Stemmer) else stemmer} with {tokenizer}",
            expected='"porter" with ascii, a Stemmer with unicode',
        )
