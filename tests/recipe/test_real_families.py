"""Each family's section as a recipe: every size resolves, is written, read again and valid to the schema."""

import json

import jsonschema
import pytest

from creuset.models import family_configs, family_names
from creuset.recipe.resolve import parse_recipe
from creuset.recipe.schema import json_schema

NEEDED = {name: {"base": "some-model"} for name in family_names() if name.startswith("tuned")}
"""What a family does not go without."""


@pytest.mark.parametrize("family", family_names())
def test_each_size_of_a_family_resolves_and_reads_back(family: str) -> None:
    families = family_configs()
    config = families[family]()
    for size in config.sizes or (None,):
        settings = {} if size is None else {"model.size": size}
        settings |= {f"model.{key}": value for key, value in NEEDED.get(family, {}).items()}
        text = f"model:\n  family: {family}\ndata:\n  source: digits\n"
        recipe = parse_recipe(text, "a.yaml", settings=settings, families=families)
        for key, value in config.size_defaults(size).items():
            assert recipe.values()[f"model.{key}"] == value
            assert recipe.origins[f"model.{key}"] == f"size {size}"
        assert parse_recipe(recipe.to_yaml(), "recipe.yaml", families=families) == recipe


@pytest.mark.parametrize("family", family_names())
def test_each_field_of_a_family_is_described(family: str) -> None:
    for key, field in family_configs()[family]().model_fields.items():
        assert field.description, f"{family}.{key}"


def test_the_schema_of_all_families_is_a_schema() -> None:
    schema = json_schema(family_configs())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert schema["properties"]["model"]["properties"]["family"]["enum"] == list(family_names())
    document = {"model": {"family": "vae", "size": "tiny"}, "data": {"source": "digits"}}
    jsonschema.Draft202012Validator(schema).validate(document)
