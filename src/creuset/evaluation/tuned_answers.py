"""The suite `tuning`: a tuned language model beside its base, on held-out rows, through the same code.

Of conversations and texts: what the learned tokens of each row cost, and by how much that changed, with an
interval of the difference over the same rows; and what both answer to held-out prompts. Of preferences: how
often the tuning made the chosen answer likelier than the rejected one, seen from the base.

Legend of shapes: N rows.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from creuset.data.dataset import Dataset
from creuset.data.tokenizer import Tokenizer
from creuset.data.tuning_rows import TunedRow
from creuset.evaluation.forgetting import forgetting, told
from creuset.evaluation.suite import Evaluation, Subject
from creuset.evaluation.tuned_preferences import BASE, preferences_part
from creuset.evaluation.tuned_rows import Pair, row_nats
from creuset.generation.answers import Answered, answers, asking_rows, fast_form
from creuset.metrics.inputs import FloatArray, IntArray
from creuset.metrics.score import Score
from creuset.metrics.signature import Context, FieldValue
from creuset.metrics.text.answers import exact_match_rows, token_f1_rows
from creuset.metrics.text.perplexity import (
    DocumentLikelihoods,
    WindowSetting,
    bits_per_byte_rows,
    nats_per_token_of,
    nats_per_token_rows,
    perplexity_rows,
)
from creuset.metrics.text.rouge import rouge_rows
from creuset.metrics.text.rows import TextRows, mean_rows, mean_statistic
from creuset.models.tuned import Tuned
from creuset.models.tuned_config import PolicySettings
from creuset.progress import Progress
from creuset.training.policy import held_out_rewards
from creuset.training.rewards import Reward

CHANGE = "_change"
"""Behind the name of a metric: what the tuning changed of it; `BASE`: of the base."""
NUM_ANSWERED, _ANSWER_TOKENS, _NUM_SHOWN = 32, 96, 5
"""Prompts that both answer if not said otherwise, tokens of an answer, and answers that a report shows."""


def tuning_suite(
    subject: Subject,
    base: Tuned,
    dataset: Dataset,
    split: str,
    context: Context,
    num_answered: int,
    progress: Progress,
    reward: Reward | None = None,
) -> Evaluation:
    """The measures that fit the data.

    Args:
        subject: The tuned model.
        base: The same before its training.
        dataset: Conversations, texts or preferences.
        split: What is measured.
        context: Of this split.
        num_answered: Prompts that both answer, of conversations.
        progress: Who watches.
        reward: What an answer is worth, of a model that learned from rewards; None of others.
    """
    assert isinstance(subject.model, Tuned)
    pair = Pair(tuned=subject.model, base=base)
    if dataset.spec.kind == "preferences":
        found = preferences_part(pair, dataset, split, context, progress)
    else:
        found = _texts(pair, dataset, split, context, num_answered, progress)
        if reward is not None:
            found = _rewarded(found, pair, dataset, context, num_answered, reward)
    if pair.tuned.objective.name == "reward":
        return found  # it scores answers, and writes none
    assert dataset.tokenizer is not None
    scores, before = forgetting(pair, dataset.tokenizer, context, CHANGE, progress)
    return replace(
        found,
        scores=[*found.scores, *scores],
        floors=[*found.floors, before],
        findings=[*found.findings, told(scores[0])],
    )


def _texts(
    pair: Pair, dataset: Dataset, split: str, context: Context, num_answered: int, progress: Progress
) -> Evaluation:
    tuned, base = (row_nats(model, dataset, split, progress) for model in (pair.tuned, pair.base))
    nats = {"tuned": tuned, "base": base}
    found = {name: likelihoods_of(values, dataset, split) for name, values in nats.items()}
    counts, num_bytes = (
        values.astype(np.int64) for values in (found["tuned"].num_tokens, found["tuned"].num_bytes)
    )
    scored = {name: [rows.score(context=context) for rows in _rows_of(one)] for name, one in found.items()}
    difference = _change(nats["tuned"] - nats["base"], counts, nats_per_token_rows(found["tuned"]), context)
    evaluation = Evaluation(
        suite="tuning",
        split=split,
        scores=[difference, *scored["tuned"]],
        floors=[replace(score, metric=score.metric + BASE) for score in scored["base"]],
        findings=[verdict("the learned tokens of held-out rows", difference)],
        rows={
            "nats": nats["tuned"],
            "nats_of_base": nats["base"],
            "num_tokens": counts,
            "num_bytes": num_bytes,
        },
    )
    asked = asking_rows(dataset, split, num_answered)
    return _with_answers(evaluation, pair, dataset, asked, context, progress) if asked else evaluation


def likelihoods_of(nats: FloatArray, dataset: Dataset, split: str) -> DocumentLikelihoods:
    """What the rows of a split cost, with the tokens that are learned of them and their bytes.

    Args:
        nats: Of each row, (N,).
        dataset: Conversations or texts.
        split: Of them.
    """
    tuning, tokenizer = dataset.split(split).tuning, dataset.tokenizer
    assert tuning is not None
    assert tokenizer is not None
    counts, num_bytes = _sizes(tuning.rows, tokenizer)
    return DocumentLikelihoods.from_sums(
        nats,
        counts,
        num_bytes,
        tokenizer=tokenizer.fingerprint[:16],
        windows=WindowSetting(context_length=dataset.spec.context, stride=dataset.spec.context),
    )


def _rows_of(likelihoods: DocumentLikelihoods) -> Iterator[TextRows]:
    yield nats_per_token_rows(likelihoods)
    yield perplexity_rows(likelihoods)
    yield bits_per_byte_rows(likelihoods)


def _change(differences: FloatArray, counts: IntArray, rows: TextRows, context: Context) -> Score:
    """Nats a token, tuned minus base, with an interval over rows that are resampled together."""
    paired = replace(
        rows,
        metric=rows.metric + CHANGE,
        rows=np.stack([differences, counts], axis=1),
        statistic=nats_per_token_of,
        fields={**rows.fields, "paired": "base"},
    )
    return paired.score(context=context)


def verdict(what: str, change: Score) -> str:
    """What a paired difference says: better, worse, or cannot tell apart."""
    if change.interval is None:
        if change.n == 1:
            return f"{what}: one row says nothing of a difference"
        alike = "no difference" if change.value == 0 else f"each row changed alike, by {change.value:.4g}"
        return f"{what}: {alike} ({change.metric}, n={change.n})"
    low, high = change.interval
    if low <= 0 <= high:
        return f"{what}: tuned and base cannot be told apart by {change.metric} (n={change.n})"
    better = (high < 0) == (change.better == "lower")
    return f"{what}: {'better' if better else 'worse'} than the base by {change.metric} (n={change.n})"


def _with_answers(
    evaluation: Evaluation,
    pair: Pair,
    dataset: Dataset,
    asked: list[TunedRow],
    context: Context,
    progress: Progress,
) -> Evaluation:
    """What both answer, with ROUGE-L, words in common and exact matches, and what changed of these."""
    progress.say(f"evaluation: {len(asked)} held-out prompts are answered by the base and by the tuned model")
    told = {"tuned": answers_of(pair.tuned, asked, dataset), "base": answers_of(pair.base, asked, dataset)}
    if not told["tuned"]:
        return evaluation
    fields: dict[str, FieldValue] = {"max_tokens": _ANSWER_TOKENS, "decoding": "greedy"}
    signed = replace(context, extra={**context.extra, **fields})
    tuned, base = measures_of(told["tuned"]), measures_of(told["base"])
    scores, floors, findings, remarks = [], [], [], []
    for own, other in zip(tuned, base, strict=True):
        difference = _mean_change(own, other, signed)
        scores += [own.score(context=signed), difference]
        before = other.score(context=signed)
        floors.append(replace(before, metric=before.metric + BASE))
        findings.append(verdict("answers to held-out prompts", difference))
    unfinished = sum(not one.ended for one in told["tuned"])
    if unfinished:
        remarks.append(
            f"{unfinished} of {len(told['tuned'])} answers of the tuned model were cut after "
            f"{_ANSWER_TOKENS} tokens"
        )
    shown = [
        {
            "place": one.place,
            "prompt": one.prompt,
            "reference": one.reference,
            "base": other.answer,
            "tuned": one.answer,
        }
        for one, other in zip(told["tuned"][:_NUM_SHOWN], told["base"], strict=False)
    ]
    return replace(
        evaluation,
        scores=[*evaluation.scores, *scores],
        floors=[*evaluation.floors, *floors],
        findings=[*evaluation.findings, *findings],
        remarks=[*evaluation.remarks, *remarks],
        details={**evaluation.details, "answers": shown},
    )


def answers_of(model: Tuned, asked: list[TunedRow], dataset: Dataset) -> list[Answered]:
    """A model's likeliest answers to the rows of a data set that ask something."""
    decoder = fast_form(model.body.config, model.plain_state())
    return answers(decoder, asked, dataset, max_tokens=_ANSWER_TOKENS)


def measures_of(told: list[Answered]) -> list[TextRows]:
    """ROUGE-L, words in common and exact matches of answers with those that stand there."""
    hypotheses, references = [one.answer for one in told], [one.reference for one in told]
    return [
        rouge_rows(hypotheses, references, variants=("rougeL",), tokenizer="unicode")["rougeL"],
        token_f1_rows(hypotheses, references, normalisation="unicode"),
        exact_match_rows(hypotheses, references, normalisation="unicode"),
    ]


def _mean_change(own: TextRows, other: TextRows, context: Context) -> Score:
    """The mean difference of paired rows, with Student's interval."""
    paired = replace(
        own,
        metric=own.metric + CHANGE,
        rows=mean_rows(own.rows[:, 0] - other.rows[:, 0]),
        statistic=mean_statistic,
        spread="t",
        bounds=(-1.0, 1.0),
        fields={**own.fields, "paired": "base"},
    )
    return paired.score(context=context)


def _rewarded(
    evaluation: Evaluation,
    pair: Pair,
    dataset: Dataset,
    context: Context,
    num_answered: int,
    reward: Reward,
) -> Evaluation:
    """What drawn answers to held-out prompts are worth, of both models with the same draws."""
    settings = pair.tuned.objective.policy
    own, before = (
        reward_rows(
            model, dataset, evaluation.split, reward, settings, number=num_answered, seed=context.seed
        )
        for model in (pair.tuned, pair.base)
    )
    tuned, base = own.rows[:, 0], before.rows[:, 0]
    changed = replace(
        own,
        metric=f"reward{CHANGE}",
        rows=mean_rows(tuned - base),
        fields={**own.fields, "paired": "base"},
    )
    first = changed.score(context=context)
    return replace(
        evaluation,
        scores=[first, own.score(context=context), *evaluation.scores],
        floors=[replace(before, metric=f"reward{BASE}").score(context=context), *evaluation.floors],
        findings=[verdict("rewards of answers to held-out prompts", first), *evaluation.findings],
        rows={**evaluation.rows, "rewards": tuned, "rewards_of_base": base},
    )


def reward_rows(
    model: Tuned,
    dataset: Dataset,
    split: str,
    reward: Reward,
    settings: PolicySettings,
    *,
    number: int,
    seed: int,
) -> TextRows:
    """What drawn answers to held-out prompts are worth, on average of each prompt; the draws are fixed.

    Args:
        model: What answers.
        dataset: Conversations.
        split: Of them.
        reward: What an answer is worth.
        settings: How answers are drawn.
        number: Prompts at most.
        seed: Decides the draws.
    """
    values = held_out_rewards(
        model,
        dataset,
        split,
        reward,
        settings,
        number=number,
        seed=seed,
        num_each=settings.num_answers,
    )
    return TextRows(
        metric="reward",
        unit="reward",
        better="higher",
        rows=mean_rows(values.double().mean(1).numpy()),
        statistic=mean_statistic,
        spread="t",
        fields={
            "answers": settings.num_answers,
            "max_tokens": settings.max_answer_tokens,
            "temperature": f"{settings.temperature:g}",
        },
    )


def _sizes(rows: tuple[TunedRow, ...], tokenizer: Tokenizer) -> tuple[IntArray, IntArray]:
    """How many tokens each row asks for, and how many bytes of text they are."""
    learned = [
        [number for number, flag in zip(row.text.ids[1:], row.text.trained[1:], strict=True) if flag]
        for row in rows
    ]
    sizes = [len(tokenizer.decode(ids).encode()) for ids in learned]
    return np.array([len(ids) for ids in learned]), np.array(sizes)
