"""Two tuned language models on the same rows, by what one of them was tuned for.

What is measured follows from the objective of the newer one, of which both are asked the same:

    next_token   nats of a learned token; ROUGE-L, words in common and exact matches of answers
    dpo          by how much more the chosen answer gained than the rejected one, over the newer one's base
    orpo         by how much the chosen answer is likelier, by the mean log-probability of its tokens
    reward       by how much the chosen answer has the higher score
    grpo, ppo    what drawn answers are worth to the newer one's reward

Of models that write, the passages that no tuning learns from are measured too (forgetting.py).

Legend of shapes: N rows.
"""

from dataclasses import dataclass

import numpy as np

from creuset.data.dataset import Dataset
from creuset.data.tuning_rows import TunedRow
from creuset.evaluation.forgetting import unseen_context, unseen_rows
from creuset.evaluation.tuned_answers import answers_of, likelihoods_of, measures_of, reward_rows
from creuset.evaluation.tuned_preferences import margin_rows, margins_of, mean_log_probs
from creuset.evaluation.tuned_rows import each_row, row_nats
from creuset.generation.answers import asking_rows
from creuset.metrics.inputs import FloatArray
from creuset.metrics.signature import Context
from creuset.metrics.text.perplexity import nats_per_token_rows
from creuset.metrics.text.rows import TextRows
from creuset.models.tuned import Tuned
from creuset.models.tuned_config import OF_REWARDS
from creuset.progress import Progress
from creuset.training.rewards import Reward

_TIE = 1e-3
"""Nats by which two ways to compute one and the same model may differ: no answer is ahead by so little."""


@dataclass(frozen=True, kw_only=True)
class Rivals:
    """Two models, and what the newer one began from.

    Args:
        old, new: The models.
        base: The newer one before its training.
    """

    old: Tuned
    new: Tuned
    base: Tuned


@dataclass(frozen=True, kw_only=True)
class Match:
    """One metric of both, over the same rows.

    Args:
        old, new: Their rows.
        context: Of these rows.
    """

    old: TextRows
    new: TextRows
    context: Context


def side_by_side(
    rivals: Rivals,
    dataset: Dataset,
    split: str,
    context: Context,
    *,
    num_answered: int,
    progress: Progress,
    reward: Reward | None = None,
) -> list[Match]:
    """Both by each metric that fits.

    Args:
        rivals: Both score answers, or both write them.
        dataset: Rows of the form that the newer one learned from, as both read them.
        split: What is measured.
        context: Of this split.
        num_answered: Prompts that both answer, of conversations.
        progress: Who watches.
        reward: What an answer is worth, where the newer one learned from rewards.
    """
    objective = rivals.new.objective.name
    if objective in OF_REWARDS:
        assert reward is not None
        found = [_rewards(rivals, dataset, split, context, num_answered, reward)]
    elif objective == "next_token":
        found = _texts(rivals, dataset, split, context, num_answered, progress)
    else:
        found = _preferences(rivals, dataset, split, context, progress)
    if objective == "reward":
        return found
    assert dataset.tokenizer is not None
    old, new = (unseen_rows(model, dataset.tokenizer, progress) for model in (rivals.old, rivals.new))
    return [*found, Match(old=old, new=new, context=unseen_context(context))]


def _texts(
    rivals: Rivals, dataset: Dataset, split: str, context: Context, num_answered: int, progress: Progress
) -> list[Match]:
    old, new = (
        nats_per_token_rows(likelihoods_of(row_nats(model, dataset, split, progress), dataset, split))
        for model in (rivals.old, rivals.new)
    )
    asked = asking_rows(dataset, split, num_answered)
    return [Match(old=old, new=new, context=context), *_answers(rivals, dataset, asked, context, progress)]


def _answers(
    rivals: Rivals, dataset: Dataset, asked: list[TunedRow], context: Context, progress: Progress
) -> list[Match]:
    if not asked:
        return []
    progress.say(f"{len(asked)} held-out prompts are answered by both")
    old, new = (answers_of(model, asked, dataset) for model in (rivals.old, rivals.new))
    both = {one.place for one in old} & {
        one.place for one in new
    }  # prompts that fit into the context of both
    if not both:
        return []
    told = [[one for one in found if one.place in both] for found in (old, new)]
    pairs = zip(*map(measures_of, told), strict=True)
    return [Match(old=before, new=after, context=context) for before, after in pairs]


def _preferences(
    rivals: Rivals, dataset: Dataset, split: str, context: Context, progress: Progress
) -> list[Match]:
    objective = rivals.new.objective.name

    def ahead(model: Tuned) -> FloatArray:
        if objective == "reward":
            return margins_of(each_row(model, model.rewards, dataset, split, progress))
        if objective == "orpo":
            return margins_of(mean_log_probs(model, dataset, split, progress))
        return margins_of(before - row_nats(model, dataset, split, progress))

    before = row_nats(rivals.base, dataset, split, progress) if objective == "dpo" else np.zeros(0)
    old, new = (_without_ties(ahead(model)) for model in (rivals.old, rivals.new))
    pairs = zip(margin_rows(old, objective), margin_rows(new, objective), strict=True)
    return [Match(old=left, new=right, context=context) for left, right in pairs]


def _without_ties(values: FloatArray) -> FloatArray:
    return np.where(np.abs(values) < _TIE, 0.0, values)


def _rewards(
    rivals: Rivals, dataset: Dataset, split: str, context: Context, num_answered: int, reward: Reward
) -> Match:
    settings = rivals.new.objective.policy
    old, new = (
        reward_rows(model, dataset, split, reward, settings, number=num_answered, seed=context.seed)
        for model in (rivals.old, rivals.new)
    )
    return Match(old=old, new=new, context=context)
