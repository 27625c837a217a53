"""States of a body that does not learn, made once and kept: then a step computes the layer on them alone.

Legend of shapes: N texts, E features.
"""

from dataclasses import replace

import torch

from creuset.data.dataset import Dataset
from creuset.data.vocabulary import text_lengths
from creuset.models.base import Model
from creuset.models.tuned_classifier import TunedClassifier

_TOKENS_AT_ONCE = 2**14


@torch.no_grad()
def with_frozen_features(model: Model, dataset: Dataset, device: torch.device) -> Dataset:
    """The data with the states of its training and validation texts, where the model's body does not learn.

    Texts of like length are read together, each as far as the longest of them.

    Args:
        model: In any mode.
        dataset: Its data.
        device: Where the model is.
    """
    if not isinstance(model, TunedClassifier) or not model.frozen:
        return dataset
    was_training = model.training
    model.eval()
    splits = dict(dataset.splits)
    for name in ("train", "validation"):
        if name not in splits:
            continue
        inputs = splits[name].inputs
        order = torch.argsort(text_lengths(inputs))
        features = torch.empty(len(inputs), model.output.in_features)
        size = max(1, _TOKENS_AT_ONCE // max(1, inputs.shape[1]))
        for places in torch.split(order, size):
            longest = int(text_lengths(inputs[places]).max())
            batch = inputs[places, :longest].long().to(device)
            features[places] = model.text_vectors(batch).float().cpu()
        splits[name] = replace(splits[name], features=features)
    model.train(was_training)
    return replace(dataset, splits=splits)
