"""Linear classifiers and support vector machines, fitted by scikit-learn, on pictures and on tables.

logistic: multinomial logistic regression; its logits are log-probabilities up to a constant.
svm: one support vector machine for each pair of classes, with a linear or a Gaussian kernel. Its scores are
votes with the summed confidences as tie-breakers: they order the classes, and are no log-probabilities.

Source: Cortes & Vapnik 1995, "Support-Vector Networks"; pairs of classes: Knerr et al. 1990; the solvers:
scikit-learn's L-BFGS and LIBSVM (Chang & Lin 2011).
Departures: ties of votes go to the class with the larger summed confidence (scikit-learn's break_ties), not
to the first one. What is stored are the arrays of the fitted function, not scikit-learn's object.

Legend of shapes: B batch, F features, K classes.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.errors import CheckpointError, UsageError
from creuset.layers.one_against_one import (
    gaussian_kernel,
    linear_kernel,
    pair_coefficients,
    pair_decisions,
    votes,
)
from creuset.models.base import Family, FittedModel
from creuset.models.requirements import require_classes, require_kind
from creuset.recipe.sections import FamilyConfig

_MAX_SEED = 2**32
"""scikit-learn takes seeds below it, creuset larger ones too."""
_CACHE_MEGABYTES = 500
"""What LIBSVM may keep of the kernel matrix while it fits."""

Array = NDArray[Any]


class LinearConfig(FamilyConfig):
    """The `model` section of a linear classifier or a support vector machine."""

    kind: Literal["logistic", "svm"] = Field("logistic", description="The classifier.")
    kernel: Literal["linear", "rbf"] | None = Field(
        None, description="The kernel of an svm; default: rbf, exp(-gamma |x - y|^2)."
    )
    gamma: float | None = Field(
        None, gt=0, description="Of the rbf kernel; default: 1 / (features x their variance)."
    )
    C: float = Field(1.0, gt=0, description="Inverse strength of the L2 regularisation: smaller is smoother.")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: each class weighs the same in the fit, however many samples it has."
    )
    tolerance: float = Field(
        1e-3, gt=0, description="The solver stops when its optimality condition holds so closely."
    )
    max_iter: int = Field(
        100_000, ge=1, description="Iterations of the solver at most; the fit records whether it converged."
    )

    @field_validator("kernel")
    @classmethod
    def _kernel_fits_kind(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("kind") == "logistic":
            raise ValueError("has no effect without kind: svm")
        return value

    @field_validator("gamma")
    @classmethod
    def _gamma_fits_kernel(cls, value: float | None, info: ValidationInfo) -> float | None:
        rbf = info.data.get("kind") == "svm" and info.data.get("kernel") in (None, "rbf")
        if value is not None and not rbf:
            raise ValueError("has no effect without kind: svm and kernel: rbf")
        return value


class _Classifier(FittedModel):
    """What both kinds share: the checks, and the arrays.

    Args:
        config: The recipe's section.
        num_features: F.
        num_classes: K.
    """

    def __init__(self, config: LinearConfig, num_features: int, num_classes: int) -> None:
        self.config = config
        self.num_features = num_features
        self.num_classes = num_classes
        self._arrays: dict[str, Array] = {}
        self._remarks: list[str] = []

    def remarks(self) -> list[str]:
        return list(self._remarks)

    def arrays(self) -> dict[str, Array]:
        return dict(self._arrays)

    def load_arrays(self, arrays: Mapping[str, Array]) -> None:
        expected = self._shapes(arrays)
        got = {name: array.shape for name, array in arrays.items()}
        if got != expected:
            raise CheckpointError(
                "the arrays of another model",
                where=type(self).__name__,
                got=_describe(got),
                expected=_describe(expected),
                next_step="load them with the recipe that they were fitted with",
            )
        self._arrays = dict(arrays)

    def logits(self, inputs: Tensor) -> Tensor:
        if not self._arrays:
            raise UsageError("this model was not fitted yet", where=type(self).__name__)
        rows = inputs.flatten(1)
        if rows.shape[1] != self.num_features:
            raise UsageError(
                "samples of another shape than the model was built for",
                got=tuple(inputs.shape),
                expected=f"(batch, {self.num_features}), or pictures of {self.num_features} values",
            )
        scores = self._scores(rows.detach().cpu().double().numpy())
        if scores.shape[1] == 1:  # two classes and one score, that of the second against the first
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        return torch.from_numpy(scores).float().to(inputs.device)

    def _scores(self, rows: Array) -> Array:
        """float64 (B, F) -> (B, K), or (B, 1) for two classes."""
        raise NotImplementedError(type(self).__name__)

    def _shapes(self, arrays: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
        """The shapes that the arrays of such a model have."""
        raise NotImplementedError(type(self).__name__)

    def _fit(self, estimator: Any, features: Array, labels: Array) -> dict[str, float]:
        """Fits scikit-learn's estimator; whether it converged becomes a value instead of a warning."""
        from sklearn.exceptions import ConvergenceWarning

        if features.shape[1] != self.num_features:
            raise UsageError(
                "samples of another shape than the model was built for",
                got=features.shape,
                expected=f"(samples, {self.num_features})",
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            estimator.fit(features, labels)
        converged = True
        for warning in caught:
            if issubclass(warning.category, ConvergenceWarning):
                converged = False
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        iterations = int(np.max(estimator.n_iter_))
        self._remarks = [] if converged else [self._unconverged(iterations)]
        return {"converged": float(converged), "iterations": float(iterations)}

    def _unconverged(self, iterations: int) -> str:
        """What to do about a solver that stopped before its condition held."""
        limit, tolerance = self.config.max_iter, self.config.tolerance
        text = (
            f"the solver stopped after {iterations} iterations without reaching model.tolerance {tolerance:g}"
        )
        if iterations >= limit:
            return f"{text}: raise model.max_iter above {limit}"
        return f"{text}: raise model.tolerance, or lower model.C"


class LogisticRegression(_Classifier):
    """log p(k|x) = w_k x + b_k - log sum_j exp(w_j x + b_j)."""

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> dict[str, float]:
        """Maximum likelihood with an L2 penalty |w|^2 / (2 C); nothing in it is drawn at random.

        Returns:
            "converged" (0 or 1), "iterations", and "training_accuracy", a fraction.
        """
        from sklearn import linear_model

        config = self.config
        estimator = linear_model.LogisticRegression(
            C=config.C,
            class_weight=_sklearn_weights(config),
            tol=config.tolerance,
            max_iter=config.max_iter,
            random_state=seed % _MAX_SEED,
        )
        record = self._fit(estimator, features, labels)
        self._arrays = {"coefficients": estimator.coef_, "intercepts": estimator.intercept_}
        return {**record, "training_accuracy": float(estimator.score(features, labels))}

    def _scores(self, rows: Array) -> Array:
        scores: Array = rows @ self._arrays["coefficients"].T.astype(np.float64) + self._arrays["intercepts"]
        return scores

    def _shapes(self, arrays: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
        del arrays
        num_scores = 1 if self.num_classes == 2 else self.num_classes
        return {"coefficients": (num_scores, self.num_features), "intercepts": (num_scores,)}


class SupportVectorMachine(_Classifier):
    """sign(sum_v a_v K(x, x_v) + b) for each pair of classes; most votes win."""

    probabilistic = False

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> dict[str, float]:
        """The largest margin with hinge losses weighted by C; nothing in it is drawn at random.

        Returns:
            "converged" (0 or 1), "iterations" and "num_support_vectors".
        """
        from sklearn import svm

        config = self.config
        kernel = config.kernel or "rbf"
        gamma = config.gamma or 1 / (features.shape[1] * (float(features.var(dtype=np.float64)) or 1.0))
        estimator = svm.SVC(
            kernel=kernel,
            C=config.C,
            gamma=gamma,
            class_weight=_sklearn_weights(config),
            tol=config.tolerance,
            max_iter=config.max_iter,
            cache_size=_CACHE_MEGABYTES,
            break_ties=self.num_classes > 2,
            random_state=seed % _MAX_SEED,
        )
        record = self._fit(estimator, features, labels)
        sign = -1.0 if self.num_classes == 2 else 1.0  # scikit-learn turns the sign of a lone pair
        self._arrays = {
            "support_vectors": estimator.support_vectors_.astype(np.float32),
            "dual_coefficients": sign * estimator.dual_coef_,
            "intercepts": sign * estimator.intercept_,
            "num_support": estimator.n_support_.astype(np.int64),
            "gamma": np.array([gamma]),
        }
        return {**record, "num_support_vectors": float(len(estimator.support_vectors_))}

    def _scores(self, rows: Array) -> Array:
        arrays = self._arrays
        linear = self.config.kernel == "linear"
        decisions = pair_decisions(
            rows,
            arrays["support_vectors"].astype(np.float64),
            pair_coefficients(arrays["dual_coefficients"], arrays["num_support"]),
            arrays["intercepts"],
            linear_kernel if linear else gaussian_kernel(float(arrays["gamma"][0])),
        )
        return -decisions if self.num_classes == 2 else votes(decisions, self.num_classes)

    def _shapes(self, arrays: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
        num_vectors = int(arrays["num_support"].sum()) if "num_support" in arrays else 0
        return {
            "support_vectors": (num_vectors, self.num_features),
            "dual_coefficients": (self.num_classes - 1, num_vectors),
            "intercepts": (self.num_classes * (self.num_classes - 1) // 2,),
            "num_support": (self.num_classes,),
            "gamma": (1,),
        }


def build(config: LinearConfig, spec: DataSpec) -> FittedModel:
    """An unfitted classifier.

    Raises:
        UsageError: The data are texts, or without classes.
    """
    require_kind(spec, config.family, "images", "table")
    num_classes = require_classes(spec, config.family)
    kind = LogisticRegression if config.kind == "logistic" else SupportVectorMachine
    return kind(config, int(np.prod(spec.shape)), num_classes)


def _sklearn_weights(config: LinearConfig) -> str | None:
    return None if config.class_weights == "none" else config.class_weights


def _describe(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in sorted(shapes.items()))


FAMILY = Family(name="linear", config=LinearConfig, build=build, traits=frozenset({"classifies"}))
