"""Suites: the measures that fit a model's traits, over one split of its data.

A suite takes a model and data and returns scores with what a report draws beside them. It knows no run.

    classification   classes.py
    modes            mode_coverage.py
    images           likelihoods.py (likelihoods and reconstructions), code_likelihoods.py (likelihoods of the
                     codes that stand for pictures), code_use.py (of a codebook), distances.py (generated
                     against real pictures by the features of a network), copies.py (against training
                     pictures, by pixels), recognised.py (whether a class that was asked for is recognised
                     by a classifier)
    text             texts.py
    analogies        analogies.py (words by their vectors), word_map.py
    masked           masked.py
    pairs            pairs.py
    retrieval        partners.py
    tuning           tuned_answers.py
"""

from collections.abc import Mapping
from dataclasses import replace

from creuset.data.dataset import Dataset
from creuset.errors import DataError, UsageError
from creuset.evaluation.analogies import AnalogySetting, analogy_suite
from creuset.evaluation.classes import classification_suite
from creuset.evaluation.code_likelihoods import code_likelihood_part
from creuset.evaluation.code_use import code_use_part
from creuset.evaluation.copies import copies_part
from creuset.evaluation.distances import DistanceSetting, distances_part
from creuset.evaluation.generated import picture_sets
from creuset.evaluation.likelihoods import likelihood_part, reconstruction_part
from creuset.evaluation.masked import masked_suite
from creuset.evaluation.mode_coverage import ModeSetting, modes_suite, num_drawn_for_modes
from creuset.evaluation.pairs import pairs_suite
from creuset.evaluation.partners import partner_suite
from creuset.evaluation.recognised import recognised_part
from creuset.evaluation.suite import (
    Evaluation,
    Subject,
    documents_hash,
    joined,
    rows_hash,
    split_hash,
    suites,
)
from creuset.evaluation.texts import text_suite
from creuset.evaluation.tuned_answers import NUM_ANSWERED, tuning_suite
from creuset.metrics.signature import Context
from creuset.models.base import Family, Model
from creuset.models.tuned import Tuned
from creuset.progress import Progress
from creuset.recipe.evaluation import Suite
from creuset.training.rewards import Reward

__all__ = [
    "AnalogySetting",
    "DistanceSetting",
    "Evaluation",
    "ModeSetting",
    "Subject",
    "Suite",
    "evaluate",
    "evaluate_generated",
    "num_drawn_for_modes",
    "split_hash",
    "suites",
]


def evaluate(
    subject: Subject,
    dataset: Dataset,
    split: str,
    *,
    suite: Suite,
    num_importance_samples: int,
    seed: int,
    progress: Progress,
    distances: DistanceSetting | None = None,
    analogies: AnalogySetting | None = None,
    modes: ModeSetting | None = None,
    num_answered: int = NUM_ANSWERED,
    untrained: Model | None = None,
    reward: Reward | None = None,
    choices: Mapping[str, str | int] | None = None,
) -> Evaluation:
    """Runs a suite.

    Args:
        subject: The model.
        dataset: Data of the form that the model was made for.
        split: Which part of it is measured.
        suite: Which measures.
        num_importance_samples: Draws per picture for a bound on the likelihood.
        seed: Decides the draws: of binary pixels, of codes, of generated pictures, of bootstrap resamples.
        progress: Who watches.
        distances: How generated pictures are measured; None leaves that out.
        analogies: What is asked of words; None asks nothing. Of the data, only the tokenizer is used then.
        modes: How modes are counted; default: of points, as many as in the published figures.
        num_answered: For tuning, how many held-out prompts are answered.
        untrained: For retrieval, the model before its training, None leaves that out; for tuning it is the
            base.
        reward: For tuning, what an answer is worth to a model that learned from rewards.
        choices: Further things that change the numbers, for the signatures.

    Raises:
        DataError: There is no such split, or it is empty.
        UsageError: The suite does not fit the family.
    """
    _require_measurable(subject.family, dataset, split, suite)
    if suite == "analogies":
        assert dataset.tokenizer is not None
        setting = AnalogySetting() if analogies is None else analogies
        return analogy_suite(subject, dataset.tokenizer, dataset.spec.word_counts, setting, seed=seed)
    part = dataset.split(split)
    samples, data = rows_hash(part.hashes), split_hash(dataset, split)
    if suite == "text":  # of texts, so that models with unlike tokenizers are compared
        assert part.stream is not None
        samples = data = documents_hash(part.stream)
    context = Context(data=data, split=split, seed=seed, extra=dict(choices or {}))
    if suite == "classification":
        evaluation = classification_suite(subject, dataset, split, context)
    elif suite == "text":
        evaluation = text_suite(subject, dataset, split, context, progress)
    elif suite == "pairs":
        evaluation = pairs_suite(subject, dataset, split, context, progress)
    elif suite == "masked":
        evaluation = masked_suite(subject, dataset, split, context, progress)
    elif suite == "modes":
        evaluation = modes_suite(subject, dataset.spec, context, ModeSetting() if modes is None else modes)
    elif suite == "retrieval":
        evaluation = partner_suite(subject, untrained, dataset, split, context)
    elif suite == "tuning":
        assert isinstance(untrained, Tuned)
        evaluation = tuning_suite(subject, untrained, dataset, split, context, num_answered, progress, reward)
    else:
        evaluation = _images(subject, dataset, split, context, num_importance_samples, distances, progress)
    return replace(evaluation, samples=samples)


def evaluate_generated(
    subject: Subject,
    dataset: Dataset,
    split: str,
    context: Context,
    setting: DistanceSetting,
    progress: Progress,
) -> Evaluation:
    """The part of the suite `images` that is of generated pictures: distances, nearness to training, and
    whether a class that was asked for is recognised.

    Args:
        subject: A model that draws pictures.
        dataset: Data of the form that the model was made for.
        split: Which part of it the generated pictures are held against.
        context: Of this split; its seed decides what is drawn.
        setting: How many are drawn, and how they are measured.
        progress: Who watches.
    """
    if dataset.code_maps is not None:  # what is drawn is measured as pictures, like that of any other model
        context = replace(context, data=split_hash(dataset.shown, split))
    sets = picture_sets(subject, dataset, split, setting.num_generated, context)
    parts = [distances_part(sets, setting, progress), copies_part(sets)]
    if setting.network is not None:
        number, judge = setting.num_generated, setting.network
        parts.append(recognised_part(subject, dataset, split, judge, number, context))
    return joined(Evaluation(suite="images", split=split), parts)


def _require_measurable(family: Family, dataset: Dataset, split: str, suite: Suite) -> None:
    if not dataset.split(split).num_samples:
        raise DataError("nothing to measure: the split is empty", where=split)
    if suite not in suites(family):
        raise UsageError(
            f"the suite {suite} does not fit the family {family.name}",
            where="--suite",
            got=f"traits {', '.join(sorted(family.traits))}",
            expected=" or ".join(suites(family, dataset.spec)) or "no suite",
        )
    if suite not in suites(family, dataset.spec):
        what = (
            f"samples of the mixture {dataset.spec.mixture}" if dataset.spec.mixture else "no known mixture"
        )
        raise UsageError(
            f"the suite {suite} does not fit this data",
            where="--suite",
            got=f"{dataset.spec.kind}, {what}",
            expected=" or ".join(suites(family, dataset.spec)) or "no suite",
        )


def _images(
    subject: Subject,
    dataset: Dataset,
    split: str,
    context: Context,
    num_importance_samples: int,
    distances: DistanceSetting | None,
    progress: Progress,
) -> Evaluation:
    """The measures of pictures that the family's traits allow, one after the other."""
    traits = subject.family.traits
    parts = []
    if "likelihood" in traits and dataset.spec.codes is not None:
        parts.append(code_likelihood_part(subject, dataset, split, context, progress))
    elif "likelihood" in traits:
        parts.append(likelihood_part(subject, dataset, split, context, num_importance_samples, progress))
    if "encodes" in traits:
        parts.append(reconstruction_part(subject, dataset, split, context))
    if isinstance(subject.model, Model) and subject.model.num_codes:
        parts.append(code_use_part(subject, dataset, split, context))
    if "samples" in traits and distances is not None:
        parts.append(evaluate_generated(subject, dataset, split, context, distances, progress))
    return joined(Evaluation(suite="images", split=split), parts)
