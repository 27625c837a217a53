"""The JSON Schema (2020-12) of a whole recipe, so that editors complete and check it while it is written."""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from creuset.recipe.render import flow
from creuset.recipe.resolve import SECTIONS, Families
from creuset.recipe.resolved import FORMAT
from creuset.recipe.section import Section
from creuset.recipe.sections import FamilyConfig, PlayerConfig
from creuset.recipe.wording import section_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODE: JsonSchemaMode = "validation"

Schema = dict[str, Any]


def json_schema(families: Families) -> Schema:
    """The schema of a recipe; which keys `model` may have follows from its `family`.

    Args:
        families: Family name -> what imports the family and gives its section; all of them are imported.
    """
    configs = {name: families[name]() for name in families}
    beside = _beside(configs)
    sections: list[type[Section]] = [*configs.values(), *SECTIONS.values(), PlayerConfig]
    sections += [section for found in beside.values() for section in found]
    references, together = models_json_schema(
        [(section, _MODE) for section in sections], schema_generator=_Untitled
    )
    definitions: Schema = {name: _summary(schema) for name, schema in together["$defs"].items()}
    for name, config in configs.items():
        key = references[config, _MODE]["$ref"].rpartition("/")[2]
        definitions[key] = _family_schema(name, config, definitions[key])
    properties: Schema = {
        "format": {"const": FORMAT, "description": "The version of the recipe; may be left out."},
        "model": _model_schema({name: references[config, _MODE] for name, config in configs.items()}),
        **{
            name: {"anyOf": [references[section, _MODE] for section in found]}
            for name, found in beside.items()
        },
        **{name: references[section, _MODE] for name, section in SECTIONS.items()},
        "players": {
            "type": "object",
            "description": "What single players' optimizers do otherwise than training says, by player.",
            "additionalProperties": references[PlayerConfig, _MODE],
        },
    }
    return {
        "$schema": _DIALECT,
        "title": "creuset recipe",
        "description": "What is trained, on what, and how.",
        "type": "object",
        "properties": properties,
        "required": ["model", "data"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _beside(configs: Mapping[str, type[FamilyConfig]]) -> dict[str, list[type[Section]]]:
    """The sections that families have beside `model`, by their names."""
    found: dict[str, list[type[Section]]] = {}
    for config in configs.values():
        for name in config.own_sections:
            section = section_of(config.model_fields[name].annotation)
            assert section is not None
            found.setdefault(name, []).append(section)
    return found


class _Untitled(GenerateJsonSchema):
    """Without the titles that only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def _model_schema(references: Mapping[str, Schema]) -> Schema:
    """`if family is X then X's keys`: an editor then speaks of that family's keys only, unlike with oneOf."""
    return {
        "type": "object",
        "description": "The model family and its fields.",
        "properties": {"family": {"enum": list(references), "description": "The model family."}},
        "required": ["family"],
        "allOf": [
            {"if": {"properties": {"family": {"const": name}}, "required": ["family"]}, "then": reference}
            for name, reference in references.items()
        ],
    }


def _summary(schema: Schema) -> Schema:
    """The schema of a section with the first paragraph of its docstring as description, and no title."""
    paragraph = schema.get("description", "").split("\n\n")[0].replace("\n", " ")
    kept = {key: value for key, value in schema.items() if key not in ("title", "description")}
    return {"description": paragraph, **kept} if paragraph else kept


def _family_schema(name: str, config: type[FamilyConfig], schema: Schema) -> Schema:
    """A family's section: its own name, the sizes that it has, and what they set."""
    properties = {key: dict(schema["properties"][key]) for key in config.recipe_keys()}
    properties["family"] = {**properties["family"], "const": name}
    properties["family"].pop("default", None)
    if "size" in properties:
        properties["size"]["enum"] = list(config.sizes)
    for key in config.size_defaults(None):
        told = ", ".join(f"{size} {flow(fields[key])}" for size, fields in config.sizes.items())
        described = properties[key].get("description", "")
        properties[key]["description"] = f"{described} Set by size: {told}.".strip()
        properties[key].pop("default", None)
    return {**schema, "properties": properties, "required": sorted({*schema.get("required", []), "family"})}
