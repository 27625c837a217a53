"""`creuset config`: where a recipe's values come from, what is wrong with it, and its JSON Schema."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path

import click

from creuset.cli.console import emit_json, json_option, next_step, note, say, table
from creuset.errors import CreusetError, Problem, RecipeError


@click.group("config", help="Show where a recipe's values come from; check it; print its JSON Schema.")
def command() -> None:
    pass


@command.command("show", short_help="Each value of a recipe, and where it came from.")
@click.argument("recipe")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value; repeatable.")
@json_option
def show(recipe: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Each value of RECIPE, a file or a shipped recipe's name, and where it came from."""
    from creuset.models import family_configs
    from creuset.recipe.render import flow
    from creuset.recipe.resolve import read_recipe

    resolved = read_recipe(recipe, settings=settings, families=family_configs())
    values = resolved.values()
    if as_json:
        rows = [
            {"key": key, "value": value, "origin": resolved.origins[key]} for key, value in values.items()
        ]
        emit_json({"recipe": str(resolved.path), "values": rows})
        return
    say(
        table(
            ("key", "value", "origin"),
            [(key, flow(value), resolved.origins[key]) for key, value in values.items()],
        )
    )
    overrides = [word for setting in settings for word in ("--set", setting)]
    next_step(shlex.join(["creuset", "train", recipe, *overrides]))


@command.command("check", short_help="Everything that is wrong with recipes.")
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...")
@json_option
def check(recipes: tuple[str, ...], as_json: bool) -> None:
    """Everything that is wrong with each RECIPE, as file:line:column; exit code 2 if anything is.

    What hangs on the data is seen by `creuset train RECIPE --dry-run`.
    """
    from creuset.models import family, family_configs
    from creuset.recipe.resolve import read_recipe
    from creuset.workflows.plan import check_effects

    families = family_configs()
    results: list[tuple[str, tuple[Problem, ...]]] = []
    unread: list[CreusetError] = []
    for recipe in recipes:
        try:
            resolved = read_recipe(recipe, families=families)
            check_effects(resolved, family(resolved.model.family))
            results.append((recipe, ()))
        except RecipeError as error:
            results.append((recipe, error.problems))
        except CreusetError as error:
            unread.append(error)
    if as_json:
        rows = [
            {"recipe": recipe, "problems": [_placed(problem) for problem in problems]}
            for recipe, problems in results
        ]
        emit_json({"recipes": rows})
    else:
        for recipe, problems in results:
            say("\n".join(map(str, problems)) if problems else f"{recipe}: nothing wrong")
    for failure in unread:
        note(f"creuset: {failure}")
    if any(problems for _, problems in results):
        raise SystemExit(RecipeError.exit_code)
    if unread:
        raise SystemExit(unread[0].exit_code)
    next_step(shlex.join(["creuset", "train", recipes[0]]))


@command.command("schema", short_help="The JSON Schema of recipes, for editors.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
def schema(out: Path | None) -> None:
    """The JSON Schema of recipes, with which editors complete and check them."""
    from creuset.files import write_atomic
    from creuset.models import family_configs
    from creuset.recipe.schema import json_schema

    document = json_schema(family_configs())
    if out is None:
        emit_json(document)
        return
    write_atomic(out, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    say(str(out))
    next_step(f'begin a recipe with "# yaml-language-server: $schema={out}"')


def _placed(problem: Problem) -> dict[str, object]:
    """A problem with its place, for programs."""
    return {name: value for name, value in asdict(problem).items() if name != "shown"}
