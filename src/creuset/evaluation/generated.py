"""Generated pictures, and the real ones that they are held against.

Legend of shapes: N generated, M reference, T training pictures; C channels, H height, W width.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.dataset import Dataset
from creuset.evaluation.suite import Subject, split_hash
from creuset.generation import pictures
from creuset.generation.observation import CHUNK
from creuset.generation.pictures import Pictures
from creuset.metrics.inputs import IntArray
from creuset.metrics.signature import UNSTATED, Context
from creuset.models.base import Model

_TRAIN = "train"


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureSets:
    """Pictures of one measurement, uint8 in 0..255.

    Args:
        generated: (N, H, W, C), in the order in which they were drawn.
        reference: Of the split that is measured, (M, H, W, C), at most N of them.
        training: Those that the model was trained on, (T, H, W, C); None where they are themselves measured.
        context: What the signatures say of them: where the reference was drawn from more pictures, by which
            seed, since others would give another number.
        training_data: The content hash of the training pictures, for the signatures of what is measured by
            them.
    """

    generated: Pictures
    reference: Pictures
    training: Pictures | None
    context: Context
    training_data: str = UNSTATED


def picture_sets(
    subject: Subject, dataset: Dataset, split: str, num_generated: int, context: Context
) -> PictureSets:
    """Draws pictures by the context's seed, as `creuset generate --seed` does, and takes as many real ones.

    Raises:
        DataError: num_generated is below 1.
    """
    model = subject.model
    assert isinstance(model, Model)
    drawn = pictures.sample(model, num_generated, seed=context.seed, device=subject.device)
    drawn, dataset = dataset.as_shown(drawn), dataset.shown
    available = dataset.split(split).num_samples
    reference = chosen_places(available, num_generated, context)
    if len(reference) < available:
        context = replace(context, extra={**context.extra, "reference_seed": context.seed})
    training, training_data = None, UNSTATED
    if split != _TRAIN and _TRAIN in dataset.splits:
        training_data = split_hash(dataset, _TRAIN)
        training = stored_pictures(dataset, _TRAIN, np.arange(dataset.split(_TRAIN).num_samples))
    return PictureSets(
        generated=pictures.to_pictures(drawn),
        reference=stored_pictures(dataset, split, reference),
        training=training,
        context=context,
        training_data=training_data,
    )


def chosen_places(num_samples: int, most: int, context: Context) -> IntArray:
    """`most` places out of `num_samples` in their order, drawn by the context's seed; all where there are
    fewer."""
    if num_samples <= most:
        return np.arange(num_samples)
    return np.sort(context.generator().permutation(num_samples)[:most])


def as_rows(images: Pictures) -> NDArray[np.uint8]:
    """Pictures (N, H, W, C) as rows of pixels (N, H W C)."""
    return images.reshape(len(images), -1)


def channels_first(images: Pictures) -> NDArray[np.uint8]:
    """(N, H, W, C) -> (N, C, H, W)."""
    return images.transpose(0, 3, 1, 2)


def stored_pictures(dataset: Dataset, split: str, places: IntArray) -> Pictures:
    """The pictures of a split at these places, uint8 (N, H, W, C) in 0..255."""
    chunks = torch.split(torch.from_numpy(places), CHUNK)
    return np.concatenate([pictures.to_pictures(dataset.batch(split, chunk)["images"]) for chunk in chunks])
