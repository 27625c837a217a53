"""Where values come from, what the resolved recipe keeps, and that no text can do worse than be refused."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from creuset.errors import CreusetError, NotFoundError, RecipeError
from creuset.recipe.resolve import Families, Recipe, differences, parse_recipe, read_recipe
from creuset.recipe.sections import FamilyConfig

BASE = "model:\n  family: vae\ndata:\n  source: digits\n"

RECIPE = """\
model:
  family: vae
  size: tiny
  beta: 5e-1
  block: {width: 4}
data:
  source: no
training:
  num_steps: 4000
  betas:
    - 0.5
    - 0.9
players:
  model:
    learning_rate: 1e-4
"""


def test_each_value_says_where_it_came_from(families: Families) -> None:
    recipe = parse_recipe(
        RECIPE, "recipes/a.yaml", settings=["training.num_steps=400", "model.note=x"], families=families
    )
    values = recipe.values()
    known = {
        "model.family": ("vae", "a.yaml:2"),
        "model.size": ("tiny", "a.yaml:3"),
        "model.latent_dim": (2, "size tiny"),
        "model.channels": ((8, 16), "size tiny"),
        "model.beta": (0.5, "a.yaml:4"),
        "model.free_nats": (None, "default"),
        "model.note": ("x", "--set"),
        "model.block.width": (4, "a.yaml:5"),
        "model.block.activation": ("relu", "default"),
        "data.source": ("no", "a.yaml:7"),
        "data.augmentation.shift": (0, "default"),
        "training.num_steps": (400, "--set"),
        "training.betas": ((0.5, 0.9), "a.yaml:10"),
        "players.model.learning_rate": (1e-4, "a.yaml:15"),
        "players.model.num_steps": (1, "default"),
        "evaluation.num_importance_samples": (None, "default"),
    }
    assert {key: (values[key], recipe.origins[key]) for key in known} == known
    assert recipe.origins.keys() == values.keys()
    assert recipe.name == "a"


def test_the_dial_wins_over_defaults_and_loses_to_the_file_and_to_settings(families: Families) -> None:
    def latent_dim(text: str, *given: str) -> tuple[object, str]:
        recipe = parse_recipe(text, "a.yaml", settings=given, families=families)
        return recipe.values()["model.latent_dim"], recipe.origins["model.latent_dim"]

    written = BASE.replace("data:", "  latent_dim: 5\ndata:")
    assert latent_dim(BASE) == (16, "size small")
    assert latent_dim(BASE, "model.size=tiny") == (2, "size tiny")
    assert latent_dim(written, "model.size=tiny") == (5, "a.yaml:3")
    assert latent_dim(written, "model.size=tiny", "model.latent_dim=7") == (7, "--set")


def test_no_field_of_the_dial_stays_at_its_class_default(families: Families) -> None:
    config = families["vae"]()
    for size, fields in config.sizes.items():
        recipe = parse_recipe(BASE, "a.yaml", settings=[f"model.size={size}"], families=families)
        for key, value in fields.items():
            assert recipe.values()[f"model.{key}"] == value
            assert value != config.model_fields[key].default


def test_a_family_without_a_dial_has_no_size_in_its_recipe(families: Families) -> None:
    recipe = parse_recipe(BASE.replace("vae", "linear"), "a.yaml", families=families)
    assert "model.size" not in recipe.values()
    assert parse_recipe(recipe.to_yaml(), "b.yaml", families=families) == recipe


def test_whole_numbers_serve_as_numbers_and_lists_become_tuples(families: Families) -> None:
    given = ["model.beta=2", "model.hidden=[3, 4]", "data.image_size=[8, 8]"]
    values = parse_recipe(BASE, "a.yaml", settings=given, families=families).values()
    assert isinstance(values["model.beta"], float)
    assert values["model.hidden"] == (3, 4)
    assert values["data.image_size"] == (8, 8)


def test_a_setting_serves_where_the_file_left_a_section_empty(families: Families) -> None:
    recipe = parse_recipe(BASE + "training:\n", "a.yaml", settings=["training.seed=3"], families=families)
    assert recipe.training.seed == 3


def test_the_resolved_recipe_spells_out_every_key(families: Families) -> None:
    recipe = parse_recipe(RECIPE, "recipes/a.yaml", settings={"training.seed": 7}, families=families)
    text = recipe.to_yaml()
    lines = text.splitlines()
    assert lines[1] == "format: 1"
    assert "  latent_dim: 2                           # size tiny" in lines
    assert "  betas: [0.5, 0.9]                       # a.yaml:10" in lines
    assert "  source: no                              # a.yaml:7" in lines
    assert "  seed: 7                                 # settings" in lines
    assert "    activation: relu                      # default" in lines
    assert sum("  # " in line for line in lines) == len(recipe.values())
    again = parse_recipe(text, "runs/1/recipe.yaml", families=families)
    assert again == recipe
    assert set(again.origins.values()) == {
        f"recipe.yaml:{number}" for number, line in enumerate(lines, 1) if "  # " in line
    }


def test_equal_recipes_give_equal_bytes(families: Families) -> None:
    players = "players:\n  {}: {{num_steps: 2}}\n  {}: {{num_steps: 2}}\n"
    one = parse_recipe(BASE + players.format("critic", "generator"), "a.yaml", families=families)
    two = parse_recipe(BASE + players.format("generator", "critic"), "a.yaml", families=families)
    assert one == two

    def without_origins(recipe: Recipe) -> list[str]:
        return [line.partition("  # ")[0] for line in recipe.to_yaml().splitlines()]

    assert without_origins(one) == without_origins(two)


def test_differences_name_the_keys(families: Families) -> None:
    first = parse_recipe(BASE, "a.yaml", families=families)
    second = parse_recipe(
        RECIPE, "b.yaml", settings=["model.size=small", "data.source=digits"], families=families
    )
    assert differences(first, first) == []
    assert differences(first, second) == [
        "model.beta",
        "model.block.width",
        "training.num_steps",
        "training.betas",
        "players.model.learning_rate",
        "players.model.betas",
        "players.model.num_steps",
    ]
    linear = parse_recipe(BASE.replace("vae", "linear"), "c.yaml", families=families)
    assert {"model.family", "model.penalty", "model.beta"} < set(differences(first, linear))


def test_only_the_named_family_is_imported(families: Families) -> None:
    def forbidden() -> type[FamilyConfig]:
        raise AssertionError("imported")

    recipe = parse_recipe(BASE, "a.yaml", families={**families, "gan": forbidden})
    assert recipe.model.family == "vae"


def test_a_recipe_is_read_from_a_file(families: Families, tmp_path: Path) -> None:
    file = tmp_path / "my-vae.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    recipe = read_recipe(file, families=families)
    assert (recipe.name, recipe.path) == ("my-vae", file)
    assert recipe.origins["data.source"] == "my-vae.yaml:4"
    with pytest.raises(NotFoundError, match=r'did you mean ".*my-vae\.yaml"'):
        read_recipe(tmp_path / "my-vea.yaml", families=families)


def test_problems_name_the_file_as_it_was_given(families: Families, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(BASE + "sed: 1\n")
    with pytest.raises(RecipeError) as caught:
        read_recipe(str(file), families=families)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (str(file), 5, 1)


def test_a_strange_file_name_stays_on_its_line(families: Families) -> None:
    recipe = parse_recipe(BASE, "a\nmodel: 5.yaml", families=families)
    assert parse_recipe(recipe.to_yaml(), "b.yaml", families=families) == recipe


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(
    [
        "no",
        "null",
        "1e3",
        "010",
        "~",
        "a: b",
        "# c",
        " d ",
        "true",
        "- e",
        ".nan",
        "<<",
        "1_0",
        "\ufeff",
        "\x85",
    ]
)
NUMBERS = st.floats(min_value=0, max_value=1e300, exclude_min=True)
COUNTS = st.integers(1, 2**63 - 1)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "model.size": st.sampled_from(["tiny", "small"]),
        "model.latent_dim": COUNTS,
        "model.channels": st.lists(COUNTS, min_size=1, max_size=4),
        "model.beta": NUMBERS,
        "model.free_nats": st.none() | NUMBERS,
        "model.likelihood": st.sampled_from(["bernoulli", "gaussian"]),
        "model.hidden": st.just("auto") | COUNTS | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        "model.note": TEXTS,
        "model.block": st.fixed_dictionaries({}, optional={"width": COUNTS}),
        "data.source": TEXTS,
        "data.augmentation.flip": st.booleans(),
        "training.learning_rate": NUMBERS,
        "players": st.dictionaries(
            TEXTS.filter(lambda name: name and "." not in name),
            st.fixed_dictionaries({}, optional={"num_steps": COUNTS, "betas": st.just((0.5, 0.9))}),
            max_size=2,
        ),
    },
)


@given(values=VALUES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_again(values: dict[str, object], families: Families) -> None:
    recipe = parse_recipe(BASE, "a.yaml", settings=values, families=families)
    text = recipe.to_yaml()
    again = parse_recipe(text, "recipe.yaml", families=families)
    assert again == recipe
    assert differences(again, recipe) == []
    assert recipe.to_yaml() == text


PIECES = st.sampled_from(
    ["model", "data", "training", "players", "family", "vae", "seed", "source", ": ", ":\n  ", "\n", "\n  ",
     "- ", "[", "]", "{", "}", ", ", "'", '"', "&a ", "*a", "<<", "!!int ", "#", "|\n", "\t", "? ", "---\n",
     "%YAML 1.2\n", "1e-4", ".nan", "no", "\\U0", "\ufeff", "é", "0x1"]
)  # fmt: skip


@given(text=st.text(max_size=60) | st.lists(PIECES, max_size=25).map("".join))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_raises_anything_but_our_errors(text: str, families: Families) -> None:
    for recipe, given_settings in ((text, []), (BASE, [text]), (BASE, [f"model.note={text}"])):
        with contextlib.suppress(CreusetError):
            parse_recipe(recipe, "a.yaml", settings=given_settings, families=families)
