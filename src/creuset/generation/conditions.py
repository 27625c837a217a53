"""What a sample is asked to be: a class by its name, or what a short prompt says."""

import torch

from creuset.data.spec import DataSpec
from creuset.errors import UsageError, did_you_mean
from creuset.models.base import Batch, Model


def conditions_of(
    model: Model, spec: DataSpec, num_samples: int, *, label: str | None = None, prompt: str | None = None
) -> Batch | None:
    """What `Model.sample` is asked for, the same for each sample; None where nothing is asked.

    Args:
        model: What draws.
        spec: The form of its data, whose classes have names.
        num_samples: How many are drawn.
        label: The name of a class.
        prompt: A short text.

    Raises:
        UsageError: The model was not trained to be asked that, or does not know the class.
    """
    if label is not None and prompt is not None:
        raise UsageError("a class and a prompt at once", got=f"{label}, {prompt}", expected="one of them")
    if label is not None:
        _require(model, "class", "a class", label)
        if label not in spec.class_names:
            raise UsageError(
                f'no class "{label}"{did_you_mean(label, spec.class_names)}',
                expected=", ".join(spec.class_names),
            )
        return {"labels": torch.full((num_samples,), spec.class_names.index(label), dtype=torch.int64)}
    if prompt is not None:
        _require(model, "text", "a prompt", prompt)
        return {"prompts": model.prompts([prompt]).expand(num_samples, -1)}
    return None


def _require(model: Model, condition: str, what: str, got: str) -> None:
    if model.condition != condition:
        can = {"none": "nothing", "class": "a class", "text": "a prompt"}[model.condition]
        raise UsageError(
            f"this model cannot be asked for {what}",
            got=got,
            expected=f"{can}: it was trained with model.condition: {model.condition}",
            next_step=f"train with model.condition: {condition}",
        )
