"""Whether what was found speaks of what was asked, before anything is answered from it.

    confidence = (coverage + likeness) / 2

    coverage   the share of the question's terms that stand in one of the first hits, each by ln(1 + 1/share
    of the
               chunks that hold it); a term that no document holds weighs as the rarest
    likeness   the highest cosine between the question and a hit, from 0; without vectors, coverage again

Of the first hits the one with the highest sum counts. Below a threshold the answer is that the sources do not
say.
"""

import math
from collections.abc import Mapping, Sequence

from creuset.knowledge.analyzer import Analyzer
from creuset.knowledge.records import Hit

DEFAULT_CONFIDENCE = 0.5
_FIRST = 5
"""Hits that are looked at: what stands further down is rarely what was asked."""


def term_weights(frequencies: Mapping[str, float], num_chunks: int) -> dict[str, float]:
    """What each term of a question weighs.

    Args:
        frequencies: The share of chunks that hold each, in [0, 1].
        num_chunks: That may be read.
    """
    least = 1 / (num_chunks + 1)
    return {term: math.log1p(1 / max(share, least)) for term, share in frequencies.items()}


def confidence(
    hits: Sequence[Hit], terms: Sequence[str], weights: Mapping[str, float], analyzer: Analyzer
) -> float:
    """How surely the hits speak of the question, in [0, 1]; 0 without hits.

    Args:
        hits: The best first.
        terms: Of the question, in each way that it can be analysed.
        weights: Of these.
        analyzer: That made them.
    """
    best = 0.0
    # a question is analysed in several ways: of a word's forms the one that documents hold counts
    groups = _forms(terms, weights)
    total = sum(max(weights[term] for term in group if term in weights) for group in groups)
    if not total:
        return 0.0
    for hit in hits[:_FIRST]:
        held = set(analyzer.terms(hit.chunk.searched_text, hit.chunk.language))
        covered = sum(
            max(weights[term] for term in group) for group in groups if any(term in held for term in group)
        )
        coverage = covered / total
        likeness = coverage if hit.dense_score is None else max(0.0, hit.dense_score)
        best = max(best, (coverage + likeness) / 2)
    return min(1.0, best)


def _forms(terms: Sequence[str], weights: Mapping[str, float]) -> list[list[str]]:
    """Terms that are forms of one word: one begins the other, but for its last letters."""
    groups: list[list[str]] = []
    for term in terms:
        if term not in weights:
            continue
        for group in groups:
            stem = min(len(term), len(group[0]))
            if stem >= 3 and term[: max(3, stem - 1)] == group[0][: max(3, stem - 1)]:
                group.append(term)
                break
        else:
            groups.append([term])
    return groups
