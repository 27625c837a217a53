"""How the generated pictures of a run are measured: how many are drawn, and what turns them into features."""

import numpy as np

from creuset.assets import cache_folder
from creuset.data.dataset import Dataset
from creuset.data.spec import DataSpec
from creuset.data.toys import STACK
from creuset.errors import BlockedError, NotFoundError, UsageError
from creuset.evaluation import (
    DistanceSetting,
    ModeSetting,
    Subject,
    Suite,
    evaluate_generated,
    split_hash,
    suites,
)
from creuset.metrics.signature import Context
from creuset.models.base import Family
from creuset.progress import Silent
from creuset.recipe.evaluation import EvaluationConfig
from creuset.recipe.resolve import Recipe
from creuset.runs.folder import RunFolder
from creuset.workflows.extractors import open_extractor
from creuset.workflows.load import Loaded, find_run, load

NUM_GENERATED = 1000
"""Pictures that are drawn for distances where no number is said."""


def suite_of(recipe: Recipe, kind: Family, spec: DataSpec) -> Suite | None:
    """The suite that a training of this recipe ends with; None for no suite."""
    suite = recipe.evaluation.suite
    if suite == "none":
        return None
    return next(iter(suites(kind, spec)), None) if suite is None else suite


def num_drawn(recipe: Recipe, kind: Family, spec: DataSpec) -> int:
    """Pictures that are drawn for distances when a training of this recipe is measured; 0 where none are."""
    suite = suite_of(recipe, kind, spec)
    return _number(recipe.evaluation) if suite == "images" and "samples" in kind.traits else 0


def _number(section: EvaluationConfig) -> int:
    return NUM_GENERATED if section.num_generated is None else section.num_generated


def check_extractor(recipe: Recipe, kind: Family) -> None:
    """Opens an extractor that a recipe names, before a training whose end would miss it.

    The default one is not looked for: without it the other measures go on.

    Raises:
        NotFoundError, BlockedError, UsageError: See `open_extractor`.
    """
    name, suite = recipe.evaluation.extractor, recipe.evaluation.suite
    drawn = "samples" in kind.traits and suite != "none" and recipe.evaluation.num_generated != 0
    if drawn and name != EvaluationConfig().extractor:
        open_extractor(name)


def distance_setting(
    loaded: Loaded, suite: Suite, num_generated: int | None = None, extractor: str | None = None
) -> DistanceSetting | None:
    """How generated pictures are measured; None where they are not.

    Args:
        loaded: The run.
        suite: The suite that measures it.
        num_generated: Pictures to draw; default: the recipe's.
        extractor: What turns them into features; refused where it is not there. Without the recipe's, which
            is the default, the setting has no network and says what is missing.

    Raises:
        UsageError: A number or an extractor that has no effect.
        NotFoundError, BlockedError: See `open_extractor`.
    """
    recipe = loaded.recipe.evaluation
    number = _number(recipe) if num_generated is None else num_generated
    draws = suite == "images" and "samples" in loaded.family.traits
    if suite in ("modes", "tuning"):
        return None
    if extractor is not None or num_generated is not None:
        _require_effect(loaded, suite, draws=draws, number=number, extractor=extractor)
    if not draws or number == 0:
        return None
    cache = cache_folder() / "features"
    if extractor is not None:
        return DistanceSetting(num_generated=number, network=open_extractor(extractor), cache=cache)
    try:
        network = open_extractor(recipe.extractor)
    except (NotFoundError, BlockedError) as error:
        step = "" if error.next_step is None else f"; {error.next_step}"
        missing = f"no distances by features of {recipe.extractor}: {error.message}{step}"
        return DistanceSetting(num_generated=number, network=None, missing=missing)
    return DistanceSetting(num_generated=number, network=network, cache=cache)


def mode_setting(
    loaded: Loaded, suite: Suite, num_generated: int | None = None, extractor: str | None = None
) -> ModeSetting | None:
    """How the modes that a run reaches are counted; None for another suite.

    Args:
        loaded: The run.
        suite: The suite that measures it.
        num_generated: Samples to draw; default: the recipe's.
        extractor: A run of a classifier, for stacked pictures; default: the recipe's.

    Raises:
        UsageError: A classifier of points, or of other pictures than those that were stacked; no samples.
        NotFoundError: There is no such run.
    """
    if suite != "modes":
        return None
    number = loaded.recipe.evaluation.num_generated if num_generated is None else num_generated
    if number is not None and number < 1:
        raise UsageError("not a number of samples", where="num_generated", got=number, expected="1 or more")
    stacked = loaded.spec.mixture == STACK
    if not stacked and extractor is not None:
        raise UsageError(
            "an extractor has no effect here: modes of points are told by their places",
            where="--extractor",
            got=extractor,
            next_step="leave the option out",
        )
    name = loaded.recipe.evaluation.extractor if extractor is None else extractor
    if not stacked or name == EvaluationConfig().extractor:
        return ModeSetting(num_generated=number)
    judge = open_mode_judge(name, loaded.spec)
    return ModeSetting(
        num_generated=number,
        classify=lambda images: judge.logits(images).argmax(1).astype(np.int64),
        num_classes=judge.spec.num_classes,
        classifier=judge.checkpoint_hash[:16],
    )


def open_mode_judge(name: str, spec: DataSpec) -> Loaded:
    """The classifier that tells the modes of stacked pictures.

    Args:
        name: Its run.
        spec: The form of the stacked pictures.

    Raises:
        NotFoundError: There is no such run.
        UsageError: It does not classify the pictures that were stacked.
    """
    judge = load(find_run(name))
    wanted = (1, *spec.shape[1:])
    if "classifies" not in judge.family.traits or judge.spec.shape != wanted:
        raise UsageError(
            "this run does not classify the pictures that were stacked",
            where=judge.run.path,
            got=f"the family {judge.family.name} on samples of shape {judge.spec.shape}",
            expected=f"a classifier of pictures of shape {wanted}",
        )
    return judge


def measure_generated(run: RunFolder, dataset: Dataset, split: str, num_generated: int) -> None:
    """What measuring so many generated pictures takes; nothing of it is kept."""
    loaded = load(run)
    setting = distance_setting(loaded, "images", num_generated)
    assert setting is not None
    evaluate_generated(
        Subject(family=loaded.family, model=loaded.model, device=loaded.device),
        dataset,
        split,
        Context(data=split_hash(dataset, split), split=split),
        setting,
        Silent(),
    )


def _require_effect(loaded: Loaded, suite: Suite, *, draws: bool, number: int, extractor: str | None) -> None:
    if number < 0:
        raise UsageError("not a number of pictures", where="num_generated", got=number, expected="0 or more")
    if not draws:
        raise UsageError(
            "an extractor and a number of pictures to draw have no effect here",
            where="num_generated" if extractor is None else "--extractor",
            got=f"the suite {suite} of the family {loaded.family.name}",
            expected="the suite images of a family that draws pictures, such as vae",
            next_step="leave the option out",
        )
    if extractor is not None and number == 0:
        raise UsageError(
            "an extractor has no effect while no pictures are drawn",
            where="--extractor",
            got="evaluation.num_generated 0",
            expected="1 or more pictures to draw",
        )
