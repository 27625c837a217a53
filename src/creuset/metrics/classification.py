"""How often a classifier is right: confusion matrix, accuracy and F1, and all classification scores at once.

The confusion matrix is the sufficient statistic of everything here.

Sources of the intervals: Wilson (1927) for accuracy and, through TP/(TP + FP + FN), for the F1 of one class;
BCa bootstrap (Efron 1987) over samples for macro F1. Tests measure their coverage.

Legend of shapes: N samples, K classes.
"""

import numpy as np

from creuset.metrics.calibration import brier_score, calibration_error, calibration_floor, label_nll
from creuset.metrics.inputs import IntArray
from creuset.metrics.intervals import NUM_RESAMPLES, bootstrap, wilson_interval
from creuset.metrics.predictions import Predictions
from creuset.metrics.roc import auroc
from creuset.metrics.rows import macro_f1
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context


def confusion_matrix(predictions: Predictions) -> IntArray:
    """How many samples of each true class (rows) were given each class (columns), int64 (K, K)."""
    num = predictions.num_classes
    cells = predictions.labels * num + predictions.predicted
    return np.bincount(cells, minlength=num * num).reshape(num, num)


def accuracy(predictions: Predictions, *, context: Context = NO_CONTEXT) -> Score:
    """The fraction of samples whose predicted class is the true one, with Wilson's interval."""
    right = int(predictions.correct.sum())
    return context.score(
        metric="accuracy",
        value=right / predictions.n,
        unit="fraction",
        better="higher",
        interval=wilson_interval(right, predictions.n),
        n=predictions.n,
        fields={"interval": "wilson95"},
    )


def f1_micro(predictions: Predictions, *, context: Context = NO_CONTEXT) -> Score:
    """2 TP/(2 TP + FP + FN) with the counts of all classes added up, with Wilson's interval.

    Each sample has one class and gets one, so each error is one FP and one FN: micro F1 is accuracy.
    """
    right = int(predictions.correct.sum())
    return context.score(
        metric="f1_micro",
        value=right / predictions.n,
        unit="fraction",
        better="higher",
        interval=wilson_interval(right, predictions.n),
        n=predictions.n,
        fields={"interval": "wilson95"},
    )


def f1_per_class(predictions: Predictions, *, context: Context = NO_CONTEXT) -> list[Score]:
    """F1 of each class, "f1_class_0" and on: 2 TP/(2 TP + FP + FN).

    F1 = 2J/(1 + J) with J = TP/(TP + FP + FN), and given the samples that are or were called the class, TP is
    binomial: Wilson's interval of J, carried through this rising function, is the interval of F1.

    A class that is neither true nor predicted for any sample has no F1 and is left out.
    """
    matrix = confusion_matrix(predictions)
    scores = []
    for label in range(predictions.num_classes):
        hits = int(matrix[label, label])
        union = int(matrix[label].sum() + matrix[:, label].sum()) - hits
        if union == 0:
            continue
        low, high = wilson_interval(hits, union)
        scores.append(
            context.score(
                metric=f"f1_class_{label}",
                value=2 * hits / (union + hits),
                unit="fraction",
                better="higher",
                interval=(2 * low / (1 + low), 2 * high / (1 + high)),
                n=predictions.n,
                fields={"interval": "wilson95"},
            )
        )
    return scores


def f1_macro(
    predictions: Predictions, *, context: Context = NO_CONTEXT, num_resamples: int = NUM_RESAMPLES
) -> Score:
    """The mean F1 of the classes that are true or predicted for some sample, with a BCa bootstrap interval.

    Samples in one cell of the confusion matrix are alike, so resampling them is a multinomial draw over the
    cells. No interval is given when all samples are right.
    """
    num = predictions.num_classes
    matrix = confusion_matrix(predictions)
    truth, guess = np.nonzero(matrix)
    classes = np.arange(num)
    is_true, is_guess = truth[:, None] == classes, guess[:, None] == classes
    rows = np.concatenate([is_true & is_guess, is_true, is_guess], axis=1)
    sampled = bootstrap(
        rows.astype(np.float64),
        macro_f1,
        generator=context.generator(),
        counts=matrix[truth, guess],
        num_resamples=num_resamples,
    )
    return context.score(
        metric="f1_macro",
        value=sampled.estimate,
        unit="fraction",
        better="higher",
        interval=sampled.interval("bca"),
        n=predictions.n,
        fields={
            "classes": num,
            "interval": "bca95",
            "resamples": num_resamples,
        },
        seeded=True,
    )


def classification_scores(predictions: Predictions, *, context: Context = NO_CONTEXT) -> list[Score]:
    """Every classification score these predictions allow, the most telling first.

    Accuracy and macro F1 always; AUROC where two classes occur among the labels; calibration error with its
    floor, label NLL and Brier score for a classifier that gives probabilities; F1 of each class at the end.

    Raises:
        DataError: A true class that was given probability 0, which makes the label NLL infinite.
    """
    scores = [accuracy(predictions, context=context), f1_macro(predictions, context=context)]
    if len(np.unique(predictions.labels)) > 1:
        scores.append(auroc(predictions, context=context))
    if predictions.log_probs is not None:
        for probabilistic in (calibration_error, calibration_floor, label_nll, brier_score):
            scores.append(probabilistic(predictions, context=context))
    return scores + f1_per_class(predictions, context=context)
