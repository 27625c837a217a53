"""What every use of a trained model has at hand: its run, its recipe, the form of its data, its family."""

import torch

from creuset.data.spec import DataSpec
from creuset.errors import UsageError
from creuset.models.base import Family, FittedModel, Model
from creuset.recipe.resolve import Recipe
from creuset.runs.folder import RunFolder


class Handle:
    """A trained model with everything around it.

    Attributes:
        run: The run folder it came from.
        recipe: The resolved recipe.
        spec: The form of the data.
        family: Its family, with the traits that say what it can do.
        model: The model itself, over tensors, in evaluation mode.
        device: Where it is.
        step: The training steps that its checkpoint holds.
        checkpoint_hash: SHA-256 of its weights file, for signatures.
    """

    def __init__(
        self,
        run: RunFolder,
        recipe: Recipe,
        spec: DataSpec,
        family: Family,
        model: Model | FittedModel,
        *,
        device: torch.device,
        step: int,
        checkpoint_hash: str,
    ) -> None:
        self.run, self.recipe, self.spec, self.family, self.model = run, recipe, spec, family, model
        self.device, self.step, self.checkpoint_hash = device, step, checkpoint_hash

    @property
    def num_importance_samples(self) -> int:
        """Draws per picture for a bound on the likelihood: the recipe's, else the family's."""
        asked = self.recipe.evaluation.num_importance_samples
        return type(self.recipe.model).num_importance_samples if asked is None else asked

    def having(self, trait: str, ability: str) -> Model:
        """The model, where its family has this trait; else UsageError, which names what was asked for."""
        self.require(trait, ability)
        assert isinstance(self.model, Model)
        return self.model

    def require(self, trait: str, ability: str) -> None:
        """Raises UsageError where the family has not this trait; `ability` is what was asked for."""
        if trait not in self.family.traits:
            raise UsageError(
                f"a model of the family {self.family.name} cannot {ability}",
                where=self.run.path,
                got=f"traits {', '.join(sorted(self.family.traits))}",
                expected=f"a family with the trait {trait}",
            )
