"""creuset config show, check and schema, with two families of the test's own."""

import json
from pathlib import Path
from typing import ClassVar

import jsonschema
import pytest
from click.testing import CliRunner
from pydantic import Field

import creuset.models
from creuset.cli.config import command
from creuset.errors import NotFoundError, RecipeError
from creuset.recipe.sections import FamilyConfig


class VAEConfig(FamilyConfig):
    """A family with a dial."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {"tiny": {"latent_dim": 2}, "small": {"latent_dim": 16}}
    latent_dim: int = Field(1, ge=1, description="Dimensions of the code.")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(creuset.models, "family_configs", lambda: {"vae": lambda: VAEConfig})
    monkeypatch.chdir(tmp_path)
    file = Path("my-vae.yaml")
    file.write_text("model:\n  family: vae\ndata:\n  source: digits\n")
    return file


def test_show_aligns_keys_values_and_origins(recipe: Path) -> None:
    result = CliRunner().invoke(command, ["show", str(recipe), "--set", "training.betas=[0.5, 0.9]"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    rows = {line.split()[0]: line.split("  ") for line in lines}
    column = lines[0].index("origin")
    origins = {line.split()[0]: line[column:] for line in lines[1:]}
    assert rows["model.latent_dim"][0] == "model.latent_dim"
    assert origins["model.family"] == "my-vae.yaml:2"
    assert origins["model.latent_dim"] == "size small"
    assert origins["training.betas"] == "--set"
    assert origins["training.seed"] == "default"
    assert "[0.5, 0.9]" in next(line for line in lines if line.startswith("training.betas"))
    assert result.stderr == "next: creuset train my-vae.yaml --set 'training.betas=[0.5, 0.9]'\n"


def test_show_as_json(recipe: Path) -> None:
    result = CliRunner().invoke(command, ["show", str(recipe), "--set", "model.size=tiny", "--json"])
    document = json.loads(result.stdout)
    assert document["recipe"] == "my-vae.yaml"
    rows = {row["key"]: row for row in document["values"]}
    assert rows["model.latent_dim"] == {"key": "model.latent_dim", "value": 2, "origin": "size tiny"}
    assert rows["training.betas"]["value"] == [0.9, 0.999]
    assert rows["training.clip_norm"]["value"] is None


def test_show_refuses_a_wrong_recipe(recipe: Path) -> None:
    result = CliRunner().invoke(command, ["show", str(recipe), "--set", "model.latent_dim=0"])
    assert isinstance(result.exception, RecipeError)
    assert (
        str(result.exception) == "--set model.latent_dim=0:1:18: model.latent_dim must be at least 1, got 0"
    )
    missing = CliRunner().invoke(command, ["show", "my-vea.yaml"])
    assert isinstance(missing.exception, NotFoundError)


def test_check_says_all_that_is_wrong_with_each(recipe: Path) -> None:
    wrong = Path("wrong.yaml")
    wrong.write_text("model:\n  family: vea\ndata:\n  source: 3\n")
    result = CliRunner().invoke(command, ["check", str(recipe), str(wrong), "absent.yaml"])
    assert result.exit_code == 2
    assert result.stdout.splitlines() == [
        "my-vae.yaml: nothing wrong",
        'wrong.yaml:2:11: unknown family "vea"; did you mean "vae"?',
        'wrong.yaml:4:11: data.source: expected a text, got 3; in quotes it is a text: "3"',
    ]
    assert "no recipe absent.yaml" in result.stderr


def test_check_exit_codes_and_json(recipe: Path) -> None:
    assert CliRunner().invoke(command, ["check", str(recipe)]).exit_code == 0
    assert CliRunner().invoke(command, ["check", str(recipe), "absent.yaml"]).exit_code == 3
    Path("wrong.yaml").write_text("model: 3\ndata: {source: digits}\n")
    result = CliRunner().invoke(command, ["check", "wrong.yaml", str(recipe), "--json"])
    assert result.exit_code == 2
    problem = {"file": "wrong.yaml", "line": 1, "column": 8, "message": "model: expected keys, got 3"}
    assert json.loads(result.stdout) == {
        "recipes": [
            {"recipe": "wrong.yaml", "problems": [problem]},
            {"recipe": "my-vae.yaml", "problems": []},
        ]
    }


def test_schema_is_printed_or_written(recipe: Path) -> None:
    printed = json.loads(CliRunner().invoke(command, ["schema"]).stdout)
    jsonschema.Draft202012Validator.check_schema(printed)
    result = CliRunner().invoke(command, ["schema", "--out", "recipe.schema.json"])
    assert result.stdout == "recipe.schema.json\n"
    assert json.loads(Path("recipe.schema.json").read_text()) == printed
    assert "yaml-language-server: $schema=recipe.schema.json" in result.stderr


def test_check_finds_settings_without_effect(tmp_path: Path) -> None:
    recipe = tmp_path / "linear.yaml"
    recipe.write_text(
        "model: {family: linear}\ndata: {source: digits, batch_size: 7}\ntraining: {num_steps: 5}\n"
    )
    result = CliRunner().invoke(command, ["check", str(recipe)])
    assert result.exit_code == 2
    assert "data.batch_size has no effect" in result.stdout
    assert "training.num_steps has no effect" in result.stdout
