"""What a recipe comes to on this machine and data, checked before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from creuset.assets import home, resolve
from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.device import Precision, choose_precision, resolve_device
from creuset.errors import Problem, RecipeError, UsageError
from creuset.evaluation import suites
from creuset.models import family, family_configs
from creuset.models.base import Family
from creuset.progress import Progress
from creuset.recipe.resolve import Recipe, read_recipe
from creuset.recipe.sections import Section
from creuset.recipe.source import find_recipe
from creuset.training.distributed import Processes, world_size

SPLIT_SEED = 0
"""Splits follow from the data alone: runs with different seeds are tested on the same samples."""

Settings = Mapping[str, object] | Sequence[str]

_SECTIONS = ("data", "training", "evaluation")
_EFFECTIVE_WITHOUT_GRADIENT = {"training.seed", "training.threads", "training.device"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A recipe with everything that it needs to run."""

    recipe: Recipe
    family: Family
    dataset: Dataset
    device: torch.device
    precision: Precision
    precision_reason: str
    processes: Processes

    @classmethod
    def make(
        cls, recipe: Recipe, progress: Progress, precision: tuple[Precision, str] | None = None
    ) -> "Plan":
        """Loads the data and chooses device and precision.

        Args:
            recipe: What is to be trained.
            progress: Who watches.
            precision: What a resumed run was trained in, with its reason; chosen anew where None.

        Raises:
            RecipeError: A setting that has no effect for this family or data.
            UsageError, DataError, NotFoundError: What the recipe names cannot be used.
        """
        training = recipe.training
        kind = family(recipe.model.family)
        check_effects(recipe, kind)
        if "gradient" not in kind.traits and world_size() > 1:
            raise UsageError(
                f"the family {kind.name} is fitted in one go, on one process",
                got=f"{world_size()} processes",
                next_step="train it without torchrun",
            )
        if training.threads is not None:
            torch.set_num_threads(training.threads)
        device = resolve_device(training.device)
        dataset = load_data(
            recipe.data, seed=SPLIT_SEED, resolve=lambda name: resolve(name).path, progress=progress
        )
        processes = Processes(training.distributed, device)
        if precision is None:
            chosen = None
            if processes.first:
                chosen = choose_precision(training.precision, device, home() / "cache" / "bfloat16.json")
            precision = processes.share(chosen)
        return cls(
            recipe=recipe,
            family=kind,
            dataset=dataset,
            device=device,
            precision=precision[0],
            precision_reason=precision[1],
            processes=processes,
        )


def read(recipe: str | Path, settings: Settings = (), seed: int | None = None) -> Recipe:
    """The recipe of a file or of a shipped name, with settings changed and a seed of one's own."""
    found = find_recipe(recipe)
    changed: dict[str, object] | list[str]
    if isinstance(settings, Mapping):
        changed = dict(settings) | ({} if seed is None else {"training.seed": seed})
    else:
        changed = [*settings, *([] if seed is None else [f"training.seed={seed}"])]
    return read_recipe(found, settings=changed, families=family_configs())


def with_absolute_source(recipe: Recipe) -> Recipe:
    """The recipe with a data source that is a path written in full, so that the run works from any folder."""
    path = Path(recipe.data.source).expanduser()
    if not path.exists():
        return recipe
    return replace(recipe, data=recipe.data.model_copy(update={"source": str(path.resolve())}))


def check_effects(recipe: Recipe, kind: Family) -> None:
    """Refuses settings that were changed from their defaults but would be ignored.

    Raises:
        RecipeError: Each of them, where it stands; also a suite that the family cannot be measured by.
    """
    ignored: dict[str, str] = {}
    written = {key: origin for key, origin in recipe.origins.items() if not _is_default(recipe, key)}
    if "gradient" not in kind.traits:
        for key in written:
            section = key.split(".")[0]
            if (section == "training" and key not in _EFFECTIVE_WITHOUT_GRADIENT) or section == "players":
                ignored[key] = f"the family {kind.name} is fitted in one go, without steps"
            if key.startswith(("data.augmentation.", "data.batch_size")):
                ignored[key] = f"the family {kind.name} is fitted in one go, without batches"
    if "training.sample_every" in written and not kind.traits & {"samples", "encodes"}:
        ignored["training.sample_every"] = f"the family {kind.name} makes no pictures"
    suite = recipe.evaluation.suite
    if "evaluation.num_importance_samples" in written:
        if "likelihood" not in kind.traits:
            ignored["evaluation.num_importance_samples"] = f"the family {kind.name} has no likelihood"
        elif suite == "none":
            ignored["evaluation.num_importance_samples"] = "evaluation.suite is none"
    problems = [_problem(key, written[key], f"{key} has no effect: {why}") for key, why in ignored.items()]
    if suite not in (None, "none") and suite not in suites(kind):
        fitting = ", ".join([*suites(kind), "none"])
        text = f"evaluation.suite: {suite} does not fit the family {kind.name}; there is: {fitting}"
        problems.append(_problem("evaluation.suite", written["evaluation.suite"], text))
    if problems:
        raise RecipeError(problems)


def _is_default(recipe: Recipe, key: str) -> bool:
    """Whether a value is what it would be if nobody had written it: a resolved recipe writes every one."""
    section, *names = key.split(".")
    if section not in _SECTIONS:
        return recipe.origins[key] == "default"
    part: Section = getattr(recipe, section)
    for name in names[:-1]:
        part = getattr(part, name)
    field = type(part).model_fields[names[-1]]
    return bool(getattr(part, names[-1]) == field.default)


def _problem(key: str, origin: str, message: str) -> Problem:
    """Where a written value stands: its origin is "FILE:LINE" or "--set"."""
    file, _, line = origin.rpartition(":")
    if line.isdigit():
        return Problem(file=file, line=int(line), column=1, message=message)
    return Problem(file=f"{origin} {key}", line=1, column=1, message=message)
