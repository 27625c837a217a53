"""Cross entropy of a classifier, with class weights and label smoothing.

Source: label smoothing is eq. 7 of Szegedy et al. 2016, "Rethinking the Inception Architecture".
Departures from torch.nn.functional.cross_entropy:
- The weighted mean divides by the number of samples, not by the sum of their weights: only so is the loss of
  a batch the mean of the losses of its parts, whatever classes fall into which part.
- The smoothed part is weighted with the weight of the sample's own class, like the rest of its loss.

Legend of shapes: B batch, K classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(
    logits: Tensor, labels: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """w_y ((1 - s) (-log p_y) + s mean_k(-log p_k)) with p = softmax(logits), in nats.

    Args:
        logits: (B, K), unnormalised log-probabilities.
        labels: int64 (B,), in [0, K).
        class_weights: (K,), at least 0; every class counts 1 without.
        label_smoothing: s, the share of the target that is spread evenly over all classes, in [0, 1).

    Returns:
        One value a sample, (B,).
    """
    log_probs = functional.log_softmax(logits, dim=-1)
    losses = -log_probs.gather(-1, labels[:, None])[:, 0]
    if label_smoothing:
        losses = (1 - label_smoothing) * losses - label_smoothing * log_probs.mean(-1)
    return losses if class_weights is None else class_weights[labels] * losses


def balanced_class_weights(class_counts: Sequence[int]) -> Tensor:
    """N / (K n_k): each class weighs the same in all, and the mean weight of a training sample is 1.

    Args:
        class_counts: n_k, training samples of each of the K classes, each at least 1.

    Returns:
        float32 (K,).

    Source: King & Zeng 2001, "Logistic Regression in Rare Events Data"; scikit-learn's "balanced".
    """
    counts = torch.tensor(class_counts, dtype=torch.float64)
    return (counts.sum() / (len(class_counts) * counts)).float()


def classification_loss(
    logits: Tensor, labels: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> dict[str, Tensor]:
    """The mean `cross_entropy` of a batch as "loss", in nats, with "accuracy", a fraction, beside it."""
    losses = cross_entropy(logits, labels, class_weights=class_weights, label_smoothing=label_smoothing)
    hits = (logits.detach().argmax(-1) == labels).to(losses.dtype)
    return {"loss": losses.mean(), "accuracy": hits.mean()}
