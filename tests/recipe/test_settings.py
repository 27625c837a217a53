"""`--set` and the settings of the Python API."""

import re
from pathlib import Path

import numpy as np
import pytest

from creuset.errors import RecipeError
from creuset.recipe.resolve import Families, parse_recipe
from creuset.recipe.settings import Settings

BASE = "model:\n  family: vae\ndata:\n  source: digits\n"


def values(given: Settings, families: Families) -> dict[str, object]:
    return parse_recipe(BASE, "a.yaml", settings=given, families=families).values()


def test_texts_are_read_as_in_a_recipe(families: Families) -> None:
    given = [
        "training.learning_rate=1e-4",
        "training.betas=[0.5, 0.9]",
        "training.clip_norm=",
        "model.note=no",
        "data.source='my #1.csv'",
        "data.augmentation={shift: 2, flip: true}",
        " training.seed = 010 ",
    ]
    found = values(given, families)
    assert found["training.learning_rate"] == 1e-4
    assert found["training.betas"] == (0.5, 0.9)
    assert found["training.clip_norm"] is None
    assert found["model.note"] == "no"
    assert found["data.source"] == "my #1.csv"
    assert found["data.augmentation.shift"] == 2
    assert found["data.augmentation.flip"] is True
    assert found["data.augmentation.rotate"] == 0
    assert found["training.seed"] == 10


def test_a_value_may_hold_an_equals_sign(families: Families) -> None:
    assert values(["data.source=a=b.csv"], families)["data.source"] == "a=b.csv"


def test_one_text_is_one_setting(families: Families) -> None:
    assert values("training.seed=4", families)["training.seed"] == 4


def test_python_values_keep_their_meaning(families: Families) -> None:
    given = {
        "training.num_steps": np.int64(400),
        "training": {"learning_rate": np.float32(0.5), "betas": [0.5, 0.9]},
        "data.source": Path("pictures") / "mine",
        "data.augmentation.flip": True,
        "model.note": "1e-4",
        "model.free_nats": None,
    }
    found = values(given, families)
    assert found["training.num_steps"] == 400
    assert type(found["training.num_steps"]) is int
    assert found["training.learning_rate"] == 0.5
    assert found["training.betas"] == (0.5, 0.9)
    assert found["data.source"] == str(Path("pictures/mine"))
    assert found["model.note"] == "1e-4"
    assert found["model.free_nats"] is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["training"], '--set training:1:1: expected KEY=VALUE, such as "training.seed=1"'),
        (["=1"], "--set =1:1:1: expected a key, such as training.seed"),
        (["training..seed=1"], "--set training..seed=1:1:10: expected a key, such as training.seed"),
        (["training.sed=1"], 'unknown key "sed" under training; did you mean "seed"?'),
        (["training.seed.a=1"], "1:15: training.seed: expected a whole number, got keys"),
        (
            ["training.seed=1", "training={seed: 2}"],
            "--set training={seed: 2}:1:17: training.seed is set twice; first by --set training.seed=1",
        ),
        (["training.seed=1", "training=2"], "training is set twice; first by --set training.seed=1"),
        (["training.seed=#1"], "--set training.seed=#1:1:15: a # begins a comment here"),
        (["training.betas=[1, 2"], '--set training.betas=[1, 2:1:16: a list without its "]"'),
        (["model=3"], "--set model=3:1:7: model: expected keys, got 3"),
        (
            {"training.seed": "x"},
            'settings["training.seed"]:1:1: training.seed: expected a whole number, got "x"',
        ),
        ({"training.seed": True}, "training.seed: expected a whole number, got true"),
        ({"model.beta": float("nan")}, "model.beta: expected a finite number, got nan"),
        (
            {"training.seed": object()},
            'settings["training.seed"]:1:1: expected a text, number, boolean, None, list or mapping, got',
        ),
        ({"training": {3: 1}}, 'settings["training"]:1:1: a key must be a name, got 3'),
        ({"model.note": "\ud800"}, 'settings["model.note"]:1:1: the text holds half a character'),
    ],
)  # fmt: skip
def test_wrong_settings(given: Settings, message: str, families: Families) -> None:
    with pytest.raises(RecipeError) as caught:
        values(given, families)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_all_problems_of_file_and_settings_come_at_once(families: Families) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(BASE + "sed: 1\n", "a.yaml", settings=["x", "training.seed=y"], families=families)
    assert [problem.file for problem in caught.value.problems] == [
        "--set training.seed=y",
        "--set x",
        "a.yaml",
    ]


def test_a_long_value_is_cut_in_the_message(families: Families) -> None:
    with pytest.raises(RecipeError, match=re.escape('got "' + "x" * 60 + '…"')):
        values({"training.seed": "x" * 500}, families)
