"""A resolved recipe: every value, and where each of them came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from creuset.recipe.collapse import CollapseConfig
from creuset.recipe.evaluation import EvaluationConfig
from creuset.recipe.render import Leaf, dotted, leaves, resolved_yaml
from creuset.recipe.sections import DataConfig, FamilyConfig, PlayerConfig, TrainingConfig
from creuset.recipe.tree import Place, printable

FORMAT = 1
"""The version of the resolved recipe; a recipe written by hand may leave it out."""

KEYS = ("format", "model", "adapter", "objective", "data", "training", "players", "collapse", "evaluation")
"""What a recipe holds, in this order."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained, on what, and how: each value resolved.

    Two recipes are equal when their values are; where the values came from does not matter.

    Args:
        model: The family's section, with those that it has beside it, such as `objective`.
        data: Where the data comes from, how it is split and batched.
        training: How the model is trained.
        players: What single players' optimizers do otherwise.
        collapse: How the training is watched for collapse.
        evaluation: What is measured afterwards.
        origins: Dotted key -> "default", "size small", "vae-mnist.yaml:12", "--set" or "settings". Empty
            for a recipe that was put together in Python.
        places: Dotted key -> where its value was written, for those that were.
        name: The file's name without its suffix.
        path: The file, None for a recipe that was read from a string.
    """

    model: FamilyConfig
    data: DataConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    players: Mapping[str, PlayerConfig] = field(default_factory=dict)
    collapse: CollapseConfig = field(default_factory=CollapseConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    name: str = field(default="recipe", compare=False)
    path: Path | None = field(default=None, compare=False)

    def values(self) -> dict[str, object]:
        """Every value by its dotted key, in the order of the sections."""
        return {dotted(path): value for path, value in self.leaves()}

    def to_yaml(self) -> str:
        """The recipe with every key written out and each value's origin as a comment.

        Reading it gives an equal recipe. Equal recipes with equal origins give the same bytes.
        """
        found = self.leaves()
        origins = {dotted(path): self.origins.get(dotted(path), "unknown") for path, _ in found}
        if not self.players:
            found.append((("players",), {}))
            origins["players"] = self.origins.get("players", "default")
        found.sort(key=lambda leaf: KEYS.index(leaf[0][0]))
        head = ["# A resolved recipe of creuset: each value, and where it came from.", f"format: {FORMAT}"]
        return resolved_yaml(head, found, {key: printable(origin) for key, origin in origins.items()})

    def leaves(self) -> list[Leaf]:
        """Every value with the keys that lead to it, in the order of the sections."""
        found = [*leaves(self.model, ("model",))]
        for name in self.model.own_sections:
            found += leaves(getattr(self.model, name), (name,))
        found += leaves(self.data, ("data",))
        found += leaves(self.training, ("training",))
        for name, player in sorted(self.players.items()):
            found += leaves(player, ("players", name))
        found += leaves(self.collapse, ("collapse",))
        return [*found, *leaves(self.evaluation, ("evaluation",))]


def differences(first: Recipe, second: Recipe) -> list[str]:
    """The dotted keys whose values differ, or that one of them does not have."""
    left, right = first.values(), second.values()
    missing = object()
    keys = dict.fromkeys([*left, *right])
    return [key for key in keys if left.get(key, missing) != right.get(key, missing)]
