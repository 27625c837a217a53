"""The suite `retrieval`: whether the vector of a text finds the text that belongs to it.

Each source of a split is a question to all targets of the split, which are ranked by their cosine. A source
with several targets has found a share of them. Beside the scores stands what the same model reached before it
was trained; of a base that was tuned also what changed, with an interval over the same sources, and whether
that is better, worse, or cannot be told apart.

Legend of shapes: Q sources.
"""

from dataclasses import replace

import numpy as np
import torch

from creuset.data.dataset import Dataset
from creuset.data.source import counted
from creuset.data.text_pairs import TextPairs, TokenRows
from creuset.evaluation.shares import mean_share_score
from creuset.evaluation.suite import Evaluation, Subject
from creuset.evaluation.tuned_answers import CHANGE, verdict
from creuset.evaluation.tuned_preferences import BASE
from creuset.metrics.inputs import FloatArray
from creuset.metrics.retrieval import Rankings
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic
from creuset.models.base import Model
from creuset.models.requirements import require_finite

UNTRAINED = "_untrained"
"""Behind the name of a metric: of the model before its training."""

_MOST = 1000
"""Pairs of a split, the first by their hashes: of more, a ranking of all by all takes long."""
_AT_ONCE = 64
_CUTS = (1, 10)
"""The k of recall at k."""


def partner_suite(
    subject: Subject, untrained: Model | None, dataset: Dataset, split: str, context: Context
) -> Evaluation:
    """Recall at 1 and 10, and the mean reciprocal rank, over the sources of a split.

    Args:
        subject: A model that embeds texts.
        untrained: The same before its training, of a tuned one its base; None to leave that out.
        dataset: Pairs of texts.
        split: Which of them.
        context: Of this split.

    Raises:
        NumericalError: A vector is not finite.
    """
    pairs = dataset.split(split).pairs
    assert pairs is not None
    assert isinstance(subject.model, Model)
    total = len(pairs.sources)
    chosen = pairs.select(np.arange(min(_MOST, total)))
    candidates = len(set(chosen.targets))
    context = replace(context, extra={**context.extra, "candidates": candidates})
    rankings = _rankings(subject.model, chosen, subject.device)
    scores, rows = _scores(rankings, context), _rows(rankings)
    floors: list[Score] = []
    findings: list[str] = []
    remarks: list[str] = []
    if untrained is not None:
        earlier = _rankings(untrained, chosen, subject.device)
        is_tuned = subject.family.tune is not None
        behind = BASE if is_tuned else UNTRAINED
        floors = [replace(score, metric=score.metric + behind) for score in _scores(earlier, context)]
        if is_tuned:
            changes = _changes(rankings, earlier, context)
            scores += changes
            findings += [verdict("partners of held-out texts", change) for change in changes]
            rows |= {metric + BASE: values for metric, values in _rows(earlier).items()}
    if len(chosen.sources) < total:
        remarks.append(f"the first {len(chosen.sources):,} of {counted(total, 'pair')} are ranked")
    return Evaluation(
        suite="retrieval",
        split=split,
        scores=scores,
        floors=floors,
        details={"candidates": candidates},
        findings=findings,
        remarks=remarks,
        rows=rows,
    )


def _rows(rankings: Rankings) -> dict[str, FloatArray]:
    """One number a source for each metric, whose mean the metric is."""
    found = {f"recall@{k}": rankings.recall(k) for k in _CUTS}
    return {**found, "mrr": rankings.reciprocal_rank()}


def _scores(rankings: Rankings, context: Context) -> list[Score]:
    """With Wilson's interval where a source has a single target each, so that it is found or not."""
    single = bool((rankings.num_relevant == 1).all())
    return [
        mean_share_score(
            metric,
            values,
            fields={"missing": rankings.missing},
            context=context,
            trials=single and metric != "mrr",
        )
        for metric, values in _rows(rankings).items()
    ]


def _changes(rankings: Rankings, earlier: Rankings, context: Context) -> list[Score]:
    """What the tuning changed of each metric, the mean over sources that are taken together."""
    before = _rows(earlier)
    return [
        TextRows(
            metric=metric + CHANGE,
            unit="fraction",
            better="higher",
            rows=mean_rows(values - before[metric]),
            statistic=mean_statistic,
            spread="t",
            bounds=(-1.0, 1.0),
            fields={"missing": rankings.missing, "paired": "base"},
        ).score(context=context)
        for metric, values in _rows(rankings).items()
    ]


def _rankings(model: Model, pairs: TextPairs, device: torch.device) -> Rankings:
    """The targets by their cosine with each source; equal texts are one."""
    source_places, target_places = _first_places(pairs.sources), _first_places(pairs.targets)
    sources = _vectors(model, pairs.source_rows, list(source_places.values()), device)
    targets = _vectors(model, pairs.target_rows, list(target_places.values()), device)
    cosines = sources @ targets.T
    names = [str(number) for number in range(len(targets))]
    run = {str(number): dict(zip(names, row.tolist(), strict=True)) for number, row in enumerate(cosines)}
    queries = {text: str(number) for number, text in enumerate(source_places)}
    documents = {text: str(number) for number, text in enumerate(target_places)}
    judgements: dict[str, dict[str, int]] = {}
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        judgements.setdefault(queries[source], {})[documents[target]] = 1
    return Rankings.from_run(run, judgements)


def _first_places(texts: tuple[str, ...]) -> dict[str, int]:
    """Each distinct text with the place where it stands first."""
    places: dict[str, int] = {}
    for place, text in enumerate(texts):
        places.setdefault(text, place)
    return places


def _vectors(model: Model, rows: TokenRows, places: list[int], device: torch.device) -> FloatArray:
    found = []
    for part in torch.split(torch.tensor(places), _AT_ONCE):
        tokens, lengths = rows.padded(part, 0).to(device), rows.lengths[part].to(device)
        found.append(require_finite(model.embed(tokens, lengths), "the vectors of texts").double().cpu())
    vectors: FloatArray = torch.cat(found).numpy()
    return vectors
