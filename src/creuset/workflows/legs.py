"""What a tour's settings come to at each station: laid over the recipes on which they have an effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from creuset.data.load import KIND_NAMES, is_plain_text, kinds_of_field
from creuset.data.spec import Kind
from creuset.data.tuning_split import CREUSET_QUESTIONS
from creuset.errors import Problem, RecipeError, UsageError
from creuset.models import family
from creuset.recipe.resolve import Recipe
from creuset.recipe.settings import settings_tree
from creuset.recipe.tree import Node, printable
from creuset.workflows.itinerary import Itinerary
from creuset.workflows.plan import check_effects, read, with_absolute_source
from creuset.workflows.tuning_data import is_for_tuning

_SOURCES: Mapping[Kind, str] = {"corpus": "plain text", "chats": "texts to tune on", "images": "no text"}
"""What a source of each kind is called."""


@dataclass(frozen=True, kw_only=True)
class Station:
    """One model of the tour: a shipped recipe, the steps that fit the tour, and other settings for so few.

    Args:
        subject: What the report calls the model.
        recipe: The recipe's name.
        num_steps: Training steps of a whole tour; None for the recipe's.
        settings: Others in place of the recipe's values.
        kind: Of the data that the model is of.
    """

    subject: str
    recipe: str
    num_steps: int | None = None
    settings: tuple[str, ...] = ()
    kind: Kind = "images"


@dataclass(frozen=True, kw_only=True)
class Leg:
    """What one station comes to with a tour's settings.

    Args:
        station: The station.
        settings: All settings in place of its recipe's values.
        recipe: The recipe that is trained.
        left_out: The tour's settings that have no effect here, each with the reason.
    """

    station: Station
    settings: tuple[str, ...]
    recipe: Recipe
    left_out: Mapping[str, Problem]


def plan_legs(stations: Sequence[Station], itinerary: Itinerary) -> dict[str, Leg]:
    """The legs of a tour by their subjects, before anything is trained.

    Raises:
        RecipeError: A setting that has an effect on no station, or a wrong one, or keeps a station from
            being measured.
        UsageError: A setting of the seed.
    """
    for setting in itinerary.settings:
        if _key(setting) == "training.seed":
            raise UsageError("a tour has one seed for all", where=f"--set {setting}", next_step="use --seed")
    legs = {station.subject: _leg(station, itinerary) for station in stations}
    problems: dict[str, Problem] = {}
    for setting in itinerary.settings:
        reasons = [leg.left_out.get(setting) for leg in legs.values()]
        if all(reasons):
            problems |= {str(reason): reason for reason in reasons if reason is not None}
    problems |= {str(problem): problem for leg in legs.values() for problem in _not_measured(leg)}
    if problems:
        raise RecipeError(list(problems.values()))
    return legs


def _not_measured(leg: Leg) -> list[Problem]:
    """What is wrong where a model would be trained without the scores that the tour shows."""
    if leg.recipe.evaluation.suite != "none":
        return []
    text = "evaluation.suite: none leaves a tour without the scores that it shows; leave it out"
    return [leg.recipe.places["evaluation.suite"].problem(text)]


def settings_left_out(legs: Mapping[str, Leg], itinerary: Itinerary) -> list[str]:
    """For each setting that some stations go without, a sentence that names them and says why."""
    sentences = []
    for setting in itinerary.settings:
        reasons = {name: leg.left_out[setting] for name, leg in legs.items() if setting in leg.left_out}
        if reasons:
            # the keys that there are instead differ from model to model
            why = dict.fromkeys(problem.message.partition("; there is: ")[0] for problem in reasons.values())
            sentences.append(f"`{setting}` is not applied to {', '.join(reasons)}: {'; '.join(why)}")
    return sentences


def _leg(station: Station, itinerary: Itinerary) -> Leg:
    left_out = {
        setting: problem
        for setting in itinerary.settings
        if (problem := _of_other_data(setting, station.kind)) is not None
    }
    given = [setting for setting in itinerary.settings if setting not in left_out]
    while True:
        settings = _laid_over(station, itinerary.steps_share, given)
        try:
            recipe = read(station.recipe, settings, itinerary.seed)
            if "training.warmup_steps" not in map(_key, settings):
                settings += _shorter_warmup(recipe)
                recipe = read(station.recipe, settings, itinerary.seed)
            check_effects(recipe, family(recipe.model.family))
        except RecipeError as error:
            blamed = {
                setting: problem
                for problem in reversed(error.problems)
                for setting in given
                if _blames(problem, setting)
            }
            if not blamed:
                raise
            left_out |= blamed
            given = [setting for setting in given if setting not in blamed]
            continue
        return Leg(
            station=station,
            settings=tuple(settings),
            recipe=with_absolute_source(recipe),
            left_out=left_out,
        )


def _of_other_data(setting: str, kind: Kind) -> Problem | None:
    """What is wrong with a setting of the data section that is for data of another kind than a station's."""
    root, _ = settings_tree([setting])
    data = None if root is None else _inner(root, "data")
    fields = {} if data is None or not isinstance(data.value, dict) else data.value
    for name, entry in fields.items():
        if kind not in kinds_of_field(name):
            return entry.place.problem(f"data.{name} has no effect on {KIND_NAMES[kind]}")
        source = entry.node.value
        if name == "source" and isinstance(source, str) and _kind_of(source) != kind:
            what = "no plain text" if kind == "corpus" else _SOURCES[_kind_of(source)]
            return entry.node.place.problem(
                f"this source is {what}, and these models are of {KIND_NAMES[kind]}"
            )
    return None


def _kind_of(source: str) -> Kind:
    """What a source holds, as far as its name and the file tell."""
    if is_plain_text(source):
        return "corpus"
    return "chats" if source == CREUSET_QUESTIONS or is_for_tuning(Path(source).expanduser()) else "images"


def _inner(node: Node, key: str) -> Node | None:
    entry = node.value.get(key) if isinstance(node.value, dict) else None
    return None if entry is None else entry.node


def _laid_over(station: Station, steps_share: float, given: Sequence[str]) -> list[str]:
    """The station's own settings without those that are given otherwise, then those."""
    own = list(station.settings)
    if station.num_steps is not None:
        own.insert(0, f"training.num_steps={max(1, round(station.num_steps * steps_share))}")
    keys = {_key(setting) for setting in given}
    return [*(setting for setting in own if _key(setting) not in keys), *given]


def _shorter_warmup(recipe: Recipe) -> list[str]:
    """A warmup that ends within few steps, where the recipe's would not."""
    training = recipe.training
    if "gradient" not in family(recipe.model.family).traits or training.warmup_steps < training.num_steps:
        return []
    return [f"training.warmup_steps={training.num_steps // 10}"]


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _blames(problem: Problem, setting: str) -> bool:
    """Whether a problem is about a setting: it stands at the text itself, or at one of its keys."""
    origin, _, place = problem.file.partition(" ")
    key = _key(setting)
    return origin == "--set" and (place in (printable(setting), key) or place.startswith(f"{key}."))
