"""Rankings of several legs made one, and one ranking made various.

    reciprocal rank   score(d) = sum over legs of 1 / (60 + rank(d))
    convex            score(d) = w dense(d) + (1 - w) lexical(d), each scaled to [0, 1]
    MMR               takes, one after the other, argmax of l relevance(d) - (1 - l) max over taken of
    cosine(d, t)

Sources: Cormack, Clarke and Büttcher (2009), "Reciprocal rank fusion outperforms Condorcet"; Bruch, Gai and
Ingber (2023), "An analysis of fusion functions for hybrid retrieval" (convex, scaled from the least score
that there can be: 0 of BM25, -1 of a cosine, to the highest that was found); Carbonell and Goldstein (1998),
"The use of MMR".

Departure: what a leg has not found counts there as its least possible score.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from creuset.errors import UsageError

RANK_CONSTANT = 60


def reciprocal_rank_fusion(legs: Sequence[Sequence[int]]) -> dict[int, float]:
    """Scores of all that any leg found.

    Args:
        legs: The ids that each found, the best first.
    """
    scores: dict[int, float] = {}
    for leg in legs:
        for rank, id_ in enumerate(leg, 1):
            scores[id_] = scores.get(id_, 0.0) + 1 / (RANK_CONSTANT + rank)
    return scores


def convex_fusion(
    lexical: Mapping[int, float], dense: Mapping[int, float], weight: float
) -> dict[int, float]:
    """Scores of all that either leg found, in [0, 1].

    Args:
        lexical: BM25 by id, from 0.
        dense: Cosines by id, in [-1, 1].
        weight: Of the dense leg, in [0, 1].
    """
    if not 0 <= weight <= 1:
        raise UsageError("no weight", where="weight", got=weight, expected="a number in [0, 1]")
    words, vectors = _scaled(lexical, 0.0), _scaled(dense, -1.0)
    return {
        id_: weight * vectors.get(id_, 0.0) + (1 - weight) * words.get(id_, 0.0)
        for id_ in {**words, **vectors}
    }


def _scaled(scores: Mapping[int, float], least: float) -> dict[int, float]:
    """Scores from the least possible one, 0, to the highest found, 1."""
    if not scores:
        return {}
    width = max(scores.values()) - least
    return {id_: (score - least) / width if width > 0 else 0.0 for id_, score in scores.items()}


def ordered(scores: Mapping[int, float]) -> list[int]:
    """Ids by falling score, equal ones by rising id."""
    return sorted(scores, key=lambda id_: (-scores[id_], id_))


def maximal_marginal_relevance(
    relevance: NDArray[np.float64], vectors: NDArray[np.float32], balance: float, k: int
) -> list[int]:
    """Places of k items, each relevant and unlike those before it.

    Args:
        relevance: Of each item, in [0, 1], (N,).
        vectors: Of each item, of length 1, float32 (N, D).
        balance: Lambda in [0, 1]: 1 for relevance alone, 0 for variety alone.
        k: How many.
    """
    taken: list[int] = []
    nearest = np.full(len(relevance), -np.inf)
    free = np.ones(len(relevance), np.bool_)
    while len(taken) < min(k, len(relevance)):
        gain = balance * relevance - (1 - balance) * np.where(np.isfinite(nearest), nearest, 0.0)
        gain[~free] = -np.inf
        place = int(np.argmax(gain))
        taken.append(place)
        free[place] = False
        nearest = np.maximum(nearest, vectors @ vectors[place])
    return taken
