"""How likely a model finds the pictures of a split, and how well it rebuilds them."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.evaluation.suite import Evaluation, Subject, split_hash
from creuset.generation import pictures
from creuset.generation.observation import CHUNK, Observed, observe
from creuset.metrics.floors import PixelCounts, likelihood_floors
from creuset.metrics.inputs import FloatArray
from creuset.metrics.likelihood import LikelihoodSetting, bits_per_dim, elbo, nll
from creuset.metrics.reconstruction import mean_squared_error, picture_psnr, psnr, squared_errors
from creuset.metrics.rows import KeptRows
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from creuset.models.base import Likelihood, Model
from creuset.progress import Progress


def likelihood_part(
    subject: Subject,
    dataset: Dataset,
    split: str,
    context: Context,
    num_importance_samples: int,
    progress: Progress,
) -> Evaluation:
    """NLL and what follows from it, beside what simple models of the training pictures reach."""
    model = subject.model
    assert isinstance(model, Model)
    observed = observe_split(subject, model, dataset, split, context, num_importance_samples, progress)
    return Evaluation(
        suite="images",
        split=split,
        scores=_likelihood_scores(model.likelihood, observed, dataset, context, num_importance_samples),
        details=_integration_details(model.likelihood, observed),
        remarks=_integration_remarks(model.likelihood, observed),
        floors=_floors(model.likelihood, observed, dataset, context) if model.likelihood.num_levels else [],
        rows=_likelihood_rows(model.likelihood, observed, dataset),
    )


def reconstruction_part(subject: Subject, dataset: Dataset, split: str, context: Context) -> Evaluation:
    """How far pictures are from what comes back through encoder and decoder."""
    model = subject.model
    assert isinstance(model, Model)
    images = dataset.batch(split, torch.arange(dataset.split(split).num_samples))["images"]
    copies = pictures.reconstruct(model, images, subject.device)
    errors = squared_errors(images.numpy(), copies.numpy())
    scores = [mean_squared_error(images.numpy(), copies.numpy(), context=context)]
    rows: dict[str, FloatArray] = {"mse": errors}
    details: dict[str, Any] = {}
    exact = int((errors == 0).sum())
    if exact:
        details["psnr"] = f"left out: {exact} of {len(images)} pictures come back exactly, without noise"
    else:
        scores.append(psnr(images.numpy(), copies.numpy(), context=context))
        rows["psnr"] = picture_psnr(errors)
    return Evaluation(suite="images", split=split, scores=scores, details=details, rows=rows)


def observe_split(
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
    if form.bound and not form.tightened:
        context = replace(context, extra={**context.extra, "draws": "averaged"})
    if form.integration is not None:
        context = replace(
            context,
            extra={
                **context.extra,
                "divergence": form.integration.divergence,
                "solver": form.integration.solver,
                "steps": form.integration.num_steps,
            },
        )
    scores = [nll(observed.log_likelihoods, setting=setting, context=context)]
    if observed.elbos is not None:
        scores.append(elbo(observed.elbos, setting=_setting(form, 1), context=context))
    if form.num_levels:
        num_dims = int(np.prod(dataset.spec.shape))
        scores.append(bits_per_dim(observed.log_likelihoods, num_dims, setting=setting, context=context))
    return scores


def _integration_details(form: Likelihood, observed: Observed) -> dict[str, Any]:
    """What half the steps would give, beside an NLL that was integrated."""
    if form.integration is None or observed.integration_errors is None:
        return {}
    errors = observed.integration_errors
    return {
        "integration": {
            "solver": form.integration.solver,
            "num_steps": form.integration.num_steps,
            "nll_change_by_half_the_steps_nats": -float(errors.mean()),
            "num_measured": len(errors),
        }
    }


def _integration_remarks(form: Likelihood, observed: Observed) -> list[str]:
    """The same as a sentence."""
    if form.integration is None or observed.integration_errors is None:
        return []
    change = -float(observed.integration_errors.mean())
    steps = form.integration.num_steps
    return [
        f"NLL is integrated in {steps} steps of {form.integration.solver}; {steps // 2} change it by "
        f"{change:+.3f} nats (mean over {len(observed.integration_errors)} pictures, one draw each): the "
        "error of the steps is about that or less; model.num_likelihood_steps sets them"
    ]


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
