"""What BLEU, chrF and TER share: sacreBLEU's statistics of each sentence, and its score of their sum.

sacreBLEU adds up a row of counts over the sentences and computes the score of the sum. Here the rows are
kept, and every sum, be it of all sentences or of a resample, goes through sacreBLEU's own formula.

Source: Post (2018), "A Call for Clarity in Reporting BLEU Scores".
Departures: sacreBLEU's signature stands inside creuset's, with `version` as `sacrebleu`; references are given
by sentence instead of by file; no warning about texts that look tokenized.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sacrebleu.metrics.base import Metric

from creuset.metrics.inputs import FloatArray
from creuset.metrics.score import Better
from creuset.metrics.signature import FieldValue
from creuset.metrics.text.pairs import References, as_text_pairs
from creuset.metrics.text.rows import TextRows


def corpus_rows(
    peer: Metric,
    hypotheses: Sequence[str],
    references: References,
    *,
    metric: str,
    unit: str,
    better: Better,
    fields: dict[str, FieldValue],
) -> TextRows:
    """The rows of one of sacreBLEU's metrics.

    Args:
        peer: sacreBLEU's metric with its settings.
        hypotheses: N texts.
        references: For each its reference, or a list of references.
        metric, unit, better: As in `TextRows`.
        fields: Choices that sacreBLEU's own signature leaves out.

    Raises:
        DataError: No texts, unequal numbers, a hypothesis without reference.
    """
    texts, answers = as_text_pairs(hypotheses, references)
    most = max(len(several) for several in answers)
    streams: list[Any] = [  # None where a sentence has fewer references than others, as sacreBLEU reads it
        [several[index] if index < len(several) else None for several in answers] for index in range(most)
    ]
    rows = np.array(peer._extract_corpus_statistics(texts, streams), dtype=np.float64)

    def statistic(sums: FloatArray) -> FloatArray:
        return np.array([peer._compute_score_from_stats(row).score for row in sums.tolist()])

    stated = {name: value for name, value in peer.get_signature().info.items() if value is not None}
    return TextRows(
        metric=metric,
        unit=unit,
        better=better,
        rows=rows,
        statistic=statistic,
        spread="bca",
        fields={"sacrebleu": stated.pop("version"), **stated, **fields},
    )
