"""What is seen of codes at each check: latent dimensions that say nothing, units that are dead.

    active_units     share of latent dimensions whose posterior mean varies over pictures by more than 0.01
    kl_nats          KL(q(z|x) || p(z)) of a picture, the mean over pictures
    largest_kl_nats  of the latent dimension that has the most of it
    live_units       share of code units whose standard deviation over pictures is at least 1% of that of a
                     unit of mean variance

They are calibrated by their definitions: a posterior that equals the prior has no active unit and 0 nats. Of
a VAE unused dimensions are no fault (Lucas et al. 2019): the alarm is for nearly all of them.

Source: active units: Burda et al. 2016, "Importance Weighted Autoencoders", section 5.
Departures: dead units have no definition of their own in the literature of autoencoders; the 1% is ours.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.device import stream
from creuset.models.base import Model
from creuset.models.watched import LatentPosterior
from creuset.objectives.elbo import gaussian_kl
from creuset.training.batches import to_device
from creuset.training.collapse import Reading

_ACTIVE_VARIANCE = 0.01
"""Burda et al. 2016, section 5."""
_LIVE_SHARE = 1e-4
"""Of the mean variance of a unit: a hundredth of its deviation."""
_ACTIVE_BAD, _ACTIVE_HEALTHY = 0.1, 0.2
_LITTLE_NATS = 2.0
"""What a collapsed code says at most; one with more dimensions than it needs says much with few."""
_LIVE_BAD, _LIVE_HEALTHY = 0.5, 0.75
_LEAST_SHARE = 1e-3


class _PictureWatch:
    """Watches a model by what it makes of the same pictures each time.

    Args:
        model: What is watched.
        dataset: What it is trained on; of the validation split where there is one.
        num_samples: Pictures.
        seed: Decides which.
    """

    def __init__(self, model: Model, dataset: Dataset, num_samples: int, seed: int) -> None:
        split = "validation" if "validation" in dataset.splits else "train"
        order = torch.randperm(
            dataset.splits[split].num_samples, generator=stream(seed, "collapse", "pictures")
        )
        batch = dataset.batch(split, order[:num_samples])
        self._images = to_device(batch, next(model.parameters()).device, model.dtype)["images"]
        self.calibration: Mapping[str, tuple[float, float]] = {}
        self.limits: Mapping[str, float] = {}


class PosteriorWatch(_PictureWatch):
    """Looks at the posterior of a variational autoencoder; see `_PictureWatch`."""

    def __init__(self, model: LatentPosterior, dataset: Dataset, num_samples: int, seed: int) -> None:
        super().__init__(model, dataset, num_samples, seed)
        self._model = model
        self.limits = {"active_units": _ACTIVE_BAD}

    @torch.no_grad()
    def look(self, step: int) -> dict[str, float]:
        del step
        self._model.eval()
        try:
            mean, log_variance = self._model.posterior(self._images)
        finally:
            self._model.train()
        each = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).double().mean(0)
        return {
            "active_units": active_units(mean),
            "kl_nats": float(gaussian_kl(mean, log_variance).double().mean()),
            "largest_kl_nats": float(each.max()),
        }

    def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
        del been_healthy
        value, says_little = values["active_units"], values["kl_nats"] < _LITTLE_NATS
        return [
            Reading(
                signal="active_units",
                cause="posterior collapse",
                value=value,
                limit=_ACTIVE_BAD,
                z=0.0,
                severity=_ACTIVE_BAD / max(value, _LEAST_SHARE),
                healthy=value >= _ACTIVE_HEALTHY or not says_little,
                bad=value < _ACTIVE_BAD and says_little,
            )
        ]


class CodeWatch(_PictureWatch):
    """Looks at the codes of an autoencoder; see `_PictureWatch`."""

    def __init__(self, model: Model, dataset: Dataset, num_samples: int, seed: int) -> None:
        super().__init__(model, dataset, num_samples, seed)
        self._model = model
        self.limits = {"live_units": _LIVE_BAD}

    def look(self, step: int) -> dict[str, float]:
        del step
        self._model.eval()
        try:
            codes = self._model.encode(self._images)
        finally:
            self._model.train()
        return {"live_units": live_units(codes)}

    def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
        del been_healthy
        value = values["live_units"]
        return [
            Reading(
                signal="live_units",
                cause="dead units",
                value=value,
                limit=_LIVE_BAD,
                z=0.0,
                severity=_LIVE_BAD / max(value, _LEAST_SHARE),
                healthy=value >= _LIVE_HEALTHY,
                bad=value < _LIVE_BAD,
            )
        ]


def active_units(means: Tensor) -> float:
    """The share of latent dimensions whose posterior mean, (N, L), varies by more than 0.01."""
    return float((means.double().var(0) > _ACTIVE_VARIANCE).double().mean())


def live_units(codes: Tensor) -> float:
    """The share of units of codes (N, L) whose variance is at least 1e-4 of the units' mean variance."""
    variances = codes.double().var(0)
    mean = float(variances.mean())
    if not mean > 0 or not math.isfinite(mean):
        return 0.0
    return float((variances >= _LIVE_SHARE * mean).double().mean())
