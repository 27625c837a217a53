"""Pictures in the form whose likelihood a model measures, and what it says of each, chunk by chunk.

A chunk's draws follow from the seed, the place of its first picture and its size alone: whoever measures the
same pictures in the same order gets the same numbers.

Legend of shapes: N pictures, B of them in a chunk, C channels, H height, W width.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.device import BatchGenerator
from creuset.models.base import Model, placed
from creuset.progress import Progress

CHUNK = 250
"""Pictures computed at once. Part of what decides the draws, hence fixed."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Pictures as their likelihood is measured, and what the model says of each.

    Args:
        pixels: float32 (N, C, H, W) in [-1, 1]: drawn once, for the model and all that it is compared with.
        log_likelihoods: In nats, float64 (N,).
        elbos: In nats, float64 (N,); None where the likelihood is exact, or a bound by the mean over draws.
        integration_errors: `Model.integration_error` of the pictures of the first chunk, float64; None where
            nothing is integrated.
    """

    pixels: Tensor
    log_likelihoods: NDArray[np.float64]
    elbos: NDArray[np.float64] | None
    integration_errors: NDArray[np.float64] | None


def observe(
    model: Model,
    chunks: Iterable[Tensor],
    *,
    num_importance_samples: int,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> Observed:
    """Goes over pictures chunk by chunk.

    Args:
        model: In evaluation mode, on `device`.
        chunks: float32 (B, C, H, W) in [-1, 1], CHUNK at a time, fewer at the end.
        num_importance_samples: Draws per picture for a bound on the likelihood.
        seed: Decides the draws.
        device: Where the model is.
        progress: Is told how many pictures are done.
    """
    pixels: list[Tensor] = []
    values: list[Tensor] = []
    bounds: list[Tensor] = []
    errors: NDArray[np.float64] | None = None
    done = 0
    with torch.no_grad():
        for chunk in chunks:
            observed, log_likelihoods = observed_log_likelihood(
                model,
                placed(chunk, model, device),
                done,
                num_importance_samples=num_importance_samples,
                seed=seed,
            )
            pixels.append(observed.cpu())
            values.append(log_likelihoods.cpu())
            if model.likelihood.bound and model.likelihood.tightened:
                bounds.append(model.elbo(observed, _draws(seed, "elbo", done, observed)).cpu())
            if model.likelihood.integration is not None and errors is None:
                draws = _draws(seed, "nll", done, observed)
                errors = model.integration_error(observed, draws).cpu().double().numpy()
            done += len(chunk)
            progress.advance(done)
    return Observed(
        pixels=torch.cat(pixels),
        log_likelihoods=torch.cat(values).double().numpy(),
        elbos=torch.cat(bounds).double().numpy() if bounds else None,
        integration_errors=errors,
    )


def observed_log_likelihood(
    model: Model, images: Tensor, start: int, *, num_importance_samples: int, seed: int
) -> tuple[Tensor, Tensor]:
    """One chunk of pictures in the form whose likelihood is measured, and its log-likelihood in nats.

    Draws are made for each chunk, not for all pictures at once: they are many a picture, and are kept.

    Args:
        model: In evaluation mode.
        images: float32 (B, C, H, W) in [-1, 1], on the model's device.
        start: The place of the first of them among all that are measured.
        num_importance_samples: Draws per picture for a bound on the likelihood.
        seed: Decides the draws, with `start` and the number of pictures.

    Returns:
        The pictures as observed (B, C, H, W), and float32 (B,).
    """
    pixels = model.observe(images, _draws(seed, "observe", start, images))
    draws = _draws(seed, "nll", start, images)
    return pixels, model.log_likelihood(pixels, draws, num_importance_samples)


def _draws(
    seed: int, purpose: Literal["observe", "nll", "elbo"], start: int, images: Tensor
) -> BatchGenerator:
    return BatchGenerator(seed, "evaluation", purpose, start, size=len(images), device=images.device)
