"""Suites: the measures that fit a model's traits, over one split of its data.

A suite takes a model and data and returns scores with what a report draws beside them. It knows no run.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.hashing import content_hash
from creuset.errors import DataError, UsageError
from creuset.generation import pictures
from creuset.generation.observation import CHUNK, Observed, observe
from creuset.generation.text_likelihoods import document_likelihoods, nats_by_place, text_scores
from creuset.metrics.calibration import calibration_bins
from creuset.metrics.classification import classification_scores, confusion_matrix
from creuset.metrics.floors import PixelCounts, likelihood_floors
from creuset.metrics.likelihood import LikelihoodSetting, bits_per_dim, elbo, nll
from creuset.metrics.predictions import Predictions
from creuset.metrics.reconstruction import mean_squared_error, picture_psnr, psnr, squared_errors
from creuset.metrics.rows import KeptRows, classification_rows
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.models.base import Family, FittedModel, Likelihood, Model, model_inputs, placed
from creuset.models.language_model import LanguageModel
from creuset.progress import Progress

Suite = Literal["classification", "images", "text"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a suite found.

    Args:
        suite: Its name.
        split: The part of the data.
        scores: The measures, the most telling first.
        floors: What simple models reach on the same samples, to read the scores against.
        details: For a report, as JSON: confusion counts, calibration bins.
        rows: What the scores were made of, by sample (metrics/rows.py); no part of the JSON.
        samples: SHA-256 of the samples in the order of the rows.
    """

    suite: Suite
    split: str
    scores: list[Score]
    floors: list[Score] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    rows: KeptRows = field(default_factory=dict)
    samples: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "suite": self.suite,
            "split": self.split,
            "scores": [score.to_json() for score in self.scores],
            "floors": [score.to_json() for score in self.floors],
            "details": self.details,
        }


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured.

    Args:
        family: The model's family.
        model: The model, in evaluation mode.
        device: Where it is.
    """

    family: Family
    model: Model | FittedModel
    device: torch.device


def split_hash(dataset: Dataset, split: str) -> str:
    """Names exactly the samples and labels of one split: what scores on it are comparable by."""
    part = dataset.split(split)
    return content_hash(dataset.spec, {split: (part.hashes, part.labels)})


def suites(family: Family) -> tuple[Suite, ...]:
    """The suites that fit a family's traits, the most telling first."""
    found: list[Suite] = []
    if "classifies" in family.traits:
        found.append("classification")
    if family.traits & {"likelihood", "encodes"}:
        found.append("images")
    if "scores_text" in family.traits:
        found.append("text")
    return tuple(found)


def evaluate(
    subject: Subject,
    dataset: Dataset,
    split: str,
    *,
    suite: Suite,
    num_importance_samples: int,
    seed: int,
    progress: Progress,
    choices: Mapping[str, str | int] | None = None,
) -> Evaluation:
    """Runs a suite.

    Args:
        subject: The model.
        dataset: Data of the form that the model was made for.
        split: Which part of it is measured.
        suite: Which measures.
        num_importance_samples: Draws per picture for a bound on the likelihood.
        seed: Decides the draws: of binary pixels, of codes, of bootstrap resamples.
        progress: Who watches.
        choices: Further things that change the numbers, for the signatures.

    Raises:
        DataError: There is no such split, or it is empty.
        UsageError: The suite does not fit the family.
    """
    _require_measurable(subject.family, dataset, split, suite)
    context = Context(data=split_hash(dataset, split), split=split, seed=seed, extra=dict(choices or {}))
    if suite == "classification":
        evaluation = _classification(subject, dataset, split, context)
    elif suite == "text":
        evaluation = _text(subject, dataset, split, context, progress)
    else:
        evaluation = _images(subject, dataset, split, context, num_importance_samples, progress)
    hashes = dataset.split(split).hashes
    return replace(evaluation, samples=hashlib.sha256(hashes.astype(">u8").tobytes()).hexdigest())


def _require_measurable(family: Family, dataset: Dataset, split: str, suite: Suite) -> None:
    if not dataset.split(split).num_samples:
        raise DataError("nothing to measure: the split is empty", where=split)
    if suite not in suites(family):
        raise UsageError(
            f"the suite {suite} does not fit the family {family.name}",
            where="--suite",
            got=f"traits {', '.join(sorted(family.traits))}",
            expected=" or ".join(suites(family)),
        )


def _classification(subject: Subject, dataset: Dataset, split: str, context: Context) -> Evaluation:
    part = dataset.split(split)
    if part.labels is None:
        raise DataError("the data has no labels to compare with", where=dataset.report.origin)
    logits = classify(subject, dataset, split).numpy()
    labels = part.labels.numpy()
    if subject.model.probabilistic:
        predictions = Predictions.from_logits(logits, labels)
    else:
        predictions = Predictions.from_scores(logits, labels)
    details: dict[str, Any] = {
        "class_names": list(dataset.spec.class_names),
        "confusion": confusion_matrix(predictions).tolist(),
    }
    if subject.model.probabilistic:
        bins = calibration_bins(predictions)
        details["calibration"] = {
            "edges": bins.edges.tolist(),
            "counts": bins.counts.tolist(),
            "confidence": [None if np.isnan(value) else value for value in bins.confidence.tolist()],
            "accuracy": [None if np.isnan(value) else value for value in bins.accuracy.tolist()],
        }
    return Evaluation(
        suite="classification",
        split=split,
        scores=classification_scores(predictions, context=context),
        details=details,
        rows=classification_rows(predictions),
    )


def _text(subject: Subject, dataset: Dataset, split: str, context: Context, progress: Progress) -> Evaluation:
    """Nats per token, perplexity and bits per byte, each document read in sliding windows."""
    model, stream, tokenizer = subject.model, dataset.split(split).stream, dataset.tokenizer
    assert isinstance(model, LanguageModel)
    assert stream is not None
    assert tokenizer is not None
    found = document_likelihoods(model, stream, tokenizer, device=subject.device, progress=progress)
    rows = {"nats": found.nats, "num_tokens": found.num_tokens, "num_bytes": found.num_bytes}
    return Evaluation(
        suite="text",
        split=split,
        scores=text_scores(found, context=context),
        details={"nats_by_place": nats_by_place(model, stream, device=subject.device)},
        rows=rows,
    )


def classify(subject: Subject, dataset: Dataset, split: str) -> Tensor:
    """The logits of a whole split, float32 (N, K), on the CPU."""
    indices = torch.arange(dataset.split(split).num_samples)
    rows = []
    with torch.no_grad():
        for chunk in torch.split(indices, CHUNK):
            batch = dataset.batch(split, chunk)
            rows.append(
                subject.model.logits(placed(model_inputs(batch), subject.model, subject.device)).float().cpu()
            )
    return torch.cat(rows)


def _images(
    subject: Subject,
    dataset: Dataset,
    split: str,
    context: Context,
    num_importance_samples: int,
    progress: Progress,
) -> Evaluation:
    traits = subject.family.traits
    model = subject.model
    assert isinstance(model, Model)
    scores: list[Score] = []
    floors: list[Score] = []
    details: dict[str, Any] = {}
    rows: KeptRows = {}
    if "likelihood" in traits:
        observed = _observe(subject, model, dataset, split, context, num_importance_samples, progress)
        scores = _likelihood_scores(model.likelihood, observed, dataset, context, num_importance_samples)
        if model.likelihood.num_levels:
            floors = _floors(model.likelihood, observed, dataset, context)
        rows = _likelihood_rows(model.likelihood, observed, dataset)
    if "encodes" in traits:
        images = dataset.batch(split, torch.arange(dataset.split(split).num_samples))["images"]
        copies = pictures.reconstruct(model, images, subject.device)
        scores.append(mean_squared_error(images.numpy(), copies.numpy(), context=context))
        errors = squared_errors(images.numpy(), copies.numpy())
        rows = {**rows, "mse": errors}
        exact = int((errors == 0).sum())
        if exact:
            details["psnr"] = f"left out: {exact} of {len(images)} pictures come back exactly, without noise"
        else:
            scores.append(psnr(images.numpy(), copies.numpy(), context=context))
            rows = {**rows, "psnr": picture_psnr(errors)}
    return Evaluation(suite="images", split=split, scores=scores, floors=floors, details=details, rows=rows)


def _observe(
    subject: Subject,
    model: Model,
    dataset: Dataset,
    split: str,
    context: Context,
    num_importance_samples: int,
    progress: Progress,
) -> Observed:
    """The pictures of a split as they are measured, with their likelihoods."""
    places = torch.arange(dataset.split(split).num_samples)
    progress.start("likelihood", len(places), "pictures")
    observed = observe(
        model,
        (dataset.batch(split, chunk)["images"] for chunk in torch.split(places, CHUNK)),
        num_importance_samples=num_importance_samples,
        seed=context.seed,
        device=subject.device,
        progress=progress,
    )
    progress.finish()
    return observed


def _likelihood_scores(
    form: Likelihood, observed: Observed, dataset: Dataset, context: Context, num_importance_samples: int
) -> list[Score]:
    """NLL, ELBO where the likelihood is a bound, bits per dimension where it is one of levels."""
    setting = _setting(form, num_importance_samples)
    scores = [nll(observed.log_likelihoods, setting=setting, context=context)]
    if observed.elbos is not None:
        scores.append(elbo(observed.elbos, setting=_setting(form, 1), context=context))
    if form.num_levels:
        num_dims = int(np.prod(dataset.spec.shape))
        scores.append(bits_per_dim(observed.log_likelihoods, num_dims, setting=setting, context=context))
    return scores


def _likelihood_rows(form: Likelihood, observed: Observed, dataset: Dataset) -> KeptRows:
    """The same of each picture."""
    rows = {"nll": -observed.log_likelihoods}
    if observed.elbos is not None:
        rows["elbo"] = observed.elbos
    if form.num_levels:
        rows["bits_per_dim"] = rows["nll"] / (np.prod(dataset.spec.shape) * np.log(2))
    return rows


def _floors(form: Likelihood, observed: Observed, dataset: Dataset, context: Context) -> list[Score]:
    """What simple models of the training pictures reach on the very pixels that the model was measured on."""
    setting = _setting(form, 1)
    return likelihood_floors(
        _training_counts(dataset, setting),
        levels(observed.pixels, form.num_levels),
        setting=setting,
        training_data=split_hash(dataset, "train"),
        context=context,
    )


def _setting(form: Likelihood, num_importance_samples: int) -> LikelihoodSetting:
    return LikelihoodSetting(
        num_levels=form.num_levels,
        binarisation=form.binarisation,
        num_importance_samples=num_importance_samples if form.bound else None,
    )


def _training_counts(dataset: Dataset, setting: LikelihoodSetting) -> PixelCounts:
    part = dataset.split("train")
    labels = None if part.labels is None else part.labels.numpy()
    stored = part.inputs.numpy()
    if setting.binarisation == "dynamic":
        grey = stored.astype(np.float32) / (dataset.spec.num_levels - 1)
        return PixelCounts.from_grey(grey, labels)
    return PixelCounts.from_levels(stored, setting.num_levels, labels)


def levels(images: Tensor, num_levels: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """float (N, ...) in [-1, 1] -> whole numbers in [0, num_levels)."""
    return ((images + 1) * ((num_levels - 1) / 2)).round().long().numpy()
