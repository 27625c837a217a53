"""Metrics: each takes arrays and gives a `Score` with its unit, interval, n and signature.

The public names are imported when they are first used. None of these files imports torch; tensors are read
as arrays.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from creuset.metrics.calibration import (
        CalibrationBins,
        brier_score,
        calibration_bins,
        calibration_error,
        calibration_floor,
        label_nll,
    )
    from creuset.metrics.classification import (
        accuracy,
        classification_scores,
        confusion_matrix,
        f1_macro,
        f1_micro,
        f1_per_class,
    )
    from creuset.metrics.floors import PixelCounts, PixelMixture, likelihood_floors
    from creuset.metrics.intervals import (
        Bootstrap,
        MeanEstimate,
        bootstrap,
        mean_estimate,
        wilson_interval,
    )
    from creuset.metrics.likelihood import (
        ImportanceBound,
        LikelihoodSetting,
        bits_per_dim,
        elbo,
        importance_bound,
        nll,
        to_bits_per_dim,
    )
    from creuset.metrics.predictions import Predictions
    from creuset.metrics.reconstruction import mean_squared_error, psnr, squared_errors
    from creuset.metrics.roc import auroc
    from creuset.metrics.score import Score
    from creuset.metrics.signature import Context, Signature, differences, require_comparable

__all__ = [
    "Bootstrap",
    "CalibrationBins",
    "Context",
    "ImportanceBound",
    "LikelihoodSetting",
    "MeanEstimate",
    "PixelCounts",
    "PixelMixture",
    "Predictions",
    "Score",
    "Signature",
    "accuracy",
    "auroc",
    "bits_per_dim",
    "bootstrap",
    "brier_score",
    "calibration_bins",
    "calibration_error",
    "calibration_floor",
    "classification_scores",
    "confusion_matrix",
    "differences",
    "elbo",
    "f1_macro",
    "f1_micro",
    "f1_per_class",
    "importance_bound",
    "label_nll",
    "likelihood_floors",
    "mean_estimate",
    "mean_squared_error",
    "nll",
    "psnr",
    "require_comparable",
    "squared_errors",
    "to_bits_per_dim",
    "wilson_interval",
]

_NAMES = {
    "calibration": (
        "CalibrationBins",
        "brier_score",
        "calibration_bins",
        "calibration_error",
        "calibration_floor",
        "label_nll",
    ),
    "classification": (
        "accuracy",
        "classification_scores",
        "confusion_matrix",
        "f1_macro",
        "f1_micro",
        "f1_per_class",
    ),
    "floors": (
        "PixelCounts",
        "PixelMixture",
        "likelihood_floors",
    ),
    "intervals": (
        "Bootstrap",
        "MeanEstimate",
        "bootstrap",
        "mean_estimate",
        "wilson_interval",
    ),
    "likelihood": (
        "ImportanceBound",
        "LikelihoodSetting",
        "bits_per_dim",
        "elbo",
        "importance_bound",
        "nll",
        "to_bits_per_dim",
    ),
    "predictions": ("Predictions",),
    "reconstruction": (
        "mean_squared_error",
        "psnr",
        "squared_errors",
    ),
    "roc": ("auroc",),
    "score": ("Score",),
    "signature": (
        "Context",
        "Signature",
        "differences",
        "require_comparable",
    ),
}
"""file -> the public names it defines"""

_HOMES = {name: file for file, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'creuset.metrics' has no attribute {name!r}")
    return getattr(importlib.import_module(f"creuset.metrics.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
