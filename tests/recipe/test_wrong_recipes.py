"""Each wrong recipe of wrong_recipes.yaml gets its message, word for word."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from creuset.errors import RecipeError
from creuset.recipe.resolve import Families, parse_recipe

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "wrong_recipes.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_message_of_a_wrong_recipe(case: dict[str, Any], families: Families) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(case["recipe"], "recipe.yaml", settings=case.get("settings", ()), families=families)
    assert str(caught.value) == case["message"]
    assert caught.value.exit_code == case["exit_code"]


def test_the_table_is_a_table() -> None:
    assert len(CASES) >= 40
    assert len({case["name"] for case in CASES}) == len(CASES)
