"""What every use of a trained model has at hand: its run, its recipe, the form of its data, its family."""

import torch

from creuset.data.spec import DataSpec
from creuset.errors import UsageError
from creuset.models.base import Family, FittedModel, Model
from creuset.recipe.resolve import Recipe
from creuset.runs.folder import RunFolder
from creuset.workflows.first_stage import FirstStage


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
        first_stage: What makes pictures of the code maps that the model is about; None for other models.
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
        first_stage: FirstStage | None = None,
    ) -> None:
        self.run, self.recipe, self.spec, self.family, self.model = run, recipe, spec, family, model
        self.device, self.step, self.checkpoint_hash = device, step, checkpoint_hash
        self.first_stage = first_stage

    @property
    def shown_spec(self) -> DataSpec:
        """The form of the pictures that go in and out: of code maps those that they stand for."""
        return self.spec if self.first_stage is None else self.first_stage.spec

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
            codes = isinstance(self.model, Model) and self.model.num_codes and trait == "samples"
            raise UsageError(
                f"a model of the family {self.family.name} cannot {ability}",
                where=self.run.path,
                got=f"traits {', '.join(sorted(self.family.traits))}",
                expected=f"a family with the trait {trait}",
                next_step="a second stage on its codes can: creuset train pixelcnn-codes --set "
                f"data.source=run:{self.run.reference}"
                if codes
                else None,
            )
