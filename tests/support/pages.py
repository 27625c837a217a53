"""What is made from the code for docs/: cli.md, recipe.md, bad_input.md, the pictures of masks, and the
README's outputs.

`make pages` writes them; tests/docs checks that they are current.
"""

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
import yaml

from command_line import help_pages, run_command
from creuset.device import machine_facts
from creuset.models import family_configs
from creuset.recipe.schema import json_schema
from mask_pictures import MASK_PICTURES, mask_picture
from source_tree import ROOT

README = ROOT / "README.md"
WRONG_RECIPES = ROOT / "tests" / "recipe" / "wrong_recipes.yaml"
WRONG_INPUTS = ROOT / "tests" / "bad_input" / "wrong_inputs.yaml"
_MADE = "<!-- Made by `make pages`; a test checks that it is current. -->\n"


# -- the command line


def cli_page() -> str:
    """Every verb with its arguments and options, from the commands themselves."""
    text = f"# Command line\n\n{_MADE}\n"
    text += (
        "Results go to stdout, progress and errors to stderr. Each verb ends with the next useful command.\n"
    )
    for words, command in help_pages().items():
        if not words:
            continue
        context = click.Context(command, info_name=f"creuset {words}".strip())
        usage = " ".join(command.collect_usage_pieces(context))
        text += f"\n{'##' if ' ' not in words else '###'} creuset {words}\n\n"
        text += f"    creuset {words} {usage}\n\n{_paragraphs(command.help or '')}\n"
        options = [option for option in command.params if isinstance(option, click.Option)]
        if options:
            text += "\n| option | meaning |\n|---|---|\n" + "".join(map(_option_row, options))
    return text


def _paragraphs(text: str) -> str:
    """A help text with each paragraph on one line, as Markdown wants it."""
    blocks = [" ".join(block.split()) for block in text.strip().split("\n\n")]
    return "\n\n".join(blocks)


def _option_row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if not option.is_flag:
        names += f" {_metavar(option)}"
    default = option.default
    shown = f" Default: {default}." if option.show_default and default is not None else ""
    required = " Required." if option.required else ""
    repeated = " May be given several times." if option.multiple else ""
    return f"| {names} | {_cell((option.help or '') + shown + required + repeated)} |\n"


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return f"({', '.join(option.type.choices)})"
    if isinstance(option.type, click.IntRange | click.FloatRange):
        return "NUMBER"
    return option.metavar or option.type.name.upper()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# -- recipes


def recipe_page() -> str:
    """Every key of a recipe with its type, range, default and meaning, from the JSON Schema."""
    schema = json_schema(family_configs())
    definitions = schema["$defs"]
    text = f"# Recipes\n\n{_MADE}\n"
    text += (
        "A recipe says what is trained, on what, and how. Keys that are left out have their defaults; "
        "`creuset config show RECIPE` prints every value and where it came from, `--set KEY=VALUE` overrides "
        "one, and `creuset config schema` prints the JSON Schema with which editors complete and check "
        "recipes.\n"
    )
    for branch in schema["properties"]["model"]["allOf"]:
        name = branch["if"]["properties"]["family"]["const"]
        section = definitions[branch["then"]["$ref"].rpartition("/")[2]]
        text += _section(f"model, for family: {name}", section, definitions)
    for key, value in schema["properties"].items():
        if "$ref" in value:
            text += _section(key, definitions[value["$ref"].rpartition("/")[2]], definitions)
        elif "anyOf" in value:  # a section that only some families have, each its own
            for part in value["anyOf"]:
                text += _section(key, definitions[part["$ref"].rpartition("/")[2]], definitions)
        elif key == "players":
            inner = definitions[value["additionalProperties"]["$ref"].rpartition("/")[2]]
            text += _section("players.NAME", inner, definitions)
    return text


def _section(title: str, section: dict[str, Any], definitions: dict[str, Any]) -> str:
    text = f"\n## {title}\n\n{section.get('description', '')}\n\n"
    text += "| key | value | default | meaning |\n|---|---|---|---|\n"
    later = ""
    for key, field in section["properties"].items():
        reference = field.get("$ref") or next(
            (part["$ref"] for part in field.get("allOf", []) if "$ref" in part), None
        )
        if reference is not None:
            later += _section(f"{title}.{key}", definitions[reference.rpartition("/")[2]], definitions)
            text += f"| `{key}` | keys | | {_cell(field.get('description', ''))} |\n"
            continue
        required = key in section.get("required", ())
        default = "required" if required else _plain(field["default"]) if "default" in field else "by size"
        text += f"| `{key}` | {_type(field)} | {default} | {_cell(field.get('description', ''))} |\n"
    return text + later


def _type(field: dict[str, Any]) -> str:
    """`a whole number, at least 1`: what a key may hold."""
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        parts = sorted(field["anyOf"], key=lambda part: part.get("type") != "null")
        return " or ".join(_type(part) for part in parts)
    kinds = {
        "integer": "a whole number",
        "number": "a number",
        "string": "a text",
        "boolean": "true or false",
    }
    if field["type"] == "null":
        return "null"
    if field["type"] == "array":
        items = field.get("prefixItems")
        if items:
            return f"[{', '.join(_type(item) for item in items)}]"
        return f"a list, each {_type(field['items'])}"
    if field["type"] == "object":
        return f"keys, each {_type(field['additionalProperties'])}"
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    told = [f"{words} {_plain(field[name])}" for name, words in limits.items() if name in field]
    return ", ".join([kinds[field["type"]], *told])


def _plain(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]  # type: ignore[index]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


# -- bad input


def bad_input_page() -> str:
    """What is said to each wrong recipe and input of the tests."""
    recipes = yaml.safe_load(WRONG_RECIPES.read_text())
    inputs = yaml.safe_load(WRONG_INPUTS.read_text())
    text = f"# Bad input\n\n{_MADE}\n"
    text += (
        f"{len(recipes)} wrong recipes and {len(inputs)} other wrong inputs, with the message that each one "
        "gets, word for word. A message says where, what was got, what was expected and what to do next; no "
        "traceback is shown, and nothing is started or lost. Exit codes: 1 failed while working, 2 usage or "
        "configuration, 3 not found, 4 a gate said no, 5 out of memory or disk, 6 blocked.\n"
    )
    text += "\n## Inputs\n"
    for case in inputs:
        text += f"\n### {case['name']}\n\n{case['given']}\n\n"
        text += f"```console\n$ creuset {case['command']}\n{case['message']}\n```\n"
        text += f"\nExit code {case['exit_code']}.\n"
    text += (
        "\n## Recipes\n\nExit code 2 each. The file is called recipe.yaml; linear and vae are small families "
    )
    text += "of the tests' own.\n"
    for case in recipes:
        text += f"\n### {case['name']}\n\n```yaml\n{case['recipe'].rstrip()}\n```\n"
        settings = case.get("settings", ())
        if settings:
            shown = (
                settings
                if isinstance(settings, list)
                else [f"{key}={value}" for key, value in settings.items()]
            )
            text += "\nwith " + ", ".join(f"`--set {setting}`" for setting in shown) + "\n"
        text += f"\n```text\n{case['message']}\n```\n"
    return text


# -- the README

_CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
_MADE_ON = re.compile(r"^Made on: (.*)\.$", re.MULTILINE)


def readme_commands(text: str) -> list[tuple[str, str]]:
    """Each command of the README's console blocks with the output that stands below it."""
    found: list[tuple[str, str]] = []
    for block in _CONSOLE.findall(text):
        for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = piece.partition("\n")
            found.append((command, output.rstrip("\n")))
    return found


@contextmanager
def fresh_workspace() -> Iterator[Path]:
    """A folder of its own as current folder, workspace and home; offline."""
    before, environment = Path.cwd(), dict(os.environ)
    folder = Path(tempfile.mkdtemp()).resolve()
    os.environ.pop("CREUSET_WORKSPACE", None)
    os.environ.update(CREUSET_HOME=str(folder / ".home"), CREUSET_OFFLINE="1")
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)
        shutil.rmtree(folder)


def readme_outputs(text: str) -> list[tuple[str, str]]:
    """Each command of the README with what it prints, run one after another in one fresh workspace."""
    outputs = []
    with fresh_workspace() as folder:
        for command, _ in readme_commands(text):
            words = shlex.split(command)
            assert words[0] == "creuset", command
            answer = run_command(words[1:])
            assert answer.exit_code == 0, f"{command}\n{answer.stderr}"
            outputs.append((command, answer.terminal.replace(f"{folder}/", "").rstrip("\n")))
    return outputs


def readme_machine(text: str) -> str:
    """What the README says its outputs were made on."""
    (found,) = _MADE_ON.findall(text)
    return str(found)


def this_machine() -> str:
    """What decides the last digits of a training here."""
    facts = machine_facts()
    processor = f"{facts['processor']} ({torch.backends.cpu.get_cpu_capability()}), {facts['system']}"
    libraries = f"torch {facts['torch']}, NumPy {facts['numpy']}"
    return f"{processor}, {libraries}, threads: {facts['threads']}"


def readme_page() -> str:
    """The README with the outputs of its commands as they are now, and what they were made on."""
    text = _MADE_ON.sub(lambda _: f"Made on: {this_machine()}.", README.read_text())
    outputs = iter(readme_outputs(text))

    def block(found: re.Match[str]) -> str:
        commands = readme_commands(found[0])
        pairs = [next(outputs) for _ in commands]
        return "```console\n" + "".join(f"$ {command}\n{output}\n" for command, output in pairs) + "```"

    return _CONSOLE.sub(block, text)


PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "docs" / "cli.md": cli_page,
    ROOT / "docs" / "recipe.md": recipe_page,
    ROOT / "docs" / "bad_input.md": bad_input_page,
    **{
        ROOT / "docs" / "pictures" / f"{name}.svg": partial(mask_picture, picture)
        for name, picture in MASK_PICTURES.items()
    },
    README: readme_page,
}


def main() -> None:
    for path, make in PAGES.items():
        path.write_text(make())


if __name__ == "__main__":
    main()
