"""Retrieval against trec_eval (pytrec_eval), on made runs with ties and on SciFact, and by hand."""

import gzip
import json
import math
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from creuset.errors import DataError, UsageError
from creuset.metrics.retrieval import (
    Judgements,
    Rankings,
    Run,
    mean_average_precision,
    mrr,
    ndcg,
    precision_at_k,
    recall_at_k,
    retrieval_scores,
)
from creuset.metrics.signature import Context, require_comparable

_CUTS = (1, 3, 10, 100)


def assert_equals_trec_eval(run: Run, judgements: Judgements) -> None:
    """Each measure of each query; queries without documents are 0 here and left out there."""
    cuts = ",".join(map(str, _CUTS))
    measures = {"map", "recip_rank", f"map_cut.{cuts}", *(f"{m}.{cuts}" for m in ("ndcg_cut", "recall", "P"))}
    theirs = pytrec_eval.RelevanceEvaluator(judgements, measures).evaluate(run)
    rankings = Rankings.from_run(run, judgements)
    ours = {"map": rankings.average_precision(), "recip_rank": rankings.reciprocal_rank()}
    for k in _CUTS:
        ours[f"ndcg_cut_{k}"] = rankings.ndcg(k)
        ours[f"recall_{k}"] = rankings.recall(k)
        ours[f"P_{k}"] = rankings.precision(k)
        ours[f"map_cut_{k}"] = rankings.average_precision(k)
    assert theirs
    for name, values in ours.items():
        expected = [theirs.get(query, {name: 0.0})[name] for query in rankings.queries]
        np.testing.assert_allclose(values, expected, atol=1e-12, err_msg=name)
    left_out = Rankings.from_run(run, judgements, missing="left_out")
    assert set(left_out.queries) == theirs.keys()
    wanted = np.mean([one["ndcg_cut_10"] for one in theirs.values()])
    assert ndcg(left_out, 10, num_resamples=2).value == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_random_runs_with_ties_equal_trec_eval(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    names = [f"{prefix}{number}" for prefix in ("d", "D", "é", "") for number in range(30)]
    judgements: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    for query in range(25):
        judged = drawn.choice(names, drawn.integers(1, 40), replace=False)
        judgements[f"q{query}"] = {str(name): int(drawn.integers(-1, 4)) for name in judged}
        returned = drawn.choice(names, drawn.integers(1, 110), replace=False)
        # few different scores, and some that differ beyond single precision only
        run[f"q{query + 3}"] = {
            str(name): float(drawn.integers(-2, 5)) + 1e-10 * float(drawn.random()) for name in returned
        }
    judgements["q24"] = {"nowhere": 1}
    judgements["q23"] = dict.fromkeys(names[:5], 0)
    assert_equals_trec_eval(run, judgements)


@pytest.mark.shared
def test_scifact_equals_trec_eval(shared_data: Path) -> None:
    lines = (shared_data / "scifact" / "claims_test.jsonl").read_text(encoding="utf-8").splitlines()
    claims = [json.loads(line) for line in lines]
    judgements = {claim["id"]: dict.fromkeys(claim["relevant"], 1) for claim in claims}
    run = bm25(shared_data / "scifact" / "corpus.jsonl.gz", {claim["id"]: claim["claim"] for claim in claims})
    assert_equals_trec_eval(run, judgements)
    rounded = {
        query: {name: float(round(score)) for name, score in found.items()} for query, found in run.items()
    }
    assert_equals_trec_eval(rounded, judgements)  # many ties
    score = ndcg(Rankings.from_run(run, judgements))
    assert 0.62 < score.value < 0.70  # Lucene's BM25: .679
    assert score.n == 300


def bm25(corpus: Path, queries: dict[str, str], depth: int = 200) -> dict[str, dict[str, float]]:
    """The best documents of each query by BM25, k1 = 1.2, b = 0.75."""
    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    names, lengths = [], []
    with gzip.open(corpus, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file):
            document = json.loads(line)
            words = _words(" ".join([document["title"], *document["sentences"]]))
            names.append(document["id"])
            lengths.append(len(words))
            for word, count in Counter(words).items():
                postings[word].append((number, count))
    norm = 1.2 * (0.25 + 0.75 * np.array(lengths) / np.mean(lengths))
    run = {}
    for query, text in queries.items():
        scores = np.zeros(len(names))
        for word in set(_words(text)) & postings.keys():
            places, counts = np.array(postings[word]).T
            weight = math.log(1 + (len(names) - len(places) + 0.5) / (len(places) + 0.5))
            scores[places] += weight * counts * 2.2 / (counts + norm[places])
        best = np.argsort(-scores)[:depth]
        run[query] = {names[place]: float(scores[place]) for place in best}
    return run


def _words(text: str) -> list[str]:
    return [word.removesuffix("s") for word in re.findall(r"\w+", text.lower())]


def test_one_query_by_hand() -> None:
    # Ranked b (3), x, a (1); c (1) is not found. Ideal: 3, 1, 1.
    rankings = Rankings.from_run(
        {"q": {"b": 9.0, "x": 5.0, "a": 1.0}}, {"q": {"a": 1, "b": 3, "c": 1, "x": 0}}
    )
    best = 3 + 1 / math.log2(3) + 1 / 2
    assert rankings.ndcg(10) == pytest.approx([(3 + 1 / 2) / best])
    assert rankings.ndcg(1) == pytest.approx([1.0])
    assert rankings.recall(3) == pytest.approx([2 / 3])
    assert rankings.precision(10) == pytest.approx([0.2])
    assert rankings.average_precision() == pytest.approx([(1 + 2 / 3) / 3])
    assert rankings.average_precision(2) == pytest.approx([1 / 3])
    assert rankings.num_relevant.tolist() == [3]


def test_reciprocal_ranks_can_be_cut() -> None:
    rankings = Rankings.from_run({"q": {"x": 3.0, "y": 2.0, "a": 1.0}}, {"q": {"a": 1}})
    assert rankings.reciprocal_rank() == pytest.approx([1 / 3])
    assert rankings.reciprocal_rank(3) == pytest.approx([1 / 3])
    assert rankings.reciprocal_rank(2) == pytest.approx([0])
    assert mrr(rankings, 2, num_resamples=2).metric == "mrr@2"


def test_queries_without_documents_count_as_zero_and_say_so() -> None:
    run = {"a": {"d": 1.0}, "unknown": {"d": 1.0}}
    judgements: Judgements = {"a": {"d": 1}, "b": {"d": 1}, "empty": {}}
    zero = Rankings.from_run(run, judgements)
    left_out = Rankings.from_run(run, judgements, missing="left_out")
    assert (zero.queries, left_out.queries) == (("a", "b"), ("a",))
    assert zero.unjudged == ("unknown",)
    assert (ndcg(zero).value, ndcg(left_out).value) == (0.5, 1.0)
    assert "|k:10|missing:zero|resamples:1000" in ndcg(zero).signature
    assert ndcg(left_out).interval is None


def test_scores_carry_k_and_pair_by_query() -> None:
    drawn = np.random.default_rng(0)
    judgements = {f"q{i}": {f"d{drawn.integers(20)}": 1} for i in range(40)}
    runs = [{f"q{i}": {f"d{j}": float(drawn.random()) for j in range(20)} for i in range(40)} for _ in "ab"]
    context = Context(data="0" * 64, split="test")
    scores = [retrieval_scores(Rankings.from_run(run, judgements), 5, context=context) for run in runs]
    for a, b in zip(*scores, strict=True):
        require_comparable(a.signature, b.signature)
        assert a.interval is not None
        assert a.interval[0] < a.value < a.interval[1]
    assert [one.metric for one in scores[0]] == ["ndcg@5", "recall@5", "precision@5", "mrr@5", "map"]
    rankings = Rankings.from_run(runs[0], judgements)
    assert recall_at_k(rankings, 20).value == 1
    assert precision_at_k(rankings, 20).value == pytest.approx(0.05)
    assert "|k:all|" in mean_average_precision(rankings).signature


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(DataError, match='no query of the run has judgements\n  got: 1 queries such as "1"'):
        Rankings.from_run({"1": {"d": 1.0}}, {"q1": {"d": 1}})
    with pytest.raises(DataError, match="0 queries against 0 judged ones"):
        Rankings.from_run({}, {})
    with pytest.raises(DataError, match="query q, document d: a score that is not a finite number"):
        Rankings.from_run({"q": {"d": math.nan}}, {"q": {"d": 1}})
    with pytest.raises(DataError, match="query q, document d: a judgement that is no whole number"):
        Rankings.from_run({"q": {"d": 1.0}}, {"q": {"d": 0.5}})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="k: not a number of documents\n  got: 0"):
        ndcg(Rankings.from_run({"q": {"d": 1.0}}, {"q": {"d": 1}}), 0)
    with pytest.raises(UsageError, match="missing: no such way"):
        Rankings.from_run({"q": {"d": 1.0}}, {"q": {"d": 1}}, missing="nought")  # type: ignore[arg-type]
