"""TER: how many edits turn the hypotheses into the references, for 100 words of the references.

Edits are insertions, deletions and substitutions of words, and shifts of runs of words.

Source: Snover et al. (2006), "A Study of Translation Edit Rate with Targeted Human Annotation"; computed by
sacreBLEU, which follows Tercom.
"""

from collections.abc import Sequence

from sacrebleu.metrics.ter import TER

from creuset.metrics.intervals import NUM_RESAMPLES
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.metrics.text.corpus_scores import corpus_rows
from creuset.metrics.text.pairs import References
from creuset.metrics.text.rows import TextRows


def ter(
    hypotheses: Sequence[str],
    references: References,
    *,
    lowercase: bool = True,
    normalized: bool = False,
    punctuation: bool = True,
    context: Context = NO_CONTEXT,
    num_resamples: int = NUM_RESAMPLES,
) -> Score:
    """TER in percent of the references' words, from 0 up, with a BCa bootstrap interval over sentences.

    Args:
        hypotheses: N texts.
        references: For each its reference, or a list: the fewest edits over the mean length count.
        lowercase: Whether case is ignored, as Tercom does.
        normalized: Whether punctuation is cut from words as Tercom's normalisation does.
        punctuation: Whether punctuation counts.
        context: Data, split and seed.
        num_resamples: Resamples of the interval.

    Raises:
        DataError: No texts, unequal numbers, a hypothesis without reference.
    """
    rows = ter_rows(
        hypotheses, references, lowercase=lowercase, normalized=normalized, punctuation=punctuation
    )
    return rows.score(context=context, num_resamples=num_resamples)


def ter_rows(
    hypotheses: Sequence[str],
    references: References,
    *,
    lowercase: bool = True,
    normalized: bool = False,
    punctuation: bool = True,
) -> TextRows:
    """The rows of TER, one a sentence: the fewest edits, and the mean number of words of its references.

    Args and Raises: as `ter`.
    """
    peer = TER(normalized=normalized, no_punct=not punctuation, case_sensitive=not lowercase)
    return corpus_rows(peer, hypotheses, references, metric="ter", unit="percent", better="lower", fields={})
