"""The part of the suite `tuning` that is of preferences: whether the chosen one of two answers is told.

    dpo      the chosen answer gained more, by its log-probability less that of the base
    orpo     the chosen answer is likelier by the mean log-probability of its tokens; the base is asked too
    reward   the chosen answer has the higher score

Legend of shapes: N pairs.
"""

from dataclasses import replace

import numpy as np

from creuset.data.dataset import Dataset
from creuset.evaluation.suite import Evaluation
from creuset.evaluation.tuned_rows import Pair, each_row, row_nats
from creuset.metrics.inputs import FloatArray
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic
from creuset.models.tuned import Tuned
from creuset.progress import Progress

BASE = "_of_base"


def preferences_part(
    pair: Pair, dataset: Dataset, split: str, context: Context, progress: Progress
) -> Evaluation:
    """How often the chosen answer is told, and by how much it is ahead.

    Args:
        pair: The tuned model and its base.
        dataset: Preferences.
        split: What is measured.
        context: Of this split.
        progress: Who watches.
    """
    floors: list[Score] = []
    objective = pair.tuned.objective.name
    if objective == "reward":
        margins = margins_of(each_row(pair.tuned, pair.tuned.rewards, dataset, split, progress))
    elif objective == "orpo":
        margins = margins_of(mean_log_probs(pair.tuned, dataset, split, progress))
        before = margins_of(mean_log_probs(pair.base, dataset, split, progress))
        floors = [replace(score, metric=score.metric + BASE) for score in _scores(before, objective, context)]
    else:
        tuned, base = (row_nats(model, dataset, split, progress) for model in (pair.tuned, pair.base))
        margins = margins_of(base - tuned)
    scores = _scores(margins, objective, context)
    return Evaluation(
        suite="tuning",
        split=split,
        scores=scores,
        floors=floors,
        findings=[_verdict(scores[0])],
        rows={"margin": margins},
    )


def mean_log_probs(model: Tuned, dataset: Dataset, split: str, progress: Progress) -> FloatArray:
    """The mean log-probability of the tokens of each answer, chosen ones first, float64 (2 N,)."""
    tuning = dataset.split(split).tuning
    assert tuning is not None
    found: FloatArray = -row_nats(model, dataset, split, progress) / tuning.trained.num_trained.numpy()
    return found


def margins_of(values: FloatArray) -> FloatArray:
    """By how much each chosen answer is ahead, (2 N,) -> (N,)."""
    chosen, rejected = np.split(values, 2)
    ahead: FloatArray = chosen - rejected
    return ahead


def margin_rows(margins: FloatArray, objective: str) -> tuple[TextRows, TextRows]:
    """How often the chosen answer is ahead, and by how much.

    Args:
        margins: By how much it is, (N,).
        objective: dpo, orpo or reward, which says of what.
    """
    told = {"dpo": "gain", "orpo": "mean_log_prob", "reward": "score"}[objective]
    accuracy = TextRows(
        metric="preference_accuracy",
        unit="fraction",
        better="higher",
        rows=mean_rows((margins > 0).astype(np.float64) + 0.5 * (margins == 0)),
        statistic=mean_statistic,
        spread="wilson",
        fields={"told_by": told},
    )
    unit = "reward" if objective == "reward" else "nats"
    return accuracy, replace(accuracy, metric="margin", unit=unit, rows=mean_rows(margins), spread="t")


def _scores(margins: FloatArray, objective: str, context: Context) -> list[Score]:
    return [rows.score(context=context) for rows in margin_rows(margins, objective)]


def _verdict(accuracy: Score) -> str:
    assert accuracy.interval is not None
    low, high = accuracy.interval
    if low <= 0.5 <= high:
        return f"preferences: cannot be told from guessing, .5 lies within [{low:.3f}, {high:.3f}]"
    better = "better" if low > 0.5 else "worse"
    return f"preferences of held-out pairs: told {better} than by guessing (n={accuracy.n})"
