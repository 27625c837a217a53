"""The suite `classification`: how often a classifier is right, and how well it knows when it is."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.errors import DataError
from creuset.evaluation.suite import Evaluation, Subject
from creuset.generation.observation import CHUNK
from creuset.metrics.calibration import calibration_bins
from creuset.metrics.classification import classification_scores, confusion_matrix
from creuset.metrics.predictions import Predictions
from creuset.metrics.rows import classification_rows
from creuset.metrics.signature import Context
from creuset.models.base import model_inputs, placed


def classification_suite(subject: Subject, dataset: Dataset, split: str, context: Context) -> Evaluation:
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
