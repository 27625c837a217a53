"""From a recipe's text to the recipe: all of it is checked, and everything wrong is said at once.

Values are found in this order, the later winning: a field's default, the family's dial (`model.size`), the
file, `--set`. `Recipe.origins` says which of them it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from creuset.errors import Problem, RecipeError, did_you_mean
from creuset.recipe.collapse import CollapseConfig
from creuset.recipe.composer import compose
from creuset.recipe.evaluation import EvaluationConfig
from creuset.recipe.render import dotted
from creuset.recipe.resolved import FORMAT, KEYS, Recipe, differences
from creuset.recipe.section import Section
from creuset.recipe.sections import DataConfig, FamilyConfig, PlayerConfig, TrainingConfig
from creuset.recipe.settings import PASSED_BY, Settings, settings_tree
from creuset.recipe.source import find_recipe, read_text
from creuset.recipe.tree import Entry, Node, Place, overlay, plain, printable, quoted
from creuset.recipe.wording import Site, expected, explain, section_of

__all__ = ["Families", "Recipe", "differences", "parse_recipe", "read_recipe"]

SECTIONS: Mapping[str, type[Section]] = {
    "data": DataConfig,
    "training": TrainingConfig,
    "collapse": CollapseConfig,
    "evaluation": EvaluationConfig,
}
"""The sections that are the same for each family."""

_FAMILY_SECTIONS = ("adapter", "objective")
"""The sections beside `model` whose keys are the family's."""

Families = Mapping[str, Callable[[], type[FamilyConfig]]]
"""Family name -> what imports the family and gives its `model` section."""

S = TypeVar("S", bound=Section)


def read_recipe(path: str | Path, *, settings: Settings = (), families: Families) -> Recipe:
    """The recipe in a file, or the shipped recipe of that name.

    Args:
        path: A file, or a name such as "vae-mnist".
        settings: "training.num_steps=400" texts, as `--set` takes them, or dotted keys with Python values.
        families: Family name -> what imports the family and gives its section.

    Raises:
        NotFoundError: There is no such file, and no shipped recipe of that name.
        RecipeError: Everything that is wrong with the recipe and the settings.
    """
    file = find_recipe(path)
    return _parse(read_text(file), str(file), file, settings, families)


def parse_recipe(text: str, name: str, *, settings: Settings = (), families: Families) -> Recipe:
    """The recipe in a string; `name` stands for the file in messages and origins. Raises RecipeError."""
    return _parse(text, name, None, settings, families)


def _parse(text: str, name: str, path: Path | None, settings: Settings, families: Families) -> Recipe:
    file = Path(name)

    def place(line: int, column: int) -> Place:
        return Place(file=printable(name), line=line, column=column, origin=f"{file.name}:{line}")

    written = compose(text, place)
    changes, problems = settings_tree(settings)
    problems = [*written.problems, *problems]
    root = written.root
    if (root is None or root.value is None) and not written.problems:
        problems.append(place(1, 1).problem("an empty recipe; it needs model.family and data.source"))
    elif root is not None and not isinstance(root.value, dict | None):
        problems.append(root.place.problem(f"expected keys such as model and data, got {root.shown()}"))
    if root is None or not isinstance(root.value, dict):
        raise RecipeError(problems)
    reading = _Reading(root if changes is None else overlay(root, changes), families, problems)
    return reading.recipe(file.stem, path)


class _Reading:
    """One pass over the tree of a recipe: checks all of it, and only then complains."""

    def __init__(self, root: Node, families: Families, problems: list[Problem]) -> None:
        assert isinstance(root.value, dict)
        self.entries = root.value
        self.families = families
        # A value that is already refused, for its tag say, is not blamed twice.
        self.blamed = {(problem.file, problem.line, problem.column) for problem in problems}
        self.problems = problems
        self.start = Place(file=root.place.file, line=1, column=1, origin=root.place.origin)

    def recipe(self, name: str, path: Path | None) -> Recipe:
        """The recipe, or RecipeError with everything that is wrong."""
        self._check_format()
        family = self._family()
        homes = _homes(family)
        for key, entry in self.entries.items():
            if key not in KEYS:
                hint = f"; it {homes[key]}" if key in homes else did_you_mean(key, KEYS[1:])
                self._complain(entry.place.problem(f"unknown section {quoted(key)}{hint}"))
        model = None if family is None else self._model(family, homes)
        data = self._section("data", DataConfig, homes)
        training = self._section("training", TrainingConfig, homes)
        players = self._players(homes)
        collapse = self._section("collapse", CollapseConfig, homes)
        evaluation = self._section("evaluation", EvaluationConfig, homes)
        if data is not None and training is not None:
            self._check_together(data, training, players)
        if model is not None:
            self._check_dial(model)
        if data is not None and model is not None:
            for key, why in model.refusals(data).items():
                blamed = self._written(*key.split("."))
                place = self.start if blamed is None else blamed.node.place
                self._complain(place.problem(f"{key} {why}"))
        if self.problems or model is None or data is None or training is None:
            raise RecipeError(self.problems)
        assert collapse is not None
        assert evaluation is not None
        recipe = Recipe(
            model=model,
            data=data,
            training=training,
            players=players,
            collapse=collapse,
            evaluation=evaluation,
            name=name,
            path=path,
        )
        origins, places = {}, {}
        for keys, _ in recipe.leaves():
            origins[dotted(keys)] = self._origin(keys, model)
            written = self._written(*keys)
            if written is not None:
                places[dotted(keys)] = written.node.place
        return replace(recipe, origins=origins, places=places)

    def _check_dial(self, model: FamilyConfig) -> None:
        """A dial that is turned in passing, over a recipe that writes all that it sets, turns nothing."""
        size, section = self._written("model", "size"), self._written("model")
        if size is None or section is None or not isinstance(section.node.value, dict):
            return
        written = section.node.value
        of_file = {key for key, entry in written.items() if entry.place.origin not in PASSED_BY}
        turned = size.place.origin in PASSED_BY and bool(of_file & model.size_defaults(model.size).keys())
        if turned and not model.left_to_size(written.keys()):
            problem = "model.size has no effect: the recipe writes all that it would set; set that instead"
            self._complain(size.node.place.problem(problem))

    def _complain(self, *problems: Problem) -> None:
        for problem in problems:
            if (problem.file, problem.line, problem.column) not in self.blamed:
                self.problems.append(problem)

    def _written(self, *keys: str) -> Entry | None:
        """What is written at dotted keys, if anything is."""
        entries, found = self.entries, None
        for key in keys:
            found = entries.get(key)
            if found is None:
                return None
            entries = found.node.value if isinstance(found.node.value, dict) else {}
        return found

    def _check_format(self) -> None:
        entry = self._written("format")
        if entry is None or entry.node.value == FORMAT:
            return
        version = entry.node.value
        if isinstance(version, int) and not isinstance(version, bool) and version > FORMAT:
            message = f"format {version} is newer than what this creuset reads ({FORMAT}); update creuset"
            self._complain(entry.node.place.problem(message))
        else:
            self._complain(expected("format", str(FORMAT), entry.node))

    def _family(self) -> type[FamilyConfig] | None:
        """The class of the `model` section; None, with a problem, where it cannot be told."""
        section = self._written("model")
        if section is not None and not isinstance(section.node.value, dict):
            self._complain(_not_keys("model", section.node))
            return None
        entry = self._written("model", "family")
        there = f"there is: {', '.join(self.families)}"
        if entry is None:
            place = self.start if section is None else section.place
            self._complain(place.problem(f"model.family is missing; {there}"))
        elif not isinstance(entry.node.value, str):
            self._complain(expected("model.family", "a text", entry.node))
        elif entry.node.value not in self.families:
            name = entry.node.value
            hint = did_you_mean(name, self.families)
            self._complain(entry.node.place.problem(f"unknown family {quoted(name)}{hint}"))
        else:
            return self.families[entry.node.value]()
        return None

    def _model(self, family: type[FamilyConfig], homes: Mapping[str, str]) -> FamilyConfig | None:
        """The family's section, with the sections that it has beside it as its fields."""
        entry = self._written("model")
        assert entry is not None
        assert isinstance(entry.node.value, dict)
        together = dict(entry.node.value)
        for key in _FAMILY_SECTIONS:
            beside = self._written(key)
            if key in together:
                self._complain(
                    together.pop(key).place.problem(f"{key} is a section of its own, beside model")
                )
            elif beside is None:
                continue
            elif key not in family.own_sections:
                self._complain(
                    beside.place.problem(f"the family {_name_of(together)} has no {key} to choose")
                )
            elif not isinstance(beside.node.value, dict):
                self._complain(_not_keys(key, beside.node))
                return None
            else:
                together[key] = beside
        return self._checked("model", replace(entry, node=replace(entry.node, value=together)), family, homes)

    def _section(self, name: str, model: type[S], homes: Mapping[str, str]) -> S | None:
        entry = self._written(*name.split("."))
        if entry is None:
            entry = Entry(place=self.start, node=Node(place=self.start, value={}))
        if not isinstance(entry.node.value, dict):
            self._complain(_not_keys(name, entry.node))
            return None
        return self._checked(name, entry, model, homes)

    def _checked(self, name: str, entry: Entry, model: type[S], homes: Mapping[str, str]) -> S | None:
        """A section of which keys are written; None, with problems, where something is wrong with them."""
        try:
            return model.model_validate(plain(entry.node))
        except ValidationError as error:
            site = Site(model=model, node=entry.node, path=name, place=entry.place, homes=homes)
            self._complain(*explain(error, site))
            return None

    def _players(self, homes: Mapping[str, str]) -> dict[str, PlayerConfig]:
        entry = self._written("players")
        if entry is None:
            return {}
        if not isinstance(entry.node.value, dict):
            self._complain(_not_keys("players", entry.node))
            return {}
        players = {}
        for name, player in entry.node.value.items():
            if "." in name:
                self._complain(player.place.problem(f"a player's name has no dot, got {quoted(name)}"))
            elif (config := self._section(f"players.{name}", PlayerConfig, homes)) is not None:
                players[name] = config
        return players

    def _check_together(
        self, data: DataConfig, training: TrainingConfig, players: Mapping[str, PlayerConfig]
    ) -> None:
        """What no section can check alone."""
        if training.accumulate > data.batch_size:
            blamed = self._written("training", "accumulate") or self._written("data", "batch_size")
            assert blamed is not None
            self._complain(
                blamed.node.place.problem(
                    f"training.accumulate must be at most data.batch_size ({data.batch_size}), "
                    f"got {training.accumulate}"
                )
            )
        for name, player in players.items():
            entry = self._written("players", name, "betas")
            if training.optimizer == "sgd" and player.betas is not None and entry is not None:
                message = f"players.{name}.betas have no effect on sgd; leave the key out"
                self._complain(entry.node.place.problem(message))

    def _origin(self, keys: tuple[str, ...], model: FamilyConfig) -> str:
        entry = self._written(*keys)
        if entry is not None:
            return entry.place.origin
        section, key, *_ = keys
        if section == "model" and self._written(section, key) is None:
            return f"size {model.size}" if key in model.size_defaults(model.size) else "default"
        return "default"


def _name_of(section: Mapping[str, Entry]) -> str:
    return str(section["family"].node.value)


def _not_keys(name: str, node: Node) -> Problem:
    hint = "; write its keys below it, or leave it out" if node.value is None else ""
    return node.place.problem(f"{name}: expected keys, got {node.shown()}{hint}")


def _homes(family: type[FamilyConfig] | None) -> dict[str, str]:
    """For each key of a recipe, where it belongs."""
    homes: dict[str, str] = {}
    sections = {**SECTIONS} if family is None else {**SECTIONS, "model": family}
    for name, section in sections.items():
        for key, information in section.recipe_keys().items():
            homes.setdefault(key, f"belongs under {name}")
            inner = section_of(information.annotation)
            for inner_key in () if inner is None else inner.recipe_keys():
                homes.setdefault(inner_key, f"belongs under {name}.{key}")
    beside = {} if family is None else {name: family.model_fields[name] for name in family.own_sections}
    for name, field in beside.items():
        inner = section_of(field.annotation)
        for key in () if inner is None else inner.recipe_keys():
            homes.setdefault(key, f"belongs under {name}")
    return {**homes, **dict.fromkeys(KEYS[1:], "is a section of its own")}
