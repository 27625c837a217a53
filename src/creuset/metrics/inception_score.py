"""The Inception score of a classifier's answers on generated samples: sure of each, varied over all.

    exp(mean over samples of KL(p(y|x) || p(y)))     in [1, classes], of each of 10 splits; then their mean

It sees no real sample: it can be high for pictures like nothing in the data, and says nothing of variety
within a class. It grows with the samples of a split, so N and splits are part of the signature.

Source: Salimans et al. (2016), "Improved Techniques for Training GANs", section 4.
Departures: the spread over splits is given as Student's interval of the mean (n - 1 in the variance), where
published tables give the standard deviation with n.

Legend of shapes: N samples, K classes.
"""

import itertools

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, xlogy

from creuset.errors import DataError
from creuset.metrics.features import Extractor
from creuset.metrics.inputs import FloatArray, as_floats
from creuset.metrics.intervals import mean_estimate, within
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context

NUM_SPLITS = 10


def score_classes(
    logits: ArrayLike,
    *,
    classifier: Extractor,
    context: Context = NO_CONTEXT,
    num_splits: int = NUM_SPLITS,
    shuffle: bool = True,
) -> Score:
    """The Inception score: "is" with Inception as the classifier, else "is-" and the classifier's name.

    In [1, K], where its interval over splits is cut; none is given where all splits score the same.

    Args:
        logits: Of the classifier on generated samples, (N, K).
        classifier: What gave them.
        context: Data, split and seed.
        num_splits: Parts that are scored apart, 2 or more.
        shuffle: Deal samples to the splits at random, by the context's seed, as samples often come sorted.

    Raises:
        DataError: Empty, not finite, less than 2 classes, less than 2 splits, or fewer than 2 samples a
            split.
    """
    array = as_floats("logits", logits, "samples classes")
    num, classes = array.shape
    if classes < 2:
        raise DataError("one class leaves no choice", where="logits", got=f"shape {array.shape}")
    if num_splits < 2 or num < 2 * num_splits:
        raise DataError(
            "not enough samples for the splits",
            where="logits",
            got=f"{num} samples, {num_splits} splits",
            expected="2 or more splits with 2 or more samples each",
        )
    if shuffle:
        array = array[context.generator().permutation(num)]
    bounds = [part * num // num_splits for part in range(num_splits + 1)]
    scores = [_of_split(array[low:high]) for low, high in itertools.pairwise(bounds)]
    estimate = mean_estimate(scores)
    return context.score(
        metric="is" if classifier.is_inception else f"is-{classifier.name}",
        value=estimate.mean,
        unit="classes",
        better="higher",
        interval=within(estimate.interval, 1, classes),
        n=num,
        fields={
            **classifier.fields(),
            "classes": classes,
            "ddof": 1,
            "interval": "t95_over_splits",
            "shuffled": shuffle,
            "splits": num_splits,
        },
        seeded=shuffle,
    )


def _of_split(logits: FloatArray) -> float:
    log_probs = log_softmax(logits, axis=1)
    probs = np.exp(log_probs)
    marginal = probs.mean(axis=0)
    # The mean KL is the entropy of the mean less the mean entropy.
    information = float((probs * log_probs).sum(axis=1).mean() - xlogy(marginal, marginal).sum())
    return float(np.exp(information))
