"""Which looker watches a model: by what can collapse in its family (models/watched.py)."""

from creuset.data.dataset import Dataset
from creuset.models.base import Collapse, Model
from creuset.models.watched import Adversary, LatentPosterior
from creuset.recipe.collapse import CollapseConfig
from creuset.training.adversary_watch import AdversaryWatch, num_samples_for
from creuset.training.collapse import Looker
from creuset.training.latent_watch import CodeWatch, PosteriorWatch


def require_watchable(
    collapses: Collapse | None, model: Model, dataset: Dataset, config: CollapseConfig
) -> None:
    """Refuses to rely on a watch that cannot be: UsageError where there are too few training samples."""
    if collapses == "samples" and config.on_collapse in ("stop", "rollback"):
        assert isinstance(model, Adversary)
        num_samples_for(model, dataset.splits["train"].num_samples, config.num_samples)


def make_looker(
    collapses: Collapse, model: Model, dataset: Dataset, num_samples: int, batch_size: int, seed: int
) -> Looker:
    """The looker of a model.

    Args:
        collapses: What can collapse.
        model: What is watched.
        dataset: What it is trained on.
        num_samples: Samples of a check.
        batch_size: Of the training.
        seed: Of the run.

    Raises:
        UsageError: The training split is too small for a generator to be held against it.
    """
    if collapses == "samples":
        assert isinstance(model, Adversary)
        return AdversaryWatch(model, dataset, num_samples, batch_size, seed)
    if collapses == "posterior":
        assert isinstance(model, LatentPosterior)
        return PosteriorWatch(model, dataset, num_samples, seed)
    return CodeWatch(model, dataset, num_samples, seed)
