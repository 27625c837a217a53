"""Leakage from the training split into the others: what a training looks for in its data and reports.

Equal samples never stand in two splits (data/split.py). Near duplicates may: they are counted and named, and
left where they are. What was found stands in the run's manifest, under "near_duplicates" of its data report.
"""

import shlex
from collections.abc import Mapping
from typing import Any

from creuset.data.dataset import Dataset
from creuset.data.near_duplicates import MAX_PAIRS, NearDuplicates, near_duplicates, num_pairs
from creuset.data.source import counted
from creuset.recipe.sections import DataConfig

_OPTIONS = (
    "label_column",
    "text_column",
    "tokens",
    "vocabulary_size",
    "max_tokens",
    "unreadable",
    "validation_share",
    "test_share",
)
"""Settings that `creuset data validate` takes as they are written in a recipe."""


def look_for_leakage(dataset: Dataset) -> dict[str, Any]:
    """Near duplicates across splits, as JSON for a manifest: "num_pairs", "looked_for" and "found".

    They are not looked for where there are more than MAX_PAIRS pairs to compare.
    """
    pairs = num_pairs(dataset)
    looked_for = pairs <= MAX_PAIRS
    found = near_duplicates(dataset) if looked_for else []
    return {"num_pairs": pairs, "looked_for": looked_for, "found": [one.to_json() for one in found]}


def leakage_remark(report: Mapping[str, Any], data: DataConfig) -> str | None:
    """What a user should hear of it, on one line, with the command that says more; None for nothing.

    Args:
        report: What `look_for_leakage` gave.
        data: The recipe's section that names the data.
    """
    if not report["looked_for"]:
        pairs = counted(report["num_pairs"], "pair")
        return f"near duplicates were not looked for ({pairs}); {validate_command(data)} does"
    found = [NearDuplicates.from_json(document) for document in report["found"]]
    lines = [_sentence(one) for one in found if one.count]
    return f"{'; '.join(lines)}; see {validate_command(data)}" if lines else None


def validate_command(data: DataConfig) -> str:
    """The command that validates the data as this section reads it."""
    words = ["creuset", "data", "validate", data.source]
    if data.image_size is not None:
        words += ["--image-size", "{}x{}".format(*data.image_size)]
    for name in _OPTIONS:
        value = getattr(data, name)
        if value != DataConfig.model_fields[name].default:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _sentence(found: NearDuplicates) -> str:
    pictures, verb = counted(found.count, f"{found.split} picture"), "is" if found.count == 1 else "are"
    other = "training" if found.other == "train" else found.other
    example = found.examples[0]
    return (
        f"{pictures} {verb} nearly the same as a {other} picture, such as {example.name} like {example.like}"
    )
