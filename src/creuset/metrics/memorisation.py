"""Whether generated samples are copies of training samples.

Real samples that were held out lie at some distance from their nearest training sample. Generated samples of
a model that learned the distribution lie as far; those of one that learned its training samples by heart lie
nearer.

    memorisation    probability that a generated sample is nearer to a training sample than a held-out one is:
                    .5 for real samples, 1 where each generated one is a copy, below .5 where they stray
    near_copies     share of generated samples that are nearer than all but 1% of the held-out ones

Neither is to be driven to 0: .5 and 1% are what real samples reach. Held-out samples that are copies of
training samples themselves, at distance 0, would make the threshold of near copies 0: they are left out of
it and counted in the signature. A generated sample at distance 0 is always a near copy.

The first sees a whole set that stays too near; the second also a few copies among many new samples. Blurred
samples lie near to everything: look at the pictures of `closest` before accusing.

Source: Meehan, Chaudhuri and Dasgupta (2020), "A Non-Parametric Test to Detect Data-Copying in Generative
Models", section 3.1 (the rank statistic).
Departures: over the whole space, not cell by cell; DeLong's interval of the probability for a z-score.

Legend of shapes: N generated, M held-out, T training samples; D features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from creuset.errors import DataError, UsageError
from creuset.metrics.blocks import nearest_rows
from creuset.metrics.features import UNSTATED_EXTRACTOR, Extractor
from creuset.metrics.inputs import FloatArray, IntArray, as_features, require_same_width
from creuset.metrics.intervals import wilson_interval
from creuset.metrics.predictions import Predictions
from creuset.metrics.roc import auroc
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, UNSTATED, Context, FieldValue, short_hash

NEAR_SHARE = 0.01
"""Of held-out samples that count as near by chance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingNeighbours:
    """The nearest training sample of each generated and held-out sample; made by `from_features`.

    Args:
        generated: Distances in the unit of the features, (N,).
        generated_index: Which training sample, int64 (N,).
        held_out: Distances, (M,).
        held_out_index: Which training sample, int64 (M,).
        num_training: T.
        training_data: The content hash of the training samples in hexadecimal, or a name.
    """

    generated: FloatArray
    generated_index: IntArray
    held_out: FloatArray
    held_out_index: IntArray
    num_training: int
    training_data: str = UNSTATED

    @classmethod
    def from_features(
        cls,
        generated: ArrayLike,
        training: ArrayLike,
        held_out: ArrayLike,
        *,
        training_data: str = UNSTATED,
    ) -> "TrainingNeighbours":
        """Search the training features (T, D) for the nearest to each of (N, D) and (M, D).

        Args:
            generated, training, held_out: Features.
            training_data: The content hash of the training samples in hexadecimal (signatures keep its first
                8 digits), or a name.

        Raises:
            DataError: Empty, not finite, or unequal numbers of features.
        """
        fake, bank = as_features("generated", generated), as_features("training", training)
        real = as_features("held_out", held_out)
        require_same_width(generated=fake, training=bank, held_out=real)
        fake_distances, fake_index = nearest_rows(fake, bank)
        real_distances, real_index = nearest_rows(real, bank)
        return cls(
            generated=np.sqrt(fake_distances),
            generated_index=fake_index,
            held_out=np.sqrt(real_distances),
            held_out_index=real_index,
            num_training=len(bank),
            training_data=training_data,
        )

    def closest(self, num: int) -> tuple[IntArray, IntArray]:
        """The generated samples nearest to training samples, nearest first, and those training samples.

        Args:
            num: How many pairs, at most N.

        Returns:
            Indices of generated and of training samples, (num,) each.

        Raises:
            UsageError: num below 1 or above N.
        """
        if not 1 <= num <= len(self.generated):
            raise UsageError("not a number of pairs", got=num, expected=f"1 to {len(self.generated)}")
        first = np.argsort(self.generated, kind="stable")[:num]
        return first, self.generated_index[first]


def memorisation_score(
    neighbours: TrainingNeighbours,
    *,
    extractor: Extractor = UNSTATED_EXTRACTOR,
    context: Context = NO_CONTEXT,
) -> Score:
    """P(a generated sample is nearer to training than a held-out one is), ties one half.

    Real samples reach .5: that, and not 0, is what a generator is to come to, and what lies below it strays
    from the training samples farther than held-out ones do. With DeLong's interval; none where each
    generated sample is nearer than every held-out one.

    Args:
        neighbours: Distances to the training samples.
        extractor: What made the features.
        context: Data, split and seed.
    """
    distances = np.concatenate([neighbours.generated, neighbours.held_out])
    is_generated = np.arange(len(distances)) < len(neighbours.generated)
    ranking = auroc(Predictions.from_scores(np.stack([distances, -distances], axis=1), is_generated * 1))
    return context.score(
        metric="memorisation",
        value=ranking.value,
        unit="probability",
        better="lower",
        interval=ranking.interval,
        n=len(neighbours.generated),
        fields={**_fields(neighbours, extractor), "interval": "delong_logit95"},
    )


def near_copies(
    neighbours: TrainingNeighbours,
    *,
    near_share: float = NEAR_SHARE,
    extractor: Extractor = UNSTATED_EXTRACTOR,
    context: Context = NO_CONTEXT,
) -> Score:
    """The share of generated samples nearer to training than all but `near_share` of the held-out ones.

    Held-out samples at distance 0 are themselves copies of training samples and have no say in the threshold;
    the signature counts them as `held_out_copies`. Real samples would score `near_share` at most, and that
    share of copies besides. Wilson's interval, with the threshold held fixed.

    Args:
        neighbours: Distances to the training samples.
        near_share: The share, below the threshold, of held-out samples that are no copies; in (0, 1).
        extractor: What made the features.
        context: Data, split and seed.

    Raises:
        UsageError: A share outside (0, 1).
        DataError: Too few held-out samples that are no copies for one of them to lie below.
    """
    if not 0 < near_share < 1:
        raise UsageError("not a share", got=near_share, expected="a number between 0 and 1")
    apart = neighbours.held_out[neighbours.held_out > 0]
    num_copies = len(neighbours.held_out) - len(apart)
    num_below = int(near_share * len(apart))
    if num_below < 1:
        raise DataError(
            "not enough held-out samples for a threshold",
            where="held_out",
            got=f"{len(apart)} besides {num_copies} copies of training samples" if num_copies else len(apart),
            expected=f"{int(np.ceil(1 / near_share))} or more",
            next_step="hold out more samples, or raise near_share",
        )
    threshold = float(np.partition(apart, num_below)[num_below])
    hits = int(np.count_nonzero(neighbours.generated < threshold))
    num = len(neighbours.generated)
    return context.score(
        metric="near_copies",
        value=hits / num,
        unit="fraction",
        better="lower",
        interval=wilson_interval(hits, num),
        n=num,
        fields={
            **_fields(neighbours, extractor),
            "held_out_copies": num_copies,
            "interval": "wilson95_fixed_threshold",
            "near_share": near_share,
        },
    )


def _fields(neighbours: TrainingNeighbours, extractor: Extractor) -> dict[str, FieldValue]:
    return {
        **extractor.fields(),
        "held_out_n": len(neighbours.held_out),
        "training": short_hash(neighbours.training_data),
        "training_n": neighbours.num_training,
    }
