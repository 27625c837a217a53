"""Which looker watches a model: by what can collapse in its family (models/watched.py)."""

from creuset.data.dataset import Dataset
from creuset.models.base import Collapse, Model
from creuset.models.watched import Adversary, LatentPosterior
from creuset.training.adversary_watch import AdversaryWatch, num_samples_for
from creuset.training.collapse import Looker
from creuset.training.latent_watch import CodeWatch, PosteriorWatch


def make_looker(
    collapses: Collapse, model: Model, dataset: Dataset, num_samples: int, seed: int
) -> Looker | None:
    """The looker of a model.

    Args:
        collapses: What can collapse.
        model: What is watched.
        dataset: What it is trained on.
        num_samples: Samples of a check.
        seed: Of the run.

    Returns:
        None where the training split is too small for a generator to be held against it.
    """
    if collapses == "samples":
        assert isinstance(model, Adversary)
        num = num_samples_for(model, dataset.splits["train"].num_samples, num_samples)
        return AdversaryWatch(model, dataset, num, seed) if num else None
    if collapses == "posterior":
        assert isinstance(model, LatentPosterior)
        return PosteriorWatch(model, dataset, num_samples, seed)
    return CodeWatch(model, dataset, num_samples, seed)
