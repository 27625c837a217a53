"""Retrieval: nDCG, recall, precision, MRR and MAP of ranked documents, each a mean over queries.

    DCG@k = sum over ranks r <= k of gain(r)/log2(r + 1), nDCG@k = DCG@k / (DCG@k of the best order)
    P@k = relevant in the first k / k           R@k = relevant in the first k / all relevant
    RR = 1 / rank of the first relevant one     AP = mean over all relevant ones of P@(its rank), or 0

Sources: Järvelin and Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques"; Voorhees (1999),
"The TREC-8 Question Answering Track Report" (MRR). All conventions are those of the program trec_eval, whose
numbers these are: gains are the judgements themselves, below 0 counts as 0; relevant is a judgement of 1 or
more; documents come by falling score in single precision, equal ones by falling identifier in the order of
their UTF-8 bytes; P@k divides by k also where fewer documents came back.
Departures: judged queries that a run has no documents for count as 0 (trec_eval's option -c; by default
trec_eval leaves them out, which rewards a system that answers the easy queries only); reciprocal ranks may
be cut at k.

Legend of shapes: Q queries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from creuset.errors import DataError, UsageError
from creuset.metrics.inputs import FloatArray, IntArray
from creuset.metrics.intervals import NUM_RESAMPLES, bootstrap
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context, FieldValue

Missing = Literal["zero", "left_out"]
"""What becomes of judged queries for which a run has no documents."""

Run = Mapping[str, Mapping[str, float]]
"""Query -> document -> score."""

Judgements = Mapping[str, Mapping[str, int]]
"""Query -> document -> how relevant it is; documents that nobody judged are left out."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """Relevant documents, by query and then by rank.

    Args:
        query: The number of the query that each belongs to, (hits,).
        rank: Its rank, from 1, (hits,).
        gain: How relevant it was judged, from 1, (hits,).
    """

    query: IntArray
    rank: IntArray
    gain: FloatArray

    def sums(self, values: FloatArray, num_queries: int, k: int | None) -> FloatArray:
        """The sum of `values` (hits,) over the hits of each query within the first k ranks, (Q,)."""
        kept = slice(None) if k is None else self.rank <= k
        sums = np.bincount(self.query[kept], weights=values[kept], minlength=num_queries)
        return sums.astype(np.float64)  # whole numbers where there is no hit


@dataclass(frozen=True, kw_only=True, eq=False)
class Rankings:
    """Where the relevant documents of each query stand: the sufficient statistics of all retrieval scores.

    Made by `Rankings.from_run`.

    Args:
        queries: The queries that are measured, sorted.
        found: The relevant documents where the run ranks them.
        ideal: All relevant documents, those judged highest first.
        missing: What became of judged queries without documents.
        unjudged: The run's queries without judgements; they are not measured.
    """

    queries: tuple[str, ...]
    found: Hits
    ideal: Hits
    missing: Missing
    unjudged: tuple[str, ...]

    @classmethod
    def from_run(cls, run: Run, judgements: Judgements, *, missing: Missing = "zero") -> "Rankings":
        """Ranks a run's documents and looks up their judgements.

        Args:
            run: Query -> document -> score; higher is better.
            judgements: Query -> document -> 0 for irrelevant, 1 and more for relevant.
            missing: "zero" to count judged queries without documents as 0, "left_out" as trec_eval does
                where it is not told otherwise.

        Raises:
            DataError: Nothing judged, no judged query in the run, scores that are not numbers, judgements
                that are not whole numbers.
            UsageError: Another word for `missing`.
        """
        if missing not in get_args(Missing):
            raise UsageError("no such way", where="missing", got=repr(missing), expected="zero or left_out")
        judged = {query for query, documents in judgements.items() if documents}
        if not judged & run.keys():
            raise DataError(
                "no query of the run has judgements",
                got=f"{len(run)} queries{_example(run)} against {len(judged)} judged ones{_example(judged)}",
                expected="the same query identifiers in both",
            )
        queries = tuple(sorted(judged if missing == "zero" else judged & run.keys()))
        found = [_found(query, run.get(query, {}), judgements[query]) for query in queries]
        ideal = [_ideal(query, judgements[query]) for query in queries]
        return cls(
            queries=queries,
            found=_hits(found),
            ideal=_hits(ideal),
            missing=missing,
            unjudged=tuple(sorted(run.keys() - judged)),
        )

    @property
    def n(self) -> int:
        return len(self.queries)

    @property
    def num_relevant(self) -> IntArray:
        """Relevant documents of each query, (Q,)."""
        return np.bincount(self.ideal.query, minlength=self.n)

    def ndcg(self, k: int) -> FloatArray:
        """nDCG of the first k documents of each query, in [0, 1]; (Q,). 0 where nothing is relevant."""
        parts = [
            hits.sums(hits.gain / np.log2(hits.rank + 1), self.n, _cutoff(k))
            for hits in (self.found, self.ideal)
        ]
        return _ratio(parts[0], parts[1])

    def recall(self, k: int) -> FloatArray:
        """The share of each query's relevant documents among its first k, (Q,); 0 where there is none."""
        return _ratio(self._num_found(k), self.num_relevant)

    def precision(self, k: int) -> FloatArray:
        """The share of relevant documents among the first k of each query, (Q,)."""
        return self._num_found(k) / k

    def reciprocal_rank(self, k: int | None = None) -> FloatArray:
        """1/rank of each query's first relevant document, 0 where it is not among the first k; (Q,)."""
        inverse = np.zeros(self.n)
        within = self.found.rank <= (np.inf if k is None else _cutoff(k))
        np.maximum.at(inverse, self.found.query[within], 1 / self.found.rank[within])
        return inverse

    def average_precision(self, k: int | None = None) -> FloatArray:
        """The mean over each query's relevant documents of the precision at their ranks, (Q,)."""
        query = self.found.query
        so_far = np.arange(1, len(query) + 1) - np.searchsorted(query, query)
        cut = None if k is None else _cutoff(k)
        return _ratio(self.found.sums(so_far / self.found.rank, self.n, cut), self.num_relevant)

    def _num_found(self, k: int) -> FloatArray:
        return self.found.sums(np.ones(len(self.found.rank)), self.n, _cutoff(k))


def ndcg(
    rankings: Rankings, k: int = 10, *, context: Context = NO_CONTEXT, num_resamples: int = NUM_RESAMPLES
) -> Score:
    """The mean nDCG@k over queries, with a BCa bootstrap interval over queries.

    Args:
        rankings: Of one run.
        k: How many documents of each query count, from 1.
        context: Data, split and seed.
        num_resamples: Of the queries, for the interval.

    Raises:
        UsageError: k below 1.
    """
    return _mean("ndcg", k, rankings.ndcg(k), rankings, context, num_resamples, {"gain": "linear"})


def recall_at_k(
    rankings: Rankings, k: int, *, context: Context = NO_CONTEXT, num_resamples: int = NUM_RESAMPLES
) -> Score:
    """The mean over queries of the share of relevant documents among the first k. Otherwise as `ndcg`."""
    return _mean("recall", k, rankings.recall(k), rankings, context, num_resamples, {})


def precision_at_k(
    rankings: Rankings, k: int, *, context: Context = NO_CONTEXT, num_resamples: int = NUM_RESAMPLES
) -> Score:
    """The mean over queries of relevant documents among the first k, divided by k. Otherwise as `ndcg`."""
    return _mean("precision", k, rankings.precision(k), rankings, context, num_resamples, {})


def mrr(
    rankings: Rankings,
    k: int | None = None,
    *,
    context: Context = NO_CONTEXT,
    num_resamples: int = NUM_RESAMPLES,
) -> Score:
    """The mean over queries of 1/rank of the first relevant document; with k, 0 beyond rank k."""
    return _mean("mrr", k, rankings.reciprocal_rank(k), rankings, context, num_resamples, {})


def mean_average_precision(
    rankings: Rankings,
    k: int | None = None,
    *,
    context: Context = NO_CONTEXT,
    num_resamples: int = NUM_RESAMPLES,
) -> Score:
    """The mean over queries of their average precision ("map"); with k, ranks beyond k count as not found.

    Depends on how many documents the run lists: compare runs of one depth.
    """
    return _mean("map", k, rankings.average_precision(k), rankings, context, num_resamples, {})


def retrieval_scores(rankings: Rankings, k: int = 10, *, context: Context = NO_CONTEXT) -> list[Score]:
    """nDCG, recall, precision and MRR at k, and MAP over all ranks."""
    return [
        ndcg(rankings, k, context=context),
        recall_at_k(rankings, k, context=context),
        precision_at_k(rankings, k, context=context),
        mrr(rankings, k, context=context),
        mean_average_precision(rankings, context=context),
    ]


def _mean(
    name: str,
    k: int | None,
    values: FloatArray,
    rankings: Rankings,
    context: Context,
    num_resamples: int,
    fields: Mapping[str, FieldValue],
) -> Score:
    n = len(values)
    sampled = bootstrap(
        values[:, None],
        lambda sums: sums[:, 0] / n,
        generator=context.generator(),
        num_resamples=num_resamples,
    )
    return context.score(
        metric=name if k is None else f"{name}@{k}",
        value=float(values.mean()),
        unit="fraction",
        better="higher",
        interval=sampled.interval("bca") if n > 1 else None,
        n=n,
        fields={
            **fields,
            "interval": "bca95",
            "k": "all" if k is None else k,
            "missing": rankings.missing,
            "resamples": num_resamples,
        },
        seeded=True,
    )


Found = tuple[IntArray, FloatArray]
"""Ranks from 1 and gains of one query's relevant documents."""


def _found(query: str, scores: Mapping[str, float], judged: Mapping[str, int]) -> Found:
    """The relevant ones among a query's documents, in trec_eval's order."""
    documents = sorted(scores, key=str.encode, reverse=True)
    keys = np.array([scores[document] for document in documents], dtype=np.float64)
    if not np.isfinite(keys).all():
        first = documents[int(np.argmin(np.isfinite(keys)))]
        raise DataError(
            "a score that is not a finite number",
            where=f"query {query}, document {first}",
            got=scores[first],
            expected="a finite number for each document",
        )
    order = np.argsort(-keys.astype(np.float32), kind="stable")
    gains = np.array([judged.get(documents[place], 0) for place in order], dtype=np.float64)
    ranks = np.flatnonzero(gains >= 1)
    return ranks + 1, gains[ranks]


def _ideal(query: str, judged: Mapping[str, int]) -> Found:
    for document, judgement in judged.items():
        if not isinstance(judgement, int | np.integer):
            raise DataError(
                "a judgement that is no whole number",
                where=f"query {query}, document {document}",
                got=repr(judgement),
                expected="0 for irrelevant, 1 and more for relevant",
            )
    gains = np.array(sorted((gain for gain in judged.values() if gain >= 1), reverse=True), dtype=np.float64)
    return np.arange(1, len(gains) + 1), gains


def _hits(parts: list[Found]) -> Hits:
    return Hits(
        query=np.repeat(np.arange(len(parts)), [len(ranks) for ranks, _ in parts]),
        rank=np.concatenate([ranks for ranks, _ in parts]),
        gain=np.concatenate([gains for _, gains in parts]),
    )


def _ratio(above: FloatArray, below: FloatArray | IntArray) -> FloatArray:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _cutoff(k: int) -> int:
    if k < 1:
        raise UsageError("not a number of documents", where="k", got=k, expected="1 or more")
    return k


def _example(queries: Mapping[str, object] | set[str]) -> str:
    return f' such as "{min(queries)}"' if queries else ""
