"""The JSON Schema accepts what the reader accepts, and refuses what it refuses."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from creuset.recipe.composer import compose
from creuset.recipe.resolve import Families, parse_recipe
from creuset.recipe.schema import json_schema
from creuset.recipe.tree import Place, plain

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "wrong_recipes.yaml").read_text())

BEYOND_A_SCHEMA = {
    "fraction for a whole number",  # 1e3 is the whole number 1000 to JSON Schema
    "not a number",  # JSON has no NaN and no infinity
    "infinite by its exponent",
    "columns of sound that do not overlap",  # likewise
    "no share left for training",  # several fields together
    "setting without effect",
    "betas of plain descent",
    "more parts than samples",
    "a vocabulary of bytes",
    "texts and their classes in one column",
    "texts that are to be pictures",
    "texts that are to be turned",
}


def as_json(text: str) -> Any:
    """The document as an editor's YAML 1.2 reader gives it to the schema; None where it cannot."""
    written = compose(text, lambda line, column: Place(file="f", line=line, column=column, origin=""))
    if written.problems or written.root is None:
        return None
    return json.loads(json.dumps(plain(written.root)))


@pytest.fixture(scope="module")
def validator(families: Families) -> jsonschema.Draft202012Validator:
    schema = json_schema(families)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    "text",
    [
        "model: {family: vae}\ndata: {source: digits}",
        "format: 1\nmodel: {family: vae, size: tiny, hidden: [3], block: {width: 2}}\ndata: {source: no}",
        "model: {family: linear, penalty: 2}\ndata: {source: a, image_size: [8, 8], limit: null}",
        "model: {family: vae, hidden: auto, free_nats: 1e-1}\ndata: {source: a}\ntraining: {betas: [0, 0.5]}",
        "model: {family: vae}\ndata: {source: a}\nplayers: {critic: {num_steps: 5}}\nevaluation: {}",
    ],
)
def test_right_recipes_are_valid(
    text: str, validator: jsonschema.Draft202012Validator, families: Families
) -> None:
    recipe = parse_recipe(text, "a.yaml", families=families)
    assert list(validator.iter_errors(as_json(text))) == []
    assert list(validator.iter_errors(as_json(recipe.to_yaml()))) == []


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_wrong_recipes_are_invalid(case: dict[str, Any], validator: jsonschema.Draft202012Validator) -> None:
    document = as_json(case["recipe"])
    if case["name"] in BEYOND_A_SCHEMA:
        return
    if document is not None and "settings" not in case:
        assert not validator.is_valid(document)


def test_an_error_speaks_of_the_named_family_only(validator: jsonschema.Draft202012Validator) -> None:
    wrong = {"model": {"family": "vae", "penalty": 1}, "data": {"source": "a"}}
    (error,) = validator.iter_errors(wrong)
    assert "'penalty' was unexpected" in error.message


def test_fields_carry_their_documentation(families: Families) -> None:
    definitions = json_schema(families)["$defs"]
    vae, linear = definitions["VAEConfig"], definitions["LinearConfig"]
    assert vae["properties"]["latent_dim"] == {
        "description": "Dimensions of the code. Set by size: tiny 2, small 16.",
        "minimum": 1,
        "type": "integer",
    }
    assert vae["properties"]["family"]["const"] == "vae"
    assert vae["properties"]["size"]["enum"] == ["tiny", "small"]
    assert vae["properties"]["beta"]["default"] == 1.0
    assert vae["additionalProperties"] is False
    assert "size" not in linear["properties"]
    assert definitions["TrainingConfig"]["properties"]["optimizer"]["enum"] == ["adam", "adamw", "sgd"]
