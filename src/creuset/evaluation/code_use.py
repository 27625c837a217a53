"""How much of its codebook a model of code maps uses.

    code_perplexity   exp(entropy of the shares of the codes): as many codes as if all were used alike
    codes_used        codes that stand anywhere in the maps

Source of the perplexity as a measure of a codebook: van den Oord, Vinyals & Kavukcuoglu 2017, "Neural
Discrete Representation Learning", in whose code it is journalled.

Legend of shapes: N samples, h height and w width of a map, K codes.
"""

import numpy as np
import torch
from scipy.special import entr

from creuset.data.dataset import Dataset
from creuset.evaluation.suite import Evaluation, Subject
from creuset.generation import pictures
from creuset.metrics.signature import Context, FieldValue
from creuset.models.base import Model


def code_use_part(subject: Subject, dataset: Dataset, split: str, context: Context) -> Evaluation:
    """The use of the codebook by the pictures of a split; `details["code_use"]` counts each code.

    Without intervals: codes within a map hang together. Both can be no more than K, the field `codebook`.
    """
    model = subject.model
    assert isinstance(model, Model)
    images = dataset.batch(split, torch.arange(dataset.split(split).num_samples))["images"]
    maps = pictures.encode(model, images, subject.device)
    counts = torch.bincount(maps.flatten(), minlength=model.num_codes).numpy()
    fields: dict[str, FieldValue] = {"codebook": model.num_codes}
    figures = {
        "code_perplexity": float(np.exp(entr(counts / counts.sum()).sum())),
        "codes_used": float(np.count_nonzero(counts)),
    }
    return Evaluation(
        suite="images",
        split=split,
        scores=[
            context.score(
                metric=metric,
                value=value,
                unit="codes",
                better="higher",
                interval=None,
                n=len(maps),
                fields=fields,
            )
            for metric, value in figures.items()
        ],
        details={"code_use": counts.tolist()},
    )
