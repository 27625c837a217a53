"""The stations of a tour: which runs it makes with which settings, and how it goes on where it was stopped.

A tour's folder holds

    tour.json       format 1: seed, share of steps and settings as they were given, seconds of each station
    runs/RECIPE/    a run folder for each station that was begun
    report.html     when all stations are done

Settings are laid over the recipe of each station that they have an effect on.
"""

import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from creuset.errors import CheckpointError, NotFoundError, Problem, RecipeError, UsageError
from creuset.files import disk_errors, write_atomic
from creuset.models import family
from creuset.progress import Progress
from creuset.recipe.render import flow
from creuset.recipe.resolve import Recipe, differences
from creuset.recipe.tree import printable
from creuset.runs.folder import RunFolder
from creuset.workflows.again import precision_setting
from creuset.workflows.load import run_recipe
from creuset.workflows.plan import check_effects, read, with_absolute_source
from creuset.workflows.train import Run, resume, train

FORMAT = 1
MOST_STEPS_SHARE = 1e6
"""Beyond it no number of steps is meant."""
_FILE = "tour.json"


@dataclass(frozen=True, kw_only=True)
class Station:
    """One model of the tour: a shipped recipe, the steps that fit the tour, and other settings for so few."""

    subject: str
    recipe: str
    num_steps: int | None = None
    settings: tuple[str, ...] = ()


class Itinerary(BaseModel):
    """What a tour was asked for, and how far it came: tour.json.

    Args:
        seed: Decides every random draw.
        steps_share: Share of each station's training steps, in (0, MOST_STEPS_SHARE].
        settings: KEY=VALUE texts in place of recipes' values.
        seconds: What each station took so far, by its subject.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    seed: int = 0
    steps_share: float = Field(default=1.0, gt=0, le=MOST_STEPS_SHARE, allow_inf_nan=False)
    settings: tuple[str, ...] = ()
    seconds: dict[str, float] = {}

    def differences(self, other: "Itinerary") -> list[str]:
        """In which of seed, steps_share and settings two tours differ."""
        return [
            f"{name} {getattr(self, name)!r}, not {getattr(other, name)!r}"
            for name in ("seed", "steps_share", "settings")
            if getattr(self, name) != getattr(other, name)
        ]


def read_itinerary(folder: Path) -> Itinerary:
    """What the tour in a folder was asked for.

    Raises:
        NotFoundError: There is no tour.
        CheckpointError: Its file cannot be read, or a newer creuset wrote it.
    """
    path = folder / _FILE
    if not path.is_file():
        raise NotFoundError("no tour here", where=folder, expected=f"a folder with {_FILE}")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document["format"]
        if version > FORMAT:
            raise CheckpointError(
                "written by a newer creuset",
                where=path,
                got=f"format {version}",
                expected=f"format {FORMAT}",
                next_step="upgrade creuset",
            )
        return Itinerary.model_validate(document)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise CheckpointError(
            "the tour's settings cannot be read",
            where=path,
            got=str(error).splitlines()[0],
            next_step="start another tour, with another --out",
        ) from error


def has_itinerary(folder: Path) -> bool:
    """Whether a tour lies in a folder; raises UsageError where none can lie."""
    with disk_errors(folder):
        return (folder / _FILE).exists()


def with_absolute_paths(settings: Sequence[str]) -> tuple[str, ...]:
    """The settings, with a data source that is a path written in full: a tour goes on from any folder."""
    rooted = []
    for setting in settings:
        key, _, value = setting.partition("=")
        path = Path(value).expanduser()
        is_path = key.strip() == "data.source" and value.strip() and path.exists()
        rooted.append(f"data.source={flow(str(path.resolve()))}" if is_path else setting)
    return tuple(rooted)


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
    given = list(itinerary.settings)
    left_out: dict[str, Problem] = {}
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


@dataclass(kw_only=True)
class Journey:
    """A tour on its way: where its runs lie, how far it came, and how long each station took.

    Args:
        folder: The tour's folder.
        itinerary: What was asked for; `seconds` grow on the way.
        legs: What each station comes to, by its subject.
        progress: Who watches.
    """

    folder: Path
    itinerary: Itinerary
    legs: Mapping[str, Leg]
    progress: Progress
    commands: list[str] = field(default_factory=list)
    seconds_here: float = 0.0

    @classmethod
    def begin(
        cls,
        folder: Path,
        itinerary: Itinerary,
        stations: Sequence[Station],
        progress: Progress,
        check: Callable[[Mapping[str, Leg]], None] | None = None,
    ) -> "Journey":
        """Checks all that can be checked before anything is trained, and writes tour.json.

        Args:
            folder: The tour's folder.
            itinerary: What was asked for.
            stations: Its models, in order.
            progress: Who watches.
            check: Refuses legs of which no report could be made.

        Raises:
            RecipeError: A setting that fits no station.
            UsageError: A run of the tour was made with other settings than these, or the folder cannot be
                written.
        """
        legs = plan_legs(stations, itinerary)
        journey = cls(folder=folder, itinerary=itinerary, legs=legs, progress=progress)
        for leg in legs.values():
            journey._require_same(leg)
        if check is not None:
            check(legs)
        journey._write()
        for sentence in settings_left_out(legs, itinerary):
            progress.say(f"tour: {sentence}")
        return journey

    @property
    def command(self) -> str:
        """What goes on with this tour."""
        return shlex.join(["creuset", "tour", "--resume", str(self.folder)])

    def visit(self, station: Station) -> Run:
        """Trains and measures one model, or goes on with it; what is finished is left as it is."""
        self.progress.say(f"tour: {station.subject}")
        before = self.itinerary.seconds.get(station.subject, 0.0)
        begin = time.monotonic()
        leg = self.legs[station.subject]
        path = self._path(station)
        try:
            if path.exists():
                run = resume(path, progress=self.progress)
            else:
                run = train(
                    station.recipe,
                    name=path,
                    seed=self.itinerary.seed,
                    settings=leg.settings,
                    progress=self.progress,
                )
        finally:
            spent = time.monotonic() - begin
            self.seconds_here += spent
            seconds = {**self.itinerary.seconds, station.subject: before + spent}
            self.itinerary = self.itinerary.model_copy(update={"seconds": seconds})
            self._write()
        changed = [*leg.settings, *precision_setting(run.folder)]
        words = [word for setting in changed for word in ("--set", setting)]
        command = ["creuset", "train", station.recipe, *words, "--seed", str(self.itinerary.seed)]
        self.commands.append(shlex.join(command))
        return run

    def _path(self, station: Station) -> Path:
        return self.folder / "runs" / station.recipe

    def _require_same(self, leg: Leg) -> None:
        """Refuses a run that is there already, and is not the one that this leg would make."""
        path = self._path(leg.station)
        if not path.exists():
            return
        found = run_recipe(RunFolder.open(path))
        keys = differences(found, leg.recipe)
        if keys:
            there, asked = found.values(), leg.recipe.values()
            raise UsageError(
                "this run was made with other settings than the tour asks for",
                where=path,
                got=", ".join(f"{key} {there.get(key, 'absent')}" for key in keys),
                expected=", ".join(f"{key} {asked.get(key, 'absent')}" for key in keys),
                next_step="take another --out, or remove the run",
            )

    def _write(self) -> None:
        write_atomic(self.folder / _FILE, self.itinerary.model_dump_json(indent=2) + "\n")
