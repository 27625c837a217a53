"""What a recipe's evaluation section asks for and its data does not allow, told before a training whose end
would tell it."""

from collections.abc import Mapping

from creuset.data.spec import DataSpec
from creuset.data.toys import STACK
from creuset.evaluation import suites
from creuset.models.base import Family
from creuset.recipe.evaluation import EvaluationConfig
from creuset.recipe.resolve import Recipe
from creuset.workflows.distances import open_mode_judge, suite_of

_OF_MEASURES = ("num_importance_samples", "num_generated", "extractor")
"""Fields that say how a suite measures."""


def not_measurable(recipe: Recipe, kind: Family, spec: DataSpec) -> Mapping[str, str]:
    """What cannot be measured as the recipe says, or has no effect: dotted key -> why.

    Args:
        recipe: The recipe.
        kind: Its family.
        spec: The form of its data.

    Raises:
        NotFoundError, UsageError: The classifier that the modes of stacked pictures are told by is not there,
            or is none of these pictures.
    """
    section, fitting = recipe.evaluation, suites(kind, spec)
    if section.suite not in (None, "none", *fitting):
        there = ", ".join([*fitting, "none"])
        text = f"evaluation.suite: {section.suite} does not fit {recipe.data.source}; there is: {there}"
        return {"evaluation.suite": text}
    usual = EvaluationConfig()
    written = [name for name in _OF_MEASURES if getattr(section, name) != getattr(usual, name)]
    suite = suite_of(recipe, kind, spec)
    if not fitting:
        why = f"no suite measures the family {kind.name} on {recipe.data.source}"
        return {_key(name): f"{_key(name)} has no effect: {why}" for name in written}
    if suite != "modes":
        return {}
    refused = _refused_of_modes(recipe, spec, written)
    if not refused and spec.mixture == STACK:
        open_mode_judge(section.extractor, spec)
    return refused


def _refused_of_modes(recipe: Recipe, spec: DataSpec, written: list[str]) -> dict[str, str]:
    """What the suite `modes` has no use for, or lacks."""
    refused = {}
    if "num_importance_samples" in written:
        key = _key("num_importance_samples")
        refused[key] = f"{key} has no effect: the suite modes measures no likelihood"
    if recipe.evaluation.num_generated == 0:
        key = _key("num_generated")
        refused[key] = (
            f"{key} must be 1 or more: the suite modes counts what is drawn; or evaluation.suite: none"
        )
    if spec.mixture != STACK and "extractor" in written:
        key = _key("extractor")
        refused[key] = f"{key} has no effect: modes of points are told by their places"
    if spec.mixture == STACK and "extractor" not in written:
        refused[_key("suite")] = (
            "evaluation.suite: the modes of stacked pictures are told by a classifier; evaluation.extractor "
            "must be a run of one that was trained on the pictures that are stacked"
        )
    return refused


def _key(name: str) -> str:
    return f"evaluation.{name}"
